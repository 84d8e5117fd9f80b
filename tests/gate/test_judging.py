"""From events, told drift and the engine's errors to a report."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.drift import Drift, Kind
from hotdash.gate.drift_file import Told
from hotdash.gate.events import Change, Said, Seen, Violation
from hotdash.gate.judging import judge
from hotdash.gate.places import StackFile
from hotdash.gate.problems import Ended
from hotdash.gate.report import Cause, Report, Verdict

STACK = "urn:pulumi:production::hotdash::"
COMPONENT = f"{STACK}hotdash:chatwoot:ChatwootOnFly::app"
BELOW = f"{STACK}hotdash:chatwoot:ChatwootOnFly$pulumi-python:dynamic/"
SECRETS = f"{BELOW}fly:Secrets::app"
WEB = f"{BELOW}fly:ProcessGroup::app-web"
READINESS = f"{BELOW}chatwoot:Readiness::app"
FILE = StackFile(
    "stacks/Pulumi.production.yaml",
    "config:\n  hotdash:secrets:\n    A: a.env\n  hotdash:processGroups:\n    web:\n      memoryMb: 512\n",
)
AT = datetime(2026, 11, 21, tzinfo=UTC)
MEMORY = Drift(Kind.MACHINE_MEMORY, "web 1", "512 MB", "2048 MB", "", "updates the machine", AT, "1")


def looked(
    *changes: Change,
    violations: tuple[Violation, ...] = (),
    said: tuple[Said, ...] = (),
    packs: Mapping[str, str] | None = None,
    judged: Mapping[str, tuple[int, int]] | None = None,
    result: str = "succeeded",
) -> Seen:
    return Seen(
        changes=list(changes),
        violations=list(violations),
        said=list(said),
        packs=dict({"pack": "1"} if packs is None else packs),
        judged=dict({"rule": (1, 0)} if judged is None else judged),
        result=result,
        events=3,
    )


def report_of(seen: Seen, *told: Told, code: int = 0, stderr: str = "") -> Report:
    return judge(
        stack="production",
        pack="policies",
        fail_on=frozenset(Cause),
        seen=seen,
        told=told,
        ended=Ended(code, stderr, PurePath("/home/somebody/app")),
        file=FILE,
        at=AT,
    )


def change(urn: str, op: str = "update", *fields: str, waiting: frozenset[str] = frozenset()) -> Change:
    return Change(urn, urn.split("::")[2].rpartition("$")[2], op, urn != COMPONENT, fields, waiting)


def violation(message: str, *, rule: str = "rule", enforcement: str = "mandatory") -> Violation:
    return Violation(rule, "pack", enforcement, "high", COMPONENT, message)


# Drift


def test_nothing_that_changes_is_clean() -> None:
    assert report_of(looked()).verdict is Verdict.CLEAN


def test_drift_is_what_was_told_of_it() -> None:
    report = report_of(looked(change(WEB, "update", "memoryMb")), Told(WEB, (MEMORY,), ()))
    (found,) = report.drift
    assert (found.kind, found.subject, found.was, found.wants) == (
        "machine-memory",
        "web 1",
        "512 MB",
        "2048 MB",
    )
    assert (found.since, found.resource, found.place.line) == (AT, WEB, 6)
    assert report.verdict is Verdict.DRIFT


@pytest.mark.parametrize("op", ["create", "update", "delete", "replace", "evaporate"])
def test_a_change_of_which_nothing_is_told_is_drift(op: str) -> None:
    (found,) = report_of(looked(change(SECRETS, op, "secrets.A"))).drift
    assert (found.kind, found.subject, found.place.line) == ("changed", "fly:Secrets app", 2)
    assert "secrets.A" in found.why


def test_what_only_waits_for_another_is_no_drift_of_its_own() -> None:
    waits = change(READINESS, "update", "after", waiting=frozenset({"after"}))
    report = report_of(looked(change(WEB, "update", "memoryMb"), waits), Told(WEB, (MEMORY,), ()))
    assert [item.kind for item in report.drift] == ["machine-memory"]
    assert [step.name for step in report.plan] == ["app-web", "app"]


def test_what_waits_for_nothing_that_changes_is_drift() -> None:
    waits = change(READINESS, "update", "after", waiting=frozenset({"after"}))
    assert [item.kind for item in report_of(looked(waits)).drift] == ["changed"]


def test_a_component_counts_where_it_alone_changes() -> None:
    alone = report_of(looked(change(COMPONENT, "update", "exceptions")))
    assert [item.kind for item in alone.drift] == ["changed"]
    with_another = report_of(
        looked(change(COMPONENT, "update", "processGroups"), change(WEB, "update", "memoryMb")),
        Told(WEB, (MEMORY,), ()),
    )
    assert [item.kind for item in with_another.drift] == ["machine-memory"]


def test_notes_stand_in_the_plan() -> None:
    report = report_of(looked(change(SECRETS)), Told(SECRETS, (), ("DATABASE_URL leads to x",)))
    assert report.plan[0].notes == ("DATABASE_URL leads to x",)
    assert [item.kind for item in report.drift] == ["changed"]


# Rules

HOUSE = """\
Memory suffices
web has 512 MB, and needs 2048
  where  stacks/Pulumi.production.yaml, hotdash:processGroups.web.memoryMb
  means  it is killed for want of memory
  next   set memoryMb: 2048
  but    its exception ended on 2026-01-01 (migration)
  docs   docs/policies.md#memory-floor
