"""Each format against its published schema, with texts that others have written in every field."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given

from hotdash.gate import report as report_module
from hotdash.gate.formats import FORMATS, Links, github, json_report, junit, markdown, sarif, text
from hotdash.gate.report import Cause, Report
from tests.gate.reports import (
    ADVICE,
    CLEAN,
    DRIFT,
    EVERYTHING,
    FILE,
    MANDATORY,
    PROBLEM,
    UNJUDGED,
    reports,
)
from tests.gate.xsd import Schema

SCHEMAS = Path(__file__).parent / "schemas"
OWN_SCHEMA = Path(report_module.__file__).with_name("report.schema.json")
NOWHERE = Links()
GITHUB = Links("https://github.example/hotdash/chatwoot/blob/abc/")
EXTREMES = (
    CLEAN,
    EVERYTHING,
    replace(EVERYTHING, errors=(PROBLEM,)),
    replace(EVERYTHING, fail_on=frozenset()),
)


@cache
def _own() -> Any:
    schema = json.loads(OWN_SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@cache
def _sarif() -> Any:
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


@cache
def _junit() -> Schema:
    return Schema(SCHEMAS / "junit-10.xsd")


def _wrong(validator: Any, document: Any) -> list[str]:
    return [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator.iter_errors(document)]


# JSON


@given(report=reports)
def test_json_is_as_its_schema_says(report: Report) -> None:
    assert _wrong(_own(), json.loads(json_report.render(report, NOWHERE))) == []


def test_the_schema_knows_every_verdict_and_cause() -> None:
    properties = _own().schema["properties"]
    assert set(properties["verdict"]["enum"]) == {*report_module.Verdict}
    assert set(properties["fail_on"]["items"]["enum"]) == {*Cause}
    assert properties["schema_version"]["const"] == report_module.SCHEMA_VERSION


def test_json_tells_all_that_was_found() -> None:
    told = json.loads(json_report.render(EVERYTHING, NOWHERE))
    assert told["verdict"] == "drift-and-policy"
    assert told["exit"] == 4
    assert told["summary"] == {
        "drift": 1,
        "mandatory": 1,
        "advisory": 1,
        "unknown": 1,
        "errors": 0,
        "rules": 3,
        "resources": {"same": 6, "update": 1},
    }
    assert told["drift"][0]["since"] == "2026-11-21T11:00:00+00:00"
    assert told["policy"][0]["place"] == {
        "file": FILE,
        "line": 42,
        "key": "hotdash:processGroups.worker.memoryMb",
    }


# SARIF


@given(report=reports)
def test_sarif_is_as_its_schema_says(report: Report) -> None:
    for links in (NOWHERE, GITHUB):
        assert _wrong(_sarif(), json.loads(sarif.render(report, links))) == []


def test_the_sarif_schema_refuses_what_is_wrong() -> None:
    log = json.loads(sarif.render(EVERYTHING, NOWHERE))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert _wrong(_sarif(), log) != []


def _run(report: Report, links: Links = NOWHERE) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(sarif.render(report, links))["runs"][0]
    return run


def test_sarif_puts_each_finding_on_its_line() -> None:
    run = _run(EVERYTHING)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    told = []
    for result in run["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert place["artifactLocation"] == {"uri": FILE, "uriBaseId": "SRCROOT"}
        told.append((result["ruleId"], result["level"], place["region"]["startLine"]))
    assert told == [
        ("drift/machine-memory", "error", 42),
        ("memory-floor", "error", 42),
        ("two-webs", "warning", 30),
        ("looks-ahead", "error", 40),
    ]


def test_in_sarif_what_does_not_count_is_a_note() -> None:
    run = _run(replace(EVERYTHING, fail_on=frozenset({Cause.POLICY})))
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels == {
        "drift/machine-memory": "note",
        "memory-floor": "error",
        "two-webs": "warning",
        "looks-ahead": "note",
    }
    low = replace(ADVICE, severity="low")
    assert [r["level"] for r in _run(replace(CLEAN, policy=(low,)))["results"]] == ["note"]


def test_sarif_rules_lead_to_their_pages() -> None:
    rules = {rule["id"]: rule for rule in _run(EVERYTHING, GITHUB)["tool"]["driver"]["rules"]}
    assert set(rules) == {"drift/machine-memory", "memory-floor", "two-webs", "tls-required", "looks-ahead"}
    assert rules["memory-floor"]["helpUri"] == f"{GITHUB.base}docs/policies.md#memory-floor"
    assert rules["drift/machine-memory"]["helpUri"] == f"{GITHUB.base}docs/architecture.md#drift"
    assert rules["memory-floor"]["properties"]["security-severity"] == "8.0"
    without = {rule["id"]: rule for rule in _run(EVERYTHING)["tool"]["driver"]["rules"]}
    assert "helpUri" not in without["memory-floor"]
    assert "docs/policies.md#memory-floor" in without["memory-floor"]["help"]["text"]


def test_a_sarif_result_keeps_its_print_while_lines_move() -> None:
    moved = replace(MANDATORY, place=replace(MANDATORY.place, line=99))
    prints = [
        _run(replace(CLEAN, policy=(item,)))["results"][0]["partialFingerprints"]
        for item in (MANDATORY, moved, replace(MANDATORY, subject="web"))
    ]
    assert prints[0] == prints[1] != prints[2]


def test_sarif_of_a_gate_that_could_not_run_says_so_and_finds_nothing() -> None:
    run = _run(replace(CLEAN, errors=(PROBLEM,)))
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["invocations"][0]["exitCode"] == 1
    assert (
        "Fly cannot be reached" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    )


# JUnit


@given(report=reports)
def test_junit_is_as_its_schema_says(report: Report) -> None:
    assert _junit().problems(junit.render(report, NOWHERE)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "<testsuites><nothing/></testsuites>",
        "<testsuites><testsuite name='x'/></testsuites>",
        "<testsuites time='soon'/>",
        "<testsuites strange='x'/>",
        "<testsuites>words</testsuites>",
        "<nothing/>",
        "<testsuite name='x' tests='1' failures='0' errors='0'><testcase><failure/></testcase></testsuite>",
        "<testsuite name='x' tests='1' failures='0' errors='0'><testcase name='x'><y/></testcase></testsuite>",
    ],
)
def test_the_junit_schema_refuses_what_is_wrong(wrong: str) -> None:
    assert _junit().problems(wrong) != []


def _cases(report: Report) -> dict[str, tuple[str, str]]:
    """Each case's outcome and its message."""
    root = ElementTree.fromstring(junit.render(report, NOWHERE))
    found = {}
    for case in root.iter("testcase"):
        outcome = next((child for child in case if child.tag != "system-out"), None)
        found[case.get("name", "")] = (
            ("passed", "") if outcome is None else (outcome.tag, outcome.get("message", ""))
        )
    return found


