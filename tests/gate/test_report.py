"""The verdict, and the exit code that scripts rely on."""

from dataclasses import replace

import pytest
from hypothesis import given

from hotdash.gate.report import Cause, Report, Verdict, rule_page
from tests.gate.reports import ADVICE, CLEAN, DRIFT, EVERY, EVERYTHING, MANDATORY, PROBLEM, UNJUDGED, reports


@pytest.mark.parametrize(
    ("report", "verdict", "exit_code"),
    [
        (CLEAN, Verdict.CLEAN, 0),
        (replace(CLEAN, policy=(ADVICE,)), Verdict.CLEAN, 0),
        (replace(CLEAN, drift=(DRIFT,)), Verdict.DRIFT, 2),
        (replace(CLEAN, policy=(MANDATORY,)), Verdict.POLICY, 3),
        (replace(CLEAN, unknown=(UNJUDGED,)), Verdict.POLICY, 3),
        (replace(CLEAN, drift=(DRIFT,), unknown=(UNJUDGED,)), Verdict.BOTH, 4),
        (EVERYTHING, Verdict.BOTH, 4),
        (replace(EVERYTHING, errors=(PROBLEM,)), Verdict.FAILED, 1),
    ],
)
def test_the_verdict_and_its_exit_code(report: Report, verdict: Verdict, exit_code: int) -> None:
    assert (report.verdict, report.exit_code) == (verdict, exit_code)


@pytest.mark.parametrize(
    ("fail_on", "verdict"),
    [
        (EVERY, Verdict.BOTH),
        ({Cause.DRIFT}, Verdict.DRIFT),
        ({Cause.POLICY}, Verdict.POLICY),
        ({Cause.UNKNOWN}, Verdict.POLICY),
        (set(), Verdict.CLEAN),
    ],
)
def test_only_what_counts_makes_the_verdict(fail_on: set[Cause], verdict: Verdict) -> None:
    assert replace(EVERYTHING, fail_on=frozenset(fail_on)).verdict is verdict


def test_what_does_not_count_is_told_all_the_same() -> None:
    report = replace(EVERYTHING, fail_on=frozenset({Cause.POLICY}))
    assert "drift" in report.because
    assert "could not be judged" in report.because


@given(report=reports)
def test_a_gate_that_could_not_run_never_passes(report: Report) -> None:
    assert (report.exit_code == 1) == bool(report.errors)


@given(report=reports)
def test_nothing_mandatory_passes_where_policy_counts(report: Report) -> None:
    counts = bool(report.mandatory) and Cause.POLICY in report.fail_on
    assert not counts or report.exit_code in (1, 3, 4)


def test_a_rule_is_explained_under_its_own_heading_and_the_pack_itself_on_its_page() -> None:
    assert rule_page("memory-floor") == "docs/policies.md#memory-floor"
    assert rule_page("policy-unknown") == "docs/policies.md"
