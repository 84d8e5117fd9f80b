"""`rails db:chatwoot_prepare` and the tasks about it, as far as they matter to whoever runs them: real statements on
the real Postgres, under the lock that Rails takes, with the lines that Rails prints.

Which migrations there are is in migrations.py. That each has run once is counted in a table of its own.
"""

import json
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, Never

import psycopg
import redis

from sandbox.chatwoot import migrations, process, settings
from sandbox.chatwoot.log import Log
from sandbox.chatwoot.migration_session import Aborted, Session, active_record, connected, told
from sandbox.chatwoot.migrations import ADD_VECTOR, EXTENSIONS, INTERNAL_METADATA, TABLES, Migration
from sandbox.chatwoot.queue import CannotConnect, Queue
from sandbox.chatwoot.task import STARVING

BEHAVIOUR: Final = "SANDBOX_MIGRATION"
RUNS: Final = "sandbox_migration_runs"
"""The table that counts: a row for each time that a migration has run."""
LOCK_SALT: Final = 2053462845
"""Active Record's MIGRATOR_SALT."""
STATEMENT_TIMEOUT: Final = "14s"
"""Chatwoot's config/database.yml, without POSTGRES_STATEMENT_TIMEOUT."""
_LOCKED: Final = "Cannot run migrations because another migration process is currently running."
_NOT_RELEASED: Final = "Failed to release advisory lock"
_NO_VECTOR: Final = "Failed to enable 'vector' extension. Read more at https://chwt.app/v4/migration"
_CONFIGS: Final = ("INSTALLATION_NAME", "ENABLE_ACCOUNT_SIGNUP", "BRAND_NAME")
"""What Chatwoot's ConfigLoader adds where it is missing."""
_KILLED_SECONDS: Final = 60.0
"""How long a task with too little memory waits to be killed for it."""


class Interrupted(KeyboardInterrupt):
    """A signal. A KeyboardInterrupt, because Postgres' driver cancels the running statement for that."""


class Failed(Exception):
    """A migration's own error."""


@dataclass(frozen=True)
class Behaviour:
    """What the sandbox was told to make of migrations.

    Args:
        slow: seconds that each takes besides.
        fail_at: the version that fails in its middle.
        statement: seconds that a statement of the last one takes.
        starved: the task needs more memory than its machine has.
    """

    slow: float = 0.0
    fail_at: str = ""
    statement: float = 0.0
    starved: bool = False

    @classmethod
    def of(cls, env: Mapping[str, str]) -> "Behaviour":
        wanted: Mapping[str, Any] = json.loads(env.get(BEHAVIOUR) or "{}")
        need, has = env.get("SANDBOX_MEMORY_NEED_MB") or "0", env.get("FLY_VM_MEMORY_MB") or "0"
        return cls(
            float(wanted.get("slow") or 0),
            str(wanted.get("fail_at") or ""),
            float(wanted.get("statement") or 0),
            # Outside of a machine nobody counts.
            bool(float(has)) and float(need) > float(has),
        )


@dataclass
class Work:
    """What the tasks of one process share."""

    session: Session
    queue: Queue
    version: tuple[int, int, int]
    environment: str
    machine: str
    database: str
    locks: bool
    behaviour: Behaviour
    log: Log


def run(tasks: Sequence[str], env: Mapping[str, str], log: Log) -> int:
    """Run the tasks one after the other, as `rails` does. The exit code."""
    for task in tasks:
        if task not in _TASKS:
            log("rails aborted!")
            log(
                f"Don't know how to build task '{task}' (See the list of available tasks with `rails --tasks`)"
            )
            return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    running = tasks[0]
    try:
        with process.boot(env):
            configured = settings.read(env)
        target = configured.database
        with connected(target, env.get("POSTGRES_STATEMENT_TIMEOUT") or STATEMENT_TIMEOUT) as session:
            work = Work(
                session,
                Queue(configured.redis_url, configured.redis_password),
                configured.version,
                env.get("RAILS_ENV") or "production",
                env.get("FLY_MACHINE_ID", ""),
                target.database,
                target.advisory_locks,
                Behaviour.of(env),
                log,
            )
            for running in tasks:
                _TASKS[running](work)
    except settings.BootError as error:
        return _abort(log, "", str(error))
    except Aborted as error:
        return _abort(log, "" if error.plain else running, *error.lines, plain=error.plain)
    except Interrupted as error:
        return _abort(log, "", str(error))
    except psycopg.Error as error:
        return _abort(log, running, active_record(error), "Caused by:", told(error))
    except CannotConnect as error:
        return _abort(log, running, f"Redis::CannotConnectError: {error}")
    except redis.RedisError as error:
        return _abort(log, running, f"Redis::CommandError: {error}")
    return 0


