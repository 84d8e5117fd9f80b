"""`hotdash gate`: one preview with the policy pack, as a verdict and in the forms that CI shows."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from hotdash.errors import HotdashError, SettingsError
from hotdash.gate.formats import FORMATS, Format, Links
from hotdash.gate.inspection import DEFAULT_PACK, Request, inspect
from hotdash.gate.report import EXIT_CODES, Cause, Report, Verdict
from hotdash.stack.file import STACK_VARIABLE, project_root

NONE: Final = "none"
TEXT: Final = "text"
GITHUB: Final = "github"


class _Command(click.Command):
    """Ends with the gate's own code for "could not be run" where it is called wrongly: click's 2 would say drift."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            error.show()
            raise click.exceptions.Exit(EXIT_CODES[Verdict.FAILED]) from None


def _causes(_context: click.Context, _option: click.Parameter, text: str) -> frozenset[Cause]:
    words = {word.strip() for word in text.split(",") if word.strip()}
    if words == {NONE}:
        return frozenset()
    if not words or (strangers := words - {*Cause}):
        named = ", ".join(sorted(strangers)) if words else "nothing"
        raise click.BadParameter(f"{named}: choose among {', '.join(Cause)}, joined by commas, or {NONE}")
    return frozenset(map(Cause, words))


@click.command(cls=_Command)
@click.option("--stack", metavar="STACK", default=None, help=f"The stack (default: {STACK_VARIABLE}'s).")
@click.option(
    "--format",
    "names",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    help="A form of the report; may be repeated with --out (default: text).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Write gate.json, gate.sarif, gate.junit.xml and gate.md there, those that --format names.",
)
@click.option(
    "--fail-on",
    metavar="CAUSES",
    default=",".join(Cause),
    show_default=True,
    callback=_causes,
    help=f"What counts: drift, policy (a mandatory rule), unknown (a rule that could not judge); or {NONE}.",
)
@click.option(
    "--policy-pack",
    "pack",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=None,
    help=f"The policy pack (default: {DEFAULT_PACK}).",
)
@click.option(
    "--config-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=None,
    help="Another stack file than the stack's own.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=None,
    help="Write the engine's plan there, for `pulumi up --plan FILE`.",
)
def gate(
    stack: str | None,
    names: Sequence[str],
    out: Path | None,
    fail_on: frozenset[Cause],
    pack: Path | None,
    config_file: Path | None,
    plan: Path | None,
) -> None:
    """One preview with the policy pack, as a verdict and in the forms that CI shows. Changes nothing.

    Exit code 0: clean. 1: it could not be run. 2: drift. 3: a mandatory rule is violated, or one could not judge.
    4: both.
    """
    try:
        chosen = _chosen(names, out)
        folder = _made(out)
        request = Request(project_root(), stack, pack, config_file, plan, fail_on)
        with _waiting(request):
            report = inspect(request)
        _tell(report, chosen, folder, os.environ)
    except BrokenPipeError:
        # Whoever read it has seen enough; the verdict stands. Nothing more can be written, at the exit neither.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    sys.exit(report.exit_code)


def _chosen(names: Sequence[str], out: Path | None) -> tuple[Format, ...]:
    chosen = tuple(FORMATS[name] for name in dict.fromkeys(names or (TEXT,)))
    if out is None and len(chosen) > 1:
        raise SettingsError(
            f"several forms were asked for, and one fits on stdout: {', '.join(names)}",
            where="--format",
            remedy="name a folder for them with --out",
        )
    return chosen


def _made(out: Path | None) -> Path | None:
    """The folder for the reports; made and tried before the engine is run for nothing. Raises SettingsError."""
    if out is None:
        return None
    trial = out / f".hotdash-gate-{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise _cannot_be_written(out, error) from None
    return out


def _cannot_be_written(path: Path, error: OSError) -> HotdashError:
    return SettingsError(
        f"the report cannot be written: {error.strerror}",
        where=str(path),
        remedy="name another folder with --out, or make room in this one",
    )


@contextlib.contextmanager
def _waiting(request: Request) -> Iterator[None]:
    """Say what is waited for, as long as it is, where somebody looks on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"a preview of {request.stack or 'the stack'} with the policy pack"):
        yield


def _tell(report: Report, chosen: Sequence[Format], folder: Path | None, environ: Mapping[str, str]) -> None:
    links = Links.of(environ)
    shown = FORMATS[GITHUB] if FORMATS[GITHUB] in chosen else FORMATS[TEXT]
    if folder is None:
        shown = chosen[0]
    else:
        for item in chosen:
            if item.file:
                _write(folder / item.file, item.render(report, links))
    click.echo(shown.render(report, links), nl=False)
    if shown.name not in (TEXT, GITHUB):
        # stdout is for a program then.
        for problem in report.errors:
            click.echo(f"Error: {problem}", err=True)
    if shown.name == GITHUB:
        from hotdash.gate.formats.github import SUMMARY_VARIABLE

        if summary := environ.get(SUMMARY_VARIABLE):
            _write(Path(summary), FORMATS["markdown"].render(report, links), mode="a")


def _write(path: Path, text: str, *, mode: str = "w") -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _cannot_be_written(path, error) from None
