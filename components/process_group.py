"""`fly.ProcessGroup`: how many machines a group has, how big they are, what checks them, and that they run what is
declared. One rollout mends whatever differs, secrets that were staged included.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from components.connection import plain, speaks_plainly, tell
from components.provider import Provider, deletes_otherwise, known
from components.secret_properties import by_name, live_secrets, recorded_secrets
from components.secret_properties import live_properties as secret_properties
from hotdash.drift import (
    DeclaredGroup,
    DeclaredSecret,
    Drift,
    Kind,
    group_drift,
    in_group,
    live_since,
    secret_drift,
)
from hotdash.errors import NotFound
from hotdash.fly.model import HttpCheck, Machine, Secret
from hotdash.fly.summary import check_from, check_properties, restore, summarize
from hotdash.plan import plan_group

if TYPE_CHECKING:
    from components.secrets import Secrets
    from hotdash.stack.settings import GroupSettings

INPUTS = (
    "app",
    "group",
    "count",
    "cpuKind",
    "cpus",
    "memoryMb",
    "check",
    "image",
    "command",
    "secrets",
    "state",
    "health",
    "removeUndeclared",
    "deleteOnDestroy",
)
T = TypeVar("T")


def inputs(settings: GroupSettings, *, app: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The group's inputs, as the engine shows them. `secrets` maps names to the fingerprints of what must be live."""
    declared = settings.declared
    properties: dict[str, Any] = {
        "app": app,
        "group": declared.name,
        "count": declared.count,
        "cpuKind": declared.cpu_kind,
        "cpus": declared.cpus,
        "memoryMb": declared.memory_mb,
        "secrets": dict(secrets),
        "state": "started",
        "health": "passing",
    }
    if declared.check is not None:
        properties["check"] = check_properties(declared.check)
    if declared.image is not None:
        properties["image"] = declared.image
    if settings.command:
        properties["command"] = list(settings.command)
    return properties


def declared_group(news: Mapping[str, Any]) -> DeclaredGroup:
    """The group as declared. A value that `ignore_changes` replaced by words about the live one is not declared."""
    return DeclaredGroup(
        name=news["group"],
        count=_number(news.get("count")),
        cpu_kind=_word(news.get("cpuKind")),
        cpus=_number(news.get("cpus")),
        memory_mb=_number(news.get("memoryMb")),
        check=_check(news.get("check")),
        image=_word(news.get("image")),
    )


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and " " not in value else None


def _check(value: object) -> HttpCheck | None:
    try:
        return check_from(value) if isinstance(value, Mapping) else None
    except (KeyError, ValueError):
        return None


def drift_of(
    news: Mapping[str, Any],
    recorded: Mapping[str, Any],
    machines: Sequence[Machine],
    live: Mapping[str, Secret],
    *,
    moved_for: Mapping[str, str] | None = None,
    now: datetime,
) -> tuple[Drift, ...]:
    """The group's drift: its machines', and that they run without a secret's declared value.

    Args:
        recorded: the secrets as they were set last.
        moved_for: the secrets as they were when the group last moved; None: it never did, or as recorded.
    """
    known_secrets = recorded_secrets(recorded)
    names = {*news["secrets"], *known_secrets}
    just_staged = {n for n, text in recorded.items() if moved_for is not None and moved_for.get(n) != text}
    since = live_since(names, known_secrets, live)
    found = list(group_drift(declared_group(news), machines, since, just_staged=just_staged, now=now))
    if pending := _pending(news, recorded, live):
        stale = {item.machine for item in found if item.kind is Kind.SECRET_NOT_LIVE}
        for machine in in_group(machines, news["group"]):
            if machine.known and machine.id not in stale:
                found.append(_not_live(machine, news["group"], pending))
    return tuple(sorted(found, key=lambda item: item.subject))


def _pending(news: Mapping[str, Any], recorded: Mapping[str, Any], live: Mapping[str, Secret]) -> list[str]:
    """Secrets that differ on Fly from what is declared: they are staged first, and then the machines must move."""
    if not recorded:
        return []
    declared = {n: DeclaredSecret(n, "", str(p)) for n, p in news["secrets"].items() if _word(p)}
    removes = bool(news.get("removeUndeclared"))
    known_secrets = recorded_secrets(recorded)
    differing = secret_drift(declared, known_secrets, live, acknowledged=live, remove_undeclared=removes)
    return sorted({item.subject for item in differing})


def _not_live(machine: Machine, group: str, names: Sequence[str]) -> Drift:
    return Drift(
        Kind.SECRET_NOT_LIVE,
        f"{group} {machine.id}",
        f"runs with other secrets than declared: {', '.join(names)}",
        "",
        "",
        "updates the machine",
        None,
        machine.id,
    )


