"""What a finding is, and the check that makes it: what is looked for in a DSN, what comes of it, what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hotdash.dsn.classification import Classification
from hotdash.dsn.model import Dsn
from hotdash.dsn.parameters import KNOWN
from hotdash.dsn.rule import Ground, Source


class Severity(StrEnum):
    """How bad it is, the worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


SEVERITY_MEANS: Final = {
    Severity.ERROR: "Chatwoot, its container or its migrations do not work with it",
    Severity.WARNING: "works, until something that is named happens",
    Severity.NOTE: "good to know",
}
_ORDER: Final = tuple(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that was found; `ground` tells on whose word. It holds no password."""

    code: str
    severity: Severity
    text: str
    remedy: str
    ground: Ground


@dataclass(frozen=True)
class Check:
    """One thing that is looked for.

    Args:
        code: does not change.
        when: what is looked for, for people.
        text: what comes of it. It may name the fields of `_words` in braces; so may the remedy.
        example: a DSN in which it is found.
    """

    code: str
    severity: Severity
    when: str
    text: str
    remedy: str
    source: Source
    example: str
    applies: Callable[[Dsn, Classification], bool]


def run(checks: Iterable[Check], dsn: Dsn, classification: Classification) -> tuple[Finding, ...]:
    """What the checks find, errors first, else in the order of the checks."""
    applying = [check for check in checks if check.applies(dsn, classification)]
    if not applying:
        return ()
    words = _words(dsn, classification)
    applying.sort(key=lambda check: _ORDER.index(check.severity))
    return tuple(
        Finding(
            check.code,
            check.severity,
            check.text.format_map(words),
            check.remedy.format_map(words),
            check.source.ground,
        )
        for check in applying
    )


_SHOWN_PARTS: Final = {"username": "role", "parameters": "query"}


def _words(dsn: Dsn, classification: Classification) -> Mapping[str, str]:
    """What a text may say of this DSN. Nothing of it is secret."""
    direct = classification.direct_form
    parameters = dsn.shown_parameters()
    return {
        "role": dsn.role,
        "database": dsn.database,
        "port": str(dsn.port),
        "url": str(dsn),
        "direct": str(direct) if direct else "the direct URL of the same database",
        "unencoded": _listed(_SHOWN_PARTS.get(part, part) for part in dsn.unencoded),
        "in_query": _listed(_SHOWN_PARTS.get(part, part) for part in dsn.in_query),
        "sslmode": parameters.get("sslmode", "") or "not given, which is prefer",
        "strangers": _listed(sorted({*parameters} - KNOWN)),
        "pool": parameters.get("pool", ""),
    }


def _listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = list(names) or [""]
    return f"{', '.join(before)} and {last}" if before else last
