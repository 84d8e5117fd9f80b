"""Trying from here what a migration needs, before anything is stopped for it: its database's URL, and Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hotdash.dsn import Pooling
from hotdash.preflight.outcome import Check, Outcome, Verdict
from hotdash.preflight.running import run

REDIS: Final = "REDIS_URL"
_POOLED: Final = frozenset({Pooling.TRANSACTION, Pooling.SESSION, Pooling.STATEMENT, Pooling.POOLED})


@dataclass(frozen=True)
class Tried:
    """Args:
    told: a line for each outcome and warning.
    refused: why the migration must not be begun; empty: nothing speaks against it.
    where, meaning, next: of the refusal.
    """

    told: tuple[str, ...] = ()
    refused: str = ""
    where: str = ""
    meaning: str = ""
    next: str = ""


def needed(checks: Iterable[Check], database: str) -> tuple[Check, ...]:
    """Those that a migration depends on. What the mail server says does not keep a schema from being migrated."""
    return tuple(check for check in checks if check.name == database or REDIS in check.uses)


def try_all(
    checks: Sequence[Check],
    *,
    database: str,
    strict: bool,
    places: Callable[[Check], str],
    timeout: float = 10.0,
) -> Tried:
    """Try them, and judge. Seconds."""
    return judge(run(checks, timeout=timeout), checks, database=database, strict=strict, places=places)


def judge(
    outcomes: Sequence[Outcome],
    checks: Sequence[Check],
    *,
    database: str,
    strict: bool,
    places: Callable[[Check], str],
) -> Tried:
    """What the outcomes mean for the migration.

    Args:
        database: the name of the check of its URL.
        strict: what could not be told from here does not pass.
        places: where in the vault a check's values lie.
    """
    told: list[str] = []
    for outcome in outcomes:
        told.append(f"{outcome.check} ({outcome.subject}): {outcome.verdict}: {outcome.said}")
        told += [f"  {warning}" for warning in outcome.warnings]
    by_name = {check.name: check for check in checks}
    for outcome in outcomes:
        where = places(by_name[outcome.check]) if outcome.check in by_name else ""
        if outcome.verdict is Verdict.REFUSED or (strict and outcome.verdict is Verdict.UNCLEAR):
            return Tried(
                tuple(told),
                f"{outcome.check} ({outcome.subject}): {outcome.verdict}: {outcome.said}",
                where,
                "nothing was stopped and nothing was migrated",
                f"{outcome.next or 'mend it'}; then `pulumi up` again",
            )
        pooling = outcome.facts.get("pooling", "").partition(" ")[0]
        if outcome.check == database and outcome.verdict is Verdict.PROVED and pooling in _POOLED:
            return Tried(
                tuple(told),
                f"{outcome.check} ({outcome.subject}) leads through a pooler: {outcome.facts['pooling']}",
                where,
                "a pooler's clients are few, and in transaction mode it loses the lock of the migrations; nothing was "
                "stopped and nothing was migrated",
                "let hotdash:migration.database name the secret with the direct URL, then `pulumi up` again",
            )
    return Tried(tuple(told))
