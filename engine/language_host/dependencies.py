"""What `pulumi install` does for a Python program: its virtual environment, and its requirements into it.

The project itself is set up by `make setup`; this serves other programs that are run with this language host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.language_host import interpreter
from engine.language_host.child import PythonRun


@dataclass(frozen=True)
class Step:
    """A command to run, and what it is for."""

    says: str
    run: PythonRun


def steps(root: str, options: Mapping[str, object], environment: Mapping[str, str]) -> list[Step]:
    """The commands that make the project in `root` ready; none if nothing is missing or asked for.

    Raises `interpreter.NoInterpreter`."""
    needed = []
    virtualenv = str(options.get("virtualenv") or "")
    if virtualenv and not Path(root, virtualenv, "bin", "python").is_file():
        folder = Path(root, virtualenv)
        python = interpreter.find(root, {}, environment).executable
        needed.append(
            Step(f"Making the virtual environment {virtualenv}", PythonRun(python, ["", str(folder)], "venv"))
        )
        executable = str(folder / "bin" / "python")
    else:
        executable = interpreter.find(root, options, environment).executable
    requirements = Path(root, "requirements.txt")
    if requirements.is_file():
        install = ["", "install", "--disable-pip-version-check", "-r", str(requirements)]
        needed.append(Step("Installing requirements.txt", PythonRun(executable, install, "pip")))
    return needed
