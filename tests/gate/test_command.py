"""`hotdash gate` through the real engine: what it tells, how it ends, and that it changes nothing."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from hotdash.gate import report as report_module
from tests.gate.gate import PACKS, Ran, gate
from tests.gate.xsd import Schema
from tests.program.stack import Stack

SCHEMAS = Path(__file__).parent / "schemas"


def tree(folder: Path) -> dict[str, str]:
    """Every file of a folder and what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def valid(told: dict[str, Any]) -> dict[str, Any]:
    schema = json.loads(Path(report_module.__file__).with_name("report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(told)
    return told


def test_a_stack_as_declared_is_clean_and_nothing_is_written(applied: Stack) -> None:
    state = tree(applied.backend)
    with applied.nothing_changed():
        ran = gate(applied, "--format", "json").ended(0)
        methods = {request["method"] for request in applied.world.requests()}
    told = valid(ran.report)
    assert (told["verdict"], told["drift"], told["unknown"], told["errors"], told["plan"]) == (
        "clean",
        [],
        [],
        [],
        [],
    )
    assert [item for item in told["policy"] if item["enforcement"] != "advisory"] == []
    assert told["pack"].startswith("hotdash-chatwoot ")
    assert len(told["rules"]) > 20
    assert methods == {"GET"}
    assert tree(applied.backend) == state


def test_drift_is_told_in_every_form(applied: Stack, tmp_path: Path) -> None:
    applied.world.break_("check-path", "secret-tampered")
    seen = applied.drift()
    out, summary = tmp_path / "made" / "here", tmp_path / "summary.md"
    names = ("json", "sarif", "junit", "markdown", "github")
    state = tree(applied.backend)
    applied.world.clear_requests()
    ran = gate(
        applied,
        *(word for name in names for word in ("--format", name)),
        "--out",
        str(out),
        env={"GITHUB_STEP_SUMMARY": str(summary)},
    ).ended(2)
    assert applied.writes() == []
    assert tree(applied.backend) == state

    told = valid(json.loads((out / "gate.json").read_text()))
    assert told["verdict"] == "drift"
    # The same that a preview tells to people.
    assert {(item["kind"], item["subject"]) for item in told["drift"]} == {
        (item.kind, item.subject) for item in seen.drift
    }
    lines = applied.file.read_text().splitlines()
    by_kind = {item["kind"]: lines[item["place"]["line"] - 1].strip() for item in told["drift"]}
    assert by_kind["check-path"] == "path: /api"
    assert by_kind["secret-changed-on-fly"].startswith("SMTP_PASSWORD:")
    web = next(step for step in told["plan"] if step["name"].endswith("-web"))
    assert (web["op"], web["type"]) == ("update", "fly:ProcessGroup")
    assert "check.path" in web["fields"]

    sarif = json.loads((out / "gate.sarif").read_text())
    jsonschema.Draft4Validator(json.loads((SCHEMAS / "sarif-2.1.0.json").read_text())).validate(sarif)
    assert len(sarif["runs"][0]["results"]) == len(told["drift"]) + len(told["policy"])
    junit = (out / "gate.junit.xml").read_text()
    assert Schema(SCHEMAS / "junit-10.xsd").problems(junit) == []
    assert ElementTree.fromstring(junit).get("errors") == "0"
    assert summary.read_text() == (out / "gate.md").read_text()
    assert sum(line.startswith("::error ") for line in ran.stdout.splitlines()) == len(told["drift"])
    assert sorted(path.name for path in out.iterdir()) == [
        "gate.json",
        "gate.junit.xml",
        "gate.md",
        "gate.sarif",
    ]


def test_what_a_rule_refuses_is_told_with_its_place_and_mend(applied: Stack) -> None:
    applied.config["hotdash:processGroups"]["worker"]["memoryMb"] = 512
    ran = gate(applied, "--format", "json").ended(4)
    told = valid(ran.report)
    (found,) = [item for item in told["policy"] if item["rule"] == "memory-floor"]
    assert (found["enforcement"], found["severity"], found["subject"]) == ("mandatory", "high", "worker")
    assert "512" in found["message"]
    assert found["remedy"]
    assert found["docs"] == "docs/policies.md#memory-floor"
    assert found["place"]["key"] == "hotdash:processGroups.worker.memoryMb"
    assert applied.file.read_text().splitlines()[found["place"]["line"] - 1].strip() == "memoryMb: 512"
    assert ran.kinds("worker ") >= {"machine-memory"}
    for fail_on, code in (("drift", 2), ("policy", 3), ("none", 0)):
        assert gate(applied, "--fail-on", fail_on).ended(code).stdout.count("memory-floor") >= 1


def test_a_rule_alone_is_no_drift(applied: Stack) -> None:
    with applied.nothing_changed():
        told = gate(applied, "--format", "json", "--policy-pack", str(PACKS / "refusing")).ended(3).report
    assert told["drift"] == []
    by_rule = {rule: [i for i in told["policy"] if i["rule"] == rule] for rule in ("no-groups", "no-apps")}
    assert {item["message"] for item in by_rule["no-groups"]} == {
        "web is a group of machines",
        "worker is a group of machines",
    }
    (advice,) = by_rule["no-apps"]
    assert (advice["enforcement"], advice["remedy"]) == ("advisory", "think again")
    assert advice["place"]["key"] == "hotdash:app.name"
    assert {rule["id"]: rule["failed"] for rule in told["rules"]} == {"no-groups": 2, "no-apps": 1}


def test_a_rule_that_cannot_judge_fails_the_gate(applied: Stack) -> None:
    """Pulumi makes advice of it, and a preview exits 0."""
    pack = ("--policy-pack", str(PACKS / "unknowing"))
    assert gate(applied, *pack).ended(0)
    applied.world.break_("secret-tampered")
    assert applied.pulumi("preview", *pack).ok()
    told = gate(applied, "--format", "json", *pack).ended(4).report
    assert {(item["rule"], item["enforcement"]) for item in told["unknown"]} == {("looks-ahead", "advisory")}
    assert told["policy"] == []
    gate(applied, *pack, "--fail-on", "unknown").ended(3)
    gate(applied, *pack, "--fail-on", "policy").ended(0)


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        (
            "broken",
            (
                "the policy pack did not load",
                "there_is_no_such_module",
                "tests/gate/packs/broken/__main__.py, line 3",
            ),
        ),
        ("raising", ("a rule of the policy pack failed", "nobody thought of")),
        ("silent", ("the policy pack judged nothing",)),
        ("nowhere", ("there is no policy pack", "tests/gate/packs/nowhere/", "--policy-pack")),
    ],
)
def test_a_pack_that_proves_nothing_fails_the_gate(applied: Stack, pack: str, words: tuple[str, ...]) -> None:
    with applied.nothing_changed():
        ran = gate(applied, "--format", "json", "--policy-pack", str(PACKS / pack), "--fail-on", "none")
    told = valid(ran.refused(*words).report)
    assert told["verdict"] == "could-not-run"
    assert all(item["remedy"] for item in told["errors"])


