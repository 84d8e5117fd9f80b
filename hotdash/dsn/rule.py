"""What a rule is: how a DSN is recognised, what that tells, how surely, and on whose word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from hotdash.dsn.model import Dsn, Place


class Pooling(StrEnum):
    """What stands between a client and Postgres. Unknown is not direct."""

    DIRECT = "direct"
    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"
    POOLED = "pooled"
    UNKNOWN = "unknown"


POOLING_MEANS: Final = {
    Pooling.DIRECT: "no pooler: each connection is one of Postgres' own",
    Pooling.SESSION: "a pooler that gives a client one server connection for as long as it stays",
    Pooling.TRANSACTION: "a pooler that may give each transaction another server connection",
    Pooling.STATEMENT: "a pooler that may give each statement another one; no rule tells it, only a server can",
    Pooling.POOLED: "a pooler whose mode the DSN cannot tell",
    Pooling.UNKNOWN: "nothing in the DSN tells; it need not be direct",
}


class Certainty(StrEnum):
    """How far the pooling that a rule tells can be relied on."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"
    NONE = "none"


CERTAINTY_MEANS: Final = {
    Certainty.CERTAIN: "the vendor gives out this form for this and nothing else",
    Certainty.LIKELY: "the usual meaning of the form, but others can use it too",
    Certainty.GUESS: "a port or a flag that hints at it; ask the server before relying on it",
    Certainty.NONE: "the DSN cannot tell",
}


class Ground(StrEnum):
    """On whose word something is said."""

    DOCS = "docs"
    SOURCE = "source"
    INFERRED = "inferred"
    UNVERIFIED = "unverified"


GROUND_MEANS: Final = {
    Ground.DOCS: "the vendor's documentation says so",
    Ground.SOURCE: "read in the source code, or tried",
    Ground.INFERRED: "follows from source code that was read, but was not run",
    Ground.UNVERIFIED: "seen in use, or commonly said; nothing official was found",
}


@dataclass(frozen=True)
class Source:
    """`where` is the page or the program that says so."""

    ground: Ground
    where: str

    def __str__(self) -> str:
        return f"{self.where} ({self.ground})"


class Target(NamedTuple):
    """What rules look at: the first host in lower case, and the parts beside it. The role ends before a colon: behind
    one stands a password, where somebody percent-encoded too much."""

    host: str
    port: int
    database: str
    username: str
    options: str
    flagged: bool
    """Somebody wrote `pgbouncer=true`."""

    @classmethod
    def of(cls, dsn: Dsn) -> Target:
        name, port = dsn.hosts[0]
        parameters = dsn.parameters
        return cls(
            name.lower().rstrip("."),
            port or dsn.port,
            dsn.database,
            dsn.username.partition(":")[0],
            parameters.get("options", "") if parameters else "",
            parameters.get("pgbouncer") == "true" if parameters else False,
        )

    def moved(self, *, host: str = "", port: int = 0, username: str = "") -> Place:
        """The same database elsewhere."""
        return Place(host or self.host, port or self.port, self.database, username or self.username)


@dataclass(frozen=True)
class Rule:
    """One rule. The first of the table that fits tells.

    Args:
        id: does not change.
        provider: whose database or pooler it is; a key of PROVIDERS.
        when: what it recognises, for people.
        why: one line, for the person who asks why.
        examples: DSNs that this rule and none before it fits.
        fits: given a target whose host ends in one of `tails`, or any if there are none.
        tails: ends of host names, without the dot before them.
        direct_form: where the database is reached without the pooler; nothing where that cannot be known. Never the
            place of a pooler: those cannot be derived.
        identity: which database it is, where it is not simply the host, port and database of the direct form.
    """

    id: str
    provider: str
    pooling: Pooling
    certainty: Certainty
    when: str
    why: str
    source: Source
    examples: tuple[str, ...]
    fits: Callable[[Target], bool]
    tails: tuple[str, ...] = ()
    direct_form: Callable[[Target], Place | None] | None = None
    identity: Callable[[Target], str | None] | None = None

    dotted_tails: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dotted_tails", tuple(f".{tail}" for tail in self.tails))

    def applies(self, target: Target) -> bool:
        """Whether it fits, asked by itself: its place in the table does not count."""
        return (not self.tails or target.host.endswith(self.dotted_tails)) and self.fits(target)
