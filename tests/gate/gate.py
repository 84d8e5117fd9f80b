"""`hotdash gate` run on a stack of the tests, as CI runs it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.program.stack import COMMAND_SECONDS, Stack
from tests.world import CHECKOUT

PACKS = Path(__file__).parent / "packs"
HOTDASH = Path(sys.executable).with_name("hotdash")


@dataclass(frozen=True)
class Ran:
    """How one gate ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @cached_property
    def report(self) -> dict[str, Any]:
        """What `--format json` wrote to stdout."""
        told: dict[str, Any] = json.loads(self.stdout)
        return told

    def kinds(self, subject: str = "") -> set[str]:
        return {
            item["kind"]
            for item in self.report["drift"]
            if not subject or item["subject"].startswith(subject)
        }

    def ended(self, code: int) -> "Ran":
        assert self.code == code, self.output
        assert "Traceback" not in self.output, self.output
        return self

    def refused(self, *words: str) -> "Ran":
        """It could not be run, and says so with these words, for people."""
        self.ended(1)
        text = " ".join(self.output.split())
        missing = [word for word in words if word not in text]
        assert not missing, f"{missing} not in\n{self.output}"
        return self


def gate(stack: Stack, *words: str, env: Mapping[str, str | None] | None = None) -> Ran:
    """Run it over the stack's own stack file."""
    stack.command("preview")  # writes the stack file
    return run(
        "--stack",
        stack.name,
        "--config-file",
        str(stack.file),
        *words,
        env={**stack.environment, **(env or {})},
        cwd=stack.program,
    )


def run(*words: str, env: Mapping[str, str | None], cwd: Path = CHECKOUT) -> Ran:
    done = subprocess.run(
        [str(HOTDASH), "gate", *words],
        cwd=cwd,
        env={name: value for name, value in env.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
