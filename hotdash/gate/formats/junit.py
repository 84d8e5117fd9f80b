"""JUnit's XML, as Jenkins, GitLab and others show it: a suite of rules and a suite of resources.

A rule that found nothing has passed, and so has a resource that does not drift. What was found and does not count for
the verdict is skipped, with its text. Held to Jenkins' junit-10.xsd.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from hotdash.gate.formats import Links
from hotdash.gate.formats.text import difference
from hotdash.gate.report import Cause, PolicyFinding, Report, counted

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Case:
    """`outcome` is passed, failure, error or skipped; `aside` is told of one that passed."""

    name: str
    outcome: str = "passed"
    type: str = ""
    message: str = ""
    text: str = ""
    aside: str = ""


def render(report: Report, _links: Links) -> str:
    suites = {
        "hotdash gate: the run": _run(report),
        "hotdash gate: policy": _policy(report),
        "hotdash gate: drift": _drift(report),
    }
    cases = [case for suite in suites.values() for case in suite]
    root = ElementTree.Element(
        "testsuites",
        {"name": f"hotdash gate {report.stack}", "time": f"{report.seconds:.3f}", **_counts(cases)},
    )
    for name, suite in suites.items():
        root.append(_suite(name, suite, report))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _run(report: Report) -> list[_Case]:
    if not report.errors:
        return [_Case("could be run")]
    return [
        _Case(
            f"could be run ({number})" if number > 1 else "could be run",
            "error",
            problem.code,
            problem.summary,
            str(problem),
        )
        for number, problem in enumerate(report.errors, 1)
    ]


def _policy(report: Report) -> list[_Case]:
    names = dict.fromkeys(
        [*(r.id for r in report.rules), *(f.rule for f in (*report.policy, *report.unknown))]
    )
    return [_rule(name, report) for name in sorted(names)]


def _rule(name: str, report: Report) -> _Case:
    violated = [item for item in report.mandatory if item.rule == name]
    unknown = [item for item in report.unknown if item.rule == name]
    advice = [item for item in report.advisory if item.rule == name]
    aside = _listed(advice)
    for found, cause, what in (
        (violated, Cause.POLICY, "found"),
        (unknown, Cause.UNKNOWN, "could not be judged"),
    ):
        if not found:
            continue
        text = "\n\n".join(filter(None, [_listed(found), aside, f"See {found[0].docs}."]))
        first, *more = found
        said = f"{first.subject}: {first.message}" + (f" (and {len(more)} more)" if more else "")
        outcome = "failure" if cause in report.fail_on else "skipped"
        return _Case(name, outcome, what, said, text)
    return _Case(name, aside=aside)


def _listed(found: Iterable[PolicyFinding]) -> str:
    return "\n\n".join(
        "\n".join(
            [
                f"{item.subject} ({item.place}): {item.message}",
                *([f"why: {item.meaning}"] if item.meaning else []),
                *([f"next: {item.remedy}"] if item.remedy else []),
            ]
        )
        for item in found
    )


def _drift(report: Report) -> list[_Case]:
    """A case for each subject that drifts, and one for all the resources that do not."""
    subjects = dict.fromkeys(item.subject for item in report.drift)
    cases = []
    for subject in subjects:
        found = [item for item in report.drift if item.subject == subject]
        kinds = ", ".join(dict.fromkeys(item.kind for item in found))
        lines = [f"{item.kind}: {difference(item)} ({item.place}); up {item.remedy}" for item in found]
        outcome = "failure" if Cause.DRIFT in report.fail_on else "skipped"
        cases.append(_Case(subject, outcome, kinds, f"{kinds}: {difference(found[0])}", "\n".join(lines)))
    if same := report.resources.get("same", 0):
        cases.append(_Case(f"{counted(same, 'resource')} as declared"))
    return cases


def _suite(name: str, cases: Sequence[_Case], report: Report) -> ElementTree.Element:
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": name,
            **_counts(cases),
            "skipped": str(sum(case.outcome == "skipped" for case in cases)),
            "timestamp": report.at.strftime("%Y-%m-%dT%H:%M:%S"),
        },
    )
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", {"name": _fit(case.name), "classname": f"hotdash.gate.{_fit(report.stack)}"}
        )
        if case.outcome != "passed":
            told = {"type": _fit(case.type), "message": _fit(case.message)}
            ElementTree.SubElement(element, case.outcome, told).text = _fit(case.text)
        if case.aside:
            ElementTree.SubElement(element, "system-out").text = _fit(case.aside)
    return suite


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(case.outcome == "failure" for case in cases)),
        "errors": str(sum(case.outcome == "error" for case in cases)),
    }


def _fit(text: str) -> str:
    """Without the characters that XML has no way to write."""
    return _NOT_XML.sub("\ufffd", text)
