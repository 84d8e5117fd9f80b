"""`rails db:chatwoot_prepare` as far as it matters to whoever runs it: real statements on the real Postgres, under the
lock that Rails takes, line by line in the log.

What of Chatwoot's schema a version brings is made up; that each migration runs once is counted in a table.
"""

import json
import os
import re
import signal
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, LiteralString

import psycopg
import redis

from sandbox.chatwoot import process, settings
from sandbox.chatwoot.command import flatten
from sandbox.chatwoot.log import Log
from sandbox.chatwoot.queue import CannotConnect, Queue

PREPARE: Final = "db:chatwoot_prepare"
ABORT_IF_PENDING: Final = "db:abort_if_pending_migrations"
BEHAVIOUR: Final = "SANDBOX_MIGRATION"
RUNS: Final = "sandbox_migration_runs"
"""The table that counts: a row for each time that a migration has run."""
LOCK_SALT: Final = 2053462845
"""Active Record's MIGRATOR_SALT."""
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_TIMEOUT: Final = re.compile(r"\d+(ms|s|min)?\Z")


@dataclass(frozen=True)
class Step:
    """One migration. `concurrent`: not in a transaction, as those that build an index beside running writes."""

    version: str
    name: str
    does: str
    sql: LiteralString
    concurrent: bool = False


MIGRATIONS: Final[tuple[tuple[tuple[int, int, int], tuple[Step, ...]], ...]] = (
    (
        (4, 12, 0),
        (
            Step(
                "20260105090000",
                "CreateHotdashNotes",
                "create_table(:hotdash_notes)",
                "CREATE TABLE hotdash_notes (id bigserial PRIMARY KEY, body text)",
            ),
            Step(
                "20260112090000",
                "AddPinnedToPortals",
                "add_column(:portals, :pinned, :boolean)",
                "ALTER TABLE portals ADD COLUMN pinned boolean DEFAULT false",
            ),
            Step(
                "20260119090000",
                "AddIndexToPortalsOnName",
                "add_index(:portals, :name, {algorithm: :concurrently})",
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS index_portals_on_name ON portals (name)",
                concurrent=True,
            ),
        ),
    ),
    (
        (4, 13, 0),
        (
            Step(
                "20260302090000",
                "AddAuthorToHotdashNotes",
                "add_column(:hotdash_notes, :author, :string)",
                "ALTER TABLE hotdash_notes ADD COLUMN author varchar",
            ),
            Step(
                "20260309090000",
                "CreateHotdashTags",
                "create_table(:hotdash_tags)",
                "CREATE TABLE hotdash_tags (id bigserial PRIMARY KEY, name varchar)",
            ),
        ),
    ),
)


def of_version(version: tuple[int, int, int]) -> tuple[Step, ...]:
    """All that an image of this version has, the oldest first."""
    return tuple(step for since, steps in MIGRATIONS if since <= version for step in steps)


