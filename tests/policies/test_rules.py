"""Every rule finds what it should and nothing else; and each is missed when it is not there."""

from dataclasses import FrozenInstanceError, replace
from datetime import date, timedelta
from typing import Any

import pytest

from hotdash.stack.policy import PolicyException
from policies.judging import judge
from policies.reading import Reading
from policies.rules import BY_ID, RULES
from policies.rules.facts import SEEN, Facts
from policies.rules.rule import Finding, Rule
from policies.terms import Terms
from tests.policies.cases import CASES
from tests.policies.cases.making import SOUND, Case

TODAY = date(2026, 11, 24)
FAILING = [case for case in CASES if case.finds]


def judged(case: Case, rule: Rule, *exceptions: PolicyException) -> tuple[str, ...]:
    """The subjects of what counts."""
    terms = Terms({case.rule: case.config}, exceptions)
    judgement = judge([rule], Reading(case.facts), terms, TODAY)
    assert judgement.unjudged == ()
    return tuple(item.finding.subject for item in judgement.violations)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_finds_what_is_there(case: Case) -> None:
    assert judged(case, BY_ID[case.rule]) == case.finds


@pytest.mark.parametrize("case", FAILING, ids=str)
def test_what_is_found_is_told_with_the_key_and_the_mend(case: Case) -> None:
    rule = BY_ID[case.rule]
    first, *_ = rule.check(case.facts, {**rule.defaults, **case.config})
    for word in case.says:
        assert word in first.found
    assert first.where.startswith(("hotdash:", "the machines' config"))
    assert first.mend or rule.mend
    assert not first.found.endswith(".")
    assert "s3cr3t-Value" not in f"{first}"  # the password of every URL in the cases


@pytest.mark.parametrize("case", FAILING, ids=str)
def test_what_is_excepted_is_let_pass_until_the_day_is_over(case: Case) -> None:
    rule, subject = BY_ID[case.rule], case.finds[0]

    def excepting(until: date, subject: str = subject) -> PolicyException:
        return PolicyException(case.rule, subject, "the reason", until)

    others = tuple(found for found in case.finds if found != subject)
    assert judged(case, rule, excepting(TODAY)) == others
    assert judged(case, rule, excepting(TODAY, "")) == ()
    assert judged(case, rule, excepting(TODAY - timedelta(days=1))) == case.finds
    assert judged(case, rule, excepting(TODAY, "something else")) == case.finds
    assert judged(case, rule, replace(excepting(TODAY), rule="another-rule")) == case.finds


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_a_case_of_each_sort(rule: Rule) -> None:
    own = [case for case in CASES if case.rule == rule.id]
    assert any(case.finds for case in own)
    assert any(not case.finds for case in own)
    # On both sides of where it turns.
    assert any(case.boundary and case.finds for case in own)
    assert any(case.boundary and not case.finds for case in own)
    for name in rule.settings:
        assert any(name in case.config for case in own), name


def noticed(rule: Rule) -> bool:
    """Whether a case does not come out with this rule in the place of the real one."""
    own = [case for case in CASES if case.rule == rule.id]
    return any(judged(case, rule) != case.finds for case in own)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_that_finds_nothing_is_noticed(rule: Rule) -> None:
    assert not noticed(rule)
    assert noticed(replace(rule, check=lambda _facts, _config: ()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_that_always_finds_something_is_noticed(rule: Rule) -> None:
    always = Finding("anything", "it is there", "hotdash:app")
    assert noticed(replace(rule, check=lambda _facts, _config: (always,)))


@pytest.mark.parametrize("rule", [r for r in RULES if r.settings], ids=lambda rule: rule.id)
def test_a_rule_that_does_not_heed_its_settings_is_noticed(rule: Rule) -> None:
    assert noticed(replace(rule, check=lambda facts, _config: rule.check(facts, rule.defaults)))


def test_nothing_is_found_in_what_is_sound() -> None:
    judgement = judge(RULES, Reading(SOUND), Terms(), TODAY)
    assert (judgement.violations, judgement.unjudged, judgement.waiting) == ((), (), ())


# What a rule says of itself


def test_ids_are_short_and_each_its_own() -> None:
    assert len(BY_ID) == len(RULES)
    for rule in RULES:
        assert rule.id == rule.id.lower().strip("-")
        assert rule.docs == f"docs/policies.md#{rule.id}"
        assert rule.title
        assert rule.why
        assert rule.mend


class _Watched(Facts):
    """Facts that remember what of them was looked at."""

    def __getattribute__(self, name: str) -> Any:
        if name in Facts.__dataclass_fields__:
            looked_at.add(name)
        return super().__getattribute__(name)


looked_at: set[str] = set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_looks_at_what_it_says_it_needs(rule: Rule) -> None:
    looked_at.clear()
    for case in CASES:
        if case.rule == rule.id:
            list(rule.check(_Watched(**vars(case.facts)), {**rule.defaults, **case.config}))
    assert looked_at == rule.needs
    assert rule.looks_at_fly == bool(looked_at & SEEN)


def test_facts_cannot_be_changed_by_a_rule() -> None:
    with pytest.raises(FrozenInstanceError):
        SOUND.stack = "other"  # type: ignore[misc]
