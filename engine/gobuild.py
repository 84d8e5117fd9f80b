"""Building a command from the Go module proxy, with every checksum pinned in a go.sum beside its go.mod.

`build` is for commands whose official binaries cannot be reached. The result is kept under a key of everything that
goes into it, so it is made again only when a pin changes.
"""

from __future__ import annotations

import collections
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.terminal import Progress, SetupError

INSTALL_GO = """\
Install Go and run the command again:
  Debian, Ubuntu   the tarball from https://go.dev/dl/ (the packaged Go is usually too old), unpacked to /usr/local
  macOS            brew install go
  others           https://go.dev/doc/install"""


_PACKAGE = re.compile(r"[\w.~+-]+(/[\w.~+-]+)*")
"""A line of `go build -v`: the import path of a package that it compiles."""


@dataclass(frozen=True)
class GoCommand:
    """A command to build: `package` out of the module in `module`, whose go.mod and go.sum pin it."""

    name: str
    package: str
    module: Path
    ldflags: str
    tags: str = ""

    @property
    def key(self) -> str:
        """Changes whenever the build would give something else."""
        digest = hashlib.sha256()
        for part in (
            self.package,
            self.ldflags,
            self.tags,
            platform.system(),
            platform.machine(),
            (self.module / "go.mod").read_text(),
            (self.module / "go.sum").read_text(),
        ):
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()[:12]


class Go:
    """A Go tool chain that can build the module in the folder `module`."""

    def __init__(self, executable: str, module: Path) -> None:
        self._executable = executable
        self._module = module
        self._environment = {
            **os.environ,
            "GOWORK": "off",
            # Pure Go: the same binary with or without a C compiler on the machine.
            "CGO_ENABLED": "0",
        }

    @staticmethod
    def find(module: Path, path: str | None = None) -> Go:
        """The `go` on PATH (or on `path`). Raises `SetupError` if there is none or it is too old for the module."""
        executable = shutil.which("go", path=path)
        if executable is None:
            raise SetupError(f"There is no `go` on PATH to build with.\n{INSTALL_GO}")
        go = Go(executable, module)
        # Asked in the module: a Go that can fetch the newer one it needs (GOTOOLCHAIN=auto) does, and one that
        # cannot says so.
        answer = go._run("list", "-m")
        if answer.returncode != 0:
            reason = (answer.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise SetupError(f"{executable} cannot build this: {reason}\n{INSTALL_GO}")
        return go

    def folder_of(self, package: str) -> Path:
        """Where the module cache holds the module `package`. Raises `SetupError`."""
        answer = self._run("list", "-mod=readonly", "-m", "-f", "{{.Dir}}", package)
        if answer.returncode != 0 or not answer.stdout.strip():
            raise SetupError(f"The Go module {package} is not in the module cache: {answer.stderr.strip()}")
        return Path(answer.stdout.strip())

    def build(self, command: GoCommand, into: Path) -> None:
        """Build `command` into the file `into`, showing progress. Raises `SetupError` with the end of Go's output."""
        with Progress(command.name) as progress:
            fetched = 0
            packages = 0
            for line in self._follow(
                "list", "-mod=readonly", f"-tags={command.tags}", "-deps", command.package
            ):
                if line.startswith("go: downloading "):
                    fetched += 1
                    progress.doing = f"fetching modules: {fetched}, {line.split()[2]}"
                else:
                    packages += 1
            compiled = 0
            flags = [
                "-mod=readonly",
                "-trimpath",
                "-buildvcs=false",
                f"-tags={command.tags}",
                f"-ldflags={command.ldflags}",
            ]
            progress.doing = f"compiling {packages} packages"
            for line in self._follow("build", "-v", *flags, "-o", str(into), command.package):
                if _PACKAGE.fullmatch(line):
                    compiled += 1
                    progress.doing = f"compiling: {compiled} of {packages} packages, {line}"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._executable, *arguments],
            cwd=self._module,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def _follow(self, *arguments: str) -> Iterator[str]:
        """The lines that Go writes, as it writes them. Raises `SetupError` if it fails."""
        last: collections.deque[str] = collections.deque(maxlen=15)
        with subprocess.Popen(
            [self._executable, *arguments],
            cwd=self._module,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                last.append(line.rstrip())
                yield last[-1]
        if process.returncode != 0:
            shown = "\n".join(f"    {line}" for line in last)
            raise SetupError(
                f"`go {arguments[0]}` failed in {self._module}. The end of what it said:\n{shown}\n"
                "If a module could not be fetched, check the network, or GOPROXY if you use a mirror, and run this "
                "again; what has been fetched and compiled is kept."
            )
