"""GitHub's workflow commands: what is found stands as an annotation on its line, and the text report in the log.

GitHub shows the first ten errors, warnings and notices each of a step; the log has them all. The step's summary, where
GITHUB_STEP_SUMMARY names its file, is the Markdown report.
"""

from __future__ import annotations

from collections.abc import Iterator

from hotdash.gate.formats import Links, text
from hotdash.gate.report import Cause, Place, PolicyFinding, Report

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


def render(report: Report, links: Links) -> str:
    return text.render(report, links) + "".join(f"{line}\n" for line in _commands(report))


def _commands(report: Report) -> Iterator[str]:
    for problem in report.errors:
        yield command("error", f"gate: {problem.code}", str(problem), Place(report.file))
    for finding in report.mandatory:
        yield _finding(finding, Cause.POLICY in report.fail_on)
    for finding in report.unknown:
        yield _finding(finding, Cause.UNKNOWN in report.fail_on)
    for drift in report.drift:
        said = f"{drift.subject}: {text.difference(drift)}\nup {drift.remedy}"
        level = "error" if Cause.DRIFT in report.fail_on else "notice"
        yield command(level, f"drift: {drift.kind}", said, drift.place)
    for finding in report.advisory:
        yield command("notice" if finding.note else "warning", finding.rule, _said(finding), finding.place)


def _finding(item: PolicyFinding, counts: bool) -> str:
    return command("error" if counts else "notice", item.rule, _said(item), item.place)


def _said(item: PolicyFinding) -> str:
    lines = [f"{item.subject}: {item.message}", item.meaning, item.remedy and f"next: {item.remedy}"]
    return "\n".join(filter(None, lines))


def command(level: str, title: str, message: str, place: Place) -> str:
    """One workflow command, on a line of its own whatever the message holds."""
    properties = {"file": place.file, "line": str(place.line), "title": title}
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {given}::{_data(message)}"


def _data(text_: str) -> str:
    return text_.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text_: str) -> str:
    return _data(text_).replace(":", "%3A").replace(",", "%2C")
