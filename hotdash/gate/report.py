"""What a gate found, and the verdict. Nothing in it is a secret value, so it can be shown to anyone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from hotdash.errors import HotdashError

SCHEMA_VERSION: Final = 1
"""Of the report as JSON; it moves when a program that reads it would have to."""
CHANGED: Final = "changed"
"""The kind of a drift that the engine alone tells: the resource changes, and nothing says in what way."""
ADVISORY: Final = "advisory"
POLICIES_PAGE: Final = "docs/policies.md"
OF_THE_PACK: Final = "policy-"
"""So begin the names by which the pack speaks of itself; they are explained on its page, and not under a heading."""
SHOWN: Final = 6
"""Changed inputs of one resource that are named to people; a whole component may change."""


class Verdict(StrEnum):
    """What follows from the findings that count."""

    CLEAN = "clean"
    DRIFT = "drift"
    POLICY = "policy"
    BOTH = "drift-and-policy"
    FAILED = "could-not-run"


EXIT_CODES: Final[Mapping[Verdict, int]] = {
    Verdict.CLEAN: 0,
    Verdict.FAILED: 1,
    Verdict.DRIFT: 2,
    Verdict.POLICY: 3,
    Verdict.BOTH: 4,
}
"""Stable: scripts and workflows rely on them."""


class Cause(StrEnum):
    """What may fail a gate. `unknown`: a rule that could not judge, which is no sign that all is well."""

    DRIFT = "drift"
    POLICY = "policy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Place:
    """Where something is declared: the file from the project's root, the line from 1, the key if there is one."""

    file: str
    line: int = 1
    key: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class DriftFinding:
    """One difference; the words are those of `hotdash.drift.Drift`. `resource` is the engine's URN."""

    kind: str
    subject: str
    was: str
    wants: str
    why: str
    since: datetime | None
    remedy: str
    resource: str
    place: Place


@dataclass(frozen=True)
class PolicyFinding:
    """One thing that a rule said of one resource.

    Args:
        rule: its id in the pack.
        title: what the pack calls it.
        enforcement: mandatory, or advisory, as the engine has it.
        severity: low to critical; empty where the pack gives none.
        subject: what it is about, in the pack's words; else the resource's name.
        message: what was found.
        meaning: why it matters; may be empty.
        remedy: how it is mended; may be empty.
        docs: the page that explains it.
    """

    rule: str
    title: str
    enforcement: str
    severity: str
    subject: str
    message: str
    meaning: str
    remedy: str
    docs: str
    resource: str
    place: Place

    @property
    def advisory(self) -> bool:
        return self.enforcement == ADVISORY

    @property
    def note(self) -> bool:
        """It is worth a word, and no more."""
        return self.advisory and self.severity == "low"


@dataclass(frozen=True)
class Problem:
    """Why the gate could not run, or not to its end. `code` is that of the error, as in `hotdash.errors`, else
    `engine`, `program` or `policy-pack`."""

    code: str
    summary: str
    where: str = ""
    meaning: str = ""
    remedy: str = ""
    resource: str = ""

    @classmethod
    def of(cls, error: HotdashError) -> Problem:
        return cls(error.code, error.summary, error.where, error.meaning, error.remedy)

    def __str__(self) -> str:
        labelled = {"where": self.where, "means": self.meaning, "next": self.remedy, "code": self.code}
        lines = [f"  {label:<6} {text}" for label, text in labelled.items() if text]
        return "\n".join([self.summary, *lines])


@dataclass(frozen=True)
class Step:
    """What `up` would do to one resource.

    Args:
        op: the engine's word for it: create, update, delete, replace…
        fields: the inputs that change, dotted; none where the whole resource comes or goes.
        notes: what is worth knowing besides, such as which database a URL leads to.
    """

    resource: str
    type: str
    name: str
    op: str
    fields: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule that judged: on how many resources it found nothing, and on how many something."""

    id: str
    passed: int
    failed: int


@dataclass(frozen=True)
class Report:
    """All that one gate found.

    Args:
        stack: its name.
        file: its stack file, from the project's root where it lies below.
        pack: name and version of the policy pack that judged; empty where none did.
        fail_on: which causes count for the verdict.
        unknown: what rules could not judge, because something is known only after an `up`.
        resources: how many resources the engine does what with (`same`: nothing).
        at: when it was found.
        seconds: how long it took.
    """

    stack: str
    file: str
    fail_on: frozenset[Cause]
    at: datetime
    pack: str = ""
    drift: tuple[DriftFinding, ...] = ()
    policy: tuple[PolicyFinding, ...] = ()
    unknown: tuple[PolicyFinding, ...] = ()
    errors: tuple[Problem, ...] = ()
    plan: tuple[Step, ...] = ()
    rules: tuple[Rule, ...] = ()
    resources: Mapping[str, int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def mandatory(self) -> tuple[PolicyFinding, ...]:
        return tuple(item for item in self.policy if not item.advisory)

    @property
    def advisory(self) -> tuple[PolicyFinding, ...]:
        return tuple(item for item in self.policy if item.advisory)

    def counts(self, cause: Cause) -> bool:
        """Whether something was found that counts under this head."""
        found = {Cause.DRIFT: self.drift, Cause.POLICY: self.mandatory, Cause.UNKNOWN: self.unknown}
        return cause in self.fail_on and bool(found[cause])

    @property
    def verdict(self) -> Verdict:
        if self.errors:
            return Verdict.FAILED
        drift = self.counts(Cause.DRIFT)
        policy = self.counts(Cause.POLICY) or self.counts(Cause.UNKNOWN)
        if drift and policy:
            return Verdict.BOTH
        return Verdict.DRIFT if drift else Verdict.POLICY if policy else Verdict.CLEAN

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def because(self) -> str:
        """The verdict in words, with what was found and does not count."""
        reasons = []
        if self.counts(Cause.DRIFT):
            reasons.append("what runs is not what is declared")
        if self.counts(Cause.POLICY):
            reasons.append(f"{counted(len(self.mandatory), 'violation')} of mandatory rules")
        if self.counts(Cause.UNKNOWN):
            reasons.append(f"{counted(len(self.unknown), 'thing')} that a rule could not judge")
        if self.errors:
            reasons = ["it could not be run to its end, so nothing is proved"]
        uncounted = [
            name
            for cause, name, found in (
                (Cause.DRIFT, "drift", self.drift),
                (Cause.POLICY, "violations", self.mandatory),
                (Cause.UNKNOWN, "what could not be judged", self.unknown),
            )
            if found and cause not in self.fail_on
        ]
        told = "; ".join(reasons) or "nothing that counts was found"
        return told + (f" (told, and not counted: {', '.join(uncounted)})" if uncounted else "")


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def rule_page(rule: str) -> str:
    """Where a rule is explained."""
    return POLICIES_PAGE if rule.startswith(OF_THE_PACK) else f"{POLICIES_PAGE}#{rule}"
