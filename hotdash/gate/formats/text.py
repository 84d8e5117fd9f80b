"""For a terminal, and for the log of a CI job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from hotdash.drift import shown_time
from hotdash.gate.formats import Links
from hotdash.gate.formats.fitting import line, lines
from hotdash.gate.report import DriftFinding, PolicyFinding, Report, Step, counted, listed

UNJUDGED: Final = "could not be judged, which is no sign that all is well:"


def render(report: Report, _links: Links) -> str:
    parts = [
        _errors(report),
        _policy(f"policy: {counted(len(report.mandatory), 'violation')}", report.mandatory, "mandatory"),
        _policy(UNJUDGED, report.unknown, "unknown"),
        _drift(report.drift),
        _policy(f"advice: {counted(len(report.advisory), 'finding')}", report.advisory, "advisory"),
        _plan(report),
        _end(report),
    ]
    return "\n\n".join("\n".join(said) for part in parts if (said := list(part))) + "\n"


def _errors(report: Report) -> Iterator[str]:
    for problem in report.errors:
        yield from _indented("could not run  ", str(problem))


def _drift(found: Sequence[DriftFinding]) -> Iterator[str]:
    if not found:
        return
    yield f"drift: {counted(len(found), 'difference')}"
    # Grouped as they were told: a resource's differences stand together.
    for subject, items in groupby(found, key=lambda item: item.subject):
        of_subject = list(items)
        remedies = dict.fromkeys(item.remedy for item in of_subject)
        if "updates the machine" in remedies:
            remedies.pop("starts the machine", None)  # an update starts it too
        yield f"  {line(subject)}: up {line(' and '.join(remedies))}"
        for item in of_subject:
            yield f"    {item.kind:<23} {line(difference(item))}"


def difference(item: DriftFinding) -> str:
    """What differs, in a line."""
    instead = f", not {item.wants}" if item.wants else ""
    known = "; ".join(filter(None, [f"since {shown_time(item.since)}" if item.since else "", item.why]))
    return f"{item.was}{instead}{f' ({known})' if known else ''}"


def _policy(title: str, found: Sequence[PolicyFinding], word: str) -> Iterator[str]:
    if found:
        yield title
    for item in found:
        yield from _finding(item, word)


def _finding(item: PolicyFinding, word: str) -> Iterator[str]:
    severity = f" ({item.severity})" if item.severity else ""
    yield f"  {word:<9} {item.rule}{severity}: {line(item.subject)}"
    labelled = {
        "found": item.message,
        "where": f"{item.place} ({item.place.key})" if item.place.key else str(item.place),
        "why": item.meaning,
        "next": item.remedy,
        "docs": item.docs,
    }
    for label, said in labelled.items():
        if said:
            yield from _indented(f"    {label:<6} ", said)


def _plan(report: Report) -> Iterator[str]:
    if not report.plan:
        return
    same = report.resources.get("same", 0)
    yield f"plan: {counted(len(report.plan), 'resource')} would change, {same} would not"
    for step in report.plan:
        yield f"  {step.op:<8} {line(f'{step.type} {step.name}{_fields(step)}')}"
        for note in step.notes:
            yield f"           {line(note)}"


def _fields(step: Step) -> str:
    return f": {listed(step.fields)}" if step.fields else ""


def _end(report: Report) -> Iterator[str]:
    judged = f"; {counted(len(report.rules), 'rule')} of {line(report.pack)} judged" if report.rules else ""
    yield f"gate of {line(report.file)}: {report.verdict} (exit {report.exit_code})"
    yield f"  {report.because}{judged}, in {report.seconds:.1f} s"


def _indented(head: str, text: str) -> Iterator[str]:
    """A text of perhaps several lines behind a head; none of them stands at the margin."""
    first, *rest = lines(text)
    yield f"{head}{first}"
    for further in rest:
        yield f"{' ' * len(head)}{further}"