def test_junit_has_a_case_for_each_rule_and_each_subject() -> None:
    assert _cases(EVERYTHING) == {
        "could be run": ("passed", ""),
        "memory-floor": ("failure", "worker: worker has 512 MB, and needs 2048"),
        "two-webs": ("passed", ""),
        "tls-required": ("passed", ""),
        "looks-ahead": ("failure", f"worker: {UNJUDGED.message}"),
        "worker 148e21f0": (
            "failure",
            "machine-memory: 512 MB, not 2048 MB (since 2026-11-21 11:00:00Z)",
        ),
        "6 resources as declared": ("passed", ""),
    }


def test_in_junit_what_does_not_count_is_skipped() -> None:
    cases = _cases(replace(EVERYTHING, fail_on=frozenset()))
    assert {name for name, (outcome, _) in cases.items() if outcome == "skipped"} == {
        "memory-floor",
        "looks-ahead",
        "worker 148e21f0",
    }


def test_junit_of_a_gate_that_could_not_run_has_an_error() -> None:
    assert _cases(replace(CLEAN, errors=(PROBLEM,)))["could be run"] == ("error", "Fly cannot be reached")


@given(report=reports)
def test_junit_counts_what_it_holds(report: Report) -> None:
    root = ElementTree.fromstring(junit.render(report, NOWHERE))
    for suite in root.iter("testsuite"):
        for name, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            assert int(suite.get(name, "")) == len(suite.findall(f"testcase/{tag}"))
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))


