"""What a stack file says to the rules: taken where it is right, told by rule and key where not, never repeated."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.reading import UNKNOWN
from policies.rules import BY_ID, RULES
from policies.terms import Problem, Terms, terms_of

SECRET = "s3cr3t-Value"


def terms(**properties: Any) -> Terms:
    return terms_of({"policies": {}, "exceptions": [], **properties})


def the_problem(**properties: Any) -> Problem:
    found = terms(**properties)
    [problem] = found.problems
    assert found.given == {}
    assert found.exceptions == ()
    assert SECRET not in str(problem)
    return problem


def test_what_is_set_takes_the_place_of_the_default() -> None:
    found = terms(policies={"memory-floor": {"reason": "it is enough", "groups": {"worker": 1024.0}}})
    rule = BY_ID["memory-floor"]
    assert found.config(rule) == {"floorMb": 2048, "groups": {"worker": 1024.0}}
    assert Terms().config(rule) == rule.defaults


@pytest.mark.parametrize(
    ("policies", "where", "said", "mend"),
    [
        (
            {"memory-flor": {"reason": "x"}},
            "memory-flor",
            "no rule memory-flor",
            "did you mean memory-floor?",
        ),
        ({"zzz": {"reason": "x"}}, "zzz", "no rule zzz", "docs/policies.md"),
        ({"memory-floor": {"floorMb": 1024}}, "memory-floor", "without a reason", "reason"),
        ({"memory-floor": 1024}, "memory-floor", "without a reason", "reason"),
        (
            {"memory-floor": {"reason": "x", "floorMb": SECRET}},
            "memory-floor.floorMb",
            "rule memory-floor, setting floorMb: must be a number of MB, 256 or more",
            "correct it",
        ),
        (
            {"memory-floor": {"reason": "x", "floor": 1024}},
            "memory-floor.floor",
            "rule memory-floor has no setting floor",
            "it has floorMb, groups",
        ),
        ({"two-webs": {"reason": "x", "webs": 1}}, "two-webs.webs", "no setting webs", "it has none"),
        (
            {"memory-floor": {"reason": "x", "floorMb": UNKNOWN}},
            "memory-floor.floorMb",
            "must be",
            "correct it",
        ),
    ],
)
def test_a_rule_that_is_set_wrong_is_told(policies: dict[str, Any], where: str, said: str, mend: str) -> None:
    problem = the_problem(policies=policies)
    assert problem.where == f"hotdash:policies.{where}"
    assert said in problem.found
    assert mend in problem.mend


GOOD = {"rule": "nobody-at-zero", "subject": "worker", "reason": "a migration", "until": "2026-12-31"}


def test_an_exception_is_taken() -> None:
    found = terms(exceptions=[GOOD])
    [exception] = found.exceptions
    assert (exception.rule, exception.subject, exception.reason) == (
        "nobody-at-zero",
        "worker",
        "a migration",
    )
    assert exception.until == date(2026, 12, 31)
    assert found.problems == ()


@pytest.mark.parametrize(
    ("change", "where", "said", "mend"),
    [
        (
            {"rule": "nobody-at-zer"},
            ".rule",
            "there is no rule nobody-at-zer",
            "did you mean nobody-at-zero?",
        ),
        ({"rule": ""}, ".rule", "has no rule", "write rule, reason and until"),
        ({"reason": " "}, ".reason", "has no reason", "write rule, reason and until"),
        ({"until": "2026-02-30"}, ".until", "ends on no day", "2026-12-31"),
        ({"until": "next week"}, ".until", "ends on no day", "2026-12-31"),
        ({"until": 20261231.0}, ".until", "has no until", "write rule, reason and until"),
        ({"subject": 5.0}, ".subject", "has no subject", "write rule"),
        ({"subject": UNKNOWN}, ".subject", "has no subject", "write rule"),
    ],
)
def test_an_exception_that_is_wrong_is_told(change: dict[str, Any], where: str, said: str, mend: str) -> None:
    problem = the_problem(exceptions=[{**GOOD, **change}])
    assert problem.where == f"hotdash:exceptions.0{where}"
    assert said in problem.found
    assert mend in problem.mend


@pytest.mark.parametrize("key", ["policies", "exceptions"])
@pytest.mark.parametrize(
    ("value", "said"),
    [(UNKNOWN, "is not known"), (None, "earlier version"), ("x", "is no "), (5.0, "is no ")],
)
def test_a_section_that_cannot_be_read_is_told(key: str, value: object, said: str) -> None:
    problem = the_problem(**{key: value})
    assert problem.where == f"hotdash:{key}"
    assert said in problem.found


def test_what_is_right_beside_what_is_wrong_is_taken() -> None:
    found = terms(
        exceptions=[{**GOOD, "rule": "none"}, GOOD],
        policies={"none": {"reason": "x"}, "memory-floor": {"reason": "x", "floorMb": 1024.0}},
    )
    assert len(found.problems) == 2
    assert len(found.exceptions) == len(found.given) == 1


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(
    st.sampled_from(RULES),
    st.dictionaries(st.sampled_from(["floorMb", "groups", "reason", "seconds"]), values),
)
def test_any_setting_is_taken_or_told(rule: Any, config: dict[str, Any]) -> None:
    found = terms(policies={rule.id: config})
    assert bool(found.problems) != (rule.id in found.given)
    list(rule.check(_facts(), found.config(rule)))  # what is taken does not make a rule fail


def _facts() -> Any:
    from tests.policies.cases.making import SOUND

    return SOUND


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.settings], ids=lambda rule: rule.id)
def test_defaults_are_what_a_stack_file_may_say(rule: Any) -> None:
    found = terms(policies={rule.id: {**rule.defaults, "reason": "as it is"}})
    assert found.problems == ()
