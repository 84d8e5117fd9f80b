"""Migrations of the stand-in: what they do to the real database, and how they fail."""

import zlib
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
import redis

from sandbox.chatwoot.migration import LOCK_SALT
from sandbox.chatwoot.migrations import VERSIONS, added_in, of_version, pending
from sandbox.services.endpoints import Endpoints, load_or_create
from tests.sandbox import one_off
from tests.sandbox.one_off import NEWER, PREPARE, begin, end, run, told
from tests.world import World

OLD = tuple(migration.version for migration in of_version((4, 11, 0)))
FIRST, SECOND, CONCURRENT = added_in((4, 12, 0))
DIRECT = (
    "sh",
    "-c",
    'DATABASE_URL="$DIRECT_DATABASE_URL" POSTGRES_STATEMENT_TIMEOUT=600s exec bundle exec rails db:chatwoot_prepare '
    "db:abort_if_pending_migrations",
)


@pytest.fixture
def endpoints(sandbox: World) -> Iterator[Endpoints]:
    """The seeded world's services."""
    sandbox.reset()
    yield load_or_create(sandbox.dir)
    sandbox.up()


def ask(
    endpoints: Endpoints, sql: LiteralString, *values: object, superuser: bool = False
) -> list[tuple[Any, ...]]:
    account = endpoints.superuser if superuser else endpoints.chatwoot
    with psycopg.connect(
        host=endpoints.postgres_host,
        port=endpoints.postgres_port,
        user=account.role,
        password=account.password,
        dbname=endpoints.chatwoot.database,
        autocommit=True,
    ) as session:
        cursor = session.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []


def done(endpoints: Endpoints) -> list[str]:
    return [version for (version,) in ask(endpoints, "SELECT version FROM schema_migrations ORDER BY 1")]


def runs(endpoints: Endpoints) -> list[str]:
    return [
        version for (version,) in ask(endpoints, "SELECT version FROM sandbox_migration_runs ORDER BY at")
    ]


def columns(endpoints: Endpoints, table: str) -> set[str]:
    sql: LiteralString = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
    return {name for (name,) in ask(endpoints, sql, table)}


