"""From differences to moves: which machines of a group must be updated, started, made or destroyed, and in which order.

Pure: it takes what `hotdash.drift` found and gives values that can be printed, tested and refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hotdash.drift import DeclaredGroup, Drift, Kind, in_group
from hotdash.errors import SettingsError
from hotdash.fly import wire
from hotdash.fly.model import OWN_GROUPS, STARTABLE, Guest, Machine

DEFAULT_GUEST = Guest("shared", 1, 1024)
_RESTART = {"policy": "on-failure", "max_retries": 10}


@dataclass(frozen=True)
class RolloutSettings:
    """How patient and how bold a rollout is. Durations in seconds.

    Args:
        max_unavailable: machines at once after the first: a share below 1, a number from 1 on.
        health_timeout: for the checks to pass, from the end of their grace period on.
        start_timeout: for the new version to start.
        settle: how long a machine without checks must run before it counts as well.
        lease_ttl: how long a lease outlives a killed `up`.
        lease_wait: how long another's lease is waited for.
        poll: pause between two looks at a machine; Fly allows five looks a second at each.
    """

    max_unavailable: float = 0.33
    health_timeout: float = 120.0
    start_timeout: float = 300.0
    settle: float = 10.0
    lease_ttl: int = 30
    lease_wait: float = 60.0
    poll: float = 0.25


class Action(StrEnum):
    UPDATE = "update"
    START = "start"
    CREATE = "create"
    DESTROY = "destroy"


@dataclass(frozen=True)
class Move:
    """One machine's part of a rollout. `machine` is None for one that is to be made."""

    action: Action
    machine: Machine | None
    reasons: tuple[Kind, ...]


@dataclass(frozen=True)
class GroupPlan:
    """The moves of one group in their order: the machine that is worst off first, the surplus last."""

    group: str
    moves: tuple[Move, ...]

    @property
    def restarts(self) -> int:
        return sum(move.action in (Action.UPDATE, Action.START) for move in self.moves)


def plan_group(declared: DeclaredGroup, machines: Sequence[Machine], drift: Sequence[Drift]) -> GroupPlan:
    """Turn a group's drift into moves. No drift, no moves; none for a machine whose config is not known.

    Raises:
        SettingsError: a check is declared for a port on which a machine has no service: an update could not add it.
    """
    own = in_group(machines, declared.name)
    _refuse_check_without_service(declared, own)
    surplus = _surplus(own, declared.count)
    reasons: dict[str, list[Kind]] = {}
    for item in drift:
        if item.machine:
            reasons.setdefault(item.machine, []).append(item.kind)
    moves = [
        Move(_action(machine, reasons[machine.id]), machine, tuple(dict.fromkeys(reasons[machine.id])))
        for machine in sorted(own, key=_worst_first)
        if machine.id in reasons and machine.known and machine not in surplus
    ]
    missing = max(0, (declared.count or 0) - len(own))
    moves += [Move(Action.CREATE, None, (Kind.MACHINE_COUNT,))] * missing
    moves += [Move(Action.DESTROY, machine, (Kind.MACHINE_COUNT,)) for machine in surplus]
    return GroupPlan(declared.name, tuple(moves))


def _refuse_check_without_service(declared: DeclaredGroup, own: Sequence[Machine]) -> None:
    check = declared.check
    for machine in own if check else ():
        ports = wire.checkable_ports(machine.config)
        if check and machine.known and check.port not in ports:
            raise SettingsError(
                f"a check is declared on port {check.port}, and machine {machine.id} has no service there",
                where=f"hotdash:processGroups, {declared.name}.check.port",
                meaning="nothing was changed",
                remedy=f"ports that it serves: {', '.join(map(str, sorted(ports))) or 'none'}; "
                "declare one of these, or no check for this group",
            )