# GitHub's workflow commands

COMMAND = re.compile(r"^::(error|warning|notice) file=([^,]*),line=(\d+),title=([^,:]*)::(.*)$")


def _commands(report: Report) -> list[tuple[str, ...]]:
    """The workflow commands as a runner reads them: a line that begins with two colons."""
    found = []
    for line in github.render(report, NOWHERE).split("\n"):
        if line.startswith("::"):
            match = COMMAND.match(line)
            assert match, line
            found.append(match.groups())
    return found


def _decoded(value: str) -> str:
    for code, character in {"%3A": ":", "%2C": ",", "%0D": "\r", "%0A": "\n", "%25": "%"}.items():
        value = value.replace(code, character)
    return value


@given(report=reports)
def test_nothing_but_our_own_commands_is_one(report: Report) -> None:
    expected = len(report.errors) + len(report.policy) + len(report.unknown) + len(report.drift)
    commands = _commands(report)
    assert len(commands) == expected
    assert all(level in ("error", "warning", "notice") for level, *_ in commands)
    found = (*report.policy, *report.unknown)
    places = {item.place.file for item in found} | {item.place.file for item in report.drift}
    assert {_decoded(file) for _, file, *_ in commands} <= {report.file, *places}


def test_github_is_told_where_and_how_bad() -> None:
    assert [(level, line, title) for level, _, line, title, _ in _commands(EVERYTHING)] == [
        ("error", "42", "memory-floor"),
        ("error", "40", "looks-ahead"),
        ("error", "42", "drift%3A machine-memory"),
        ("warning", "30", "two-webs"),
    ]
    uncounted = _commands(replace(EVERYTHING, fail_on=frozenset()))
    assert [level for level, *_ in uncounted] == ["notice", "notice", "notice", "warning"]
    assert [level for level, *_ in _commands(replace(CLEAN, errors=(PROBLEM,)))] == ["error"]
    assert _commands(CLEAN) == []


def test_a_message_of_several_lines_is_one_command() -> None:
    (*_, message), *_ = _commands(replace(CLEAN, policy=(MANDATORY,)))
    assert _decoded(message).splitlines()[0] == "worker: worker has 512 MB, and needs 2048"
    assert "next: set memoryMb: 2048" in _decoded(message).splitlines()


# Text


@given(report=reports)
def test_no_line_of_another_stands_at_the_margin(report: Report) -> None:
    """A CI system takes lines at the margin for commands; ours begin with a word of ours."""
    ours = ("could not run", "policy:", "could not be judged", "drift:", "advice:", "plan:", "gate of ", " ")
    for line in text.render(report, NOWHERE).splitlines():
        assert not line or line.startswith(ours), line


def test_text_ends_with_the_verdict() -> None:
    *_, verdict, because = text.render(EVERYTHING, NOWHERE).splitlines()
    assert verdict == f"gate of {FILE}: drift-and-policy (exit 4)"
    assert "1 violation of mandatory rules" in because
    clean = text.render(CLEAN, NOWHERE).splitlines()
    assert clean[0] == f"gate of {FILE}: clean (exit 0)"
    assert len(clean) == 2


