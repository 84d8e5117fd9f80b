"""docs/dsn.md: written by hand but for the tables of rules, findings and words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from docs.tables import filled, table
from hotdash.dsn.checks import CHECKS
from hotdash.dsn.finding import SEVERITY_MEANS
from hotdash.dsn.rule import CERTAINTY_MEANS, GROUND_MEANS, POOLING_MEANS
from hotdash.dsn.rules import PROVIDERS, RULES


def page(there: str) -> str:
    """The page with its tables as the program has them. Raises Undocumented."""
    return filled(
        there,
        {
            "poolings": _words("Pooling", POOLING_MEANS),
            "certainties": _words("Certainty", CERTAINTY_MEANS),
            "severities": _words("Severity", SEVERITY_MEANS),
            "grounds": _words("Ground", GROUND_MEANS),
            "rules": table(
                ("Rule", "Whose", "A DSN with", "Pooling", "Certainty", "Source"),
                (
                    (
                        f"`{rule.id}`",
                        PROVIDERS[rule.provider],
                        rule.when,
                        rule.pooling,
                        rule.certainty,
                        f"{rule.source}",
                    )
                    for rule in RULES
                ),
            ),
            "findings": table(
                ("Code", "Severity", "Found where", "Next", "Source"),
                (
                    (f"`{check.code}`", check.severity, check.when, _general(check.remedy), f"{check.source}")
                    for check in CHECKS
                ),
            ),
        },
    )


Word = TypeVar("Word", bound=StrEnum)


def _words(head: str, means: Mapping[Word, str]) -> str:
    return table((head, "Means"), ((f"`{word}`", meaning) for word, meaning in means.items()))


_GENERAL: Final = {
    "direct": "the direct form",
    "url": "a URL",
    "port": "PORT",
    "role": "ROLE",
    "database": "DATABASE",
}


def _general(remedy: str) -> str:
    """A remedy for nobody's DSN in particular."""
    return remedy.format_map(_GENERAL).replace("|", "\\|")
