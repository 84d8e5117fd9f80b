"""A tiny Pulumi project in a folder of its own, with its own state, and the real engine to run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from engine.places import ENGINE_BIN

COMMAND_SECONDS = 120


def engine_bin() -> Path:
    """The folder of the engine under test."""
    if not (ENGINE_BIN / "pulumi").exists():
        raise AssertionError(f"there is no engine in {ENGINE_BIN}: run `make setup` first")
    return ENGINE_BIN


@dataclass(frozen=True)
class Answer:
    """What a `pulumi` command did; `output` is stdout and stderr as a person sees them."""

    code: int
    output: str

    def ok(self) -> Answer:
        assert self.code == 0, self.output
        return self


@dataclass
class Project:
    """A project folder; `write` its files, then `pulumi(...)`."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    extra: dict[str, str] = field(default_factory=dict)

    def write(self, **files: str) -> None:
        """Write `NAME.py` for each NAME, and `__main__.py` for `main`."""
        for name, text in files.items():
            (self.folder / f"{'__main__' if name == 'main' else name}.py").write_text(text)

    def settings(self, **changes: object) -> None:
        """Write Pulumi.yaml: the tests' own virtual environment, `refresh: always`, and `changes`."""
        settings = {
            "name": "tiny",
            "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}},
            "options": {"refresh": "always"},
            **changes,
        }
        (self.folder / "Pulumi.yaml").write_text(json.dumps(settings))  # JSON is YAML

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        return {
            **kept,
            "PATH": f"{engine_bin()}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "passphrase",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "TINY_MARK": self.mark,
            **self.extra,
        }

    def pulumi(self, *arguments: str) -> Answer:
        """Run a command to its end."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; it has its own process group, as a terminal's foreground job has."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def state(self) -> dict[str, Any]:
        deployment: dict[str, Any] = json.loads(self.pulumi("stack", "export").ok().output)["deployment"]
        return deployment

    def log(self) -> list[str]:
        """What the project's provider wrote down about its calls."""
        try:
            return (self.folder / "calls.log").read_text().splitlines()
        except FileNotFoundError:
            return []

    def locks(self) -> list[Path]:
        return list((self.folder / "state").rglob("locks/**/*.json"))

    def processes(self) -> list[psutil.Process]:
        """Every process that a command of this project started and that still runs."""
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get("TINY_MARK") == self.mark
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def nothing_left(self) -> None:
        """Every process has ended, or does within a moment."""
        until("everything to end", lambda: self.processes() == [])


def until(what: str, met: Any, seconds: float = 20.0) -> None:
    """Wait until `met()` is true; fails naming `what`."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


def lines_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the process's output up to the line with `text`; what was read."""
    assert process.stdout is not None
    read = []
    for line in process.stdout:
        read.append(line)
        if text in line:
            return "".join(read)
    raise AssertionError(f"ended without {text!r}:\n{''.join(read)}")


def made(folder: Path, extra: dict[str, str]) -> Iterator[Project]:
    """A project with an empty stack in `folder`; whatever it leaves running is ended and reported."""
    (folder / "state").mkdir()
    project = Project(folder, extra=extra)
    project.settings()
    project.write(main="")
    project.pulumi("stack", "init", "dev").ok()
    yield project
    try:
        project.nothing_left()
    finally:
        for process in project.processes():
            process.send_signal(signal.SIGKILL)
