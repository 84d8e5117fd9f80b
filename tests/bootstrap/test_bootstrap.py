"""Machines that lack something, made of a PATH with fake commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.places import ROOT


class Machine:
    """A PATH with nothing on it but a shell, make and what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "log"
        for name in ("sh", "make", "env", "id", "sed", "printf"):
            found = shutil.which(name)
            if found:
                (self.bin / name).symlink_to(found)

    def command(self, name: str, body: str = "") -> None:
        """A command that writes down how it was called and then does `body`."""
        (self.bin / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {self.log}\n{body}\n')
        (self.bin / name).chmod(0o755)

    def called(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=ROOT,
            env={"PATH": str(self.bin), "HOME": str(self.bin)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def install(self) -> subprocess.CompletedProcess[str]:
        code = (
            "from bootstrap import system; from engine.terminal import SetupError\n"
            "try: system.install('Redis', {'apt-get': 'redis-server', 'brew': 'redis'})\n"
            "except SetupError as error: raise SystemExit(str(error))"
        )
        return self.run(sys.executable, "-c", code)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_no_python_or_only_an_old_one_says_what_to_install(machine: Machine) -> None:
    machine.command("python3", "exit 1")  # what `sys.version_info < (3, 11)` makes of an old one
    done = machine.run("make", "venv", "VENV=/nowhere/bin")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert "brew install python" in done.stderr


def test_make_alone_lists_what_there_is() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("setup", "engine", "demo", "sandbox", "test", "check", "bench", "lock", "clean"):
        assert f"make {target} " in done.stdout


def test_nothing_to_install_with_is_said_with_the_command_to_use(machine: Machine) -> None:
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Redis is missing. Install it and run this again: sudo apt-get install redis-server or brew install redis"
    )


def test_apt_get_is_used_as_root_or_without_a_password_and_said_first(machine: Machine) -> None:
    machine.command("apt-get")
    machine.command("sudo", 'shift; exec "$@"')
    sudo = "" if os.geteuid() == 0 else "sudo -n "
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"system: installing Redis: {sudo}apt-get install -y -qq redis-server\n")
    called = [line for line in machine.called() if line.startswith("apt-get")]
    assert called == ["apt-get update -qq", "apt-get install -y -qq redis-server"]


def test_homebrew_needs_no_root(machine: Machine) -> None:
    machine.command("brew")
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert machine.called() == ["brew install redis"]


def test_an_installation_that_fails_shows_why_and_what_to_do_by_hand(machine: Machine) -> None:
    machine.command("brew", "echo 'Error: no space left' >&2; exit 1")
    done = machine.install()
    assert done.returncode == 1
    assert "Error: no space left" in done.stderr
    assert "Install Redis by hand: sudo apt-get install redis-server or brew install redis" in done.stderr
    assert "done in" not in done.stdout
