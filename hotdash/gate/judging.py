"""From what the engine, the program and the pack said to a report. No I/O.

Whatever is not understood fails the gate: an event that is missing, a pack that did not judge, a failure without a
reason. A gate that passes because nobody answered is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from hotdash.gate.drift_file import Told
from hotdash.gate.events import Change, Seen
from hotdash.gate.findings import cannot_be_judged, finding
from hotdash.gate.places import StackFile
from hotdash.gate.problems import Ended, nothing_judged, problems, unexplained
from hotdash.gate.report import CHANGED, Cause, DriftFinding, Report, Rule, Step, listed
from hotdash.gate.urns import short_type, type_and_name


def judge(
    *,
    stack: str,
    pack: str,
    fail_on: frozenset[Cause],
    seen: Seen,
    told: Sequence[Told],
    ended: Ended,
    file: StackFile,
    at: datetime,
    seconds: float = 0.0,
) -> Report:
    """Args:
    pack: the policy pack's folder, as it is named in messages.
    """
    wrong = tuple(problems(seen, ended))
    violations = list(dict.fromkeys(seen.violations))
    findings = [finding(violation, file) for violation in violations]
    unjudged = [cannot_be_judged(violation) for violation in violations]
    if not wrong:
        wrong = tuple(nothing_judged(seen, pack))
    if not wrong and ended.code and all(item.advisory for item in findings):
        wrong = (unexplained(ended),)  # what is mandatory is what the engine fails for, and nothing else
    return Report(
        stack=stack,
        file=file.name,
        fail_on=fail_on,
        at=at,
        pack=" ".join(f"{name} {version}" for name, version in seen.packs.items()),
        # A preview that broke off has not seen what else would have been told.
        drift=tuple(_drift([] if wrong else seen.changes, told, file)),
        policy=tuple(item for item, unknown in zip(findings, unjudged, strict=True) if not unknown),
        unknown=tuple(item for item, unknown in zip(findings, unjudged, strict=True) if unknown),
        errors=wrong,
        plan=_plan(seen.changes, told),
        rules=tuple(Rule(name, *judged) for name, judged in sorted(seen.judged.items())),
        resources=dict(seen.resources),
        seconds=seconds,
    )


def _drift(changes: Sequence[Change], told: Sequence[Told], file: StackFile) -> Iterator[DriftFinding]:
    """What the program told, and every change besides of which it told nothing."""
    explained = set()
    for item in told:
        for drift in item.drift:
            explained.add(item.resource)
            type_, name = type_and_name(item.resource)
            yield DriftFinding(
                drift.kind.value,
                drift.subject,
                drift.was,
                drift.wants,
                drift.why,
                drift.since,
                drift.remedy,
                item.resource,
                file.of_resource(type_, name, drift.kind, drift.subject),
            )
    yield from (_changed(change, file) for change in _unexplained_changes(changes, explained))


def _unexplained_changes(changes: Sequence[Change], explained: set[str]) -> Iterator[Change]:
    """Changes that are a difference of their own, and of which nothing was told."""
    moving = [change for change in changes if change.custom]
    for change in changes:
        # A component holds others and is nothing on Fly: it counts where it alone has changed.
        if change.urn in explained or (moving and not change.custom):
            continue
        # It only waits for another that changes.
        if change.waiting and change.waiting == set(change.fields) and len(moving) > 1:
            continue
        yield change


def _changed(change: Change, file: StackFile) -> DriftFinding:
    type_, name = type_and_name(change.urn)
    was, remedy = {
        "create": ("not in the state yet", "creates it, or takes over what is on Fly"),
        "delete": ("in the state, not declared any more", "removes it from the state"),
        "replace": ("to be replaced", "replaces it"),
    }.get(change.op, ("declared otherwise than at the last up", "records it"))
    fields = f"changed: {listed(change.fields)}" if change.fields else ""
    place = file.of_resource(type_, name)
    return DriftFinding(
        CHANGED, f"{short_type(type_)} {name}", was, "", fields, None, remedy, change.urn, place
    )


def _plan(changes: Sequence[Change], told: Sequence[Told]) -> tuple[Step, ...]:
    notes: dict[str, list[str]] = {}
    for item in told:
        notes.setdefault(item.resource, []).extend(item.notes)
    steps = []
    for change in changes:
        type_, name = type_and_name(change.urn)
        said = tuple(notes.get(change.urn, ()))
        steps.append(Step(change.urn, short_type(type_), name, change.op, change.fields, said))
    return tuple(steps)
