"""Installing a package of the operating system: said first, done without questions, or explained.

Only where it needs no password: as root, with `sudo -n`, or with Homebrew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from engine.terminal import Progress, SetupError, say


def install(what: str, packages: Mapping[str, str]) -> None:
    """Install `what` with the first of the tools in `packages` (`apt-get`, `brew`) that this machine has; each maps
    to the name of its package. Raises `SetupError`, saying what to install by hand, if none can be used."""
    prefix = {"apt-get": "sudo apt-get", "brew": "brew"}
    by_hand = " or ".join(f"{prefix.get(tool, tool)} install {name}" for tool, name in packages.items())
    for tool, package in packages.items():
        rights = _rights(tool)
        if shutil.which(tool) is None or rights is None:
            continue
        command = [*rights, tool, "install", *(["-y", "-qq"] if tool == "apt-get" else []), package]
        say(f"system: installing {what}: {' '.join(command)}")
        if tool == "apt-get":
            _run([*rights, tool, "update", "-qq"])
        with Progress(package):
            if failed := _run(command):
                raise SetupError(
                    f"`{' '.join(command)}` failed:\n{failed}\nInstall {what} by hand: {by_hand}"
                )
        return
    raise SetupError(f"{what} is missing. Install it and run this again: {by_hand}")


def _rights(tool: str) -> list[str] | None:
    """What to put before `tool` to be allowed to install; None if that would take a password."""
    if tool == "brew" or os.geteuid() == 0:
        return []
    if shutil.which("sudo") and not _run(["sudo", "-n", "true"]):
        return ["sudo", "-n"]
    return None


def _run(command: list[str]) -> str:
    """Run it; empty if it succeeded, else the end of what it said."""
    done = subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "HOMEBREW_NO_AUTO_UPDATE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()[-10:]
    return "\n".join(f"    {line}" for line in lines) or f"    exit code {done.returncode}"
