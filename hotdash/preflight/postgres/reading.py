"""What a server knows of itself and of this database, read in one go in a read-only transaction that is rolled back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, LiteralString

if TYPE_CHECKING:
    from psycopg import Connection

_BEGIN: Final = "begin read only; set local statement_timeout = '4s'; set local lock_timeout = '1s'; "

_ITSELF: Final = """
select current_database() as database, current_user as role, pg_backend_pid() as pid,
  current_setting('server_version') as version,
  pg_is_in_recovery() as replica,
  current_setting('default_transaction_read_only') = 'on' as read_only,
  pg_postmaster_start_time() as started,
  d.oid::bigint as oid, d.datconnlimit as database_limit, r.rolconnlimit as role_limit, r.rolsuper as superuser,
  current_setting('max_connections')::int as most,
  current_setting('superuser_reserved_connections')::int as for_superusers,
  coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
  has_function_privilege('pg_control_system()', 'execute') as may_identify,
  has_database_privilege(current_database(), 'create') as may_create
from pg_database d, pg_roles r where d.datname = current_database() and r.rolname = current_user;
"""
# Other roles' sessions show no backend_type to whoever is no superuser, but always their role and database: clients
# have both, and nothing else that counts against max_connections does.
_SESSIONS: Final = """
select count(*)::int as all,
  count(*) filter (where usename = current_user and datname = current_database())::int as own,
  count(*) filter (where usename = current_user)::int as of_role,
  count(*) filter (where datname = current_database())::int as of_database
from pg_stat_activity where usesysid is not null and datid is not null;
"""
_EXTENSIONS: Final = """
select e.name, max(x.extversion) as installed, bool_or(v.trusted or not v.superuser) as makeable
from pg_available_extensions e
left join pg_extension x on x.extname = e.name
left join pg_available_extension_versions v on v.name = e.name
group by e.name
union select extname, extversion, true from pg_extension;
"""
# The tables that a statement finds without a schema's name, which is how Chatwoot asks for its own; HotDash's wherever
# they are.
_TABLES: Final = """
select c.relname as name, c.relname = 'dashboard_facts' as hotdash,
  n.nspname = any(current_schemas(false)) as in_path, has_table_privilege(c.oid, 'select') as readable
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and (n.nspname = any(current_schemas(false))
  or (c.relname = 'dashboard_facts' and n.nspname not in ('pg_catalog', 'information_schema')));
"""
_READ: Final = _ITSELF + _SESSIONS + _EXTENSIONS + _TABLES
_CONTROL: Final = "select system_identifier::text as system from pg_control_system()"
_MIGRATIONS: Final = "select count(*)::int as number, max(version) as newest from schema_migrations"


@dataclass(frozen=True)
class Itself:
    """The server and the login. Limits of -1 are none."""

    database: str
    role: str
    pid: int
    version: str
    replica: bool
    read_only: bool
    started: datetime
    oid: int
    database_limit: int
    role_limit: int
    superuser: bool
    most: int
    for_superusers: int
    reserved: int
    may_identify: bool
    may_create: bool


@dataclass(frozen=True)
class Sessions:
    """Clients' sessions, this check's included: in the cluster, of this role in this database, of each alone."""

    all: int
    own: int
    of_role: int
    of_database: int


@dataclass(frozen=True)
class Extension:
    """One that is installed or could be. `makeable`: by a role that may create in the database and is no superuser."""

    installed: str | None
    makeable: bool


@dataclass(frozen=True)
class Tables:
    """`names`: those in the search path. `migrations`: how many and the newest, None where they cannot be read."""

    names: frozenset[str]
    hotdash: bool
    migrations: tuple[int, str] | None


@dataclass(frozen=True)
class Read:
    """All of it. `system` is the cluster's own identifier, None where the role may not ask."""

    itself: Itself
    sessions: Sessions
    extensions: Mapping[str, Extension]
    tables: Tables
    system: str | None


@contextlib.contextmanager
def reading(connection: Connection) -> Iterator[Read]:
    """Read everything, in a transaction that stays open until the end of the block.

    Raises:
        psycopg.Error: among them the one by which a statement pooler says that it takes no transaction.
    """
    try:
        yield _read(connection, _BEGIN)
    finally:
        _roll_back(connection)


def read_without_transaction(connection: Connection) -> Read:
    """The same where no transaction may be begun: on a statement pooler."""
    return _read(connection, "")


def identify(connection: Connection) -> tuple[Itself, str | None]:
    """Only what tells which database it is."""
    itself = Itself(**_rows(connection, _ITSELF)[0][0])
    return itself, _system(connection, itself)


def _read(connection: Connection, begin: LiteralString) -> Read:
    sets = _rows(connection, begin + _READ)
    itself, sessions = Itself(**sets[0][0]), Sessions(**sets[1][0])
    found: dict[str, Extension] = {}
    for row in sets[2]:
        there = found.get(row["name"])
        installed = row["installed"] or (there.installed if there else None)
        found[row["name"]] = Extension(installed, bool(row["makeable"]))
    names = frozenset(row["name"] for row in sets[3] if row["in_path"])
    migrations = None
    if any(row["name"] == "schema_migrations" and row["readable"] and row["in_path"] for row in sets[3]):
        row = _rows(connection, _MIGRATIONS)[0][0]
        migrations = (row["number"], row["newest"] or "")
    hotdash = any(row["hotdash"] for row in sets[3])
    return Read(itself, sessions, found, Tables(names, hotdash, migrations), _system(connection, itself))


def _system(connection: Connection, itself: Itself) -> str | None:
    return str(_rows(connection, _CONTROL)[0][0]["system"]) if itself.may_identify else None


def _rows(connection: Connection, statements: LiteralString) -> list[list[dict[str, Any]]]:
    """The rows of each statement that gives some; all statements go in one message."""
    from psycopg.rows import dict_row

    sets = []
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statements)
        while True:
            if cursor.description:
                sets.append(cursor.fetchall())
            if not cursor.nextset():
                return sets


def _roll_back(connection: Connection) -> None:
    from psycopg import Error

    with contextlib.suppress(Error):
        if not connection.closed:
            connection.execute("rollback")
