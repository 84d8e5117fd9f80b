"""The official Pulumi release of the pinned version, fetched by the Pulumi SDK's own installer.

The SDK waits for the network without end, so it runs in a child process that must show within 10 s that the release
can be reached at all; what it fetches then may take as long as it keeps arriving.
"""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from engine.kept import made_whole
from engine.terminal import Progress
from engine.versions import Version

REACH_SECONDS = 10.0
FETCH_SECONDS = 900.0

_REACHED = "reached"
_SITE = "https://get.pulumi.com"


class Unreachable(Exception):
    """The release cannot be had from here; the message says why, in a few words."""


def fetch(
    version: Version, place: Path, reach_seconds: float = REACH_SECONDS, command: Sequence[str] = ()
) -> None:
    """Install the release into `place`, with `bin/pulumi` in it. Raises `Unreachable`, leaving nothing behind.

    `command` stands in for the child (tests); it must print `reached` and then install into its last argument.
    """
    with made_whole(place) as folder:
        argv = [*(command or (sys.executable, "-m", "engine.release", str(version))), str(folder)]
        child = subprocess.Popen(
            argv,
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _reach(child, reach_seconds)
            with Progress(f"pulumi {version}, the official release"):
                _, said = child.communicate(timeout=FETCH_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unreachable(f"not fetched within {FETCH_SECONDS:.0f} s") from None
        finally:
            _end(child)
        if child.returncode != 0 or not (folder / "bin" / "pulumi").is_file():
            raise Unreachable(_last_line(said) or f"its installer ended with {child.returncode}")


def _reach(child: subprocess.Popen[str], seconds: float) -> None:
    """Wait until the child has reached the release's site. Raises `Unreachable`."""
    assert child.stdout is not None
    assert child.stderr is not None
    stdout = child.stdout
    first: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: first.put(stdout.readline()), daemon=True).start()
    try:
        line = first.get(timeout=seconds)
    except queue.Empty:
        raise Unreachable(f"no answer within {seconds:g} s") from None
    if line.strip() != _REACHED:
        child.wait()
        raise Unreachable(_last_line(child.stderr.read()) or "no answer")


def _end(child: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:200]


def _install(version: str, folder: str) -> None:
    """What the child does."""
    system = {"Darwin": "darwin", "Linux": "linux"}.get(platform.system(), "linux")
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x64"
    for address in (
        f"{_SITE}/install.sh",
        f"{_SITE}/releases/sdk/pulumi-v{version}-{system}-{machine}.tar.gz",
    ):
        request = urllib.request.Request(address, method="HEAD")
        with urllib.request.urlopen(request, timeout=REACH_SECONDS) as answer:
            answer.read()
    print(_REACHED, flush=True)

    from pulumi.automation import PulumiCommand
    from semver import VersionInfo

    PulumiCommand.install(root=folder, version=VersionInfo.parse(version), skip_version_check=True)


if __name__ == "__main__":
    try:
        _install(sys.argv[1], sys.argv[2])
    except subprocess.CalledProcessError as error:
        sys.exit(_last_line((error.output or b"").decode(errors="replace")) or str(error))
    except OSError as error:
        sys.exit(str(getattr(error, "reason", None) or error))
