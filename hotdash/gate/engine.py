"""One preview by the real engine: found, run, its events and errors handed back. It sends GETs to Fly and writes no
state; a plan file is written only where the caller names one.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hotdash.errors import SettingsError
from hotdash.gate import DRIFT_VARIABLE

COMMAND: Final = "pulumi"
LANGUAGE_HOST: Final = "pulumi-language-python"
_OURS: Final = Path(".engine/bin")
_DOES_NOT_FIT: Final = "does not satisfy the version range"
_PATIENCE: Final = 10.0
"""Seconds that the engine has to end by itself after an interrupt; it ends the program and its providers first."""


@dataclass(frozen=True)
class Preview:
    """What to preview.

    Args:
        root: the project's folder.
        pack: the policy pack's folder.
        config_file: another stack file than the stack's own.
        plan: where to write the engine's plan, for `pulumi up --plan`.
        drift: where the program writes what drifted; see `hotdash.gate.drift_file`.
    """

    root: Path
    stack: str
    pack: Path
    drift: Path
    config_file: Path | None = None
    plan: Path | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        named: dict[str, Path | None] = {"--config-file": self.config_file, "--save-plan": self.plan}
        return (
            "preview",
            "--json",
            "--non-interactive",
            *("--color", "never"),
            *("--stack", self.stack),
            *("--policy-pack", str(self.pack)),
            *(word for option, path in named.items() if path for word in (option, str(path))),
        )


@dataclass(frozen=True)
class Output:
    """What the engine's process did."""

    code: int
    stdout: str
    stderr: str


def run(
    preview: Preview, environ: Mapping[str, str] = os.environ, meanwhile: Callable[[], None] = lambda: None
) -> Output:
    """Preview with the first engine that fits the project.

    Args:
        meanwhile: is called while the engine works.

    Raises:
        SettingsError: there is no engine, or it cannot be started.
    """
    found = tuple(engines(preview.root, environ))
    if not found:
        raise SettingsError(
            "there is no Pulumi engine on PATH, and none in .engine",
            meaning="the gate is a preview by the real engine",
            remedy="run `make engine`, or install Pulumi with its Python language host",
        )
    for engine in found:
        output = _run(engine, preview, _environment(preview, environ), meanwhile)
        # The engine itself knows which versions the project takes.
        if output.code == 0 or _DOES_NOT_FIT not in output.stderr:
            break
    return output


def engines(root: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Those on PATH that bring their Python language host, in its order, then the one that `make engine` has put into
    the project."""
    folders = [Path(entry) for entry in environ.get("PATH", "").split(os.pathsep) if entry]
    given: set[Path] = set()
    for folder in [*folders, root / _OURS]:
        engine = folder / COMMAND
        if engine.resolve() not in given and os.access(engine, os.X_OK) and _brings_language_host(engine):
            given.add(engine.resolve())
            yield engine


def _brings_language_host(engine: Path) -> bool:
    return any(
        os.access(place / LANGUAGE_HOST, os.X_OK) for place in (engine.parent, engine.resolve().parent)
    )


def _environment(preview: Preview, environ: Mapping[str, str]) -> dict[str, str]:
    return {
        # Refresh while the program runs, not before: the same result, with half of the provider processes.
        "PULUMI_RUN_PROGRAM": "true",
        **environ,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
        DRIFT_VARIABLE: str(preview.drift),
    }


def _run(
    engine: Path, preview: Preview, environment: Mapping[str, str], meanwhile: Callable[[], None]
) -> Output:
    try:
        process = subprocess.Popen(
            [str(engine), *preview.arguments],
            cwd=preview.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise SettingsError(
            f"the engine cannot be started: {error.strerror}", where=COMMAND, remedy="run `make engine`"
        ) from None
    try:
        meanwhile()
        stdout, stderr = process.communicate()
    except BaseException:
        _end(process)
        raise
    return Output(process.returncode, stdout, stderr)


def _end(process: subprocess.Popen[str]) -> None:
    """Let the engine end, with what it runs. A terminal's Ctrl-C has reached it too; another's signal has not."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
