"""`python -m bootstrap.venv`: see that `.venv` holds exactly what requirements/dev.txt locks, and this project.

Made once; renewed when the lock, pyproject.toml, the Python or the place of the checkout changes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bootstrap import system
from engine.terminal import Progress, SetupError, say

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "set-up.json"
OLDEST = (3, 11)


def main() -> int:
    if sys.version_info < OLDEST:
        print(f"venv: this needs Python 3.11 or newer, and {sys.executable} is older", file=sys.stderr)
        return 1
    try:
        make_ready()
    except SetupError as error:
        print(f"venv: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nvenv: interrupted; run the command again to go on", file=sys.stderr)
        return 130
    return 0


def make_ready() -> None:
    """Bring `.venv` to what is locked. Raises `SetupError`."""
    wanted = {
        "place": str(VENV),
        "python": _python_of(sys.executable),
        "requirements": _digest(LOCK),
        "project": _digest(ROOT / "pyproject.toml"),
    }
    has = _stamp()
    if not _works() or (has and has.get("place") != wanted["place"]):
        _make()
        has = {}
    wanted["python"] = _python_of(str(VENV / "bin" / "python"))
    if has == wanted:
        say("venv: .venv is up to date")
        return
    STAMP.unlink(missing_ok=True)
    if any(has.get(name) != wanted[name] for name in ("python", "requirements")):
        say("venv: installing what requirements/dev.txt locks into .venv")
        with Progress("packages"):
            _pip("install", "--require-hashes", "-r", str(LOCK))
    say("venv: installing this project into .venv, as a link to the checkout")
    # `compat` is a plain path in a .pth file; the other kind runs an import hook at every start of Python.
    _pip(
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--config-settings=editable_mode=compat",
        "-e",
        str(ROOT),
    )
    STAMP.write_text(json.dumps(wanted, indent=1))


def _make() -> None:
    python = getattr(sys, "_base_executable", sys.executable) or sys.executable
    if importlib.util.find_spec("ensurepip") is None:
        system.install(
            "Python's venv module, a package of its own on Debian and Ubuntu,",
            {"apt-get": f"python{sys.version_info.major}.{sys.version_info.minor}-venv"},
        )
    say(f"venv: making .venv with Python {_version()} ({python})")
    if VENV.exists():
        shutil.rmtree(VENV)
    made = subprocess.run([python, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise SetupError(f"`python -m venv .venv` failed:\n{(made.stdout + made.stderr).strip()}")


def _works() -> bool:
    python = VENV / "bin" / "python"
    if not python.exists():
        return False
    return (
        subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    )


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        cwd=ROOT,
        env=_pip_environment(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shown = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).strip().splitlines()[-15:])
        raise SetupError(
            f"`pip {arguments[0]}` failed. The end of what it said:\n{shown}\n"
            "If a package could not be fetched, check the network, or PIP_INDEX_URL if you use a mirror, and run this "
            "again."
        )


def _pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    # A PYTHONPATH or a user site of the caller's must not count as installed.
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"} | {
        "PYTHONNOUSERSITE": "1"
    }


def _stamp() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def _python_of(executable: str) -> str:
    return f"{_version()} {Path(executable).resolve()}"


def _version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
