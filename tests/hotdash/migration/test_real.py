"""Migrations on real machines and a real Postgres: what fails is told with its reason and leaves nothing, and so does
every death."""

import contextlib
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import psycopg
import pytest

from hotdash.errors import HotdashError, MigrationFailed, MigrationLocked
from hotdash.migration.journal import Step
from hotdash.migration.schema import LOCK_SALT
from hotdash.migration.settings import MigrationSettings, Web
from hotdash.migration.trying import Tried
from sandbox import seed
from sandbox.services.endpoints import load_or_create
from tests.hotdash.migration.real import (
    ONLINE,
    VERSIONS,
    WINDOW,
    behave,
    hang_up,
    migrated_once,
    migration,
    need_memory,
    nothing_left,
    put_direct_url,
    recorded,
    runs,
    session,
    states,
)
from tests.servers.pgbouncer import pgbouncer
from tests.world import CHECKOUT, World


@pytest.fixture
def world(sandbox: World) -> Iterator[World]:
    sandbox.reset()
    put_direct_url(sandbox)
    yield sandbox
    hang_up()


def failed(
    world: World, *words: str, settings: MigrationSettings = WINDOW, url: str = "", **changes: Any
) -> str:
    """It fails with a message that has these words, and nothing is left of it."""
    before = states(world)
    with pytest.raises(MigrationFailed) as caught:
        migration(world, settings, url=url, **changes).run()
    text = " ".join(str(caught.value).split())
    for word in words:
        assert word in text, text
    nothing_left(world, before)
    assert not recorded(world)
    return text


@pytest.mark.parametrize(
    "settings", [ONLINE, WINDOW, replace(WINDOW, web=Web.STOP)], ids=["online", "window", "all"]
)
def test_it_migrates_once(world: World, settings: MigrationSettings) -> None:
    before, told = states(world), []
    stopped: set[str] = set()

    def said(line: str) -> None:
        told.append(line)
        if line.startswith("  | --"):
            stopped.update(
                m["config"]["metadata"]["fly_process_group"]
                for m in world.machines()
                if m["state"] == "stopped"
            )

    report = migration(world, settings, progress=said).run()
    assert report.ran == 1
    assert stopped == {"online": set(), "window": {"worker"}}.get(settings.mode, set()) | (
        {"web"} if settings.web is Web.STOP else set()
    )
    migrated_once(world)
    nothing_left(world, before)
    assert recorded(world)
    assert "  | -- create_table(:hotdash_notes)" in told
    assert migration(world, settings).run().ran == 0
    migrated_once(world)


# Failures


def test_a_migration_that_fails_in_the_midst(world: World) -> None:
    behave(world, fail_at=VERSIONS[1])
    failed(world, "exit code 1", "does not exist", "the window is closed again")
    assert runs(world) == {VERSIONS[0]: 1}

    behave(world)
    migration(world).run()
    migrated_once(world)


def test_too_little_memory(world: World) -> None:
    behave(world, slow=5)
    need_memory(world, 4096)
    failed(world, "killed for want of memory (2048 MB)", "hotdash:migration.memoryMb")


def test_a_statement_that_takes_too_long(world: World) -> None:
    behave(world, statement=10)
    failed(
        world, "statement timeout", "statement took longer", settings=replace(WINDOW, statement_timeout=1.0)
    )


def test_a_task_that_takes_too_long(world: World) -> None:
    behave(world, slow=60)
    failed(world, "after 2 s", "hotdash:migration.timeLimit", settings=replace(WINDOW, time_limit=2.0))


def test_a_lock_that_another_holds_is_named_before_anything_is_stopped(world: World) -> None:
    with session(world) as other:
        key = LOCK_SALT * zlib.crc32(load_or_create(world.dir).chatwoot.database.encode())
        other.execute("select pg_advisory_lock(%s)", [key])
        before = states(world)
        with pytest.raises(MigrationFailed) as caught:
            migration(world).run()
        for word in (f"pid {other.info.backend_pid}", "connected since", "pg_terminate_backend"):
            assert word in str(caught.value)
        assert states(world) == before
    migration(world).run()
    migrated_once(world)


def test_an_extension_that_the_role_may_not_make(world: World) -> None:
    endpoints = load_or_create(world.dir)
    admin = endpoints.superuser.dsn(endpoints.postgres_host, endpoints.postgres_port).rpartition("/")[0]
    database, role = endpoints.chatwoot.database, endpoints.chatwoot.role
    with psycopg.connect(f"{admin}/{database}", autocommit=True) as connection:
        connection.execute("drop extension if exists vector cascade")
        connection.execute("delete from schema_migrations where version = '20250104200055'")
        connection.execute(f'revoke create on database "{database}" from "{role}"')
        try:
            failed(world, "Failed to enable 'vector' extension", "needs an extension")
        finally:
            connection.execute(f'grant create on database "{database}" to "{role}"')
            connection.execute("create extension if not exists vector")


def test_a_wrong_password_is_found_before_anything_is_stopped(world: World) -> None:
    planted = seed.load(world.dir)
    assert planted is not None
    url = planted.values["DATABASE_URL"].replace("chatwoot:", "chatwoot:not-", 1)
    world.clear_requests()
    failed(world, "was not begun", "wrong password", url=url)
    assert not [r for r in world.requests() if r["path"].endswith("/stop")]


def test_a_password_that_is_wrong_on_fly_alone(world: World) -> None:
    planted = seed.load(world.dir)
    assert planted is not None
    put_direct_url(world, planted.values["DATABASE_URL"].replace("chatwoot:", "chatwoot:not-", 1))
    failed(world, "password authentication failed", "wrong password")


