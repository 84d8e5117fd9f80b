"""What Postgres and the poolers before it say when they refuse, and what that means; no I/O.

One table of rules over the servers' own words: libpq hands over the text of a failed login and no SQLSTATE, and
Supavisor has XX000 for nearly everything. The first rule that fits counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hotdash.preflight.server_errors import after_login, pgbouncer, postgres, supavisor
from hotdash.preflight.server_errors.rule import LIBPQ, PGBOUNCER, POSTGRES, RAILS, SUPAVISOR, ServerError

__all__ = [
    "LIBPQ",
    "PGBOUNCER",
    "POSTGRES",
    "RAILS",
    "SERVER_ERRORS",
    "SUPAVISOR",
    "Explained",
    "ServerError",
    "explain_error",
]

SERVER_ERRORS: Final = (*supavisor.RULES, *pgbouncer.RULES, *postgres.RULES, *after_login.RULES)
"""In the order in which they are tried: Supavisor says who it is by a code in brackets, so it comes first."""


@dataclass(frozen=True)
class Explained:
    """A server's words, explained. `limit` is the number in them, where there is one."""

    rule: ServerError
    limit: int | None = None


def explain_error(text: str) -> Explained | None:
    """The rule that fits the words of a server, or None where none does."""
    for rule in SERVER_ERRORS:
        if found := rule.pattern.search(text):
            number = found.groupdict().get("limit")
            return Explained(rule, int(number) if number else None)
    return None