def test_text_says_what_was_found_where_and_what_to_do() -> None:
    told = text.render(EVERYTHING, NOWHERE)
    for words in (
        "mandatory memory-floor (high): worker",
        "worker has 512 MB, and needs 2048",
        f"{FILE}:42 (hotdash:processGroups.worker.memoryMb)",
        "set memoryMb: 2048",
        "docs/policies.md#memory-floor",
        "worker 148e21f0: up updates the machine",
        "512 MB, not 2048 MB (since 2026-11-21 11:00:00Z)",
        "update   fly:Secrets chatwoot: secrets.SMTP_PASSWORD",
        "DATABASE_URL leads to x",
    ):
        assert words in told, words


def test_text_says_why_it_could_not_run() -> None:
    told = text.render(replace(CLEAN, errors=(PROBLEM,)), NOWHERE)
    assert told.startswith("could not run  Fly cannot be reached\n")
    assert "code   fly-unreachable" in told


# Markdown

CELLS = re.compile(r"(?<!\\)\|")


@given(report=reports)
def test_markdown_stays_in_its_tables(report: Report) -> None:
    told = _bare(markdown.render(report, GITHUB))
    assert told.count("<details>") == told.count("</details>") == told.count("<summary>")
    assert "<script" not in told
    columns = 0
    for line in told.split("\n"):
        if not line.startswith("|"):
            columns = 0
            continue
        count = len(CELLS.findall(line))
        assert columns in (0, count), line
        columns = count


@given(report=reports)
def test_markdown_mentions_nobody_and_links_nowhere_else(report: Report) -> None:
    told = _bare(markdown.render(report, GITHUB))
    assert not re.search(r"@[A-Za-z]", told)
    assert all(url.startswith(GITHUB.base) for url in re.findall(r"https?://[^\s)]+", told))


def _bare(told: str) -> str:
    """Without what is shown as it stands: code, and blocks of it."""
    lines = [line for line in told.split("\n") if not line.startswith("    ")]
    return re.sub(r"(?<!\\)`[^`\n]*`", "`", "\n".join(lines))


def test_markdown_is_found_again_by_its_first_line() -> None:
    assert markdown.render(EVERYTHING, NOWHERE).splitlines()[0] == "<!-- hotdash gate production -->"


def test_markdown_is_short_enough_for_a_comment() -> None:
    many = replace(EVERYTHING, drift=(replace(DRIFT, was="x" * 400, why="y" * 400),) * 500)
    told = markdown.render(many, GITHUB)
    assert len(told) < 65_536
    assert told.count("<details>") == told.count("</details>")
    plan = replace(EVERYTHING, policy=(replace(MANDATORY, message="z" * 400, meaning="z" * 400),) * 100)
    cut = markdown.render(replace(plan, drift=many.drift), GITHUB)
    assert len(cut) < 65_536
    assert cut.count("<details>") == cut.count("</details>")
    assert "have the rest" in cut


def test_markdown_shows_few_rows_and_folds_the_rest() -> None:
    told = markdown.render(replace(EVERYTHING, drift=(DRIFT,) * 20), NOWHERE)
    shown, _, folded = told.partition("<details>")
    assert shown.count("worker 148e21f0") == markdown.OPEN
    assert folded.count("worker 148e21f0") == 20 - markdown.OPEN


# All of them


@pytest.mark.parametrize("report", EXTREMES, ids=["clean", "everything", "failed", "uncounted"])
def test_every_format_tells_the_verdict_or_what_makes_it(report: Report) -> None:
    for item in FORMATS.values():
        told = item.render(report, NOWHERE)
        assert told.endswith("\n")
        if report.mandatory:
            assert "memory-floor" in told, item.name
        if report.errors:
            assert "Fly cannot be reached" in told, item.name


def test_links_are_those_of_the_commit_that_was_looked_at() -> None:
    given = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "hotdash/chatwoot",
        "GITHUB_SHA": "abc",
    }
    assert Links.of(given).to("docs/gate.md") == "https://github.com/hotdash/chatwoot/blob/abc/docs/gate.md"
    assert Links.of({}).to("docs/gate.md") == ""
