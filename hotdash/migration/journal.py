"""What is kept on Fly of a migration: the journal of a run, and what the last one that succeeded has left.

Both stand in the metadata of every machine of the declared groups, so that they outlive any of them, whoever began the
run, and every local file. Changing metadata makes no new version of a machine, and updates carry it along.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from hotdash.fly.model import OWN_GROUPS, Machine
from hotdash.fly.wire import parse_time
from hotdash.migration.settings import Mode

JOURNAL_KEY: Final = "hotdash_migration"
APPLIED_KEY: Final = "hotdash_migrated"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Step(StrEnum):
    """In their order. Each is written down before it is begun, and may be done twice."""

    LOCK = "lock"
    PREFLIGHT = "preflight"
    OPEN = "open"
    RUN = "run"
    VERIFY = "verify"
    CLOSE = "close"
    RECORD = "record"


STEPS: Final = tuple(Step)


def steps_from(step: Step) -> tuple[Step, ...]:
    return STEPS[STEPS.index(step) :]


@dataclass(frozen=True)
class SchemaState:
    """What `schema_migrations` tells: how many, and the newest (empty: none)."""

    count: int
    newest: str

    def __str__(self) -> str:
        return f"{self.count} migrations, the newest {self.newest}" if self.newest else "no migration"


@dataclass(frozen=True)
class Journal:
    """A run that has begun and has not been ended.

    Args:
        run: its id.
        owner: who began it, or goes on with it now: user@host.
        reason: why it runs.
        since: when it was begun.
        image, revision: what is to be applied.
        step: what is being done.
        mode: see `Mode`.
        one_off: the id of the machine that migrates; empty: not known yet.
        attempt: the number of that machine, from 1 on; 0: none was begun.
        scale: the machines that the window concerns, with their states before.
        before: the schema before; None where it could not be seen from here.
        failed: why it failed, in a line: nothing but tidying is left. Empty: it has not.
        entry: grows with every writing, so that the newest is known.
        number: which of the app's runs it is, from 1 on: one that is not above the last that was applied is over, even
            where a host that did not answer then still shows its journal.
    """

    run: str
    owner: str
    reason: str
    since: datetime
    image: str
    revision: str
    step: Step
    mode: Mode
    one_off: str = ""
    attempt: int = 0
    scale: Mapping[str, str] = field(default_factory=dict)
    before: SchemaState | None = None
    failed: str = ""
    entry: int = 0
    number: int = 1

    @property
    def mark(self) -> str:
        """Metadata of its machine: it is found again by it if the answer to its making was lost."""
        return f"{self.run}-{self.attempt}"

    def at(self, step: Step) -> Journal:
        return replace(self, step=step)

    def says(self, text: str) -> str:
        """A line of progress."""
        return f"migration: step {self.step}: {text}"


@dataclass(frozen=True)
class Applied:
    """What is applied: by the last run that succeeded, or (`adopted`) by whoever deployed the image before there was
    one."""

    image: str
    revision: str
    at: datetime | None
    schema: SchemaState | None = None
    adopted: bool = False
    run: str = ""
    number: int = 0


# As metadata


def journal_text(journal: Journal) -> str:
    return _json(
        {
            "run": journal.run,
            "number": journal.number,
            "owner": journal.owner,
            "reason": journal.reason,
            "since": journal.since.isoformat(timespec="seconds"),
            "image": journal.image,
            "revision": journal.revision,
            "step": journal.step.value,
            "mode": journal.mode.value,
            "one_off": journal.one_off,
            "attempt": journal.attempt,
            "scale": dict(journal.scale),
            "before": _schema_json(journal.before),
            "failed": journal.failed,
            "entry": journal.entry,
        }
    )


def journal_from(text: str) -> Journal | None:
    """The inverse of `journal_text`; None for anything else that may stand there."""
    try:
        found = json.loads(text)
        return Journal(
            run=str(found["run"]),
            number=int(found["number"]),
            owner=str(found.get("owner", "")),
            reason=str(found.get("reason", "")),
            since=parse_time(found.get("since")) or _EPOCH,
            image=str(found["image"]),
            revision=str(found.get("revision", "")),
            step=Step(found["step"]),
            mode=Mode(found["mode"]),
            one_off=str(found.get("one_off", "")),
            attempt=int(found.get("attempt", 0)),
            scale={str(id_): str(state) for id_, state in found.get("scale", {}).items()},
            before=_schema_from(found.get("before")),
            failed=str(found.get("failed", "")),
            entry=int(found.get("entry", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def applied_text(applied: Applied) -> str:
    return _json(applied_properties(applied))


def applied_properties(applied: Applied) -> dict[str, Any]:
    """As plain data."""
    found: dict[str, Any] = {
        "image": applied.image,
        "revision": applied.revision,
        "at": applied.at.isoformat(timespec="seconds") if applied.at else "",
        "schema": _schema_json(applied.schema),
        "run": applied.run,
        "number": applied.number,
    }
    return {**found, "adopted": True} if applied.adopted else found


def applied_from(found: Any) -> Applied | None:
    """The inverse of `applied_properties`, and of `applied_text`; None for anything else."""
    try:
        if isinstance(found, str):
            found = json.loads(found)
        return Applied(
            str(found["image"]),
            str(found.get("revision", "")),
            parse_time(found.get("at")),
            _schema_from(found.get("schema")),
            bool(found.get("adopted")),
            str(found.get("run", "")),
            int(found.get("number", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _schema_json(schema: SchemaState | None) -> dict[str, Any] | None:
    return {"count": schema.count, "newest": schema.newest} if schema else None


def _schema_from(found: Any) -> SchemaState | None:
    return SchemaState(int(found["count"]), str(found["newest"])) if found else None


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


# On machines


def metadata_of(machine: Machine) -> Mapping[str, Any]:
    return machine.config.get("metadata") or {}


def journal_in(machines: Iterable[Machine]) -> Journal | None:
    """The newest that any of them has: a writing may have reached some of them alone. One of a run that is over does
    not count: it was to be removed, and its machine's host did not answer then."""
    there = tuple(machines)
    applied = applied_in(there)
    ended = applied.number if applied else 0
    found = [journal_from(str(metadata_of(m).get(JOURNAL_KEY) or "")) for m in there]
    known = [journal for journal in found if journal and journal.number > ended]
    return max(known, key=lambda j: (j.number, j.since, j.entry), default=None)


def applied_in(machines: Iterable[Machine]) -> Applied | None:
    found = [applied_from(str(metadata_of(m).get(APPLIED_KEY) or "")) for m in machines]
    known = [applied for applied in found if applied]
    return max(known, key=lambda a: (a.number, a.at or _EPOCH), default=None)


def owned(machines: Iterable[Machine], groups: Iterable[str]) -> tuple[Machine, ...]:
    """The machines of these groups that are there, in the order of the groups and of their ids: the first is the
    anchor, whose lease is the lock."""
    order = {name: number for number, name in enumerate(groups)}
    gone = {"destroyed", "destroying", "replaced", "migrated"}
    own = [
        m
        for m in machines
        if m.group in order and m.group not in OWN_GROUPS and m.state not in gone and m.known
    ]
    return tuple(sorted(own, key=lambda m: (order[m.group], m.id)))