class ProcessGroupProvider(Provider):
    """Inputs: see `inputs`; besides recorded and secretsVersion, which come from Secrets.

    Outputs besides: machines and liveSecrets as last read (Fly's own lists without env and command lines), rollout
    (the id of the last rollout that moved anything).
    """

    @speaks_plainly
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"{props['app']}/{props['group']}", self._apply(props, {}))

    @speaks_plainly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        snapshot = self._connection.snapshot(props["app"])
        try:
            machines, live = snapshot.machines(), by_name(snapshot.secrets())
        except NotFound:
            return ReadResult("", {})
        outs = {**props, **live_properties(props["group"], machines, live)}
        found = drift_of(props, props.get("recorded") or {}, machines, live, now=_now())
        return ReadResult(id_, outs, described(props, in_group(machines, props["group"]), found))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaced = [key for key in ("app", "group") if olds[key] != news[key]]
        changed = deletes_otherwise(olds, news) or drift(olds, news)
        return DiffResult(changes=bool(replaced or changed), replaces=replaced)

    @speaks_plainly
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._apply(news, olds))

    @speaks_plainly
    def delete(self, _id: str, props: dict[str, Any]) -> None:
        if not props.get("deleteOnDestroy"):
            tell(f"{props['app']}: the machines of {props['group']} were left on Fly as they are")

    def _apply(self, news: dict[str, Any], olds: Mapping[str, Any]) -> dict[str, Any]:
        from hotdash.fly.rollout import Rollout

        rollout = olds.get("rollout") or ""
        fly, app = self._connection.fly, news["app"]
        recorded = news.get("recorded") or {}
        machines = fly.machines(app)
        live = by_name(fly.secrets(app))
        found = drift_of(news, recorded, machines, live, moved_for=olds.get("recorded"), now=_now())
        declared = declared_group(news)
        plan = plan_group(declared, machines, found)
        if plan.moves:
            version = _number(known(news.get("secretsVersion")))
            Rollout(
                fly,
                app,
                declared,
                news.get("command") or (),
                machines,
                min_secrets_version=version,
                settings=self._connection.rollout,
                progress=tell,
            ).run(plan)
            machines = fly.machines(app)
            rollout = randomness.token_hex(4)
        return {
            **plain(news, *INPUTS),
            "recorded": recorded,
            "secretsVersion": news.get("secretsVersion"),
            "rollout": rollout,
            **live_properties(news["group"], machines, live),
        }


def drift(olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[Drift, ...]:
    """Old outputs, as refreshed, against new inputs. What Secrets has just recorded counts as soon as it is known."""
    recorded = known(news.get("recorded")) or olds.get("recorded") or {}
    machines = tuple(restore(summary) for summary in olds.get("machines") or ())
    live = live_secrets(olds.get("liveSecrets") or {})
    return drift_of(news, recorded, machines, live, moved_for=olds.get("recorded"), now=_now())


def live_properties(group: str, machines: Sequence[Machine], live: Mapping[str, Secret]) -> dict[str, Any]:
    """What is kept of Fly's answer: enough to compare again without asking, nothing that may hold a value."""
    own = [m for m in machines if m.group == group]
    return {
        "machines": [summarize(machine) for machine in sorted(own, key=lambda m: m.id)],
        "liveSecrets": secret_properties(live),
    }


def described(props: Mapping[str, Any], own: Sequence[Machine], found: Sequence[Drift]) -> dict[str, Any]:
    """The inputs as Fly has them, in the words that a preview shows on the left of its arrow."""
    live = plain(props, *INPUTS, "recorded", "secretsVersion")
    live["count"] = len(own)
    live["cpuKind"] = _shared(own, lambda m: m.guest.cpu_kind, live.get("cpuKind"))
    live["cpus"] = _shared(own, lambda m: m.guest.cpus, live.get("cpus"))
    live["memoryMb"] = _shared(own, lambda m: m.guest.memory_mb, live.get("memoryMb"))
    if "image" in live:
        live["image"] = _shared(own, lambda m: m.image, live["image"])
    if "check" in live:
        port = _number(live["check"].get("port"))
        live["check"] = _live_check(own, port, live["check"])
    live["state"] = _of_kind(found, Kind.MACHINE_STATE) or "started"
    live["health"] = _of_kind(found, Kind.UNHEALTHY) or "passing"
    if not_live := _of_kind(found, Kind.SECRET_NOT_LIVE):
        live["secrets"] = {Kind.SECRET_NOT_LIVE.value: not_live}
    return live


def _shared(own: Sequence[Machine], pick: Any, otherwise: Any) -> Any:
    """The one value that all machines have, or each with its machine."""
    values = [pick(machine) for machine in own]
    if not values:
        return otherwise
    if len(set(values)) == 1:
        return values[0]
    return ", ".join(f"{value} ({machine.id})" for value, machine in zip(values, own, strict=True))


def _live_check(own: Sequence[Machine], port: int | None, declared: Mapping[str, Any]) -> Any:
    checks = {m.id: [check_properties(c) for c in m.checks if c.port == port] for m in own}
    if not checks or all(there == [dict(declared)] for there in checks.values()):
        return dict(declared)
    first = next(iter(checks.values()))
    if len(first) == 1 and all(there == first for there in checks.values()):
        return first[0]
    return {
        "differs": ", ".join(
            f"{id_}: {' and '.join(c['path'] for c in there) or 'none'}" for id_, there in checks.items()
        )
    }


def _of_kind(found: Sequence[Drift], kind: Kind) -> str:
    return ", ".join(f"{d.was} ({d.subject.rpartition(' ')[2]})" for d in found if d.kind is kind)


def _now() -> datetime:
    return datetime.now(UTC)


class ProcessGroup(Resource, module="fly", name="ProcessGroup"):
    """One process group of the app."""

    rollout: pulumi.Output[str]
    machines: pulumi.Output[Sequence[Mapping[str, Any]]]

    def __init__(
        self,
        resource_name: str,
        settings: GroupSettings,
        *,
        app: str,
        secrets: Mapping[str, str],
        staged: Secrets,
        remove_undeclared: bool,
        delete_on_destroy: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Args:
        secrets: names to the fingerprints of the declared values.
        staged: the app's Secrets resource, which says what it staged and in which version.
        """
        props = {
            **inputs(settings, app=app, secrets=secrets),
            "removeUndeclared": remove_undeclared,
            "deleteOnDestroy": delete_on_destroy,
            "recorded": staged.recorded,
            "secretsVersion": staged.version,
            "rollout": None,
            "machines": None,
        }
        super().__init__(ProcessGroupProvider(), resource_name, props, opts)
