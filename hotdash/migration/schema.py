"""A look at the database from here: what is migrated, and who holds the lock of Rails' migrations. It only reads."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hotdash.drift import shown_time
from hotdash.dsn import Dsn, MalformedDsn
from hotdash.migration.journal import SchemaState

if TYPE_CHECKING:
    from psycopg import Connection

SECONDS: Final = 5.0
"""For all of it."""
LOCK_SALT: Final = 2053462845
"""MIGRATOR_SALT of Active Record: the lock's key is this times the CRC-32 of the database's name."""

# Unqualified, as Rails asks for them: what the search path finds.
_TABLES: Final = (
    "select to_regclass('ar_internal_metadata') is not null, to_regclass('schema_migrations') is not null"
)
_MIGRATIONS: Final = "select count(*)::int, coalesce(max(version), '') from schema_migrations"
_LOCK: Final = """
select l.pid, a.backend_start, a.application_name, a.client_addr::text from pg_locks l
left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and ((l.classid::bigint << 32) | l.objid::bigint) = %s
"""


@dataclass(frozen=True)
class LockHolder:
    """The connection that holds the migrations' lock. `since` is when it was opened."""

    pid: int
    since: datetime | None
    application: str
    address: str

    def __str__(self) -> str:
        since = f", connected since {shown_time(self.since)}" if self.since else ""
        by = " from ".join(filter(None, [self.application, self.address]))
        return f"pid {self.pid}{since}{f' ({by})' if by else ''}"


@dataclass(frozen=True)
class Look:
    """What was found. `complete`: the schema was loaded to its end once (ar_internal_metadata is there)."""

    schema: SchemaState
    complete: bool
    lock: LockHolder | None


class Unseen(Exception):
    """The database cannot be looked at from here; the text says why, without credentials."""


def look(url: str, seconds: float = SECONDS) -> Look:
    """Raises Unseen."""
    from hotdash.preflight.postgres.login import prepare
    from hotdash.preflight.trial import Deadline, Ended, Notes, quoted

    try:
        dsn = Dsn.parse(url)
    except MalformedDsn as error:
        raise Unseen(f"it is no database URL: {error}") from None
    deadline = Deadline.after(seconds)
    try:
        with prepare(dsn, deadline, Notes()).open() as connection:
            return _read(connection)
    except Ended as end:
        raise Unseen(quoted(end.said, [dsn.password])) from None


def _read(connection: Connection) -> Look:
    complete, migrations = connection.execute(_TABLES).fetchone() or (False, False)
    count, newest = (connection.execute(_MIGRATIONS).fetchone() if migrations else None) or (0, "")
    [name] = connection.execute("select current_database()").fetchone() or ("",)
    row = connection.execute(_LOCK, [LOCK_SALT * zlib.crc32(str(name).encode())]).fetchone()
    holder = LockHolder(int(row[0]), row[1], str(row[2] or ""), str(row[3] or "")) if row else None
    return Look(SchemaState(int(count), str(newest)), bool(complete), holder)
