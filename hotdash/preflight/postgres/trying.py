"""One database URL, from its name servers to its tables."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotdash.dsn import DEFAULT_PORT, Classification, Dsn, Pooling, classify
from hotdash.preflight.demand import Demand
from hotdash.preflight.postgres import contents as whose
from hotdash.preflight.postgres import pooling, slots
from hotdash.preflight.postgres.identity import Identities, LiveIdentity, Unidentified
from hotdash.preflight.postgres.login import Login, prepare
from hotdash.preflight.postgres.pooling import Seen
from hotdash.preflight.postgres.reading import Itself, Read, read_without_transaction, reading
from hotdash.preflight.trial import Deadline, Ended, Notes, refused

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Target:
    """A database URL and what is asked of it.

    Args:
        name: the secret's.
        dsn: as Rails reads it, the parts that the URL lacks filled in.
        identities: those of all databases that may have to be compared, this one by its name.
        chatwoots: it must be Chatwoot's database.
        migrates: migrations run over it, and nothing else.
        demand: what Chatwoot opens over it, if that is known.
        must_not_be: labels of databases that it must not be, in `identities`.
        must_be: the name of the URL whose database it must be, in `identities`; may be empty.
    """

    name: str
    dsn: Dsn
    identities: Identities
    chatwoots: bool = True
    migrates: bool = False
    demand: Demand | None = None
    must_not_be: tuple[str, ...] = ()
    must_be: str = ""


def try_database(target: Target, seconds: float, notes: Notes) -> str:
    """Try it; says what was proved. Raises Ended.

    Args:
        seconds: from the moment on at which it has its door to itself.
    """
    dsn, classified = target.dsn, classify(target.dsn)
    notes.note("host", ", ".join(host.name for host in dsn.hosts))
    notes.note("port", ", ".join(str(host.port or DEFAULT_PORT) for host in dsn.hosts))
    notes.note("role", dsn.role)
    notes.note("database", dsn.database)
    if classified.pooling is not Pooling.UNKNOWN:
        notes.note("pooling", f"{classified.pooling} (by the URL: {classified.why})")
    for label in target.must_not_be:
        if target.identities.same_by_name(target.name, label):
            raise _forbidden(label)
    with target.identities.held(target.name, seconds) as held:
        deadline = Deadline.after(seconds)
        login = prepare(dsn, deadline, notes)
        read, seen = _log_in(login, classified, notes)
        itself = read.itself
        held.learned(LiveIdentity.of(itself, read.system))
    notes.note("role", itself.role)
    notes.note("database", itself.database)
    notes.note("server", f"Postgres {itself.version.partition(' ')[0]}")
    notes.note("pooling", f"{seen.pooling} ({seen.how})")
    notes.note("pooler", seen.family)
    _compare_identities(target, LiveIdentity.of(itself, read.system), deadline, notes)
    _judge(target, read, seen, notes)
    _remark_on_pooling(target, classified, seen, notes)
    return f"database {itself.database} as {itself.role}, {seen.pooling}"


def _log_in(login: Login, classified: Classification, notes: Notes) -> tuple[Read, Seen]:
    hit = statements_only = False
    with login.open() as first:
        notes.note("tls", "yes" if first.pgconn.ssl_in_use else "no")
        pid = pooling.process_of(first)
        read: Read | None = None
        if pooling.needs_a_second_connection(first, pid, classified):
            try:
                with login.open() as second, reading(second) as read:
                    hit = _is_shared(first, pid, second, read)
            except Ended as end:
                read = None
                statements_only = end.code == pooling.STATEMENT_POOLING
                if end.code == "exhausted":
                    notes.warn(
                        f"the first connection was the last that there was: a second was refused ({end.said})"
                    )
                elif not statements_only:
                    raise
        if statements_only:
            read = read_without_transaction(first)
        elif read is None:
            with reading(first) as read:
                pass
        seen = pooling.seen(first, pid, hit=hit, statements_only=statements_only, classified=classified)
    if seen.family != "Supavisor" and seen.pooling is not Pooling.DIRECT:
        # Both connections are closed by now.
        with suppress(Ended):
            seen = pooling.ask_pgbouncer(login, seen)
    return read, seen


def _is_shared(first: Connection, pid: int, second: Connection, read: Read) -> bool:
    """Whether one process serves both connections; `second` is in the transaction in which `read` was read."""
    if pooling.shared(pid, read.itself.pid, pooling.process_of(first)):
        return True
    if not pooling.proxied(first, pid):
        return False
    # A busy pool hides it, so a miss is tried once more.
    second.execute("rollback")
    before = pooling.process_of(first)
    held = pooling.process_of(second, begin=True)
    return pooling.shared(before, held, pooling.process_of(first))


def _compare_identities(target: Target, own: LiveIdentity, deadline: Deadline, notes: Notes) -> None:
    identities = target.identities
    for label in target.must_not_be:
        if target.identities.same_by_name(target.name, label) is False:
            continue
        other = identities.of(label, deadline)
        if isinstance(other, Unidentified):
            notes.warn(
                f"whether this is {label} cannot be told: that one does not answer here ({other.said})"
            )
        elif own.same_as(other):
            raise _forbidden(label)
    if not target.must_be or identities.same_by_name(target.name, target.must_be):
        return
    other = identities.of(target.must_be, deadline)
    if isinstance(other, LiveIdentity) and not own.same_as(other):
        raise refused(
            "another-database",
            f"this is not the database of {target.must_be}",
            f"migrations would change another database than the one that Chatwoot uses: correct {target.name} or "
            f"{target.must_be}",
        )


def _forbidden(label: str) -> Ended:
    return refused(
        "forbidden-database",
        f"this is the database that the stack file forbids as {label}",
        "give Chatwoot its own database's URL",
    )


def _judge(target: Target, read: Read, seen: Seen, notes: Notes) -> None:
    itself = read.itself
    counted = slots.count(itself, read.sessions)
    notes.note("connections", counted)
    if target.demand:
        notes.note("demand", target.demand)
    if not target.chatwoots:
        return
    found = whose.recognise(read.tables)
    notes.note("schema", found)
    if end := whose.wrong(found, itself.database):
        raise end
    _see_that_it_is_written(itself)
    extensions = whose.compare(
        whose.extensions_needed(found),
        read.extensions,
        may_create=itself.may_create,
        superuser=itself.superuser,
    )
    notes.note("extensions", extensions)
    if end := whose.lacking(found, extensions):
        raise end
    for text in (*whose.remarks(found), *whose.extension_warnings(found, extensions)):
        notes.warn(text)
    if target.demand:
        if why := slots.impossible(counted, target.demand, seen):
            raise refused(
                "too-few-slots",
                why,
                "raise max_connections or the limit, or use fewer machines or threads (WEB_CONCURRENCY, "
                "RAILS_MAX_THREADS, SIDEKIQ_CONCURRENCY)",
            )
        for text in slots.warnings(counted, target.demand, seen):
            notes.warn(text)


def _see_that_it_is_written(itself: Itself) -> None:
    if itself.replica or itself.read_only:
        raise refused(
            "read-only",
            "the server takes no writes: it is a replica"
            if itself.replica
            else "the database takes no writes: default_transaction_read_only is on",
            "use the primary's URL; on Supabase, a full disk makes a database read-only: see its dashboard",
        )


def _remark_on_pooling(target: Target, classified: Classification, seen: Seen, notes: Notes) -> None:
    by_transaction = seen.pooling in (Pooling.TRANSACTION, Pooling.STATEMENT)
    if seen.pooling is Pooling.STATEMENT:
        raise refused(
            pooling.STATEMENT_POOLING,
            "the pooler takes no transactions (statement mode), and Rails cannot do without",
            "use a pool in transaction or session mode, or the direct URL",
        )
    if by_transaction and target.chatwoots:
        if target.migrates:
            notes.warn(
                "migrations take an advisory lock, and this pooler gives it back on another connection: the migration "
                "fails at its end and the lock stays. Use the direct URL"
            )
        elif target.dsn.parameters.get("prepared_statements", "").lower() != "false":
            notes.warn(
                "put ?prepared_statements=false behind the URL: this pooler shares connections by transaction"
            )
    expected = classified.pooling
    if (
        expected in (Pooling.UNKNOWN, Pooling.POOLED)
        or expected is seen.pooling
        or seen.pooling is Pooling.POOLED
    ):
        return
    notes.warn(f"the URL looks {expected} ({classified.rule}), and on the wire it is {seen.pooling}")
