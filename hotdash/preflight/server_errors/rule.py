"""One rule about a server's words, and what rules say alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hotdash.preflight.outcome import Verdict

POSTGRES: Final = "Postgres"
PGBOUNCER: Final = "PgBouncer"
SUPAVISOR: Final = "Supavisor"
LIBPQ: Final = "libpq"
RAILS: Final = "Rails"

REFUSED, UNCLEAR = Verdict.REFUSED, Verdict.UNCLEAR
CORRECT_IT: Final = "put the right password into the vault, its special characters percent-encoded"
FREE_SLOTS: Final = (
    "free connections (stop a worker or an old machine), raise the limit, or lower WEB_CONCURRENCY, RAILS_MAX_THREADS "
    "and SIDEKIQ_CONCURRENCY; migrations go over the direct URL"
)
LOOK_AGAIN: Final = "wait a minute and try again; if it lasts, see the provider's status page"
FROM_THE_APP: Final = "try it from a machine of the app (`fly ssh console`), or let this address in"


@dataclass(frozen=True)
class ServerError:
    """One rule.

    Args:
        code: stable; several rules may share one.
        origin: whose words these are.
        pattern: searched for in the whole text, whatever the case. A group `limit` is the number that is exceeded.
        examples: the words themselves; each is matched by this rule first.
        meaning: one line.
        verdict: Refused, or unclear where it depends on who asks, or passes by itself.
        next: what to do.
        source: where the words are from.
    """

    code: str
    origin: str
    pattern: re.Pattern[str]
    examples: tuple[str, ...]
    meaning: str
    verdict: Verdict
    next: str
    source: str


def rule(
    code: str,
    origin: str,
    pattern: str,
    *examples: str,
    meaning: str,
    verdict: Verdict,
    next: str,
    source: str = "",
) -> ServerError:
    """One rule; its source is the source of whose words these are, unless it is said."""
    compiled = re.compile(pattern, re.IGNORECASE | re.VERBOSE)
    return ServerError(
        code, origin, compiled, examples, meaning, verdict, next, source or f"{origin}'s source"
    )
