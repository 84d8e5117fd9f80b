"""The pooler before the sandbox's Postgres: what goes through it, and why a migration does not."""

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox.chatwoot.database import pool_size
from sandbox.chatwoot.migration import LOCK_SALT
from sandbox.services import Endpoints, ServiceError, binaries, pgbouncer
from sandbox.services.endpoints import load_or_create
from tests.sandbox.one_off import begin, end, run, told
from tests.world import World, shown_by, still_alive

DIRECT = (
    "sh",
    "-c",
    'DATABASE_URL="$DIRECT_DATABASE_URL" exec bundle exec rails db:chatwoot_prepare db:abort_if_pending_migrations',
)


@pytest.fixture
def endpoints(sandbox: World) -> Iterator[Endpoints]:
    """The seeded world's services, without a pooler."""
    sandbox.reset()
    yield load_or_create(sandbox.dir)
    sandbox.up()


def pool(sandbox: World, mode: str, size: int, **more: Any) -> int:
    """Put a pooler there; its port."""
    answer = sandbox.api.call("PUT", "/sandbox/pooler", {"mode": mode, "size": size, **more})
    assert answer["pooler"]["running"] is True
    return int(answer["pooler"]["port"])


def through(sandbox: World, url: str, **env: str) -> None:
    """Let every machine go through it, and wait until all is well."""
    version = sandbox.set_secret("DATABASE_URL", url)
    for machine in sandbox.machines():
        config = machine["config"]
        sandbox.api.update(sandbox.app, machine, {**config, "env": {**config["env"], **env}}, version)
    sandbox.wait_healthy()


def sessions(endpoints: Endpoints) -> dict[str, int]:
    """How many sessions Postgres has of the web machines and of the worker."""
    dsn = endpoints.superuser.dsn(endpoints.postgres_host, endpoints.postgres_port)
    with psycopg.connect(dsn) as session:
        found = session.execute(
            "SELECT split_part(application_name, ' ', 1), count(*) FROM pg_stat_activity"
            " WHERE usename = 'chatwoot' GROUP BY 1"
        )
        return dict(found.fetchall())


def lock_holder(endpoints: Endpoints) -> int | None:
    """The server process that has the lock of Rails' migrations."""
    key = LOCK_SALT * zlib.crc32(endpoints.chatwoot.database.encode())
    with psycopg.connect(
        endpoints.superuser.dsn(endpoints.postgres_host, endpoints.postgres_port)
    ) as session:
        row = session.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND ((classid::bigint << 32) | objid::bigint) = %s",
            [key],
        ).fetchone()
    return int(row[0]) if row else None


def test_pools_are_as_large_as_chatwoots_settings_say() -> None:
    assert (pool_size({}, worker=False), pool_size({}, worker=True)) == (5, 10)
    env = {"RAILS_MAX_THREADS": "3", "SIDEKIQ_CONCURRENCY": "7", "WEB_CONCURRENCY": "2"}
    assert (pool_size(env, worker=False), pool_size(env, worker=True)) == (6, 7)


def test_a_full_session_pool_refuses_the_migration_and_the_direct_url_does_not(
    sandbox: World, endpoints: Endpoints
) -> None:
    """The outage's own: web and worker have every connection of the pool, and the migration wants one more."""
    port = pool(sandbox, "session", 9, fill=True)
    sandbox.set_secret("DIRECT_DATABASE_URL", endpoints.database_url)
    through(sandbox, pgbouncer.url(endpoints, port), RAILS_MAX_THREADS="3", SIDEKIQ_CONCURRENCY="3")
    sandbox.api.until(lambda: sessions(endpoints) == {"puma": 6, "sidekiq": 3}, "all connections to be held")

    refused = run(sandbox)

    assert refused.code == 1
    assert "no more connections allowed (max_client_conn)" in refused.text
    assert sandbox.answer() == 200
    direct = run(sandbox, DIRECT)
    assert direct.code == 0, direct.text
    assert sessions(endpoints) == {"puma": 6, "sidekiq": 3}


