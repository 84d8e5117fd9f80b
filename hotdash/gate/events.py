"""What the engine says while it previews, typed.

`pulumi preview --json` with PULUMI_ENABLE_STREAMING_JSON_PREVIEW writes one event a line, an `EngineEvent` of the
engine's own sdk/go/common/apitype/events.go. What is used of it here was seen of 3.259, and the tests hold the real
engine to it. An event that is not known is passed over: newer engines have more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

UNKNOWN: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
"""What stands in the engine's JSON for a value that only an `up` will know (plugin/rpc.go: bool, number, string, array,
asset, archive, object)."""
NOTHING_TO_DO: Final = frozenset({"same", "refresh", "read"})
CANNOT_RUN: Final = "can't run policy "
"""So begins the advice that `pulumi_policy` makes of a rule, mandatory or not, that looked at an unknown value."""
MANY: Final = 3
"""More changed entries of one input than these are told as the input alone."""
_INTERNAL: Final = ("pulumi:providers:", "pulumi:pulumi:Stack")
_OF_REPLACING: Final = {"create-replacement": "replace", "delete-replaced": "replace"}


@dataclass(frozen=True)
class Change:
    """A resource that an `up` would do something to.

    Args:
        custom: it stands for something; a component only holds others.
        fields: changed inputs, dotted.
        waiting: of those, the ones that only an `up` will know.
    """

    urn: str
    type: str
    op: str
    custom: bool
    fields: tuple[str, ...]
    waiting: frozenset[str]


@dataclass(frozen=True)
class Violation:
    """What a rule reported of a resource, as the engine passes it on. `message` begins with the rule's title."""

    rule: str
    pack: str
    enforcement: str
    severity: str
    urn: str
    message: str


@dataclass(frozen=True)
class Said:
    """A message of the engine, the program or a provider; `urn` is empty where it is about none."""

    severity: str
    message: str
    urn: str


@dataclass
class Seen:
    """All that one preview said.

    Args:
        packs: packs that were run, name to version.
        judged: rule to (passed, failed), each the number of resources.
        resources: how many resources the engine does what with.
        result: the engine's own word at its end; empty: it did not come to that.
        strays: lines that are no events.
    """

    changes: list[Change] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    packs: dict[str, str] = field(default_factory=dict)
    judged: dict[str, tuple[int, int]] = field(default_factory=dict)
    resources: Counter[str] = field(default_factory=Counter)
    result: str = ""
    strays: list[str] = field(default_factory=list)
    events: int = 0


def seen(lines: Iterable[str]) -> Seen:
    """Read a preview's events."""
    found = Seen()
    for line in lines:
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            found.strays.append(line)
            continue
        if not isinstance(event, dict) or "sequence" not in event:
            found.strays.append(line)
            continue
        found.events += 1
        _take(found, event)
    return found


def _take(found: Seen, event: Mapping[str, Any]) -> None:
    match event:
        case {"resourcePreEvent": {"metadata": metadata}} | {"resOpFailedEvent": {"metadata": metadata}}:
            _take_step(found, metadata)
        case {"policyEvent": violation}:
            found.violations.append(
                Violation(
                    violation["policyName"],
                    violation["policyPackName"],
                    violation["enforcementLevel"],
                    violation.get("severity", ""),
                    violation.get("resourceUrn", ""),
                    violation["message"],
                )
            )
        case {"policyAnalyzeSummaryEvent": judged} | {"policyAnalyzeStackSummaryEvent": judged}:
            for rule in judged.get("passed") or ():
                passed, failed = found.judged.get(rule, (0, 0))
                found.judged[rule] = (passed + 1, failed)
            for rule in judged.get("failed") or ():
                passed, failed = found.judged.get(rule, (0, 0))
                found.judged[rule] = (passed, failed + 1)
        case {"diagnosticEvent": said}:
            found.said.append(Said(said["severity"], said["message"], said.get("urn", "")))
        case {"summaryEvent": summary}:
            # A pack's key is its name, what kind it is, and the folder that it lies in.
            found.packs |= {key.split("|")[0]: v for key, v in (summary.get("PolicyPacks") or {}).items()}
            found.resources.update(summary.get("resourceChanges") or {})
            found.result = summary.get("result", "")
        case {"errorEvent": {"error": message}}:
            found.said.append(Said("error", message, ""))
        case _:
            pass


def _take_step(found: Seen, metadata: Mapping[str, Any]) -> None:
    op, urn, kind = metadata["op"], metadata["urn"], metadata["type"]
    if op in NOTHING_TO_DO or kind.startswith(_INTERNAL):
        return
    op = _OF_REPLACING.get(op, op)
    if any(change.urn == urn and change.op == op for change in found.changes):
        return  # the several steps of a replacement
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    fields: tuple[str, ...] = ()
    waiting: frozenset[str] = frozenset()
    if old and new:
        before, after = old.get("inputs") or {}, new.get("inputs") or {}
        differing = _differing(before, after)
        fields = tuple(differing)
        waiting = frozenset(name for name, value in differing.items() if is_unknown(value))
    found.changes.append(
        Change(urn, kind, op, bool((new or old).get("custom")), fields, waiting),
    )


def is_unknown(value: object) -> bool:
    return isinstance(value, str) and value in UNKNOWN


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, object]:
    """Dotted names of what differs, each with the new value; the SDK's own, which begin with `__`, left out."""
    found: dict[str, object] = {}
    for name in dict.fromkeys([*before, *after]):
        was, wants = before.get(name), after.get(name)
        if was == wants or name.startswith("__"):
            continue
        below = _differing(was, wants) if isinstance(was, Mapping) and isinstance(wants, Mapping) else {}
        if 0 < len(below) <= MANY:
            found |= {f"{name}.{further}": value for further, value in below.items()}
        else:
            found[name] = wants
    return found
