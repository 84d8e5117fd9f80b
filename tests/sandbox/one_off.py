"""One-off machines of a seeded sandbox, as `fly deploy` makes one for a release command."""

from dataclasses import dataclass
from typing import Any

from tests.world import World

PREPARE = ("bundle", "exec", "rails", "db:chatwoot_prepare")
NEW, NEWER = "chatwoot/chatwoot:v4.12.0", "chatwoot/chatwoot:v4.13.0"
GROUP = "fly_app_release_command"


@dataclass(frozen=True)
class Ended:
    """How a one-off machine ended: its state and events, and what it printed."""

    machine: dict[str, Any]
    lines: tuple[str, ...]

    @property
    def exit(self) -> dict[str, Any]:
        """The event of its process' end."""
        (found,) = [
            event["request"]["exit_event"] for event in self.machine["events"] if event["type"] == "exit"
        ]
        assert isinstance(found, dict)
        return found

    @property
    def code(self) -> int:
        return int(self.exit["exit_code"])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def config(command: tuple[str, ...], image: str = NEW, memory_mb: int = 2048, **env: str) -> dict[str, Any]:
    return {
        "image": image,
        "env": {"RAILS_ENV": "production", "RELEASE_COMMAND": "1", **env},
        "init": {"cmd": list(command)},
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": memory_mb},
        "metadata": {"fly_process_group": GROUP, "fly_platform_version": "v2"},
        "restart": {"policy": "no"},
        "auto_destroy": True,
    }


def begin(world: World, command: tuple[str, ...] = PREPARE, image: str = NEW, **settings: Any) -> str:
    """A machine that runs `command`; its id."""
    body = {"config": config(command, image, **settings)}
    made = world.api.call("POST", f"/v1/apps/{world.app}/machines", body)
    return str(made["id"])


def path(world: World, machine: str) -> str:
    return f"/v1/apps/{world.app}/machines/{machine}"


def end(world: World, machine: str) -> Ended:
    """Wait until it is gone."""
    world.api.call("GET", f"{path(world, machine)}/wait", params={"state": "destroyed", "timeout": 60})
    return Ended(world.api.machine(world.app, machine), log(world, machine))


def run(world: World, command: tuple[str, ...] = PREPARE, image: str = NEW, **settings: Any) -> Ended:
    return end(world, begin(world, command, image, **settings))


def log(world: World, machine: str) -> tuple[str, ...]:
    found = world.api.call("GET", f"/api/v1/apps/{world.app}/logs", params={"instance": machine})
    return tuple(entry["attributes"]["message"] for entry in found["data"])


def told(world: World, **migration: Any) -> None:
    """What is to become of migrations from now on."""
    world.api.call("PUT", "/sandbox/settings", {"migration": migration})