def test_a_change_that_nothing_explains_is_drift(applied: Stack) -> None:
    applied.config["hotdash:urls"] = {"frontend": "https://support.hotdash.example"}
    told = gate(applied, "--format", "json").ended(2).report
    assert [(item["kind"], item["subject"].split(" ")[0]) for item in told["drift"]] == [
        ("changed", "hotdash:chatwoot:ChatwootOnFly")
    ]


def test_a_stack_that_was_never_applied_is_all_drift(stack: Stack) -> None:
    told = gate(stack, "--format", "json").ended(2).report
    assert {step["op"] for step in told["plan"]} == {"create"}
    assert {item["subject"].split(" ")[0] for item in told["drift"] if item["kind"] == "changed"} == {
        "fly:App",
        "fly:Secrets",
        "fly:ProcessGroup",
        "chatwoot:Readiness",
    }
    notes = [note for step in told["plan"] for note in step["notes"]]
    assert any("takes it over as it is" in note for note in notes)
    assert any(note.startswith("DATABASE_URL leads to ") for note in notes)


def test_its_plan_can_be_applied(applied: Stack, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    applied.world.break_("secret-tampered")
    state = applied.state()
    gate(applied, "--plan", str(plan), "--fail-on", "policy,unknown").ended(0)
    assert applied.state() == state
    applied.up("--plan", str(plan)).ok()
    # By its checksum a workflow sees that somebody was there in between.
    assert applied.state() != state
    applied.expect_clean()


def test_without_a_run_beside_the_program_it_finds_the_same(applied: Stack) -> None:
    """An engine that refreshes before it runs the program tells the steps otherwise."""
    applied.world.break_("check-path")
    first = gate(applied, "--format", "json", env={"PULUMI_RUN_PROGRAM": "false"}).ended(2)
    second = gate(applied, "--format", "json").ended(2)
    assert first.kinds() == second.kinds() != set()
    assert first.report["plan"] == second.report["plan"]


# What cannot be run


def bad_settings(stack: Stack) -> dict[str, str]:
    stack.config["hotdash:processGroups"]["web"]["memoryMb"] = 100
    return {}


def bad_policy_settings(stack: Stack) -> dict[str, str]:
    stack.config["hotdash:policies"] = {"memory-floor": {"worker": 1024}}
    return {}


def no_vault(stack: Stack) -> dict[str, str]:
    stack.config["hotdash:vault"] = "no-such-vault"
    return {}


def placeholder(stack: Stack) -> dict[str, str]:
    stack.config["hotdash:vault"] = "vault.example"
    return {}


def no_answer(_stack: Stack) -> dict[str, str]:
    return {"FLY_FLAPS_BASE_URL": "http://127.0.0.1:1"}


def wrong_token(_stack: Stack) -> dict[str, str]:
    return {"FLY_API_TOKEN": "fo1_wrong"}


def no_token(stack: Stack) -> dict[str, str]:
    del stack.config["hotdash:fly"]
    return {"FLY_API_TOKEN": "", "FLY_ACCESS_TOKEN": ""}


def wrong_passphrase(_stack: Stack) -> dict[str, str]:
    return {"PULUMI_CONFIG_PASSPHRASE": "guess"}


def no_back_end(_stack: Stack) -> dict[str, str]:
    return {"PULUMI_BACKEND_URL": "file:///no/such/folder"}


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (bad_settings, "settings", ("hotdash:processGroups.web.memoryMb", "multiple of 256")),
        (bad_policy_settings, "settings", ("hotdash:policies.memory-floor",)),
        (no_vault, "vault", ("no-such-vault",)),
        (placeholder, "vault", ("git tracks the vault in plain",)),
        (no_answer, "fly-unreachable", ("Fly cannot be reached", "FLY_FLAPS_BASE_URL")),
        (wrong_token, "fly-token-refused", ("401", "fly tokens create")),
        (no_token, "fly-token-missing", ("FLY_API_TOKEN",)),
        (wrong_passphrase, "engine", ("incorrect passphrase", "PULUMI_CONFIG_PASSPHRASE")),
        (no_back_end, "engine", ("PULUMI_BACKEND_URL",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_prevents_it_is_told_apart_from_a_finding(
    applied: Stack, spoil: Any, code: str, words: tuple[str, ...]
) -> None:
    with applied.nothing_changed():
        ran = gate(applied, "--format", "json", env=spoil(applied))
    told = valid(ran.refused(*words).report)
    assert [item["code"] for item in told["errors"]] == [code]
    assert all(item["remedy"] or item["where"] for item in told["errors"])


def test_a_program_that_crashes_is_told_in_a_line(applied: Stack, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    settings = yaml.safe_load((applied.program / "Pulumi.yaml").read_text())
    settings["runtime"]["options"]["virtualenv"] = str(applied.program / ".venv")
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    (project / "__main__.py").write_text("raise RuntimeError('out of order')\n")
    before, applied.program = applied.program, project
    try:
        with applied.nothing_changed():
            ran = gate(applied, "--policy-pack", str(PACKS / "refusing"))
    finally:
        applied.program = before
    ran.refused("the program failed: RuntimeError: out of order", "__main__.py, line 1")


def test_a_stack_that_the_back_end_has_not_is_told(applied: Stack) -> None:
    with applied.nothing_changed():
        ran = gate(applied, "--stack", "unheard-of")
    ran.refused("no stack named 'unheard-of'", "pulumi stack init")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "yaml"), ("'yaml' is not one of", "sarif")),
        (("--format", "json", "--format", "sarif"), ("several forms", "--out")),
        (("--fail-on", "drift,sunspots"), ("sunspots", "drift, policy, unknown")),
        (("--fail-on", ""), ("--fail-on",)),
        (("--out", "Pulumi.yaml"), ("the report cannot be written", "Pulumi.yaml", "--out")),
        (("--out", "/proc/nowhere"), ("the report cannot be written",)),
        (("--config-file", "no-such-file.yaml"), ("the stack file cannot be read", "no-such-file.yaml")),
        (("--unheard-of",), ("No such option",)),
    ],
)
def test_what_is_asked_wrongly_is_refused_before_the_engine_runs(
    applied: Stack, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    with applied.nothing_changed():
        gate(applied, *words).refused(*said)
        assert applied.world.requests() == []


def test_no_stack_named_is_told_with_those_that_there_are(applied: Stack) -> None:
    from tests.gate.gate import run

    env = {**applied.environment, "PULUMI_STACK": None}
    run(env=env).refused("no stack was named", "--stack", "production", "sandbox")
    run("--stack", "unheard-of", env=env).refused("there is no file of a stack unheard-of", "sandbox")


def test_text_for_people_says_it_in_the_end(applied: Stack) -> None:
    applied.world.break_("check-path")
    ran: Ran = gate(applied).ended(2)
    assert re.search(r"^gate of \S+Pulumi\.sandbox\.yaml: drift \(exit 2\)$", ran.stdout, re.MULTILINE)
    assert "check-path              /rails/health, not /api" in ran.stdout
    assert ran.stderr == ""
