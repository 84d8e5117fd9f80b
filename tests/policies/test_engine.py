"""The pack through the real engine: what passes, what stops a preview and an `up`, and what a person reads then."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.rules import RULES
from tests.engine.project import Project, made
from tests.policies.cases.making import DIRECT, SESSION
from tests.program.stack import DRIFT, Answer, Stack, own_vault, vault_values
from tests.world import CHECKOUT

PACK = ("--policy-pack", str(CHECKOUT / "policies"))
UP = ("up", "--yes", "--skip-preview", *PACK)
DATABASE_FILE = "occ/chatwoot/database_url.env"


def preview(stack: Stack, *options: str) -> Answer:
    return stack.pulumi("preview", *PACK, *options)


def violated(answer: Answer) -> set[str]:
    """The rules that were violated and stop the command."""
    lines = [line.split() for line in answer.output.splitlines() if line.strip().startswith("- [mandatory]")]
    return {words[words.index("[severity:") + 2] for words in lines}


def stopped(answer: Answer, *rules: str) -> Answer:
    assert answer.code not in (0, DRIFT), answer.output
    assert violated(answer) == {*rules}, answer.output
    assert "Traceback" not in answer.output, answer.output
    assert "can't run policy" not in answer.output, answer.output
    return answer


def worker_at_zero(stack: Stack, **exception: str) -> None:
    stack.config["hotdash:processGroups"]["worker"]["count"] = 0
    if exception:
        stack.config["hotdash:exceptions"] = [{"rule": "nobody-at-zero", **exception}]


def test_the_sandbox_passes_and_a_preview_without_changes_stays_one(applied: Stack) -> None:
    with applied.nothing_changed():
        answer = preview(applied, "--expect-no-changes").ok()
        assert "✅ hotdash-chatwoot@v" in answer.output
        assert "advisory" not in answer.output  # nothing to say at all


def test_an_app_that_is_not_in_the_state_yet_is_judged_too(stack: Stack) -> None:
    answer = preview(stack).ok()
    assert violated(answer) == set()
    assert "not judged while an update is planned: no-secret-in-env, no-shadowed-secret" in answer.text
    worker_at_zero(stack)
    stopped(preview(stack), "nobody-at-zero")


def test_what_made_the_outage_is_refused_with_the_reason_and_the_mend(applied: Stack, tmp_path: Path) -> None:
    vault = own_vault(applied, tmp_path)
    (vault / DATABASE_FILE).write_text(f"DATABASE_URL={SESSION}\n")
    applied.config["hotdash:processGroups"]["worker"]["memoryMb"] = 512
    with applied.nothing_changed():
        answer = stopped(preview(applied), "migrations-direct", "connection-budget", "memory-floor")
        for words in (
            "migrations would go through a pooler (session): DATABASE_URL leads to",
            "where stacks/Pulumi.sandbox.yaml, hotdash:migration.database",
            "next declare the direct URL (postgres://postgres:…@db.abcdefghijklmnopqrst.supabase.co:5432/postgres,",
            "docs docs/policies.md#migrations-direct",
            "2 web × 5 + 1 worker × 10 + 1 migration = 21",
            "worker has 512 MB, and needs 2048",
            "next set memoryMb: 2048",
        ):
            assert words in answer.text, answer.output
        assert "s3cr3t-Value" not in answer.output  # the URL's password
        for name, value in vault_values(applied.world).items():
            if not name.startswith("POSTGRES_") or name == "POSTGRES_PASSWORD":
                assert len(value) < 12 or value not in answer.output, name


def test_a_database_url_that_cannot_be_read_stops_a_preview_by_its_name(
    applied: Stack, tmp_path: Path
) -> None:
    vault = own_vault(applied, tmp_path)
    # Migrations go elsewhere, and nothing is derived from it: no other part of the program needs to read it.
    applied.config["hotdash:secrets"]["DIRECT_DATABASE_URL"] = "occ/direct.env"
    applied.config["hotdash:migration"] = {"database": "DIRECT_DATABASE_URL"}
    del applied.config["hotdash:derivePostgresFrom"]
    (vault / "occ/direct.env").write_text(f"DIRECT_DATABASE_URL={DIRECT}\n")
    (vault / DATABASE_FILE).write_text(f"DATABASE_URL='{SESSION.replace('s3cr3t', '%ws3cr3t')}'\n")
    with applied.nothing_changed():
        assert applied.preview().code in (0, DRIFT)
        answer = stopped(preview(applied), "policy-unknown")
        for words in (
            "transaction-prepared, own-database, tls-required: hotdash:secrets.DATABASE_URL cannot be read as a "
            "database's URL: a % in it begins no escape",
            "next DATABASE_URL: write % as %25",
            "docs docs/policies.md#what-a-policy-cannot-see",
        ):
            assert words in answer.text, answer.output
        assert "s3cr3t-Value" not in answer.output


def test_a_violation_stops_an_up_before_anything_is_changed(applied: Stack) -> None:
    with applied.nothing_changed():
        worker_at_zero(applied)
        applied.config["hotdash:processGroups"]["web"]["memoryMb"] = 1024
        answer = stopped(applied.pulumi(*UP), "memory-floor", "nobody-at-zero")
        assert "worker is declared with no machine at all" in answer.output


def test_advice_is_shown_and_stops_nothing(applied: Stack) -> None:
    with applied.nothing_changed():
        applied.config["hotdash:processGroups"]["web"]["count"] = 1
        applied.config["hotdash:urls"] = {"webhooks": ["https://hotdash.flycast/hook"]}
        answer = preview(applied).ok()
        assert violated(answer) == set()
        for words in (
            "- [advisory] [severity: low] two-webs",
            "web has one machine",
            "public-urls",
            "flycast",
        ):
            assert words in answer.text, answer.output


def test_an_exception_counts_until_it_ends_and_is_told_either_way(applied: Stack) -> None:
    with applied.nothing_changed():
        worker_at_zero(applied, subject="worker", reason="the migration of Friday", until="2999-12-31")
        answer = preview(applied).ok()
        assert "let pass until 2999-12-31: worker is declared with no machine at all" in answer.text

        worker_at_zero(applied, subject="worker", reason="the migration of Friday", until="2026-01-31")
        answer = stopped(preview(applied), "nobody-at-zero")
        assert "but its exception ended on 2026-01-31 (the migration of Friday)" in answer.text
        assert "expired on 2026-01-31: the exception from nobody-at-zero worker" in answer.text


def test_what_is_said_wrongly_to_the_policies_is_told_by_pack_rule_and_key(applied: Stack) -> None:
    with applied.nothing_changed():
        applied.config["hotdash:policies"]["memory-floor"] = {"floorMb": "much", "reason": "it is enough"}
        applied.config["hotdash:exceptions"] = [
            {"rule": "memory-flor", "reason": "it is enough", "until": "2999-12-31"}
        ]
        answer = stopped(preview(applied), "policy-config")
        for words in (
            "pack hotdash-chatwoot: rule memory-floor, setting floorMb: must be a number of MB, 256 or more",
            "hotdash:policies.memory-floor.floorMb",
            "there is no rule memory-flor to except from",
            "did you mean memory-floor?",
        ):
            assert words in answer.text, answer.output


def test_settings_in_pulumis_own_file_are_refused(applied: Stack, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"memory-floor": {"floorMb": 256}}))
    with applied.nothing_changed():
        answer = stopped(preview(applied, "--policy-pack-config", str(file)), "memory-floor")
        assert "was given settings by --policy-pack-config, which are not read" in answer.text


# What is seen on Fly


def with_env(stack: Stack, **env: str) -> None:
    """Give the first web these env entries by hand, as a deploy would."""
    machine, *_ = stack.world.machines("web")
    config = {**machine["config"], "env": {**machine["config"]["env"], **env}}
    stack.world.api.call("POST", f"/v1/apps/{stack.world.app}/machines/{machine['id']}", {"config": config})
    stack.world.wait_healthy()


def test_credentials_in_a_machines_env_are_found_in_a_preview_and_in_the_state(stack: Stack) -> None:
    with_env(stack, REDIS_URL="redis://:s3cr3t-Value@10.0.0.5:6379", RAILS_LOG_TO_STDOUT="true")
    stack.up().ok()
    answer = stopped(preview(stack), "no-secret-in-env", "no-shadowed-secret")
    assert "env REDIS_URL of web" in answer.text
    assert "s3cr3t-Value" not in answer.output

    analysis = stack.pulumi("policy", "analyze", "--stack", stack.name, *PACK, config=False)
    assert "s3cr3t-Value" not in analysis.output
    stopped(analysis, "no-secret-in-env", "no-shadowed-secret")


def test_encryption_keys_that_the_state_had_stay_declared(stack: Stack, tmp_path: Path) -> None:
    name = "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"
    vault = own_vault(stack, tmp_path)
    (vault / "occ/chatwoot/keys.env").write_text(f"{name}=s3cr3t-Value-of-32-characters-ok\n")
    stack.config["hotdash:secrets"][name] = "occ/chatwoot/keys.env"
    stack.up().ok()
    assert violated(preview(stack, "--expect-no-changes").ok()) == set()

    state = stack.state()
    for resource in state["deployment"]["resources"]:
        # As it is once the name was taken out of the stack file, and an `up` has gone through without the pack.
        if resource["type"] in ("hotdash:chatwoot:ChatwootOnFly", "pulumi-python:dynamic/fly:Secrets"):
            resource["inputs"]["secrets"].pop(name)
            resource["outputs"]["secrets"].pop(name)
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state))
    analysis = stack.pulumi("policy", "analyze", "--file", str(file), *PACK, config=False)
    stopped(analysis, "encryption-keys-kept")
    assert f"{name} was set from here or stands on Fly, and is not declared" in analysis.text


# What cannot be judged


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Project]:
    yield from made(tmp_path, {})


THING = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
class Provider(ResourceProvider):
    def create(self, inputs):
        return CreateResult("thing", {"groups": {}})
class Thing(Resource):
    groups: pulumi.Output[dict]
    def __init__(self, name):
        super().__init__(Provider(), name, {"groups": None})
"""
COMPONENT = """
import pulumi
from thing import Thing
class Component(pulumi.ComponentResource):
    def __init__(self, name, properties):
        super().__init__("hotdash:chatwoot:ChatwootOnFly", name, properties)
Component("it", PROPERTIES)
"""


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (
            "{'processGroups': Thing('it').groups, 'urls': {'frontend': 5}}",
            "processGroups is not known at preview",
        ),
        ("{'processGroups': 5}", "processGroups is not a mapping"),
        ("{}", "processGroups is not there: the state is of an earlier version"),
    ],
)
def test_what_cannot_be_judged_counts_as_wrong(tiny: Project, properties: str, said: str) -> None:
    tiny.write(main=COMPONENT.replace("PROPERTIES", properties), thing=THING)
    answer = tiny.pulumi("preview", *PACK)
    text = " ".join(answer.output.split())
    assert answer.code == 1, answer.output
    assert said in text, answer.output
    assert "policy-unknown" in text
    assert "can't run policy" not in text
    assert "Traceback" not in text
    for rule in RULES:
        if "groups" in rule.needs:
            assert rule.id in text


def test_a_stack_without_chatwoot_is_nobodys_business(tiny: Project) -> None:
    tiny.write(main="import pulumi\npulumi.export('a', 1)\n")
    answer = tiny.pulumi("preview", *PACK).ok()
    assert "✅ hotdash-chatwoot@v" in answer.output


def test_each_policy_tells_the_engine_its_severity(applied: Stack) -> None:
    with applied.nothing_changed():
        worker_at_zero(applied)
        applied.env["PULUMI_ENABLE_STREAMING_JSON_PREVIEW"] = "1"
        answer = preview(applied, "--json")
        events = [json.loads(line) for line in answer.output.splitlines() if line.startswith("{")]
        found: list[dict[str, Any]] = [event["policyEvent"] for event in events if "policyEvent" in event]
        [zero] = [event for event in found if event["policyName"] == "nobody-at-zero"]
        assert zero["enforcementLevel"] == "mandatory"
        assert zero["severity"] == "high"
        assert zero["message"].startswith("No group is left without machines\nworker is declared")
        assert zero["resourceUrn"].endswith("::hotdash-chatwoot")