def test_a_transaction_pool_loses_rails_lock(sandbox: World, endpoints: Endpoints) -> None:
    port = pool(sandbox, "transaction", 4)
    url = pgbouncer.url(endpoints, port)
    prepared = "?prepared_statements=false"
    sandbox.set_secret("DATABASE_URL", url + prepared)
    told(sandbox, slow=1)
    machine = begin(sandbox)
    sandbox.api.until(lambda: lock_holder(endpoints) is not None, "the lock to be taken")
    with contextlib.ExitStack() as others:
        # Somebody else is in a transaction on the connection that has the lock, when it is to be given back.
        while True:
            other = others.enter_context(psycopg.connect(url, prepare_threshold=None))
            row = other.execute("SELECT pg_backend_pid()").fetchone()
            if row == (lock_holder(endpoints),):
                break
            other.rollback()
        ended = end(sandbox, machine)

    assert ended.code == 1
    assert "ActiveRecord::ConcurrentMigrationError: Failed to release advisory lock" in ended.lines
    assert sum("migrated (" in line for line in ended.lines) == 3
    assert lock_holder(endpoints) is not None
    told(sandbox)
    sandbox.set_secret("DIRECT_DATABASE_URL", endpoints.database_url)
    again = run(sandbox, DIRECT)
    assert again.code == 1
    assert "Cannot run migrations because another migration process is currently running." in again.text
    sandbox.set_secret("DATABASE_URL", f"{url}{prepared}&advisory_locks=false")
    assert run(sandbox).code == 0
    # The pooler's connections end with it, and the lock with them.
    sandbox.api.call("PUT", "/sandbox/pooler", {"mode": "off"})
    sandbox.api.until(lambda: lock_holder(endpoints) is None, "the lock to be gone")
    assert run(sandbox, DIRECT).code == 0


def test_a_transaction_pool_loses_prepared_statements(sandbox: World, endpoints: Endpoints) -> None:
    port = pool(sandbox, "transaction", 4)
    url = pgbouncer.url(endpoints, port)
    # Four servers, and nobody else on them: each statement has the next one.
    with contextlib.ExitStack() as others:
        for _ in range(4):
            others.enter_context(psycopg.connect(url, prepare_threshold=None)).execute("SELECT 1")
    sandbox.set_secret("DATABASE_URL", url)

    ended = run(sandbox)

    assert ended.code == 1
    assert 'PG::InvalidSqlStatementName: ERROR:  prepared statement "a1" does not exist' in ended.text


def test_it_is_there_again_after_a_restart_and_ends_with_the_sandbox(
    sandbox: World, endpoints: Endpoints
) -> None:
    port = pool(sandbox, "session", 3)
    url = pgbouncer.url(endpoints, port)
    (pooler,) = [p for p in sandbox.processes() if p.name() == "pgbouncer"]
    assert not [text for text in shown_by([pooler]) if endpoints.chatwoot.password in text]

    sandbox.kill9()
    assert still_alive([pooler], 20.0) == []
    sandbox.up()

    with psycopg.connect(url) as session:
        assert session.execute("SELECT current_database()").fetchone() == ("chatwoot_production",)
    status = sandbox.api.status()
    assert status["pooler"] == {"mode": "session", "size": 3, "port": port, "running": True}
    assert pool(sandbox, "transaction", 2) == port
    sandbox.reset()
    assert sandbox.api.status()["pooler"] is None
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    assert [p for p in sandbox.processes() if p.name() == "pgbouncer"] == []


def test_the_command_leads_the_vault_there_and_back(sandbox: World, endpoints: Endpoints) -> None:
    file = sandbox.vault / "occ/chatwoot/database_url.env"
    said = sandbox.command("pooler", "session", "--size", "30", "--vault")
    assert said.returncode == 0, said.stderr
    port = sandbox.api.status()["pooler"]["port"]
    assert f"session pool of 30, on port {port}" in said.stdout
    assert f"postgresql://chatwoot:…@127.0.0.1:{port}/chatwoot_production" in said.stdout
    assert endpoints.chatwoot.password not in said.stdout + said.stderr
    assert file.read_text() == f"DATABASE_URL={pgbouncer.url(endpoints, port)}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    direct = (sandbox.vault / "occ/chatwoot/direct_database_url.env").read_text()
    assert direct == f"DIRECT_DATABASE_URL={endpoints.database_url}\n"
    assert "pooler    session pool of 30" in sandbox.command("status").stdout
    assert "pgbouncer" in sandbox.command("logs", "pgbouncer").stdout.lower()
    assert "leads to the pooler" in sandbox.command("pooler").stdout

    off = sandbox.command("pooler", "off")
    assert "pooler      off" in off.stdout
    assert "still leads to the pooler: hotdash sandbox pooler off --vault" in off.stderr
    sandbox.command("pooler", "off", "--vault")
    assert file.read_text() == f"DATABASE_URL={endpoints.database_url}\n"
    refused = sandbox.command("pooler", "--vault")
    assert refused.returncode == 2
    assert "name the MODE" in refused.stderr


def test_nonsense_is_refused(sandbox: World, endpoints: Endpoints) -> None:
    def refused(**body: Any) -> tuple[int, str]:
        answer = sandbox.client.put("/sandbox/pooler", json=body)
        return answer.status_code, answer.json()["error"]

    assert refused(mode="statement") == (400, "mode must be one of session, transaction, off")
    assert refused(mode="session", size=0)[0] == refused(mode="session", size=True)[0] == 400
    assert refused(mode="session", fill="yes") == (400, "fill must be true or false")


def test_a_machine_without_pgbouncer_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "ELSEWHERE", (str(tmp_path),))
    with pytest.raises(ServiceError, match="apt install pgbouncer"):
        binaries.pgbouncer()
