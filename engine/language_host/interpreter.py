"""Which Python runs a program: the one of `runtime.options.virtualenv`, else the first one on PATH.

The same rules as the official host and the SDK's dynamic provider script follow, so that the program, its providers
and its policies agree.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class NoInterpreter(Exception):
    """There is no Python to run the program with; the message says why and what to do."""


@dataclass(frozen=True)
class Interpreter:
    """A Python, and the environment that activates it."""

    executable: str
    environment: Mapping[str, str]
    virtualenv: Path | None

    def version(self) -> str:
        """Its version, such as `3.11.7`; empty if it does not tell."""
        if self.virtualenv is not None:
            text = (self.virtualenv / "pyvenv.cfg").read_text()
            if match := re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+\.\d+)", text, re.MULTILINE):
                return match.group(1)
        return self._ask("import platform; print(platform.python_version())")

    def site_packages(self) -> list[Path]:
        """The folders that hold its installed packages."""
        if self.virtualenv is not None:
            return sorted(self.virtualenv.glob("lib/python3.*/site-packages"))
        return [
            Path(line)
            for line in self._ask("import site; print(*site.getsitepackages(), sep='\\n')").split("\n")
        ]

    def _ask(self, code: str) -> str:
        answer = subprocess.run(
            [self.executable, "-c", code], env=self.environment, capture_output=True, text=True, check=False
        )
        return answer.stdout.strip()


def find(root: str, options: Mapping[str, object], environment: Mapping[str, str]) -> Interpreter:
    """The interpreter for the project in `root` with `runtime.options` as they stand in Pulumi.yaml, where
    `virtualenv` is relative to `root`. Raises `NoInterpreter`."""
    toolchain = str(options.get("toolchain") or "pip")
    virtualenv = str(options.get("virtualenv") or (".venv" if toolchain == "uv" else ""))
    if toolchain not in ("pip", "uv"):
        raise NoInterpreter(
            f"Pulumi.yaml says `toolchain: {toolchain}`, which this language host does not know. "
            "Use `virtualenv: FOLDER` instead, or install an official Pulumi release."
        )
    if not virtualenv:
        return _on_path(environment)
    folder = Path(root, virtualenv)
    executable = folder / "bin" / "python"
    if not executable.is_file():
        problem = "is not a virtual environment" if folder.exists() else "does not exist"
        raise NoInterpreter(
            f"Pulumi.yaml says `virtualenv: {virtualenv}`, but {folder} {problem}. "
            f"Make it (in this project: `make setup`; elsewhere: `python3 -m venv {folder}` and install the "
            "program's requirements into it), then run the command again."
        )
    activated = {
        **environment,
        "VIRTUAL_ENV": str(folder),
        "PATH": f"{folder / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}",
    }
    activated.pop("PYTHONHOME", None)
    return Interpreter(str(executable), activated, folder)


def _on_path(environment: Mapping[str, str]) -> Interpreter:
    wanted = environment.get("PULUMI_PYTHON_CMD")
    names = [wanted] if wanted else ["python3", "python"]
    for name in names:
        if found := shutil.which(name, path=environment.get("PATH")):
            return Interpreter(found, environment, None)
    raise NoInterpreter(
        f"No Python to run the program with: {' or '.join(names)} not found on PATH. "
        "Install Python 3.11 or newer, or name a virtual environment in Pulumi.yaml (`runtime.options.virtualenv`)."
    )
