"""The rules as the engine is given them, through the SDK's own classes and proxies, without an engine."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest
import yaml
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy import policy as sdk
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies import pack
from policies.reading import COMPONENT, PROCESS_GROUP, SECRETS
from policies.rules import BY_ID, RULES
from policies.rules.rule import Enforcement
from tests.policies.test_reading import BELOW
from tests.policies.test_reading import shown as shown
from tests.world import CHECKOUT

URN = f"urn:pulumi:staging::hotdash::{COMPONENT}::hotdash-chatwoot"
OPTIONS = sdk.PolicyResourceOptions(False, [], None, [], sdk.PolicyCustomTimeouts(0, 0, 0), [])
TODAY = date(2026, 11, 24)
Told = list[tuple[str, str | None]]


def by_name() -> dict[str, Policy]:
    return {policy.name: policy for policy in pack.policies(clock=lambda: TODAY)}


def told_of_component(
    name: str, properties: Mapping[str, Any], config: Mapping[str, Any] | None = None, kind: str = COMPONENT
) -> Told:
    policy = by_name()[name]
    assert isinstance(policy, ResourceValidationPolicy)
    props = unknown_checking_proxy(dict(properties))
    args = ResourceValidationArgs(kind, props, URN, "hotdash-chatwoot", OPTIONS, None, config)
    return reports(lambda report: policy.validate(args, report))


def told_of_stack(
    name: str,
    properties: Mapping[str, Any],
    below: Mapping[str, Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Told:
    policy = by_name()[name]
    assert isinstance(policy, StackValidationPolicy)
    component = resource(COMPONENT, properties)
    found = {item.type: item.properties for item in BELOW} if below is None else below
    others = [resource(kind, item, component) for kind, item in found.items()]
    # Of another component, and so none of this one's business.
    stranger = resource(
        PROCESS_GROUP, {"group": "x", "machines": "no list"}, resource("pulumi:pulumi:Stack", {})
    )
    args = StackValidationArgs([*others, component, stranger], config)
    return reports(lambda report: policy.validate(args, report))


def resource(
    kind: str, properties: Mapping[str, Any], parent: PolicyResource | None = None
) -> PolicyResource:
    props = unknown_checking_proxy(dict(properties))
    urn = f"urn:pulumi:staging::hotdash::{kind}::it"
    return PolicyResource(kind, props, urn, "it", OPTIONS, None, parent, [], {})


def reports(validate: Callable[[sdk.ReportViolation], object]) -> Told:
    told: Told = []

    def report(message: str, urn: str | None = None) -> None:
        told.append((message, urn))

    assert validate(report) is None  # nothing to wait for
    return told


def worker_at_zero(shown: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(shown))
    made["processGroups"]["worker"]["count"] = 0.0
    return {**made, **changes}


def test_every_rule_is_a_policy_with_its_level_severity_and_docs() -> None:
    found = by_name()
    assert {*BY_ID} <= {*found}
    for rule in RULES:
        policy = found[rule.id]
        level = (
            EnforcementLevel.MANDATORY
            if rule.enforcement is Enforcement.MANDATORY
            else EnforcementLevel.ADVISORY
        )
        assert policy.enforcement_level == level
        assert policy.severity is not None
        assert policy.severity.value == rule.severity.value
        assert policy.url == rule.docs
        assert policy.description == rule.title
        # Judged before anything is touched, unless the engine shows too late what it looks at.
        assert isinstance(policy, StackValidationPolicy if rule.looks_at_fly else ResourceValidationPolicy)
    others = {name: policy.enforcement_level for name, policy in found.items() if name not in BY_ID}
    assert others == {
        "policy-unknown": EnforcementLevel.MANDATORY,
        "policy-unknown-state": EnforcementLevel.MANDATORY,
        "policy-config": EnforcementLevel.MANDATORY,
        "policy-notes": EnforcementLevel.ADVISORY,
    }


def test_what_is_found_is_reported(shown: dict[str, Any]) -> None:
    [(message, _)] = told_of_component("nobody-at-zero", worker_at_zero(shown))
    assert message.startswith(
        "worker is declared with no machine at all\n  where   stacks/Pulumi.staging.yaml"
    )
    assert told_of_component("nobody-at-zero", shown) == []


def test_other_resources_are_nobodys_business(shown: dict[str, Any]) -> None:
    for name, policy in by_name().items():
        if isinstance(policy, ResourceValidationPolicy):
            assert told_of_component(name, {"processGroups": UNKNOWN_STRING_VALUE}, kind=SECRETS) == []


def test_settings_and_exceptions_of_the_stack_file_count(shown: dict[str, Any]) -> None:
    excepted = {"rule": "nobody-at-zero", "reason": "the migration", "until": "2026-11-24"}
    assert told_of_component("nobody-at-zero", worker_at_zero(shown, exceptions=[excepted])) == []
    expired = worker_at_zero(shown, exceptions=[{**excepted, "until": "2026-11-23"}])
    [(message, _)] = told_of_component("nobody-at-zero", expired)
    assert "its exception ended on 2026-11-23 (the migration)" in message
    config = {"memory-floor": {"floorMb": 8192.0, "reason": "because"}}
    assert len(told_of_component("memory-floor", {**shown, "policies": config})) == 2


@pytest.mark.parametrize(
    "key", ["processGroups", "databases", "stack", "secrets", "urls", "exceptions", "policies"]
)
def test_a_value_that_is_not_known_yet_is_a_violation_and_never_an_error(
    shown: dict[str, Any], key: str
) -> None:
    unknown = {**shown, key: UNKNOWN_STRING_VALUE}
    told = [
        (name, message)
        for name, policy in by_name().items()
        if isinstance(policy, ResourceValidationPolicy)
        for message, _ in told_of_component(name, unknown)
    ]
    assert {name for name, _ in told} <= {"policy-unknown", "policy-config"}
    assert any("is not known" in message for _, message in told)


def test_an_empty_component_is_of_an_earlier_version(shown: dict[str, Any]) -> None:
    messages = [message for message, _ in told_of_component("policy-unknown", {})]
    assert any("processGroups is not there: the state is of an earlier version" in m for m in messages)
    assert sum("memory-floor" in message for message in messages) == 1


def test_what_is_wrong_with_the_settings_is_reported(shown: dict[str, Any]) -> None:
    wrong = {**shown, "policies": {"memory-floor": {"floorMb": "s3cr3t-Value", "reason": "because"}}}
    [(message, _)] = told_of_component("policy-config", wrong)
    assert message.startswith(
        "pack hotdash-chatwoot: rule memory-floor, setting floorMb: must be a number of MB, 256 or more\n"
    )
    assert "hotdash:policies.memory-floor.floorMb" in message
    assert "s3cr3t-Value" not in message
    assert told_of_component("policy-config", shown) == []


def test_settings_that_pulumi_gives_are_not_read_and_that_is_told(shown: dict[str, Any]) -> None:
    config = {"floorMb": 256.0}
    for told in (
        told_of_component("memory-floor", shown, config),
        told_of_stack("no-shadowed-secret", shown, config=config),
    ):
        assert "was given settings by --policy-pack-config, which are not read" in told[0][0]


# The stack as a whole


def test_what_is_seen_on_fly_is_judged(shown: dict[str, Any]) -> None:
    [(message, urn)] = told_of_stack("no-secret-in-env", shown)
    assert message.startswith("env SMTP_PASSWORD of web m1 seems to be a credential")
    assert urn == f"urn:pulumi:staging::hotdash::{COMPONENT}::it"
    assert told_of_stack("no-shadowed-secret", shown) == []
    assert told_of_stack("policy-unknown-state", shown) == []


def test_what_an_update_hides_is_said_and_not_counted(shown: dict[str, Any]) -> None:
    hidden: dict[str, dict[str, Any]] = {
        SECRETS: {"secrets": {}, "recorded": UNKNOWN_STRING_VALUE},
        PROCESS_GROUP: {"group": "web"},
    }
    for rule in RULES:
        if rule.looks_at_fly:
            assert told_of_stack(rule.id, shown, hidden) == []
    assert told_of_stack("policy-unknown-state", shown, hidden) == []
    [(message, _)] = told_of_stack("policy-notes", shown, hidden)
    assert "not judged while an update is planned: no-secret-in-env, no-shadowed-secret" in message


def test_odd_states_are_violations(shown: dict[str, Any]) -> None:
    messages = [message for message, _ in told_of_stack("policy-unknown-state", shown, {})]
    assert len(messages) == 2
    assert any("no-secret-in-env, no-shadowed-secret: there is no process group" in m for m in messages)


def test_notes_are_one_message(shown: dict[str, Any]) -> None:
    exceptions = [
        {"rule": "nobody-at-zero", "reason": "the migration", "until": "2026-12-24"},
        {"rule": "machine-size", "reason": "the other one", "until": "2026-12-24"},
    ]
    [(message, _)] = told_of_stack("policy-notes", worker_at_zero(shown, exceptions=exceptions))
    first, second = message.splitlines()
    assert first.startswith("let pass until 2026-12-24: worker is declared with no machine")
    assert second.startswith("nothing needs the exception from machine-size")


def test_the_pack_brings_nothing_along_that_a_preview_would_wait_for() -> None:
    heavy = (
        "jsonschema",
        "httpx",
        "psycopg",
        "rich",
        "hotdash.preflight",
        "hotdash.fly.client",
        "components",
    )
    code = f"import sys, policies.pack; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    assert done.stdout.strip() == "[]"


def test_the_pack_is_named_as_the_engine_wants_it() -> None:
    settings = yaml.safe_load((CHECKOUT / "policies" / "PulumiPolicy.yaml").read_text())
    assert settings["runtime"] == {"name": "python", "options": {"virtualenv": "../.venv"}}
    assert settings["version"].count(".") == 2
    assert sdk._POLICY_PACK_NAME_RE.match(pack.NAME)
