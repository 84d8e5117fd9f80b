"""What PATH has to offer: a command new enough to be used instead of one of our own.

Asking a command for its version costs 0.1 s and more, so the answer is remembered until the file changes.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.versions import Version

ANSWER_SECONDS = 10


@dataclass(frozen=True)
class Found:
    """A command on PATH and the version that it names."""

    executable: Path
    version: Version


def candidates(name: str, path: str, leave_out: Path) -> list[Path]:
    """Every executable called `name` on `path`, in its order, but for those in `leave_out` (what we made)."""
    found = []
    for folder in path.split(os.pathsep):
        executable = Path(folder or ".", name)
        inside = leave_out in executable.resolve().parents or leave_out in executable.absolute().parents
        if executable.is_file() and os.access(executable, os.X_OK) and not inside and executable not in found:
            found.append(executable)
    return found


class Versions:
    """Asks commands for their version (`NAME version`); remembers the answers in a file."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        try:
            self._known: dict[str, str] = json.loads(memory.read_text())
        except (OSError, ValueError):
            self._known = {}

    def of(self, executable: Path) -> Version | None:
        """The version that `executable` names; None if it does not run or names none."""
        status = executable.stat()
        key = f"{executable}|{status.st_mtime_ns}|{status.st_size}"
        if key not in self._known:
            self._known[key] = _ask(executable)
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            self._memory.write_text(json.dumps(self._known, indent=1))
        try:
            return Version.find(self._known[key])
        except ValueError:
            return None


def _ask(executable: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "FLY_NO_UPDATE_CHECK": "1"}
    try:
        answer = subprocess.run(
            [executable, "version"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()[:200] if answer.returncode == 0 else ""
