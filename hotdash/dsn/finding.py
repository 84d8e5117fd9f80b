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
        text: what comes of it. It may name the fields of `_WORDS` in braces; so may the remedy.
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
    words = _Words(dsn, classification)
    applying.sort(key=_by_severity)
    return tuple(
        [
            Finding(
                check.code,
                check.severity,
                words.in_text(check.text),
                words.in_text(check.remedy),
                check.source.ground,
            )
            for check in applying
        ]
    )


_ORDER: Final = tuple(Severity)
_SHOWN_PARTS: Final = {"username": "role", "parameters": "query"}


def _by_severity(check: Check) -> int:
    return _ORDER.index(check.severity)


class _Words(dict[str, str]):
    """What a text may say of a DSN, made when it is asked for. Nothing of it is secret."""

    def __init__(self, dsn: Dsn, classification: Classification) -> None:
        super().__init__()
        self._dsn = dsn
        self._classification = classification

    def in_text(self, text: str) -> str:
        return text.format_map(self) if "{" in text else text

    def __missing__(self, name: str) -> str:
        word = self[name] = _WORDS[name](self._dsn, self._classification)
        return word


_WORDS: Final[Mapping[str, Callable[[Dsn, Classification], str]]] = {
    "role": lambda dsn, _: dsn.role,
    "database": lambda dsn, _: dsn.database,
    "port": lambda dsn, _: str(dsn.port),
    "url": lambda dsn, _: str(dsn),
    "direct": lambda _, told: str(told.direct_form or "the direct URL of the same database"),
    "unencoded": lambda dsn, _: _listed(_SHOWN_PARTS.get(part, part) for part in dsn.unencoded),
    "in_query": lambda dsn, _: _listed(_SHOWN_PARTS.get(part, part) for part in dsn.in_query),
    "sslmode": lambda dsn, _: dsn.shown_parameters().get("sslmode") or "not given, which is prefer",
    "strangers": lambda dsn, _: _listed(sorted({*dsn.shown_parameters()} - KNOWN)),
    "pool": lambda dsn, _: dsn.shown_parameters().get("pool", ""),
}


def _listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = list(names) or [""]
    return f"{', '.join(before)} and {last}" if before else last
