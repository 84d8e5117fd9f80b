"""`python -m bootstrap.lock [--upgrade]`: write requirements/*.txt again from pyproject.toml, with hashes.

For every platform and Python >= 3.11 at once, which needs uv; the one on PATH, else one fetched into .engine/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from engine.terminal import say

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / ".engine" / "uv"
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version", "3.11"),
    *("--no-emit-index-url", "--no-emit-find-links", "pyproject.toml"),
)


def main(arguments: list[str]) -> int:
    uv = shutil.which("uv") or str(_fetched())
    for name, extra in (
        ("base", ()),
        ("dev", ("-c", "requirements/base.txt", "--extra", "sandbox", "--group", "dev")),
    ):
        say(f"lock: requirements/{name}.txt")
        done = subprocess.run(
            [uv, *COMPILE, *extra, *arguments, "-o", f"requirements/{name}.txt"],
            cwd=ROOT,
            env={**os.environ, "UV_CUSTOM_COMPILE_COMMAND": "make lock"},
            check=False,
        )
        if done.returncode != 0:
            return done.returncode
    return 0


def _fetched() -> Path:
    executable = TOOL / "bin" / "uv"
    if not executable.exists():
        say("lock: fetching uv into .engine/uv")
        subprocess.run([sys.executable, "-m", "venv", TOOL], check=True)
        subprocess.run([TOOL / "bin" / "python", "-m", "pip", "install", "--quiet", "uv"], check=True)
    return executable


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
