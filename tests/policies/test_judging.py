"""Rules, facts and terms together: nothing passes silently; exceptions in force, over and idle are told."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import pytest

from hotdash.stack.policy import PolicyException
from policies import telling
from policies.judging import judge, notes
from policies.reading import Reading
from policies.rules import BY_ID, RULES
from policies.rules.facts import Facts
from policies.rules.rule import Config, Finding
from policies.terms import Problem, Terms
from tests.policies.cases.making import SOUND, WEB, WORKER, groups, like

TODAY = date(2026, 11, 24)
AT_ZERO = groups(WEB, replace(WORKER, count=0))
RULE = BY_ID["nobody-at-zero"]


def excepting(until: date, rule: str = "nobody-at-zero", subject: str = "worker") -> PolicyException:
    return PolicyException(rule, subject, "the migration of Friday", until)


def told(facts: Facts, *exceptions: PolicyException, waiting: Iterable[str] = ()) -> list[str]:
    terms = Terms({}, exceptions)
    judgement = judge(RULES, Reading(facts, {}, frozenset(waiting)), terms, TODAY)
    return list(notes(judgement, terms, TODAY))


def test_a_rule_that_fails_counts_as_one_that_could_not_judge() -> None:
    def fails(_facts: Facts, _config: Config) -> Iterable[Finding]:
        yield Finding("a", "b", "hotdash:c")
        raise KeyError("s3cr3t-Value")

    judgement = judge([replace(RULE, check=fails)], Reading(SOUND), Terms(), TODAY)
    assert judgement.violations == ()
    [item] = judgement.unjudged
    assert item.why == "it failed (KeyError)"


def test_a_rule_is_not_asked_where_it_cannot_read() -> None:
    asked: list[str] = []

    def ask(_facts: Facts, _config: Config) -> Iterable[Finding]:
        asked.append("asked")
        return ()

    reading = Reading(SOUND, {"groups": "processGroups is no mapping"})
    judgement = judge([replace(RULE, check=ask)], reading, Terms(), TODAY)
    assert asked == []
    assert [item.fact for item in judgement.unjudged] == ["groups"]


# Exceptions


def test_an_exception_in_force_is_told_with_its_reason_and_its_end() -> None:
    [note] = told(AT_ZERO, excepting(TODAY))
    assert note == (
        "let pass until 2026-11-24: worker is declared with no machine at all "
        "(nobody-at-zero; the migration of Friday)"
    )


def test_an_expired_exception_counts_for_nothing_and_says_so() -> None:
    expired = excepting(date(2026, 11, 23))
    terms = Terms({}, (expired,))
    [violation] = judge(RULES, Reading(AT_ZERO), terms, TODAY).violations
    assert violation.expired == expired
    assert "its exception ended on 2026-11-23 (the migration of Friday)" in telling.violation(violation, "x")
    [note] = told(AT_ZERO, expired)
    assert note.startswith("expired on 2026-11-23: ")
    assert "refused again" in note


@pytest.mark.parametrize(
    ("until", "said"),
    [(date(2027, 1, 1), "nothing needs the exception"), (date(2026, 1, 1), "nothing needs it any more")],
)
def test_an_exception_that_nothing_needs_is_told(until: date, said: str) -> None:
    [note] = told(SOUND, excepting(until))
    assert said in note
    assert "nobody-at-zero worker" in note
    assert "take it out" in note


def test_an_exception_is_not_called_idle_while_its_rule_waits() -> None:
    exception = excepting(date(2027, 1, 1), "no-shadowed-secret", "REDIS_URL")
    assert told(SOUND, exception, waiting={"machines"}) == []
    [note] = told(SOUND, exception)
    assert "nothing needs" in note


def test_of_two_exceptions_the_one_that_lasts_counts() -> None:
    past, future = excepting(date(2026, 1, 1)), excepting(date(2027, 1, 1), subject="")
    first, second = told(AT_ZERO, past, future)
    assert first.startswith("let pass until 2027-01-01")
    assert second.startswith("expired on 2026-01-01")


def test_nothing_is_said_of_no_exceptions() -> None:
    assert told(SOUND) == told(AT_ZERO) == []


# Messages


def test_a_message_says_what_where_why_and_what_next() -> None:
    [violation] = judge([RULE], Reading(AT_ZERO), Terms(), TODAY).violations
    assert telling.violation(violation, "production").splitlines() == [
        "worker is declared with no machine at all",
        "  where   stacks/Pulumi.production.yaml, hotdash:processGroups.worker.count",
        f"  means   {RULE.why}",
        f"  next    {RULE.mend}",
        "  subject worker",
        "  docs    docs/policies.md#nobody-at-zero",
    ]


def test_what_could_not_be_read_is_told_once_with_all_rules_that_need_it() -> None:
    reading = Reading(SOUND, {"groups": "processGroups.web.count is not a number"})
    messages = list(telling.unjudged(judge(RULES, reading, Terms(), TODAY).unjudged))
    [message] = messages
    first, *_ = message.splitlines()
    assert first.endswith(": processGroups.web.count is not a number")
    for rule in RULES:
        assert (rule.id in first) == ("groups" in rule.needs)
    assert "counts as wrong" in message


def test_the_place_of_machines_config_is_no_key_of_the_stack_file() -> None:
    [violation] = judge(
        [BY_ID["no-shadowed-secret"]],
        Reading(like(machines=(replace(SOUND.machines[0], env=frozenset({"REDIS_URL"})),))),
        Terms(),
        TODAY,
    ).violations
    assert "where   the machines' config ([env] in fly.toml): REDIS_URL" in telling.violation(violation, "x")


def test_a_problem_names_pack_rule_and_key() -> None:
    problem = Problem("hotdash:policies.a.b", "rule a, setting b: must be true or false", "correct it")
    assert telling.problem(problem, "hotdash-chatwoot", "production").splitlines() == [
        "pack hotdash-chatwoot: rule a, setting b: must be true or false",
        "  where   stacks/Pulumi.production.yaml, hotdash:policies.a.b",
        "  means   it counts for nothing: the rule is as strict as without it",
        "  next    correct it",
        "  docs    docs/policies.md#settings-of-rules",
    ]
