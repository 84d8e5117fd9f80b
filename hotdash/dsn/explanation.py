"""A database URL explained: its parts, what it leads to, and what Chatwoot makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hotdash.dsn.classification import Classification, classify
from hotdash.dsn.model import Dsn


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    code: str
    severity: Severity
    text: str
    remedy: str


@dataclass(frozen=True)
class Explanation:
    dsn: Dsn
    classification: Classification
    findings: tuple[Finding, ...]


def explain(text: str) -> Explanation:
    """Raises MalformedDsn."""
    dsn = Dsn.parse(text)
    return Explanation(dsn, classify(dsn), ())