def locks(endpoints: Endpoints) -> int:
    (row,) = ask(endpoints, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", superuser=True)
    return int(row[0])


# Which there are


def test_versions_are_in_order_and_each_image_has_those_before_it() -> None:
    assert list(VERSIONS) == sorted(set(VERSIONS))
    assert len(of_version((4, 12, 0))) == len(OLD) + 3
    assert len(of_version((4, 13, 0))) == len(OLD) + 5
    assert of_version((4, 12, 5)) == of_version((4, 12, 0))
    assert [m.version for m in pending((4, 12, 0), {*OLD, SECOND})] == [FIRST, CONCURRENT]
    assert pending((4, 11, 0), VERSIONS) == ()


# What they do


def test_an_update_runs_what_is_pending_and_each_once(sandbox: World, endpoints: Endpoints) -> None:
    assert done(endpoints) == list(OLD)

    first = run(sandbox)
    assert first.code == 0, first.text
    assert done(endpoints) == [*OLD, FIRST, SECOND, CONCURRENT]
    assert "pinned" in columns(endpoints, "portals")
    assert f"== {FIRST} CreateHotdashNotes: migrating ===" in first.text
    assert "-- create_table(:hotdash_notes)" in first.lines
    assert any(line.startswith("   -> 0.") for line in first.lines)
    second = run(sandbox, image=NEWER)
    assert second.code == 0, second.text
    again = run(sandbox, image=NEWER)
    assert (again.code, again.lines) == (0, ())
    older = run(sandbox, image="chatwoot/chatwoot:v4.11.0")
    assert (older.code, older.lines) == (0, ())

    assert done(endpoints) == list(VERSIONS)
    assert runs(endpoints) == list(VERSIONS[len(OLD) :])
    assert locks(endpoints) == 0
    with redis.Redis.from_url(endpoints.redis_url) as queue:
        assert queue.llen("queue:low") == 1


def test_a_secret_that_is_only_staged_reaches_it_and_takes_database_urls_place(
    sandbox: World, endpoints: Endpoints
) -> None:
    sandbox.set_secret("DATABASE_URL", "postgres://nobody:nothing@127.0.0.1:1/nowhere")
    sandbox.set_secret("DIRECT_DATABASE_URL", endpoints.database_url)

    failed = run(sandbox)
    assert failed.code == 1
    assert "There is an issue connecting with your hostname: 127.0.0.1." in failed.text
    assert "connection to server at" in failed.text
    assert "Connection refused" in failed.text
    ended = run(sandbox, DIRECT)
    assert ended.code == 0, ended.text
    assert done(endpoints)[-1] == CONCURRENT
    assert endpoints.chatwoot.password not in ended.text + failed.text


def test_an_empty_database_gets_the_whole_schema(sandbox: World, endpoints: Endpoints) -> None:
    ask(endpoints, "DROP TABLE ar_internal_metadata")

    ended = run(sandbox)

    assert ended.code == 0, ended.text
    assert done(endpoints) == [*OLD, FIRST, SECOND, CONCURRENT]
    assert ask(endpoints, "SELECT value FROM ar_internal_metadata") == [("production",)]
    # `force: :cascade`: what had a table's name is gone, with all that was in it.
    assert ask(endpoints, "SELECT count(*) FROM portals") == [(0,)]
    assert runs(endpoints) == []
    with redis.Redis.from_url(endpoints.redis_url) as queue:
        assert queue.get("CHATWOOT_INSTALLATION_ONBOARDING") == b"true"


def test_a_schema_that_does_not_load_to_its_end_is_no_schema(sandbox: World, endpoints: Endpoints) -> None:
    ask(endpoints, "DROP TABLE ar_internal_metadata")
    ask(endpoints, "DROP EXTENSION pg_stat_statements", superuser=True)

    ended = run(sandbox)

    assert ended.code == 1
    assert 'permission denied to create extension "pg_stat_statements"' in ended.text
    assert ask(endpoints, "SELECT to_regclass('ar_internal_metadata')") == [(None,)]


def test_it_says_what_is_pending(sandbox: World, endpoints: Endpoints) -> None:
    asked = run(sandbox, ("bundle", "exec", "rails", "db:abort_if_pending_migrations"))
    assert asked.code == 1
    assert asked.lines[0] == "You have 3 pending migrations:"
    assert f"  {SECOND} AddPinnedToPortals" in asked.lines
    assert asked.lines[-1] == "Run `bin/rails db:migrate` to update your database then try again."
    both = (*PREPARE, "db:abort_if_pending_migrations")
    assert run(sandbox, both).code == 0
    assert done(endpoints)[-1] == CONCURRENT


def test_it_can_be_run_in_a_machine_that_is_there(sandbox: World, endpoints: Endpoints) -> None:
    (web, _) = sandbox.machines("web")
    where = f"{one_off.path(sandbox, web['id'])}/exec"

    answer = sandbox.api.call("POST", where, {"cmd": "bundle exec rails db:abort_if_pending_migrations"})
    assert answer["exit_code"] == 0, "the machine's image has none of them"
    ask(endpoints, "DELETE FROM schema_migrations WHERE version = %s", OLD[0])
    answer = sandbox.api.call("POST", where, {"cmd": "bundle exec rails db:abort_if_pending_migrations"})
    assert answer["exit_code"] == 1
    assert answer["stdout"].startswith("You have 1 pending migration:\n")
    answer = sandbox.api.call("POST", where, {"cmd": "bundle exec rails db:migrate"})
    assert answer["exit_code"] == 0, answer
    assert done(endpoints) == list(OLD)
    told(sandbox, slow=30)
    ask(endpoints, "DELETE FROM schema_migrations WHERE version = %s", OLD[0])
    answer = sandbox.api.call("POST", where, {"cmd": "bundle exec rails db:migrate", "timeout": 2})
    assert answer["exit_code"] == 124
    sandbox.api.until(lambda: locks(endpoints) == 0, "the command to be gone")


# How they fail


def test_a_migration_that_fails_is_undone_and_those_before_it_are_not(
    sandbox: World, endpoints: Endpoints
) -> None:
    told(sandbox, fail_at=SECOND)

    ended = run(sandbox)

    assert ended.code == 1
    assert "rails aborted!" in ended.lines
    assert "StandardError: An error has occurred, this and all later migrations canceled:" in ended.lines
    assert 'PG::UndefinedTable: ERROR:  relation "hotdash_rollups" does not exist' in ended.lines
    assert done(endpoints) == [*OLD, FIRST]
    assert "pinned" not in columns(endpoints, "portals")
    assert locks(endpoints) == 0
    told(sandbox)
    assert run(sandbox).code == 0
    assert runs(endpoints) == [FIRST, SECOND, CONCURRENT]


def test_a_migration_without_a_transaction_leaves_what_it_did(sandbox: World, endpoints: Endpoints) -> None:
    told(sandbox, fail_at=CONCURRENT)

    ended = run(sandbox)

    assert ended.code == 1
    assert "StandardError: An error has occurred, all later migrations canceled:" in ended.lines
    assert ask(endpoints, "SELECT to_regclass('index_portals_on_name') IS NOT NULL") == [(True,)]
    assert done(endpoints) == [*OLD, FIRST, SECOND]


def test_the_statement_timeout_holds_and_is_chatwoots(sandbox: World, endpoints: Endpoints) -> None:
    told(sandbox, statement=60)
    ended = run(sandbox, ("sh", "-c", f"POSTGRES_STATEMENT_TIMEOUT=100ms {' '.join(PREPARE)}"))
    assert ended.code == 1
    assert "PG::QueryCanceled: ERROR:  canceling statement due to statement timeout" in ended.lines
    assert done(endpoints)[-1] == SECOND

    machine = begin(sandbox)
    sandbox.api.until(
        lambda: ask(
            endpoints, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%'", superuser=True
        ),
        "the statement to run",
    )
    sandbox.api.call(
        "POST", f"{one_off.path(sandbox, machine)}/stop", {"signal": "SIGTERM", "timeout": "30s"}
    )
    ended = end(sandbox, machine)
    assert ended.code == 1
    assert ended.exit["requested_stop"] is True
    assert ended.lines[-2:] == ("rails aborted!", "SignalException: SIGTERM")
    assert locks(endpoints) == 0


def test_with_too_little_memory_it_is_killed(sandbox: World, endpoints: Endpoints) -> None:
    told(sandbox, memory_mb=1500)

    ended = run(sandbox, memory_mb=1024)

    assert (ended.code, ended.exit["oom_killed"], ended.exit["requested_stop"]) == (137, True, False)
    assert ended.lines[-1] == "Out of memory: Killed process 1 (needs more than 1024 MB)"
    assert done(endpoints) == [*OLD, FIRST, SECOND]
    sandbox.api.until(lambda: locks(endpoints) == 0, "Postgres to see that its client is gone")
    assert run(sandbox, memory_mb=1536).code == 0


def test_a_dead_redis_fails_the_migration_that_enqueues_a_job(sandbox: World, endpoints: Endpoints) -> None:
    sandbox.set_secret("REDIS_URL", "redis://127.0.0.1:1/0")
    ended = run(sandbox)
    assert ended.code == 1
    assert any(line.startswith("Redis::CannotConnectError: ") for line in ended.lines)
    assert done(endpoints) == [*OLD, FIRST]
    sandbox.set_secret("REDIS_URL", endpoints.redis_url.replace(endpoints.redis_password, "wrong"))
    ended = run(sandbox)
    assert any(line.startswith("Redis::CommandError: ") for line in ended.lines), ended.text
    assert endpoints.redis_password not in ended.text


def test_a_second_one_at_the_same_time_is_refused(sandbox: World, endpoints: Endpoints) -> None:
    key = LOCK_SALT * zlib.crc32(endpoints.chatwoot.database.encode())
    with psycopg.connect(endpoints.database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [key])
        refused = run(sandbox)
        without = run(
            sandbox, ("sh", "-c", f'DATABASE_URL="$DATABASE_URL?advisory_locks=false" {" ".join(PREPARE)}')
        )

    assert refused.code == 1
    assert "Cannot run migrations because another migration process is currently running." in refused.text
    assert without.code == 0, without.text
    assert runs(endpoints) == [FIRST, SECOND, CONCURRENT]


def test_without_vector_it_aborts_as_chatwoot_does(sandbox: World, endpoints: Endpoints) -> None:
    ask(endpoints, "DELETE FROM schema_migrations WHERE version = '20250104200055'")
    # Chatwoot's own role may not make it.
    ask(endpoints, "DROP EXTENSION vector", superuser=True)
    ended = run(sandbox)
    assert ended.code == 1
    assert "Failed to enable 'vector' extension. Read more at https://chwt.app/v4/migration" in ended.lines
    ask(endpoints, "CREATE EXTENSION vector", superuser=True)
    ended = run(sandbox)
    assert ended.code == 0, ended.text


def test_rails_does_not_begin_with_wrong_settings(sandbox: World, endpoints: Endpoints) -> None:
    wrong = endpoints.database_url.replace(endpoints.chatwoot.password, "wrong-word")
    sandbox.set_secret("DATABASE_URL", wrong)
    ended = run(sandbox)
    assert ended.code == 1
    assert any("your username/password, username: chatwoot." in line for line in ended.lines)
    assert 'password authentication failed for user "chatwoot"' in ended.text
    assert "wrong-word" not in ended.text
    empty = run(sandbox, ("sh", "-c", f'DATABASE_URL="$NOT_SET" {" ".join(PREPARE)}'))
    assert empty.code == 1
    assert "set, but empty" in empty.text
    unknown = run(sandbox, ("bundle", "exec", "rails", "db:chatwoot_prepare", "db:nothing"))
    assert unknown.code == 1
    assert "Don't know how to build task 'db:nothing'" in unknown.text
