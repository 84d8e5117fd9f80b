"""Facts, rules and terms put together: what is violated, what is excepted, and what could not be judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from hotdash.stack.policy import PolicyException, in_force
from policies.reading import Reading
from policies.rules.rule import Finding, Rule
from policies.terms import Terms


@dataclass(frozen=True)
class Violation:
    """A finding that counts; `expired` would have excepted it."""

    rule: Rule
    finding: Finding
    expired: PolicyException | None = None


@dataclass(frozen=True)
class Excepted:
    rule: Rule
    finding: Finding
    exception: PolicyException


@dataclass(frozen=True)
class Unjudged:
    """A rule that was not asked, or failed. `fact` is empty where it failed, `mend` where no value is to blame."""

    rule: Rule
    fact: str
    why: str
    mend: str = ""


@dataclass(frozen=True)
class Judgement:
    """What came of one rule or of several.

    `waiting`: rules that look at what the engine does not show while it plans an update.
    """

    violations: tuple[Violation, ...] = ()
    excepted: tuple[Excepted, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    waiting: tuple[Rule, ...] = ()


def judge(rules: Iterable[Rule], reading: Reading, terms: Terms, today: date) -> Judgement:
    """Ask each rule. Never fails: a rule that does is told as one that could not judge."""
    violations: list[Violation] = []
    excepted: list[Excepted] = []
    unjudged: list[Unjudged] = []
    waiting: list[Rule] = []
    for rule in rules:
        missing = [fact for fact in sorted(rule.needs) if fact in reading.unreadable]
        if missing:
            unjudged += [
                Unjudged(rule, fact, reading.unreadable[fact], reading.mends.get(fact, ""))
                for fact in missing
            ]
            continue
        if rule.needs & reading.waiting:
            waiting.append(rule)
            continue
        try:
            found = list(rule.check(reading.facts, terms.config(rule)))
        except Exception as error:  # whatever it is: the engine would show it as a failure of its own
            unjudged.append(Unjudged(rule, "", f"it failed ({type(error).__name__})"))
            continue
        for finding in found:
            if exception := in_force(terms.exceptions, rule.id, finding.subject, today):
                excepted.append(Excepted(rule, finding, exception))
            else:
                violations.append(Violation(rule, finding, _expired(terms, rule, finding)))
    return Judgement(tuple(violations), tuple(excepted), tuple(unjudged), tuple(waiting))


def _expired(terms: Terms, rule: Rule, finding: Finding) -> PolicyException | None:
    covering = [e for e in terms.exceptions if e.covers(rule.id, finding.subject)]
    return max(covering, key=lambda e: e.until, default=None)


def notes(judgement: Judgement, terms: Terms, today: date) -> Iterator[str]:
    """What is worth a word of the exceptions; `judgement` is that of all rules."""
    for item in judgement.excepted:
        yield (
            f"let pass until {item.exception.until}: {item.finding.found} ({item.rule.id}; {item.exception.reason})"
        )
    open_questions = {rule.id for rule in judgement.waiting} | {item.rule.id for item in judgement.unjudged}
    for exception in terms.exceptions:
        needed = any(item.exception == exception for item in judgement.excepted)
        missed = any(item.expired == exception for item in judgement.violations)
        if needed or exception.rule in open_questions:
            continue
        if exception.expired(today):
            what = "what it was for is refused again" if missed else "nothing needs it any more: take it out"
            yield f"expired on {exception.until}: the exception from {exception} ({exception.reason}); {what}"
        elif not missed:
            yield f"nothing needs the exception from {exception} ({exception.reason}): take it out"