def assigned(command: Sequence[str], env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The words of a command and its environment, with `VAR="$OTHER"` before them done as a shell does it."""
    words, found = flatten(command), dict(env)
    while words and (match := _ASSIGNMENT.match(words[0])):
        found[match[1]] = _VARIABLE.sub(lambda name: env.get(name[1], ""), match[2])
        words = words[1:]
    while words and words[0] in ("exec", "bundle", "bin/rails", "rails"):
        words = words[1:]
    return words, found


def is_asked_for(command: Sequence[str]) -> bool:
    words, _ = assigned(command, {})
    return PREPARE in words or "db:migrate" in words


class _Aborted(Exception):
    """Rails prints this and ends with 1."""


def run(command: Sequence[str], given: Mapping[str, str], log: Log) -> int:
    """Do it, in the environment of a machine. The exit code."""
    words, env = assigned(command, given)
    behaviour: Mapping[str, Any] = json.loads(env.get(BEHAVIOUR) or "{}")

    def leave(number: int, _frame: FrameType | None) -> None:
        log(f"SignalException: {signal.Signals(number).name}")
        os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    try:
        configured = settings.read(env)
        with process.boot(env):
            pass
        _see_redis(configured)
        _migrate(configured, env, behaviour, words, log)
    except settings.BootError as error:
        log(f"! Unable to load application: {error}")
        return 1
    except _Aborted as error:
        log("rails aborted!")
        log(str(error))
        return 1
    except psycopg.OperationalError as error:
        log("rails aborted!")
        log(f"ActiveRecord::ConnectionNotEstablished: {error}")
        return 1
    except psycopg.Error as error:
        log("rails aborted!")
        log("StandardError: An error has occurred, this and all later migrations canceled:")
        log(f"PG::{type(error).__name__}: ERROR:  {error}")
        return 1
    return 0


def _see_redis(configured: settings.Settings) -> None:
    try:
        Queue(configured.redis_url, configured.redis_password).ask("PING")
    except CannotConnect as error:
        raise _Aborted(f"Redis::CannotConnectError: {error}") from None
    except redis.RedisError as error:
        raise _Aborted(f"Redis::CommandError: {error}") from None


def _migrate(
    configured: settings.Settings,
    env: Mapping[str, str],
    behaviour: Mapping[str, Any],
    words: Sequence[str],
    log: Log,
) -> None:
    target = configured.database
    with psycopg.connect(
        host=target.host,
        port=target.port,
        dbname=target.database,
        user=target.user,
        password=target.password,
        sslmode=target.sslmode,
        application_name="rails db:chatwoot_prepare",
        connect_timeout=5,
        autocommit=True,
        prepare_threshold=None,
    ) as session:
        timeout = env.get("POSTGRES_STATEMENT_TIMEOUT") or "14s"
        session.execute(
            "SELECT set_config('statement_timeout', %s, false)",
            [timeout if _TIMEOUT.match(timeout) else "14s"],
        )
        _load_schema(session, log)
        _enable_vector(session)
        steps = of_version(configured.version)
        key = LOCK_SALT * zlib.crc32(target.database.encode())
        if not _asked(session, "SELECT pg_try_advisory_lock(%s)", key):
            raise _Aborted(
                "ActiveRecord::ConcurrentMigrationError: Cannot run migrations because another migration process is "
                "currently running."
            )
        try:
            for step in _pending(session, steps):
                _one(session, step, behaviour, log)
        finally:
            released = not session.closed and _asked(session, "SELECT pg_advisory_unlock(%s)", key)
        if not released:
            raise _Aborted("ActiveRecord::ConcurrentMigrationError: Failed to release advisory lock")
        if ABORT_IF_PENDING in words and (left := _pending(session, steps)):
            raise _Aborted(
                f"You have {len(left)} pending migrations: "
                + ", ".join(f"{s.version} {s.name}" for s in left)
            )


def _asked(session: psycopg.Connection, sql: LiteralString, *values: object) -> bool:
    row = session.execute(sql, values or None).fetchone()
    return bool(row and row[0])


def _load_schema(session: psycopg.Connection, log: Log) -> None:
    if _asked(session, "SELECT to_regclass('ar_internal_metadata') IS NOT NULL"):
        return
    from sandbox.services.schema import CHATWOOT

    log("-- loading db/schema.rb")
    session.execute(CHATWOOT)


def _enable_vector(session: psycopg.Connection) -> None:
    there = "SELECT count(*) > 0 FROM pg_extension WHERE extname = 'vector'"
    if _asked(session, there):
        return
    if not _asked(session, "SELECT count(*) > 0 FROM pg_available_extensions WHERE name = 'vector'"):
        raise _Aborted("Failed to enable 'vector' extension. Read more at https://chwt.app/v4/migration")
    session.execute("CREATE EXTENSION IF NOT EXISTS vector")


def _pending(session: psycopg.Connection, steps: Sequence[Step]) -> list[Step]:
    done = {version for (version,) in session.execute("SELECT version FROM schema_migrations")}
    return [step for step in steps if step.version not in done]


def _one(session: psycopg.Connection, step: Step, behaviour: Mapping[str, Any], log: Log) -> None:
    title = f"== {step.version} {step.name}: "
    log(f"{title}migrating {'=' * max(4, 68 - len(title))}")
    began = time.monotonic()
    log(f"-- {step.does}")
    time.sleep(float(behaviour.get("slow") or 0))

    def work() -> None:
        session.execute(
            f"CREATE TABLE IF NOT EXISTS {RUNS} (version varchar NOT NULL, at timestamptz DEFAULT now())"
        )
        if seconds := float(behaviour.get("statement") or 0):
            session.execute("SELECT pg_sleep(%s)", [seconds])
        if behaviour.get("fail_at") == step.version:
            session.execute("ALTER TABLE nowhere ADD COLUMN nothing integer")
        session.execute(step.sql)
        session.execute("INSERT INTO schema_migrations VALUES (%s)", [step.version])
        session.execute(f"INSERT INTO {RUNS} (version) VALUES (%s)", [step.version])

    if step.concurrent:
        work()
    else:
        with session.transaction():
            work()
    seconds = time.monotonic() - began
    log(f"   -> {seconds:.4f}s")
    log(f"{title}migrated ({seconds:.4f}s) {'=' * max(4, 55 - len(title))}")