def _interrupt(number: int, _frame: FrameType | None) -> Never:
    name = signal.Signals(number).name
    raise Interrupted("Interrupt: " if number == signal.SIGINT else f"SignalException: {name}")


def _abort(log: Log, task: str, *lines: str, plain: bool = False) -> int:
    for line in (*(() if plain else ("rails aborted!",)), *lines):
        log(line)
    if task:
        log(f"Tasks: TOP => {task}")
        log("(See full trace by running task with --trace)")
    return 1


# The tasks


def _prepare(work: Work) -> None:
    """`db:chatwoot_prepare`: the schema where there is none, then what is pending."""
    if not work.session.value("SELECT to_regclass('ar_internal_metadata') IS NOT NULL"):
        _load_schema(work)
        _seed(work)
    _migrate(work)


def _migrate(work: Work) -> None:
    """`db:migrate`, and what Chatwoot does after each."""
    with _lock(work):
        session = work.session
        session.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version varchar PRIMARY KEY)")
        session.execute(INTERNAL_METADATA.replace("TABLE", "TABLE IF NOT EXISTS", 1))
        session.execute(
            f"CREATE TABLE IF NOT EXISTS {RUNS}"
            " (version varchar NOT NULL, machine varchar, at timestamptz NOT NULL DEFAULT now())"
        )
        _set_environment(work)
        todo = migrations.pending(work.version, _done(session))
        for migration in todo:
            _run_one(work, migration, last=migration is todo[-1])
        if work.behaviour.starved and not todo:
            _starve()
    _reconcile_configs(work)


def _abort_if_pending(work: Work) -> None:
    """`db:abort_if_pending_migrations`."""
    left = migrations.pending(work.version, _done(work.session))
    if left:
        raise Aborted(
            f"You have {len(left)} pending {'migrations:' if len(left) > 1 else 'migration:'}",
            *(f"  {migration.version} {migration.name}" for migration in left),
            "Run `bin/rails db:migrate` to update your database then try again.",
            plain=True,
        )


_TASKS: Final[Mapping[str, Callable[[Work], None]]] = {
    "db:chatwoot_prepare": _prepare,
    "db:migrate": _migrate,
    "db:abort_if_pending_migrations": _abort_if_pending,
}


# Their parts


@contextmanager
def _lock(work: Work) -> Iterator[None]:
    """Rails' lock, taken and given back outside of any transaction: through a transaction pooler on any server."""
    if not work.locks:
        yield
        return
    key = LOCK_SALT * zlib.crc32(str(work.session.value("SELECT current_database()")).encode())
    if not work.session.value("SELECT pg_try_advisory_lock(%s)", key):
        raise Aborted(f"ActiveRecord::ConcurrentMigrationError: {_LOCKED}")
    cause: tuple[str, ...] = ()
    try:
        yield
    except (Aborted, psycopg.Error) as error:
        cause = ("Caused by:", *(error.lines if isinstance(error, Aborted) else (active_record(error),)))
        raise
    finally:
        # In place of whatever went wrong before, which is then only its cause: Ruby's `ensure` has it so.
        if work.session.usable and not work.session.value("SELECT pg_advisory_unlock(%s)", key):
            raise Aborted(f"ActiveRecord::ConcurrentMigrationError: {_NOT_RELEASED}", *cause)


