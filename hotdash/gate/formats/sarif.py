"""SARIF 2.1.0 (OASIS), as GitHub's code scanning and editors show it: each finding on its line of the stack file.

What does not count for the verdict is a note; advice is a warning. Errors are notifications of the tool, not results:
a gate that could not run has found nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from hotdash.gate.formats import DRIFT_PAGE, Links
from hotdash.gate.formats.text import difference
from hotdash.gate.report import Cause, DriftFinding, Place, PolicyFinding, Report, rule_page

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_SEVERITIES: Final = {"low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}
"""GitHub's bands of `security-severity`: low below 4, medium below 7, high below 9, critical from 9."""


@dataclass(frozen=True)
class _Result:
    rule: str
    level: str
    text: str
    place: Place
    subject: str


def render(report: Report, links: Links) -> str:
    results = list(_results(report))
    rules = _rules(report, links)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(rules)},
                "automationDetails": {"id": f"hotdash-gate/{report.stack}/"},
                "invocations": [_invocation(report)],
                "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the project's root"}}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(item, index[item.rule]) for item in results],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _driver(rules: list[dict[str, Any]]) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    driver: dict[str, Any] = {"name": "hotdash gate", "rules": rules}
    with contextlib.suppress(PackageNotFoundError):
        driver["semanticVersion"] = version("hotdash-chatwoot")
    return driver


def _results(report: Report) -> Iterator[_Result]:
    for drift in report.drift:
        level = "error" if Cause.DRIFT in report.fail_on else "note"
        text = f"{drift.subject}: {difference(drift)}. `pulumi up` {drift.remedy}."
        yield _Result(_drift_rule(drift), level, text, drift.place, drift.subject)
    for finding, cause in (
        *((item, Cause.POLICY) for item in report.policy),
        *((item, Cause.UNKNOWN) for item in report.unknown),
    ):
        level = "error" if cause in report.fail_on else "note"
        if cause is Cause.POLICY and finding.advisory:
            level = "note" if finding.note else "warning"
        parts = [f"{finding.subject}: {finding.message}"]
        parts += [f"Why: {finding.meaning}"] if finding.meaning else []
        parts += [f"Next: {finding.remedy}"] if finding.remedy else []
        yield _Result(finding.rule, level, "\n\n".join(parts), finding.place, finding.subject)


def _drift_rule(item: DriftFinding) -> str:
    return f"drift/{item.kind}"


def _rules(report: Report, links: Links) -> list[dict[str, Any]]:
    """Every rule that judged, and every kind of drift that was found."""
    found: dict[str, dict[str, Any]] = {}
    for drift in report.drift:
        found[_drift_rule(drift)] = _rule(
            _drift_rule(drift), f"drift: {drift.kind}", DRIFT_PAGE, links, "drift", ""
        )
    findings: dict[str, PolicyFinding] = {item.rule: item for item in (*report.unknown, *report.policy)}
    for name in sorted({*findings, *(rule.id for rule in report.rules)}):
        item = findings.get(name)
        title = item.title if item and item.title else name
        found[name] = _rule(name, title, rule_page(name), links, "policy", item.severity if item else "")
    return list(found.values())


def _rule(id_: str, title: str, page: str, links: Links, tag: str, severity: str) -> dict[str, Any]:
    url = links.to(page)
    shown = f"[{page}]({url})" if url else f"`{page}`"
    properties: dict[str, Any] = {"tags": [tag]}
    if severity in _SEVERITIES:
        properties |= {"security-severity": _SEVERITIES[severity]}
    rule: dict[str, Any] = {
        "id": id_,
        "shortDescription": {"text": title},
        "help": {"text": f"See {page}.", "markdown": f"See {shown}."},
        "properties": properties,
    }
    return {**rule, "helpUri": url} if url else rule


def _result(item: _Result, index: int) -> dict[str, Any]:
    # The same finding keeps its name while lines move: a reviewer who has dismissed it is not asked again.
    print_ = hashlib.sha256(f"{item.rule}\n{item.place.key}\n{item.subject}".encode()).hexdigest()
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _artifact(item.place.file),
            "region": {"startLine": item.place.line},
        }
    }
    if item.place.key:
        location["logicalLocations"] = [{"fullyQualifiedName": item.place.key, "kind": "member"}]
    return {
        "ruleId": item.rule,
        "ruleIndex": index,
        "level": item.level,
        "message": {"text": _plain(item.text)},
        "locations": [location],
        "partialFingerprints": {"hotdashGate/v1": print_},
    }


def _artifact(file: str) -> dict[str, str]:
    if file.startswith("/"):
        return {"uri": f"file://{quote(file)}"}
    return {"uri": quote(file), "uriBaseId": "SRCROOT"}


def _invocation(report: Report) -> dict[str, Any]:
    return {
        "executionSuccessful": not report.errors,
        "exitCode": report.exit_code,
        "exitCodeDescription": report.because,
        "toolExecutionNotifications": [
            {
                "descriptor": {"id": problem.code},
                "level": "error",
                "message": {"text": _plain(str(problem))},
            }
            for problem in report.errors
        ],
    }


def _plain(text: str) -> str:
    """A message of SARIF may hold links and placeholders of its own: brackets and braces mean themselves here."""
    escaped = text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return escaped.replace("{", "{{").replace("}", "}}")
