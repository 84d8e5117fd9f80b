"""What a database URL leads to: a Postgres itself, or a pooler before one, and in which mode."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hotdash.dsn.model import Dsn


class Pooling(StrEnum):
    """What stands between a client and Postgres. Unknown is not direct."""

    DIRECT = "direct"
    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"
    POOLED = "pooled"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """How far the rule that told can be trusted."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"
    NONE = "none"


@dataclass(frozen=True)
class Place:
    """Where a database is reached and as whom; without a password, so it may be shown to anyone."""

    host: str
    port: int
    database: str
    username: str


@dataclass(frozen=True)
class Classification:
    """`direct_form` is None where the URL is direct already, or the direct one cannot be known from it."""

    pooling: Pooling
    provider: str
    rule: str
    certainty: Certainty
    why: str
    direct_form: Place | None = None
    identity: str | None = None


def classify(dsn: Dsn) -> Classification:
    """Never fails: what no rule knows is unknown."""
    return Classification(Pooling.UNKNOWN, "unknown", "unknown", Certainty.NONE, "no rule knows this host")