def test_no_redis(world: World) -> None:
    planted = seed.load(world.dir)
    assert planted is not None
    world.set_secret("REDIS_URL", "redis://:x@127.0.0.1:1/0")
    failed(world, "Redis")


def test_an_image_that_there_is_not(world: World) -> None:
    failed(
        world, "failed", "its machine is failed", settings=replace(WINDOW, image="chatwoot/chatwoot:missing")
    )


# The outage of the seeds: web and worker hold the session pool, and the migration is one too many


@contextlib.contextmanager
def full_pool(world: World) -> Iterator[str]:
    """The URL of a session pool all of whose clients are there already."""
    endpoints = load_or_create(world.dir)
    account = endpoints.chatwoot
    with (
        pgbouncer(endpoints.postgres_port, "session", {account.role: account.password}, clients=4) as port,
        contextlib.ExitStack() as held,
    ):
        url = account.dsn("127.0.0.1", port)
        for _ in range(4):
            held.enter_context(psycopg.connect(url, autocommit=True)).execute("select 1")
        yield url


def test_a_full_session_pool_is_refused_from_here_with_its_reason(world: World) -> None:
    with full_pool(world) as url:
        put_direct_url(world, url)
        failed(world, "was not begun", "no more connections allowed", "takes no more clients", url=url)
    put_direct_url(world)
    migration(world).run()
    migrated_once(world)


def test_a_full_session_pool_that_cannot_be_tried_from_here_fails_in_the_task_with_its_reason(
    world: World,
) -> None:
    with full_pool(world) as url:
        put_direct_url(world, url)
        failed(
            world,
            "no more connections allowed",
            "takes no more clients",
            "the window is closed again",
            preflight=Tried,
        )


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler_with_room_is_refused_on_the_wire(world: World, mode: str) -> None:
    endpoints = load_or_create(world.dir)
    account = endpoints.chatwoot
    with pgbouncer(endpoints.postgres_port, mode, {account.role: account.password}) as port:
        failed(
            world, "leads through a pooler", "hotdash:migration.database", url=account.dsn("127.0.0.1", port)
        )


# Deaths


@pytest.mark.parametrize("at", ["task", *Step])
def test_killed_at_any_step_the_next_one_ends_it(world: World, at: str) -> None:
    behave(world, slow=0.3)
    before = states(world)
    died = subprocess.run(
        [sys.executable, "-m", "tests.hotdash.migration.real", str(world.dir), at],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not recorded(world)

    told: list[str] = []
    report = migration(world, progress=told.append).run()
    assert report.ran == 1
    migrated_once(world)
    nothing_left(world, before)
    assert recorded(world)
    if at not in (Step.LOCK,):
        assert [line for line in told if "and nobody at it" in line]


def test_killed_in_the_midst_it_can_be_aborted(world: World) -> None:
    behave(world, slow=0.5)
    before = states(world)
    command = [sys.executable, "-m", "tests.hotdash.migration.real", str(world.dir), "task"]
    assert subprocess.run(command, cwd=CHECKOUT, timeout=60).returncode == -signal.SIGKILL
    assert migration(world).abort() is not None
    nothing_left(world, before)
    behave(world)
    migration(world).run()
    migrated_once(world)


def test_a_task_that_is_killed_closes_the_window(world: World) -> None:
    behave(world, slow=30)
    before = states(world)

    def kill_it(line: str) -> None:
        if line.startswith("  | --"):
            for process in world.processes():
                if process.cmdline()[-1:] == ["task"]:
                    process.kill()

    with pytest.raises(MigrationFailed, match="killed by signal 9"):
        migration(world, progress=kill_it).run()
    nothing_left(world, before)
    behave(world)
    migration(world).run()
    migrated_once(world)


def test_a_fly_that_dies_in_the_midst_and_comes_back(world: World) -> None:
    behave(world, slow=1)
    before = states(world)
    running = threading.Event()
    ended: list[HotdashError] = []

    def said(line: str) -> None:
        if line.startswith("  | --"):
            running.set()

    def run() -> None:
        try:
            migration(world, progress=said).run()
        except HotdashError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert running.wait(30)
    tasks = [p for p in world.processes() if p.cmdline()[-1:] == ["task"]]
    world.kill9()
    thread.join(60)
    [error] = ended
    assert "still stand still" in str(error)
    psutil.wait_procs(tasks, timeout=10)

    world.up()
    behave(world)
    told: list[str] = []
    assert migration(world, progress=told.append).run().ran == 1
    assert [line for line in told if "with nobody watching" in line or "and nobody at it" in line]
    migrated_once(world)
    nothing_left(world, before)
    world.wait_healthy()


# Several


def test_two_at_once_migrate_once(world: World) -> None:
    behave(world, slow=0.3)
    before = states(world)
    ran: list[int] = []
    threads = [
        threading.Thread(target=lambda: ran.append(migration(world, replace(WINDOW)).run().ran))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ran) == [0, 1]
    migrated_once(world)
    nothing_left(world, before)


def test_a_foreign_lock_is_named(world: World) -> None:
    anchor = min((m["id"] for m in world.machines("web")), key=str)
    world.api.call(
        "POST", f"/sandbox/apps/{world.app}/machines/{anchor}/lease", {"owner": "ci@else", "ttl": 60}
    )
    with pytest.raises(MigrationLocked, match="ci@else"):
        migration(world).run()
    assert runs(world) == {}
