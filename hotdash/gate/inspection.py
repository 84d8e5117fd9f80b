"""One gate, from a stack's name to a report: the engine is run once, and what it said is judged."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hotdash.errors import HotdashError, SettingsError
from hotdash.gate import engine
from hotdash.gate.report import Cause, Problem, Report
from hotdash.stack.file import STACK_VARIABLE, chosen_stack, stack_file

if TYPE_CHECKING:
    from hotdash.gate.drift_file import Told

DEFAULT_PACK: Final = "policies"
EVERY_CAUSE: Final = frozenset(Cause)
_PACK_FILE: Final = "PulumiPolicy.yaml"

Run = Callable[[engine.Preview, Mapping[str, str], Callable[[], None]], engine.Output]


@dataclass(frozen=True)
class Request:
    """What to look at.

    Args:
        root: the project's folder.
        stack: its name, as Pulumi takes it; None: PULUMI_STACK's.
        pack: the policy pack's folder; None: the project's own.
        config_file: another stack file than the stack's own.
        plan: where the engine's plan is written besides.
        fail_on: what counts for the verdict.
    """

    root: Path
    stack: str | None = None
    pack: Path | None = None
    config_file: Path | None = None
    plan: Path | None = None
    fail_on: frozenset[Cause] = EVERY_CAUSE


def inspect(request: Request, environ: Mapping[str, str] = os.environ, run: Run = engine.run) -> Report:
    """Preview and judge. What prevents it is in the report, and raised by nothing."""
    began, at = time.monotonic(), datetime.now(UTC)
    named = request.stack or environ.get(STACK_VARIABLE, "")
    file = _shown(request.config_file or Path(stack_file(named.rpartition("/")[2] or "STACK")), request.root)
    try:
        stack = _stack(request, environ)
        file, text = _read(request, stack)
        pack = _pack(request)
        with tempfile.TemporaryDirectory(prefix="hotdash-gate-") as folder:
            drift = Path(folder) / "drift"
            drift.touch(mode=0o600)
            preview = engine.Preview(
                root=request.root,
                stack=named,
                pack=pack,
                drift=drift,
                config_file=request.config_file and request.config_file.absolute(),
                plan=request.plan and request.plan.absolute(),
            )
            output = run(preview, environ, _load)
            told, untold = _told(drift)
    except HotdashError as error:
        return Report(
            stack=named,
            file=file,
            fail_on=request.fail_on,
            at=at,
            errors=(Problem.of(error),),
            seconds=time.monotonic() - began,
        )
    from hotdash.gate.events import seen
    from hotdash.gate.judging import judge
    from hotdash.gate.places import StackFile
    from hotdash.gate.problems import Ended

    report = judge(
        stack=stack,
        pack=_shown(pack, request.root),
        fail_on=request.fail_on,
        seen=seen(output.stdout.splitlines()),
        told=told,
        ended=Ended(output.code, output.stderr, request.root),
        file=StackFile(file, text),
        at=at,
        seconds=time.monotonic() - began,
    )
    return replace(report, errors=(*report.errors, *untold))


def _load() -> None:
    """What judges and tells is loaded while the engine works: a gate takes little longer than its preview."""
    import hotdash.gate.drift_file
    import hotdash.gate.formats.text
    import hotdash.gate.judging  # noqa: F401


def _told(file: Path) -> tuple[tuple[Told, ...], tuple[Problem, ...]]:
    """The drift that the program told; or why nobody knows it."""
    from hotdash.gate import drift_file

    try:
        return drift_file.read(file), ()
    except (OSError, ValueError):
        problem = Problem(
            "program",
            "what the program told of drift cannot be read",
            meaning="some of it may be missing, so nothing is proved",
            remedy="run this again; `pulumi preview` shows the drift to people",
        )
        return (), (problem,)


def _stack(request: Request, environ: Mapping[str, str]) -> str:
    """The stack's short name. With a stack file of its own it need have none in stacks/."""
    if request.config_file is None:
        return chosen_stack(request.stack, request.root, environ)
    named = request.stack or environ.get(STACK_VARIABLE, "")
    if not named:
        raise SettingsError("no stack was named", remedy=f"name one with --stack, or in {STACK_VARIABLE}")
    return named.rpartition("/")[2]


def _read(request: Request, stack: str) -> tuple[str, str]:
    """How the stack file is named in the report, and its text."""
    path = request.config_file or request.root / stack_file(stack)
    name = _shown(path, request.root)
    try:
        return name, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise SettingsError(f"the stack file cannot be read: {reason}", where=name) from None


def _pack(request: Request) -> Path:
    pack = (request.pack or request.root / DEFAULT_PACK).absolute()
    if not (pack / _PACK_FILE).is_file():
        raise SettingsError(
            f"there is no policy pack: {_PACK_FILE} is missing",
            where=f"{_shown(pack, request.root)}/",
            meaning="a gate without rules would pass everything",
            remedy="name the pack's folder with --policy-pack",
        )
    return pack


def _shown(path: Path, root: Path) -> str:
    """From the project's root where it lies below it, because a report is read elsewhere."""
    absolute = (root / path) if not path.is_absolute() else path
    return str(absolute.relative_to(root)) if absolute.is_relative_to(root) else str(absolute)
