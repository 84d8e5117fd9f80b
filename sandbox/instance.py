"""The sandbox as a whole, from outside: is there one running in this folder, start it, stop it.

The server's own process is in server.py; here is what its commands and the tests do with it."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from sandbox import breaks, seed
from sandbox.client import SandboxClient, SandboxError

CHECKOUT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 4280
_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""Servers that this process started and may have to collect; most start one, and end long before it."""

START_SECONDS = 60.0
STOP_SECONDS = 20.0


def default_directory() -> Path:
    """`HOTDASH_SANDBOX_DIR`, else `.sandbox` at the top of the checkout."""
    return Path(os.environ.get("HOTDASH_SANDBOX_DIR") or CHECKOUT / ".sandbox").absolute()


def default_port() -> int:
    """`HOTDASH_SANDBOX_PORT`, else 4280; 0 means free ones. SandboxError if it is no port."""
    text = os.environ.get("HOTDASH_SANDBOX_PORT") or str(DEFAULT_PORT)
    if not text.isdigit() or int(text) > 65_535:
        raise SandboxError(f"HOTDASH_SANDBOX_PORT is {text!r}, which is not a port (0 to 65535)")
    return int(text)


@dataclass(frozen=True)
class Running:
    """A server that runs: its process, its URL and the token that it accepts."""

    directory: Path
    pid: int
    url: str
    token: str = field(repr=False)

    def client(self, timeout: float = 70.0) -> SandboxClient:
        return SandboxClient(self.url, self.token, timeout)


def find(directory: Path) -> Running | None:
    """The server that runs in `directory`; None if there is none (a killed one's traces do not count)."""
    try:
        record: dict[str, Any] = json.loads((directory / "server.json").read_text())
        token = (directory / "token").read_text().strip()
        pid, url = int(record["pid"]), str(record["url"])
    except (OSError, ValueError, KeyError):
        return None
    return Running(directory, pid, url, token) if _is_server(pid, directory) else None


def require(directory: Path) -> Running:
    """The server that runs in `directory`; SandboxError, saying how to start it, if there is none."""
    running = find(directory)
    if running is None:
        raise SandboxError(f"no sandbox runs in {directory}. Bring it up: hotdash sandbox up")
    return running


def start(directory: Path, port: int) -> Running:
    """Start the server in the background and return when it answers. One that somebody else just started is as good.

    Raises:
        SandboxError: it ended or did not answer within a minute; gives the end of its log.
    """
    if running := _find_or_await(directory):
        return running
    logs = directory / "log"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    logs.mkdir(mode=0o700, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with (logs / "server.log").open("ab") as log:
        begin = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.server", "--dir", str(directory), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=CHECKOUT,
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while True:
        running = find(directory)
        if running and running.pid == process.pid:
            _children[process.pid] = process
            return running
        if process.poll() is not None or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    if process.poll() is None:
        process.terminate()
        process.wait()
    raise SandboxError(f"the sandbox did not start:\n{_tail(logs / 'server.log', begin)}")


def ensure_seeded(running: Running, design: seed.Design | None = None) -> bool:
    """Seed the world if that has not been done, or not to the end. Whether it was done now."""
    if (running.directory / seed.SEEDED_MARK).exists():
        return False
    reset(running, design)
    return True


def reset(running: Running, design: seed.Design | None = None) -> None:
    """The seeded world anew: apps, secrets, vault, faults, and what the databases hold. Machines are booting when
    this returns."""
    (running.directory / seed.SEEDED_MARK).unlink(missing_ok=True)
    breaks.forget(running.directory)
    with running.client() as client:
        client.call("POST", "/sandbox/reset")
        seed.plant(client, running.directory, running.token, design)


def stop(directory: Path, report: Callable[[str], None] = lambda text: None) -> bool:
    """Stop the server and everything it runs, and wait for the end. Whether there was one.

    A server that was killed before may have left its Postgres and Redis stopping: they are waited for too."""
    running = _find_or_await(directory)
    if running:
        report(f"stopping the sandbox (process {running.pid})")
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(running.pid)
            process.send_signal(signal.SIGTERM)
            if not has_ended(process, STOP_SECONDS):
                report(f"it does not end within {STOP_SECONDS:g} s: killing it")
                process.kill()
                has_ended(process, 5.0)
        _collect(running.pid)
    _wait_for_services(directory)
    (directory / "server.json").unlink(missing_ok=True)
    return running is not None


def kill(running: Running) -> None:
    """Kill the server and return when it is dead: what a power cut or the kernel would do. Its services and machines
    end themselves when they notice."""
    os.kill(running.pid, signal.SIGKILL)
    with contextlib.suppress(psutil.Error):
        has_ended(psutil.Process(running.pid), 5.0)
    _collect(running.pid)


def _collect(pid: int) -> None:
    child = _children.pop(pid, None)
    if child is not None:
        child.wait()


def has_ended(process: psutil.Process, seconds: float) -> bool:
    """Whether the process ends within `seconds`. One that its parent has not collected yet has ended: in a container
    nobody may ever do so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def _find_or_await(directory: Path) -> Running | None:
    """The server that runs in `directory`; one that is just starting, or ending, is waited for."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        running = find(directory)
        if running or not _is_locked(directory / "lock") or time.monotonic() > deadline:
            return running
        time.sleep(0.02)


def _wait_for_services(directory: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while _is_locked(directory / "services.lock") and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_locked(lock: Path) -> bool:
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _is_server(pid: int, directory: Path) -> bool:
    """Whether the process is a sandbox's server, and not one that got the pid of a dead one."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        words = process.cmdline()
        if "sandbox.server" not in words:
            return False
        given = words[words.index("--dir") + 1] if "--dir" in words[:-1] else ""
        return not given or (Path(process.cwd()) / given).resolve() == directory.resolve()
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def _tail(path: Path, begin: int) -> str:
    with path.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-12:])
