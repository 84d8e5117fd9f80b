"""For programs: the whole report. Its shape is report.schema.json beside the report's own module, and moves only with
its `schema_version`."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any

from hotdash.gate.formats import Links
from hotdash.gate.report import SCHEMA_VERSION, DriftFinding, PolicyFinding, Report


def render(report: Report, _links: Links) -> str:
    return json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n"


def as_json(report: Report) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": report.verdict.value,
        "exit": report.exit_code,
        "because": report.because,
        "stack": report.stack,
        "file": report.file,
        "pack": report.pack,
        "fail_on": sorted(cause.value for cause in report.fail_on),
        "at": report.at.isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "summary": {
            "drift": len(report.drift),
            "mandatory": len(report.mandatory),
            "advisory": len(report.advisory),
            "unknown": len(report.unknown),
            "errors": len(report.errors),
            "rules": len(report.rules),
            "resources": dict(sorted(report.resources.items())),
        },
        "drift": [_drift(item) for item in report.drift],
        "policy": [_policy(item) for item in report.policy],
        "unknown": [_policy(item) for item in report.unknown],
        "errors": [dataclasses.asdict(item) for item in report.errors],
        "plan": [dataclasses.asdict(item) for item in report.plan],
        "rules": [dataclasses.asdict(item) for item in report.rules],
    }


def _drift(item: DriftFinding) -> dict[str, Any]:
    return {**dataclasses.asdict(item), "since": _time(item.since)}


def _policy(item: PolicyFinding) -> dict[str, Any]:
    return dataclasses.asdict(item)


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
