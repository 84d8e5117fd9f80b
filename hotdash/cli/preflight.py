"""`hotdash preflight`: try every credential of a stack from here, writing nothing."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hotdash.errors import HotdashError, SettingsError, VaultError
from hotdash.preflight import Check, Demand, Outcome, Verdict, checks_for, fly_check, run
from hotdash.stack.file import STACK_VARIABLE, chosen_stack, project_root, read_settings, stack_file
from hotdash.stack.settings import SecretSource, Settings
from hotdash.vault import Reference, Vault

if TYPE_CHECKING:
    from hotdash.fly.token import Token

SECONDS: Final = 5.0
REFUSED_EXIT: Final = 2
UNCLEAR_EXIT: Final = 3
_MARKS: Final = {
    Verdict.PROVED: ("proved", "green"),
    Verdict.REFUSED: ("refused", "red"),
    Verdict.UNCLEAR: ("unclear", "yellow"),
}
_DETAIL: Final = " " * 10


@click.command()
@click.option("--stack", metavar="STACK", default=None, help=f"The stack (default: {STACK_VARIABLE}'s).")
@click.option("--vault", "folder", metavar="DIR", default=None, help="Another vault folder than the stack's.")
@click.option("--json", "as_json", is_flag=True, help="The outcomes as JSON, for programs.")
@click.option("--only", metavar="NAME", multiple=True, help="Only what tries this secret; may be repeated.")
@click.option(
    "--strict",
    is_flag=True,
    help=f"Exit {UNCLEAR_EXIT} where something could not be told, as under hotdash:preflight: strict.",
)
@click.option("--verbose", is_flag=True, help="What was found besides: server, TLS, pooling, connections.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 600),
    default=SECONDS,
    show_default=True,
    help="For each check.",
)
def preflight(
    stack: str | None,
    folder: str | None,
    as_json: bool,
    only: tuple[str, ...],
    strict: bool,
    verbose: bool,
    timeout: float,
) -> None:
    """Try every credential of a stack from here, writing nothing.

    Exit code 0: none was refused. 1: it could not be run. 2: at least one was refused. 3, if strict: none was refused,
    and something could not be told from here.
    """
    began = time.monotonic()
    root = project_root()
    name = chosen_stack(stack, root)
    settings = read_settings(name, root)
    strict = strict or settings.strict_preflight
    vault = Vault(Path(folder) if folder else root / settings.vault, folder or settings.vault)
    plan = _plan(settings, vault, only, timeout)
    told = _Told(name, vault.shown, plan, strict, verbose)
    with contextlib.nullcontext() if as_json else told.progress() as progress:
        outcomes = run(plan.checks, progress=progress, timeout=timeout + 1)
    seconds = time.monotonic() - began
    if as_json:
        click.echo(json.dumps(told.as_json(outcomes, seconds), indent=2, ensure_ascii=False))
    else:
        told.show(outcomes, seconds)
    sys.exit(exit_code(outcomes, strict=strict))


def exit_code(outcomes: Sequence[Outcome], *, strict: bool) -> int:
    verdicts = {outcome.verdict for outcome in outcomes}
    if Verdict.REFUSED in verdicts:
        return REFUSED_EXIT
    return UNCLEAR_EXIT if strict and Verdict.UNCLEAR in verdicts else 0


# What is tried


@dataclass(frozen=True)
class _Plan:
    """What will be tried; `untried` are the secrets that nothing can try, `places` where in the vault each lies."""

    checks: tuple[Check, ...]
    demand: Demand
    untried: tuple[str, ...]
    places: Mapping[str, Reference]


def _plan(settings: Settings, vault: Vault, only: Sequence[str], timeout: float) -> _Plan:
    from hotdash.fly.token import find_token
    from hotdash.stack.demand import demand_of

    values, forbidden = _values(settings, vault, only)
    find = functools.cache(lambda: find_token(vault, settings.token))
    demand = demand_of(settings.groups, settings.connections)
    checks = [
        *checks_for(
            values,
            demand=demand,
            forbidden=forbidden,
            env=_env_on_fly(find, settings.app.name, timeout),
            timeout=timeout,
        ),
        fly_check(
            find,
            app=settings.app.name,
            organization=settings.app.organization,
            creates=settings.app.create,
            timeout=timeout,
        ),
    ]
    places = {name: source.reference for name, source in settings.secrets.items()}
    tried = frozenset[str]().union(*(check.uses for check in checks))
    untried = tuple(sorted(set(values) - tried))
    if only:
        wanted = [check for check in checks if {check.name, *check.uses} & set(only)]
        _see_that_all_are_tried(only, wanted, checks)
        return _Plan(tuple(wanted), demand, (), places)
    return _Plan(tuple(checks), demand, untried, places)


def _see_that_all_are_tried(only: Sequence[str], wanted: Sequence[Check], checks: Sequence[Check]) -> None:
    known = {name for check in wanted for name in (check.name, *check.uses)}
    if strangers := [name for name in only if name not in known]:
        raise SettingsError(
            f"nothing tries {', '.join(strangers)}",
            where="--only",
            remedy=f"name one of: {', '.join(check.name for check in checks)}, or a secret that they try",
        )


def _values(
    settings: Settings, vault: Vault, only: Sequence[str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The secrets, and the URLs of forbidden databases. Raises VaultError: with everything that the vault lacks."""
    from hotdash.stack.values import value_of, values_of

    others = {name: SecretSource(at) for name, at in settings.forbidden_databases.items()}
    if not only:
        return values_of(settings.secrets, vault), values_of(others, vault)
    values: dict[str, str] = {}
    for name, source in settings.secrets.items():
        try:
            values[name] = value_of(vault, name, source)
        except VaultError:
            if name in only:
                raise
            # Somebody who asks about one secret is not held up by another's file.
    return values, values_of(others, vault)


