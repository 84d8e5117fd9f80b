"""Migrations of a sandbox's app, without an engine: real machines, a real Postgres, a caller that can be killed.

`python -m tests.hotdash.migration.real DIR STEP` begins one and kills itself as the step begins.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from hotdash.fly.client import Fly, Patience
from hotdash.fly.logs import FlyLogs
from hotdash.fly.token import Token
from hotdash.migration.assembling import seams
from hotdash.migration.deciding import Groups
from hotdash.migration.journal import APPLIED_KEY, JOURNAL_KEY
from hotdash.migration.runner import Migration
from hotdash.migration.settings import MigrationSettings, Mode
from hotdash.plan import RolloutSettings
from hotdash.preflight import checks_for
from hotdash.stack.settings import SecretSource
from hotdash.vault import Reference
from sandbox import seed
from sandbox.services.endpoints import load_or_create
from tests.world import World

IMAGE = "chatwoot/chatwoot:v4.12.0"
DIRECT = "DIRECT_DATABASE_URL"
GROUPS = Groups(("web",), ("worker",))
WINDOW = MigrationSettings(DIRECT, image=IMAGE, mode=Mode.WINDOW)
ONLINE = replace(WINDOW, mode=Mode.ONLINE)
QUICK = RolloutSettings(
    settle=0.3, health_timeout=30.0, start_timeout=30.0, lease_ttl=3, lease_wait=6.0, poll=0.1
)
VERSIONS = ("20260105090000", "20260112090000", "20260119090000")
"""What the image adds, in the sandbox."""
RUNS = "sandbox_migration_runs"
"""The table in which the sandbox counts how often each migration has run."""


_open: list[Fly | FlyLogs] = []


def hang_up() -> None:
    """Close what `migration` has opened."""
    while _open:
        _open.pop().close()


def migration(
    world: World,
    settings: MigrationSettings = WINDOW,
    *,
    url: str = "",
    progress: Callable[[str], None] = lambda _line: None,
    **changes: Any,
) -> Migration:
    """A run of its own on the world's app.

    Args:
        url: another database URL than the direct one.
        changes: of the seams.
    """
    planted = seed.load(world.dir)
    assert planted is not None
    values = {**planted.secrets, DIRECT: url or planted.values["DATABASE_URL"]}
    sources = {name: SecretSource(Reference.parse(f"a.env#{name}")) for name in values}
    token = Token(world.token, "a test")
    logs = FlyLogs(token, base_url=world.url)
    given = seams(
        values,
        sources,
        database=DIRECT,
        checks=lambda: checks_for(values),
        strict=False,
        vault="vault",
        logs=logs,
        progress=progress,
    )
    fly = Fly(token, base_url=world.url, patience=Patience(budget=3.0, unreachable=1.0))
    _open.extend((fly, logs))
    return Migration(fly, world.app, settings, GROUPS, QUICK, replace(given, **changes))


def put_direct_url(world: World, url: str = "") -> None:
    """Fly has the secret that migrations take."""
    planted = seed.load(world.dir)
    assert planted is not None
    world.set_secret(DIRECT, url or planted.values["DATABASE_URL"])


def behave(world: World, **settings: Any) -> None:
    """How the next migrations go: slow, statement, fail_at."""
    world.api.call("PUT", "/sandbox/settings", {"migration": settings})


def need_memory(world: World, mb: int) -> None:
    """What the next migrations need."""
    world.api.call(
        "PUT",
        "/sandbox/settings",
        {"memory_need_mb": {"fly_app_release_command": mb, "web": 600, "worker": 700}},
    )


def session(world: World) -> psycopg.Connection:
    """A connection of Chatwoot's role to its database."""
    return psycopg.connect(load_or_create(world.dir).database_url, autocommit=True)


def runs(world: World) -> dict[str, int]:
    """How often each migration has run."""
    with session(world) as connection:
        [there] = connection.execute("select to_regclass(%s) is not null", [RUNS]).fetchone() or (False,)
        if not there:
            return {}
        return dict(
            connection.execute(f"select version, count(*)::int from {RUNS} group by version").fetchall()
        )


def migrated_once(world: World) -> None:
    assert runs(world) == dict.fromkeys(VERSIONS, 1)


def states(world: World) -> dict[str, str]:
    return {machine["id"]: machine["state"] for machine in world.machines()}


def nothing_left(world: World, before: dict[str, str]) -> None:
    """The scale is as it was; no journal, no lease, no machine but those, no lock in the database."""
    assert states(world) == before
    metadata = [machine["config"]["metadata"] for machine in world.machines()]
    assert not [one for one in metadata if JOURNAL_KEY in one]
    assert not [machine["id"] for machine in world.status()["machines"] if machine["lease"]]
    with session(world) as connection:
        assert connection.execute("select pid from pg_locks where locktype = 'advisory'").fetchall() == []


def recorded(world: World) -> bool:
    return all(APPLIED_KEY in machine["config"]["metadata"] for machine in world.machines())


def main(directory: str, at: str) -> None:
    world = World(Path(directory))
    world.up()

    def die(step: str) -> None:
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def said(line: str) -> None:
        # Once the machine is there, in the midst of the task.
        if at == "task" and line.startswith("  | --"):
            os.kill(os.getpid(), signal.SIGKILL)

    migration(world, progress=said, step=die).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
