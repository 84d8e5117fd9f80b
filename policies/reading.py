"""From what the engine shows of a component and the resources below it to facts.

Nothing here fails: what cannot be read is named with the reason, and the rest is read. What the engine shows may be of
an earlier or a later version of the program, half made, or of another hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hotdash.stack.databases import Agreement, Database
from policies.rules.facts import (
    App,
    Connections,
    Facts,
    Group,
    HealthCheck,
    MachineSeen,
    Readiness,
    Urls,
)

COMPONENT: Final = "hotdash:chatwoot:ChatwootOnFly"
SECRETS: Final = "pulumi-python:dynamic/fly:Secrets"
PROCESS_GROUP: Final = "pulumi-python:dynamic/fly:ProcessGroup"
OLD: Final = "is not there: the state is of an earlier version; `pulumi up` once writes it anew"


class Unknown:
    """Stands where the engine knows no value yet."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()


class Unreadable(Exception):
    """A property is not what it should be; the message names it, and never repeats it.

    Args:
        mend: what whoever declares it can do; empty: it is not what they declared.
    """

    def __init__(self, why: str, mend: str = "") -> None:
        super().__init__(why)
        self.mend = mend


@dataclass(frozen=True)
class Reading:
    """Facts, and what of them could not be read.

    Args:
        unreadable: facts, by the names of their fields, with the reason. They have their defaults.
        waiting: facts that the engine does not show while it plans an update. They have theirs too.
        mends: for those of `unreadable` that are declared so, what to do.
    """

    facts: Facts
    unreadable: Mapping[str, str] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    mends: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceShown:
    """A resource below a component: its type and its properties as plain data."""

    type: str
    properties: Mapping[str, Any]


def declared(properties: Mapping[str, Any]) -> Reading:
    """From the component's own properties; of what is seen on Fly nothing is read."""
    found: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    mends: dict[str, str] = {}
    for name, (key, read) in _DECLARED.items():
        try:
            found[name] = read(_member(properties, key, ""), key)
        except Unreadable as why:
            unreadable[name] = str(why)
            if why.mend:
                mends[name] = why.mend
    return Reading(Facts(**found), unreadable, mends=mends)


def seen(reading: Reading, below: Iterable[ResourceShown]) -> Reading:
    """The same with what the resources below the component show of Fly."""
    resources = tuple(below)
    found: dict[str, Any] = {}
    unreadable = dict(reading.unreadable)
    waiting = set(reading.waiting)
    for name, read in _SEEN.items():
        try:
            found[name] = read(resources)
        except _Waiting:
            waiting.add(name)
        except Unreadable as why:
            unreadable[name] = str(why)
    return Reading(replace(reading.facts, **found), unreadable, frozenset(waiting), reading.mends)


class _Waiting(Exception):
    """An update is planned: the engine shows what it will be asked for, and not what is there."""


# Values


def _member(holder: Any, key: str, path: str) -> Any:
    where = f"{path}.{key}" if path else key
    if holder is UNKNOWN:
        raise Unreadable(f"{path or 'everything'} is not known at preview")
    if not isinstance(holder, Mapping):
        raise Unreadable(f"{path} is no mapping")
    if key not in holder or holder[key] is None:
        raise Unreadable(f"{where} {OLD}")
    if holder[key] is UNKNOWN:
        raise Unreadable(f"{where} is not known at preview")
    return holder[key]


def _optional(holder: Mapping[str, Any], key: str, path: str, read: Callable[[Any, str], Any]) -> Any:
    """None where it is not there."""
    if holder.get(key) is None:
        return None
    return read(_member(holder, key, path), f"{path}.{key}")


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise Unreadable(_not(value, path, "a text"))
    return value


def _whole(value: Any, path: str) -> int:
    number = _number(value, path)
    if number != int(number):
        raise Unreadable(_not(value, path, "a whole number"))
    return int(number)


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e15:
        raise Unreadable(_not(value, path, "a number"))
    return float(value)