"""


def test_a_finding_of_our_pack_is_taken_apart() -> None:
    (found,) = report_of(looked(violations=(violation(HOUSE),)), code=1).policy
    assert found.title == "Memory suffices"
    assert found.message == ("web has 512 MB, and needs 2048; its exception ended on 2026-01-01 (migration)")
    assert found.meaning == "it is killed for want of memory"
    assert found.remedy == "set memoryMb: 2048"
    assert found.docs == "docs/policies.md#memory-floor"
    assert (found.subject, found.severity) == ("web", "high")
    assert (found.place.line, found.place.key) == (6, "hotdash:processGroups.web.memoryMb")


def test_a_finding_of_another_pack_is_taken_as_it_is() -> None:
    (found,) = report_of(looked(violations=(violation("No apps\nthis: is one\n"),))).policy
    assert (found.title, found.message, found.subject) == ("No apps", "this: is one", "app")
    assert (found.place.line, found.meaning, found.remedy) == (1, "", "")


@pytest.mark.parametrize(
    ("key", "subject"),
    [
        ("hotdash:processGroups.web.check.path", "web"),
        ("hotdash:secrets.DATABASE_URL", "DATABASE_URL"),
        ("hotdash:secrets", "secrets"),
        ("hotdash:app.deleteOnDestroy", "app.deleteOnDestroy"),
        ("hotdash:migration.database", "migration.database"),
    ],
)
def test_the_subject_is_what_the_key_is_about(key: str, subject: str) -> None:
    text = f"Title\nfound\n  where  stacks/Pulumi.production.yaml, {key}\n"
    (found,) = report_of(looked(violations=(violation(text),))).policy
    assert found.subject == subject


def test_a_subject_that_the_pack_names_counts() -> None:
    text = "Title\nfound\n  subject worker\n  where  hotdash:processGroups\n"
    (found,) = report_of(looked(violations=(violation(text),))).policy
    assert found.subject == "worker"


def test_the_same_finding_twice_is_told_once() -> None:
    assert len(report_of(looked(violations=(violation(HOUSE), violation(HOUSE)))).policy) == 1


@pytest.mark.parametrize(
    "one",
    [
        violation(
            "can't run policy 'rule' from policy pack 'pack@v1' during preview: string value at .recorded can't be "
            "known during preview\n",
            enforcement="advisory",
        ),
        violation("Unread\nrule: nothing is declared\n", rule="policy-unknown"),
        violation("Unread\nrule: nothing is seen\n", rule="policy-unknown-state"),
    ],
)
def test_what_could_not_be_judged_fails_the_gate(one: Violation) -> None:
    report = report_of(looked(violations=(one,)))
    assert (report.policy, len(report.unknown), report.verdict) == ((), 1, Verdict.POLICY)


def test_an_enforcement_that_is_not_known_counts() -> None:
    report = report_of(looked(violations=(violation("Title\nfound\n", enforcement="remediate"),)))
    assert report.verdict is Verdict.POLICY


def test_a_pack_that_did_not_run_proves_nothing() -> None:
    (problem,) = report_of(looked(packs={}, judged={})).errors
    assert (problem.code, problem.where) == ("policy-pack", "policies")
    assert "ran no policy pack" in problem.summary


def test_a_pack_of_which_no_rule_ran_proves_nothing() -> None:
    (problem,) = report_of(looked(judged={})).errors
    assert "judged nothing" in problem.summary


# What went wrong


def test_an_error_of_ours_is_taken_apart() -> None:
    text = (
        "Preview failed: fly-unreachable: Fly cannot be reached\n  where  app x\n  means  nothing was asked\n"
        "  next   look\n  code   fly-unreachable\n"
    )
    again = text.removeprefix("Preview failed: ")
    said = (
        Said("error", text, SECRETS),
        Said("error", again, SECRETS),
        Said("error", "preview failed\n", ""),
    )
    (problem,) = report_of(looked(said=said, result="failed"), code=1).errors
    assert (problem.code, problem.summary) == ("fly-unreachable", "Fly cannot be reached")
    assert (problem.where, problem.meaning, problem.remedy) == ("app x", "nothing was asked", "look")
    assert problem.resource == SECRETS


def test_a_list_of_problems_stays_a_list() -> None:
    text = (
        "the settings have 2 problems:\n  - hotdash:app: one\n  - hotdash:vault: two\n"
        "  where  x\n  code   settings\n"
    )
    (problem,) = report_of(looked(said=(Said("error", text, ""),)), code=1).errors
    assert problem.code == "settings"
    assert problem.summary.splitlines()[1:] == ["  - hotdash:app: one", "  - hotdash:vault: two"]


def test_a_crash_is_told_in_a_line_and_shows_no_password() -> None:
    text = (
        "Program failed with an unhandled exception:\nTraceback (most recent call last):\n"
        '  File "/home/somebody/app/components/secrets.py", line 12, in <module>\n    raise ValueError(url)\n'
        "ValueError: postgres://user:hunter2@host/db is no good\n"
    )
    (problem,) = report_of(looked(said=(Said("error", text, ""),), result="failed"), code=1).errors
    assert problem.code == "program"
    assert problem.summary == "the program failed: ValueError: postgres://…@host/db is no good"
    assert problem.where == "components/secrets.py, line 12"


def test_a_rule_that_raises_is_an_error_of_the_pack() -> None:
    said = (Said("error", "failed to run policy: Exception calling application: kaputt\n", COMPONENT),)
    (problem,) = report_of(looked(said=said, result="failed"), code=1).errors
    assert problem.code == "policy-pack"
    assert problem.summary == "a rule of the policy pack failed: kaputt"


@pytest.mark.parametrize(
    ("stderr", "remedy"),
    [
        ("error: getting stack configuration: incorrect passphrase\n", "PULUMI_CONFIG_PASSPHRASE"),
        ("error: no stack named 'production' found\n", "pulumi stack init"),
        ('error: unable to open state directory "file:///x"\n', "PULUMI_BACKEND_URL"),
        ('error: Pulumi CLI version 3.1.0 does not satisfy the version range ">=3.250.0"\n', "make engine"),
        ("error: something that nobody thought of\n", "pulumi preview"),
    ],
)
def test_an_error_of_the_engine_has_its_mend(stderr: str, remedy: str) -> None:
    (problem,) = report_of(Seen(), code=1, stderr=f"warning: whatever\n{stderr}").errors
    assert problem.code == "engine"
    assert "whatever" not in str(problem)
    assert remedy in problem.remedy


def test_warnings_alone_are_no_error() -> None:
    assert report_of(looked(), stderr="warning: using pulumi-language-python from PATH\n").errors == ()


ENDS = st.sampled_from([0, 1, 2, 5, 255, -9, -15])


@given(code=ENDS, stderr=st.text(max_size=30))
def test_an_engine_that_says_nothing_never_passes(code: int, stderr: str) -> None:
    assert report_of(Seen(), code=code, stderr=stderr).exit_code == 1


@given(code=ENDS.filter(bool), stderr=st.sampled_from(["", "warning: x\n", "preview failed"]))
def test_a_failure_that_nothing_explains_never_passes(code: int, stderr: str) -> None:
    assert report_of(looked(), code=code, stderr=stderr).exit_code == 1


def test_advice_does_not_explain_a_failure() -> None:
    advice = violation("Title\nfound\n", enforcement="advisory")
    assert report_of(looked(violations=(advice,)), code=1).exit_code == 1
    assert report_of(looked(violations=(advice,))).exit_code == 0


@given(code=ENDS)
def test_an_engine_that_was_cut_off_never_passes(code: int) -> None:
    assert report_of(looked(change(WEB), result=""), Told(WEB, (MEMORY,), ()), code=code).exit_code == 1