def share_of(count: int, max_unavailable: float) -> int:
    """How many machines may move at once: a share of them if below 1, a number of them from 1 on."""
    return max(1, math.ceil(count * max_unavailable) if max_unavailable < 1 else int(max_unavailable))


def _action(machine: Machine, kinds: Sequence[Kind]) -> Action:
    starts = set(kinds) == {Kind.MACHINE_STATE} and machine.state in STARTABLE
    return Action.START if starts else Action.UPDATE


def _worst_first(machine: Machine) -> tuple[bool, bool, str]:
    # What serves nobody can move without loss, and shows first whether the new config works.
    return (machine.state == "started" and machine.passing, machine.state == "started", machine.id)


def _surplus(own: Sequence[Machine], count: int | None) -> tuple[Machine, ...]:
    if count is None or len(own) <= count:
        return ()
    return tuple(sorted(own, key=_worst_first)[: len(own) - count])


def updated_config(declared: DeclaredGroup, machine: Machine, rollout: str) -> dict[str, Any]:
    """The machine's config with the declared parts put in, marked with the rollout's id."""
    return wire.with_changes(
        machine.config,
        guest=_guest(declared, machine.guest),
        check=declared.check,
        image=declared.image,
        rollout=rollout,
    )


def new_machine(
    declared: DeclaredGroup, command: Sequence[str], machines: Sequence[Machine], rollout: str
) -> tuple[dict[str, Any], str]:
    """Config and region for a machine that the group lacks.

    It is a copy of a sibling; where the group has none, of any machine of the app with the group's declared command;
    where the app has none, it is made from what is declared.

    Raises:
        SettingsError: the stack file does not say enough to make it.
    """
    siblings = [machine for machine in in_group(machines, declared.name) if machine.known]
    if siblings:
        if siblings[0].config.get("mounts"):
            raise SettingsError(
                f"a machine for {declared.name} needs a volume of its own",
                where=f"process group {declared.name}",
                remedy="make the volume and the machine by hand (`fly scale count`), or lower the count",
            )
        return updated_config(declared, siblings[0], rollout), siblings[0].region
    if not command:
        raise SettingsError(
            f"{declared.name} has no machine to copy, and no command is declared to make one",
            where=f"hotdash:processGroups, {declared.name}.command",
            remedy='declare it, such as command: ["bundle", "exec", "sidekiq", "-C", "config/sidekiq.yml"]',
        )
    others = [m for m in machines if m.known and m.image and not m.standby and m.group not in OWN_GROUPS]
    image = declared.image or (others[0].image if others else "")
    if not image:
        raise SettingsError(
            "the app has no machine to take the image from, and no image is declared",
            where=f"hotdash:processGroups, {declared.name}.image",
            remedy="declare it, such as image: chatwoot/chatwoot:v4.11.0",
        )
    return _from_scratch(declared, command, others, image, rollout), others[0].region if others else ""


def _from_scratch(
    declared: DeclaredGroup, command: Sequence[str], others: Sequence[Machine], image: str, rollout: str
) -> dict[str, Any]:
    base: Mapping[str, Any] = others[0].config if others else {}
    metadata = {
        "fly_platform_version": "v2",
        **(base.get("metadata") or {}),
        "fly_process_group": declared.name,
    }
    config: dict[str, Any] = {
        "image": image,
        "env": {**(base.get("env") or {}), "FLY_PROCESS_GROUP": declared.name},
        "init": {"cmd": list(command)},
        "metadata": metadata,
        "restart": base.get("restart") or _RESTART,
        "services": [wire.render_service(declared.check.port)] if declared.check else [],
    }
    return wire.with_changes(
        config, guest=_guest(declared, DEFAULT_GUEST), check=declared.check, rollout=rollout
    )


def _guest(declared: DeclaredGroup, there: Guest) -> Guest:
    return Guest(
        declared.cpu_kind or there.cpu_kind,
        declared.cpus or there.cpus,
        declared.memory_mb or there.memory_mb,
    )
