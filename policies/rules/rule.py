"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hotdash.stack.refusals import Refusal
from policies.rules.facts import SEEN, Facts

PAGE: Final = "docs/policies.md"
Config = Mapping[str, Any]
"""A rule's settings, those that are not given filled in."""


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Enforcement(StrEnum):
    """A mandatory rule stops the command. Advice is shown."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"


@dataclass(frozen=True)
class Finding:
    """One thing that may not be.

    Args:
        subject: what it was found of; an exception names it so.
        found: what it is, in one sentence without a full stop, never with a value that may be secret.
        where: the key of the stack file, with `hotdash:`; or where else to look.
        mend: what to do; empty: as the rule says.
    """

    subject: str
    found: str
    where: str
    mend: str = ""

    @classmethod
    def of(cls, refusal: Refusal) -> Finding:
        return cls(refusal.subject, refusal.found, refusal.where, refusal.mend)


@dataclass(frozen=True)
class Setting:
    """One setting of a rule.

    Args:
        schema: a JSON schema, whose description says in words what it must be.
        means: what it is for.
        example: a value that is not the default.
    """

    schema: Mapping[str, Any]
    default: Any
    means: str
    example: Any


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        id: kebab-case; does not change.
        title: what holds where it is kept.
        why: what comes of it where it is not, in one sentence or two; with the source where it is not our own.
        mend: what to do in general.
        subjects: what its findings are of, as an exception names it; `example` is one.
        needs: the facts it looks at, by the names of their fields.
        check: gives what it finds.
        settings: what a stack file may set under hotdash:policies.
    """

    id: str
    title: str
    severity: Severity
    enforcement: Enforcement
    why: str
    mend: str
    subjects: str
    example: str
    needs: frozenset[str]
    check: Callable[[Facts, Config], Iterable[Finding]]
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def docs(self) -> str:
        return f"{PAGE}#{self.id}"

    @property
    def looks_at_fly(self) -> bool:
        """It can be judged only where the engine shows what it has seen."""
        return not self.needs.isdisjoint(SEEN)

    @property
    def defaults(self) -> Config:
        return {name: setting.default for name, setting in self.settings.items()}
