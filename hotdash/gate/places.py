"""On which line of a stack file a key is declared."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, Final

from hotdash.drift import Kind
from hotdash.gate.report import Place
from hotdash.stack.checking import NAMESPACE

Path = tuple[str, ...]
"""Of a key below `config:`, such as ("hotdash:processGroups", "web", "memoryMb")."""

_PARTS: Final = re.compile(r"[^.\[\]]+")
_OF_GROUP: Final = {
    Kind.MACHINE_MEMORY: ("memoryMb",),
    Kind.MACHINE_CPUS: ("cpus",),
    Kind.MACHINE_COUNT: ("count",),
    Kind.CHECK_PATH: ("check", "path"),
    Kind.CHECK_SETTINGS: ("check",),
    Kind.IMAGE: ("image",),
    Kind.UNHEALTHY: ("check",),
}
"""The key of a process group that declares what differs; the group itself where none does alone."""
_DERIVED: Final = "POSTGRES_"


class StackFile:
    """A stack file's lines by key. One that cannot be read has none: every place in it is its first line."""

    def __init__(self, name: str, text: str) -> None:
        """`name` is how the file is named in reports, from the project's root where it lies below."""
        self.name = name
        self._text = text

    @functools.cached_property
    def _config(self) -> Any:
        import yaml  # here: a gate that finds nothing asks for no line

        try:
            return _below(
                yaml.compose(self._text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), "config"
            )
        except yaml.YAMLError:
            return None

    def place(self, path: Sequence[str]) -> Place:
        """Where the key is declared, or the nearest key above it that is."""
        node, line, reached = self._config, 1, []
        if node is not None:
            line = node[0].start_mark.line + 1
        for part in path:
            found = _below(node[1], part) if node is not None else None
            if found is None:
                break
            node, line = found, found[0].start_mark.line + 1
            reached.append(part)
        return Place(self.name, line, ".".join(reached))

    def declares(self, path: Sequence[str]) -> bool:
        return self.place(path).key == ".".join(path)

    def of_key(self, key: str) -> Place:
        """A key as messages name it: `hotdash:exceptions[0].until`."""
        return self.place(_PARTS.findall(key))

    def of_secret(self, name: str) -> Place:
        path = (f"{NAMESPACE}:secrets", name)
        derived = name.startswith(_DERIVED) and not self.declares(path)
        return self.place((f"{NAMESPACE}:derivePostgresFrom",) if derived else path)

    def of_group(self, group: str, kind: str = "") -> Place:
        further = _OF_GROUP.get(Kind(kind), ()) if kind in {*Kind} else ()
        return self.place((f"{NAMESPACE}:processGroups", group, *further))

    def of_resource(self, type_: str, name: str, kind: str = "", subject: str = "") -> Place:
        """What declares a resource of ours, or the part of it that a drift is about.

        Args:
            type_: the engine's type token, `pulumi-python:dynamic/fly:ProcessGroup`.
            name: the resource's own name, `APP-GROUP` of a group.
            kind: of the drift; empty: the whole resource.
            subject: of the drift.
        """
        match type_.rpartition("/")[2]:
            case "fly:App":
                return self.place((f"{NAMESPACE}:app",))
            case "fly:Secrets":
                return self.of_secret(subject) if subject else self.place((f"{NAMESPACE}:secrets",))
            case "fly:ProcessGroup":
                return self.of_group(self._group_of(name, subject), kind)
            case "chatwoot:Readiness":
                return self.place(
                    (f"{NAMESPACE}:readiness",) if self._has("readiness") else (f"{NAMESPACE}:app",)
                )
            case _:
                return self.place(())

    def _has(self, key: str) -> bool:
        return self.declares((f"{NAMESPACE}:{key}",))

    def _group_of(self, name: str, subject: str) -> str:
        """A group's name may hold dashes, as the app's may: the file tells which is meant."""
        if subject:
            return subject.partition(" ")[0]
        parts = name.split("-")
        ends = ["-".join(parts[i:]) for i in range(1, len(parts))]
        return next(
            (end for end in ends if self.declares((f"{NAMESPACE}:processGroups", end))),
            ends[-1] if ends else name,
        )


def _below(node: Any, name: str) -> tuple[Any, Any] | None:
    """Key and value of a mapping's entry, as the YAML parser marks them; an item of a list by its number."""
    if node is None:
        return None
    value = node.value
    if not isinstance(value, list):
        return None
    if node.id == "sequence":
        return (value[int(name)],) * 2 if name.isdigit() and int(name) < len(value) else None
    return next(((key, item) for key, item in value if key.value == name), None)