def _env_on_fly(find: Callable[[], Token], app: str, timeout: float) -> dict[str, str]:
    """What the app's machines have in their env besides secrets, such as SMTP_PORT. Nothing where Fly cannot be asked:
    the check of the token tells why."""
    from hotdash.fly.client import Fly, Patience
    from hotdash.preflight.trial import in_time

    def ask() -> dict[str, str]:
        with Fly(find(), patience=Patience(budget=timeout, unreachable=0.0)) as fly:
            machines = fly.machines(app)
        return {name: str(text) for m in machines for name, text in (m.config.get("env") or {}).items()}

    try:
        return in_time(ask, min(timeout, 2.0))
    except (HotdashError, TimeoutError):
        return {}


# What is told


@dataclass(frozen=True)
class _Told:
    stack: str
    vault: str
    plan: _Plan
    strict: bool
    verbose: bool

    def as_json(self, outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "exit": exit_code(outcomes, strict=self.strict),
            "seconds": round(seconds, 3),
            "demand": self.plan.demand.as_json(),
            "outcomes": [outcome.as_json() for outcome in outcomes],
            "untried": list(self.plan.untried),
        }

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[Outcome], None]]:
        """Say what is waited for; on a terminal, as long as it is."""
        checks = self.plan.checks
        click.echo(
            f"preflight of {stack_file(self.stack)}: trying {_counted(len(checks), 'thing')} from here, writing nothing"
        )
        if not sys.stdout.isatty():
            yield lambda _: None
            return
        from rich.console import Console

        waiting = {check.name: None for check in checks}
        with Console(stderr=True).status(f"waiting for {', '.join(waiting)}") as status:

            def ended(outcome: Outcome) -> None:
                waiting.pop(outcome.check, None)
                status.update(f"waiting for {', '.join(waiting)}")

            yield ended

    def _places(self, outcome: Outcome) -> str:
        uses = {name for check in self.plan.checks if check.name == outcome.check for name in check.uses}
        keys: dict[str, set[str]] = {}
        for reference in (self.plan.places[name] for name in uses if name in self.plan.places):
            keys.setdefault(reference.file, set()).add(reference.key)
        return ", ".join(f"{self.vault}/{file}: {', '.join(sorted(keys[file]))}" for file in sorted(keys))

    def show(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        click.echo()
        names = max((len(outcome.check) for outcome in outcomes), default=0)
        for outcome in outcomes:
            word, colour = _MARKS[outcome.verdict]
            proved = outcome.verdict is Verdict.PROVED
            line = f"{outcome.check:<{names}}  {outcome.subject}"
            click.echo(
                f"{click.style(f'{word:<8}', fg=colour, bold=not proved)}  {line}  ({outcome.seconds:.1f} s)"
            )
            if not proved:
                click.echo(f"{_DETAIL}why   {outcome.said}")
                if places := self._places(outcome):
                    click.echo(f"{_DETAIL}where {places}")
            elif self.verbose:
                click.echo(f"{_DETAIL}said  {outcome.said}")
            if outcome.next:
                click.echo(f"{_DETAIL}next  {outcome.next}")
            for text in outcome.warnings:
                click.echo(f"{_DETAIL}{click.style('warn', fg='yellow')}  {text}")
            if self.verbose:
                for label, fact in outcome.facts.items():
                    click.echo(f"{_DETAIL}      {label}: {fact}")
        click.echo()
        if self.plan.untried:
            click.echo(
                f"not tried, because nothing can tell whether they are right: {', '.join(self.plan.untried)}"
            )
        click.echo(_summary(outcomes, seconds, strict=self.strict))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _summary(outcomes: Sequence[Outcome], seconds: float, *, strict: bool) -> str:
    count = {verdict: sum(outcome.verdict is verdict for outcome in outcomes) for verdict in Verdict}
    parts = [f"{count[Verdict.PROVED]} proved"]
    if count[Verdict.REFUSED]:
        parts.append(f"{count[Verdict.REFUSED]} refused")
    if count[Verdict.UNCLEAR]:
        parts.append(f"{count[Verdict.UNCLEAR]} could not be told from here")
    end = ""
    if count[Verdict.REFUSED]:
        end = "; `pulumi up` would not set what was refused"
    elif strict and count[Verdict.UNCLEAR]:
        end = "; that is not enough where preflight is strict"
    return f"{', '.join(parts)}, in {seconds:.1f} s{end}"
