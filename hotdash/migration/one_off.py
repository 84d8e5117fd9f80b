"""The machine that a migration runs on, as Fly is told of it. No I/O.

It is flyctl's machine for a release command (its source, release_command.go): the same group, env and metadata, so that
Fly's own tools and dashboards take it for what it is, and nobody's drift counts it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Final

from hotdash.chatwoot import DATABASE_URLS
from hotdash.fly.model import Exit, Machine
from hotdash.migration.journal import metadata_of
from hotdash.migration.settings import MigrationSettings

GROUP: Final = "fly_app_release_command"
MARK_KEY: Final = "hotdash_run"
TASKS: Final = ("db:chatwoot_prepare", "db:abort_if_pending_migrations")
"""Chatwoot's own task, which is safe to run at every release; and Rails' word on whether anything is left to do."""
_NOT_ITS_OWN: Final = frozenset({"FLY_PROCESS_GROUP", "FLY_STANDBY_FOR"})


def command(settings: MigrationSettings) -> list[str]:
    """A secret wins over an env entry of its name, so the direct URL can take the place of the app's only here."""
    seconds = f"{max(1, round(settings.statement_timeout))}s"
    urls = "".join(f'{name}="${settings.database}" ' for name in DATABASE_URLS if name != settings.database)
    return [
        "sh",
        "-c",
        f"{urls}POSTGRES_STATEMENT_TIMEOUT={seconds} exec bundle exec rails {' '.join(TASKS)}",
    ]


def config(settings: MigrationSettings, image: str, web: Sequence[Machine], mark: str) -> dict[str, Any]:
    """Its whole config.

    Args:
        web: the machines whose env it has, by the first of them; none: it has the secrets alone.
        mark: it is found by it.
    """
    base = web[0].config if web else {}
    env = {name: text for name, text in (base.get("env") or {}).items() if name not in _NOT_ITS_OWN}
    region = {"PRIMARY_REGION": web[0].region} if web and web[0].region else {}
    init: dict[str, Any] = {"cmd": command(settings)}
    entrypoint = (base.get("init") or {}).get("entrypoint")
    if entrypoint:
        init["entrypoint"] = entrypoint
    return {
        "image": image,
        "env": {**region, **env, "RELEASE_COMMAND": "1", "FLY_PROCESS_GROUP": GROUP},
        "init": init,
        "guest": {
            "cpu_kind": settings.guest.cpu_kind,
            "cpus": settings.guest.cpus,
            "memory_mb": settings.guest.memory_mb,
        },
        "metadata": {"fly_process_group": GROUP, "fly_platform_version": "v2", MARK_KEY: mark},
        "restart": {"policy": "no"},
        "auto_destroy": True,
        "dns": {"skip_registration": True},
        "services": [],
    }


def marked(machines: Sequence[Machine], mark: str) -> Machine | None:
    return next((m for m in machines if metadata_of(m).get(MARK_KEY) == mark), None)


def run_of(machine: Machine) -> str:
    """The id of the run that has made it; empty: none."""
    return str(metadata_of(machine).get(MARK_KEY) or "").partition("-")[0]


def shown_command(settings: MigrationSettings) -> str:
    return shlex.join(command(settings))


# Its end


def end_of(machine: Machine) -> Exit | None:
    """How its process ended, as far as Fly's events tell; it is never started again, so there is one end."""
    return machine.exits[0] if machine.exits else None


def succeeded(ended: Exit) -> bool:
    return not (ended.exit_code or ended.oom_killed or ended.requested or ended.signal > 0)


def told(ended: Exit, memory_mb: int) -> str:
    if ended.oom_killed:
        return f"it was killed for want of memory ({memory_mb} MB)"
    if ended.signal > 0 and not ended.requested:
        return f"it was killed by signal {ended.signal}"
    if ended.requested:
        return "somebody stopped its machine"
    return f"it ended with exit code {ended.exit_code}"