def _switch(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise Unreadable(_not(value, path, "true or false"))
    return value


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreadable(_not(value, path, "a mapping"))
    return value


def _texts(value: Any, path: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Unreadable(_not(value, path, "a list"))
    return tuple(_text(item, f"{path}.{number}") for number, item in enumerate(value))


def _not(value: Any, path: str, what: str) -> str:
    return f"{path} is not known at preview" if value is UNKNOWN else f"{path} is not {what}"


def _by_name(read: Callable[[Any, str], Any]) -> Callable[[Any, str], dict[str, Any]]:
    def read_all(value: Any, path: str) -> dict[str, Any]:
        return {str(name): read(item, f"{path}.{name}") for name, item in _mapping(value, path).items()}

    return read_all


# What is declared


def _app(value: Any, path: str) -> App:
    holder = _mapping(value, path)
    return App(
        _text(_member(holder, "name", path), f"{path}.name"),
        _text(_member(holder, "url", path), f"{path}.url"),
        _switch(_member(holder, "deleteOnDestroy", path), f"{path}.deleteOnDestroy"),
    )


def _databases(declared_at: str) -> Callable[[Any, str], dict[str, Database]]:
    """What is declared to be a database and cannot be read is none that rules could pass over: they are not asked.

    Args:
        declared_at: the section of the stack file that names them.
    """
    read_all = _by_name(_database)

    def read(value: Any, path: str) -> dict[str, Database]:
        listed = _mapping(value, path)
        said = {
            name: tuple(_text(_member(item, key, f"{path}.{name}"), key) for key in ("unreadable", "mend"))
            for name, item in listed.items()
            if isinstance(item, Mapping) and "unreadable" in item
        }
        if said:
            raise Unreadable(
                "; ".join(
                    f"{declared_at}.{name} cannot be read as a database's URL: {why}"
                    for name, (why, _) in said.items()
                ),
                "; ".join(f"{name}: {mend}" for name, (_, mend) in said.items()),
            )
        return read_all(value, path)

    return read


def _database(value: Any, path: str) -> Database:
    holder = _mapping(value, path)
    for key in ("host", "database", "role", "provider", "pooling", "certainty", "rule", "sslmode"):
        _text(_member(holder, key, path), f"{path}.{key}")
    _texts(_member(holder, "findings", path), f"{path}.findings")
    _whole(_member(holder, "port", path), f"{path}.port")
    try:
        return Database.of(holder)
    except ValueError:
        raise Unreadable(f"{path} tells a pooling that is not known here") from None


def _agreement(value: Any, path: str) -> Agreement:
    try:
        return Agreement(_text(value, path))
    except ValueError:
        raise Unreadable(f"{path} is none of {', '.join(Agreement)}") from None


def _connections(value: Any, path: str) -> Connections:
    holder = _mapping(value, path)
    web_processes, web_threads, worker_threads = (
        _whole(_member(holder, key, path), f"{path}.{key}")
        for key in ("webProcesses", "webThreads", "workerThreads")
    )
    limit = _optional(holder, "limit", path, _whole)
    return Connections(web_processes, web_threads, worker_threads, limit)


def _groups(value: Any, path: str) -> tuple[Group, ...]:
    return tuple(
        _group(str(name), item, f"{path}.{name}") for name, item in sorted(_mapping(value, path).items())
    )


def _group(name: str, value: Any, path: str) -> Group:
    holder = _mapping(value, path)
    return Group(
        name,
        _whole(_member(holder, "count", path), f"{path}.count"),
        _text(_member(holder, "cpuKind", path), f"{path}.cpuKind"),
        _whole(_member(holder, "cpus", path), f"{path}.cpus"),
        _whole(_member(holder, "memoryMb", path), f"{path}.memoryMb"),
        _optional(holder, "check", path, _check),
        _optional(holder, "image", path, _text) or "",
    )


def _check(value: Any, path: str) -> HealthCheck:
    holder = _mapping(value, path)
    return HealthCheck(
        _text(_member(holder, "path", path), f"{path}.path"),
        _number(_member(holder, "graceSeconds", path), f"{path}.graceSeconds"),
        _switch(_member(holder, "pathIsServed", path), f"{path}.pathIsServed"),
        _text(_member(holder, "forwardedProto", path), f"{path}.forwardedProto"),
    )


def _readiness(value: Any, path: str) -> Readiness:
    holder = _mapping(value, path)
    return Readiness(
        _text(_member(holder, "path", path), f"{path}.path"),
        _whole(_member(holder, "status", path), f"{path}.status"),
    )


def _urls(value: Any, path: str) -> Urls:
    holder = _mapping(value, path)
    return Urls(
        _text(_member(holder, "frontend", path), f"{path}.frontend"),
        _texts(_member(holder, "webhooks", path), f"{path}.webhooks"),
    )


def _encrypted(value: Any, path: str) -> bool:
    return _text(value, path) == "encrypted"


_DECLARED: Final[Mapping[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "stack": ("stack", _text),
    "app": ("app", _app),
    "secrets": ("secrets", _by_name(_text)),
    "databases": ("databases", _databases("hotdash:secrets")),
    "forbidden_databases": ("forbiddenDatabases", _databases("hotdash:forbiddenDatabases")),
    "migration_database": ("migrationDatabase", _text),
    "migration_image": ("migrationImage", _text),
    "postgres_variables": ("postgresVariables", _by_name(_agreement)),
    "connections": ("connections", _connections),
    "groups": ("processGroups", _groups),
    "readiness": ("readiness", _readiness),
    "urls": ("urls", _urls),
    "key_encrypted": ("fingerprintKey", _encrypted),
    "literals": ("literals", _by_name(_text)),
}
"""For each fact: the property that it comes from, and how it is read."""


# What is seen on Fly


def _machines(resources: Sequence[ResourceShown]) -> tuple[MachineSeen, ...]:
    groups = [r.properties for r in resources if r.type == PROCESS_GROUP]
    if not groups:
        raise Unreadable("there is no process group below the component")
    found: list[MachineSeen] = []
    for properties in groups:
        name = _text(_member(properties, "group", "ProcessGroup"), "ProcessGroup.group")
        machines = _shown(properties, "machines")
        if isinstance(machines, str) or not isinstance(machines, Sequence):
            raise Unreadable(f"{name}.machines is not a list")
        found += [_machine(name, item, f"{name}.machines.{n}") for n, item in enumerate(machines)]
    return tuple(found)


def _machine(group: str, value: Any, path: str) -> MachineSeen:
    holder = _mapping(value, path)
    return MachineSeen(
        _text(_member(holder, "id", path), f"{path}.id"),
        group,
        frozenset(_texts(_member(holder, "env", path), f"{path}.env")),
        frozenset(_texts(_member(holder, "literals", path), f"{path}.literals")),
    )


def _held_secrets(resources: Sequence[ResourceShown]) -> frozenset[str]:
    holders = [r.properties for r in resources if r.type == SECRETS]
    if not holders:
        raise Unreadable("there are no secrets below the component")
    names: set[str] = set()
    for properties in holders:
        for key in ("recorded", "live"):
            names.update(map(str, _mapping(_shown(properties, key), f"Secrets.{key}")))
    return frozenset(names)


def _shown(properties: Mapping[str, Any], key: str) -> Any:
    value = properties.get(key)
    if value is None or value is UNKNOWN:
        raise _Waiting
    return value


_SEEN: Final[Mapping[str, Callable[[Sequence[ResourceShown]], Any]]] = {
    "machines": _machines,
    "held_secrets": _held_secrets,
}
