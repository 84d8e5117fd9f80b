"""What stands between a client and Postgres, as it shows on the wire; a URL only tells what it looks like.

None of it leaves anything behind. What would (session settings, temporary tables, advisory locks) is not tried: on a
pooled connection the next client would find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hotdash.dsn import Classification, Pooling
from hotdash.preflight.postgres.login import Login
from hotdash.preflight.trial import Ended

if TYPE_CHECKING:
    from psycopg import Connection

_MOST_PIDS: Final = 4_194_304
"""Linux' largest process id (PID_MAX_LIMIT). PgBouncer makes up 32 random bits."""
STATEMENT_POOLING: Final = "statement-pooling"
"""The code of PgBouncer's refusal to begin a transaction in statement mode."""
_PGBOUNCERS_OWN: Final = "pgbouncer"
"""The database by which PgBouncer itself is asked (its documentation); no server has to have another of that name."""


@dataclass(frozen=True)
class Seen:
    """What the wire shows.

    Args:
        pooling: the mode; POOLED where something stands between and its mode does not show.
        family: `Supavisor`, `PgBouncer`, or empty.
        how: by what it shows, for people.
        pool_size: connections of one pool, where the pooler tells.
    """

    pooling: Pooling
    how: str
    family: str = ""
    pool_size: int | None = None


def process_of(connection: Connection, *, begin: bool = False) -> int:
    """The process that serves the connection now; with a transaction begun, it stays the same until its end."""
    if begin:
        connection.execute("begin read only")
    row = connection.execute("select pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0


def proxied(connection: Connection, pid: int) -> bool:
    """Whether the process that the login named is another than the one that answers: something made the first up."""
    return connection.info.backend_pid != pid


def needs_a_second_connection(connection: Connection, pid: int, classified: Classification) -> bool:
    """Whether it takes another connection to tell the mode. A direct one is spared it: it is a slot."""
    looks_pooled = classified.pooling not in (Pooling.DIRECT, Pooling.UNKNOWN)
    return proxied(connection, pid) or looks_pooled or _family(connection) != ""


def shared(first: int, second: int, again: int) -> bool:
    """Whether two connections that are open at once were served by one process, or one by several.

    Args:
        first: the process that served connection A, which then was idle outside a transaction.
        second: the one that serves B, in a transaction that is still open.
        again: the one that serves A while B's transaction is open.

    PgBouncer and Supavisor both hand out the connection that was used last (their source), so on an idle pool a hit is
    all but sure. A hit is conclusive; a miss is not.
    """
    return first == second or first != again


def seen(
    connection: Connection, pid: int, *, hit: bool, statements_only: bool, classified: Classification
) -> Seen:
    """What it is, from all that was observed.

    Args:
        pid: what `pg_backend_pid()` answered.
        hit: see `shared`; False where it was not tried.
        statements_only: the pooler refused to begin a transaction.
        classified: what the URL looks like.
    """
    family = _family(connection)
    if statements_only:
        return Seen(Pooling.STATEMENT, "it takes no transactions", family or "PgBouncer")
    if hit:
        return Seen(Pooling.TRANSACTION, "two connections were served by one process", family)
    if not proxied(connection, pid) and not family:
        # A TCP proxy keeps the process id, and is no pooler.
        return Seen(Pooling.DIRECT, "the process that answers is the one that the login named")
    if classified.provider == "neon" and classified.pooling is Pooling.DIRECT:
        # Neon's front makes process ids up on its direct hosts too (its source).
        return Seen(Pooling.DIRECT, "Neon's own front stands before every connection")
    mode = classified.pooling
    if mode is Pooling.TRANSACTION:
        # A miss: a busy pool gives two connections two processes.
        return Seen(mode, f"something stands between, and {_lower(classified.why)}", family)
    if family and mode in (Pooling.SESSION, Pooling.UNKNOWN, Pooling.POOLED):
        return Seen(Pooling.SESSION, f"{family} answers, and two connections had a process each", family)
    if mode is Pooling.SESSION:
        return Seen(mode, f"something stands between, and {_lower(classified.why)}", family)
    return Seen(
        Pooling.POOLED,
        "the process that answers is not the one that the login named; two connections had a process each",
        family,
    )


def ask_pgbouncer(login: Login, so_far: Seen) -> Seen:
    """Ask the pooler itself, if it is PgBouncer and answers this role; its refusal too says that it is PgBouncer."""
    from psycopg import ClientCursor, Error

    try:
        with login.open(dbname=_PGBOUNCERS_OWN) as connection:
            # It speaks the simple protocol alone, and one statement at a time.
            cursor = ClientCursor(connection)
            settings = {row[0]: row[1] for row in cursor.execute("show config").fetchall()}
    except Ended as end:
        if "FATAL: not allowed" not in end.said and end.code != "unsupported-parameter":
            return so_far
        settings = {}
    except (Error, IndexError):
        return so_far
    size, mode = str(settings.get("default_pool_size", "")), str(settings.get("pool_mode", ""))
    pooling, how = so_far.pooling, so_far.how
    if pooling is Pooling.POOLED:
        known = mode in (Pooling.SESSION, Pooling.TRANSACTION, Pooling.STATEMENT)
        pooling = Pooling(mode) if known else Pooling.SESSION
        how = "PgBouncer says so" if known else "PgBouncer answers, and two connections had a process each"
    # One database may have a mode of its own, so what showed on the wire is the better word.
    return Seen(pooling, how, "PgBouncer", int(size) if size.isdigit() else None)


def _family(connection: Connection) -> str:
    # Supavisor gives its clients an application_name of its own, until they set one: `Supavisor`, since July 2026 with
    # the client's behind a dash (its source).
    name = connection.info.parameter_status("application_name") or ""
    if name == "Supavisor" or name.startswith("Supavisor - "):
        return "Supavisor"
    if not 0 < connection.info.backend_pid <= _MOST_PIDS:
        return "PgBouncer"
    return ""


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