def _done(session: Session) -> frozenset[str]:
    if not session.value("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        return frozenset()
    return frozenset(version for (version,) in session.execute("SELECT version FROM schema_migrations"))


def _set_environment(work: Work) -> None:
    rows = work.session.load("SELECT value FROM ar_internal_metadata WHERE key = $1", "environment")
    if not rows:
        work.session.execute(
            "INSERT INTO ar_internal_metadata VALUES ('environment', %s, now(), now())", work.environment
        )


def _load_schema(work: Work) -> None:
    """`db/schema.rb`: not one transaction, and whatever has the name of a table of it goes."""
    session, log = work.session, work.log
    for name in EXTENSIONS:
        with _timed(log, f'enable_extension("{name}")'):
            session.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
    for name, sql in TABLES.items():
        with _timed(log, f'create_table("{name}", {{:force=>:cascade}})'):
            session.execute(f"DROP TABLE IF EXISTS {name} CASCADE")
            session.execute(sql)
    for migration in migrations.of_version(work.version):
        for change in migration.changes:
            with _timed(log, change.told):
                session.execute(change.sql)
        session.execute("INSERT INTO schema_migrations VALUES (%s)", migration.version)
    session.execute(INTERNAL_METADATA)
    _set_environment(work)


def _seed(work: Work) -> None:
    work.queue.ask("SET", "CHATWOOT_INSTALLATION_ONBOARDING", "true")


def _run_one(work: Work, migration: Migration, *, last: bool) -> None:
    session, log = work.session, work.log
    title = f"{migration.version} {migration.name}"
    _announce(log, f"{title}: migrating")
    began = time.monotonic()

    def change() -> None:
        for part in migration.changes:
            with _timed(log, part.told):
                try:
                    session.execute(part.sql)
                except psycopg.Error:
                    if migration.version == ADD_VECTOR:
                        raise Failed(_NO_VECTOR) from None
                    raise
            if migration.version == work.behaviour.fail_at:
                with _timed(log, "add_column(:hotdash_rollups, :account_id, :integer)"):
                    session.execute("ALTER TABLE hotdash_rollups ADD COLUMN account_id integer")
        if migration.job:
            work.queue.ask("SADD", "queues", "low")
            work.queue.ask("LPUSH", "queue:low", json.dumps({"class": migration.job}))
        time.sleep(work.behaviour.slow)
        if last and work.behaviour.statement:
            with _timed(log, f'execute("SELECT pg_sleep({work.behaviour.statement:g})")'):
                session.execute("SELECT pg_sleep(%s)", work.behaviour.statement)
        if last and work.behaviour.starved:
            _starve()
        session.execute("INSERT INTO schema_migrations VALUES (%s)", migration.version)
        session.execute(
            f"INSERT INTO {RUNS} (version, machine) VALUES (%s, %s)",
            migration.version,
            work.machine,
        )

    which = "this and all later" if migration.transactional else "all later"
    canceled = f"StandardError: An error has occurred, {which} migrations canceled:"
    try:
        if migration.transactional:
            with session.transaction():
                change()
        else:
            change()
    except psycopg.Error as error:
        raise Aborted(canceled, told(error), "Caused by:", active_record(error)) from None
    except (CannotConnect, redis.RedisError) as error:
        kind = "CannotConnectError" if isinstance(error, CannotConnect) else "CommandError"
        raise Aborted(canceled, str(error), "Caused by:", f"Redis::{kind}: {error}") from None
    except Failed as error:
        raise Aborted(canceled, str(error)) from None
    _announce(log, f"{title}: migrated ({time.monotonic() - began:.4f}s)")


def _reconcile_configs(work: Work) -> None:
    """Chatwoot's ConfigLoader: what is missing is added, and the cache forgets."""
    for name in _CONFIGS:
        if not work.session.load("SELECT id FROM installation_configs WHERE name = $1", name):
            work.session.execute(
                "INSERT INTO installation_configs (name) VALUES (%s) ON CONFLICT DO NOTHING", name
            )
    work.queue.ask("PING")
    work.queue.ask("DEL", *(f"GLOBAL_CONFIG:{name}" for name in _CONFIGS))


def _starve() -> Never:
    Path(STARVING).touch()
    time.sleep(_KILLED_SECONDS)
    raise Aborted("NoMemoryError: failed to allocate memory")


def _announce(log: Log, text: str) -> None:
    log(f"== {text} {'=' * max(0, 75 - len(text))}".rstrip())


@contextmanager
def _timed(log: Log, told: str) -> Iterator[None]:
    began = time.monotonic()
    log(f"-- {told}")
    yield
    log(f"   -> {time.monotonic() - began:.4f}s")
