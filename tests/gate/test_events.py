"""What is read out of the engine's events; their form is held to the real engine in test_command."""

import json
from typing import Any

import pytest

from hotdash.gate.events import Seen, seen

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
URN = "urn:pulumi:s::p::hotdash:chatwoot:ChatwootOnFly$pulumi-python:dynamic/fly:Secrets::app"


def line(**event: Any) -> str:
    return json.dumps({"sequence": 1, "timestamp": 1, **event})


def step(op: str = "update", **metadata: Any) -> str:
    given = {"op": op, "urn": URN, "type": "pulumi-python:dynamic/fly:Secrets", "old": None, "new": None}
    return line(resourcePreEvent={"metadata": {**given, **metadata}, "planning": True})


def changed(old: dict[str, Any], new: dict[str, Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    (change,) = seen([step(old={"inputs": old, "custom": True}, new={"inputs": new, "custom": True})]).changes
    return change.fields, change.waiting


def test_changed_inputs_are_named_as_deep_as_they_differ() -> None:
    old = {"__provider": "a", "same": 1, "check": {"path": "/up", "port": 3000}, "memoryMb": 512}
    new = {"__provider": "b", "same": 1, "check": {"path": "/api", "port": 3000}, "memoryMb": 2048}
    assert changed(old, new) == (("check.path", "memoryMb"), frozenset())


def test_an_input_of_which_much_differs_is_named_whole() -> None:
    names = [f"S{number}" for number in range(5)]
    assert changed({"secrets": dict.fromkeys(names, 1)}, {"secrets": dict.fromkeys(names, 2)})[0] == (
        "secrets",
    )
    assert changed({"secrets": {}}, {"secrets": {"A": 1}})[0] == ("secrets.A",)
    assert changed({}, {"secrets": {"A": 1}})[0] == ("secrets",)


def test_what_only_an_up_will_know_is_told_apart() -> None:
    assert changed({"after": "x", "status": 503}, {"after": UNKNOWN, "status": 200}) == (
        ("after", "status"),
        frozenset({"after"}),
    )


@pytest.mark.parametrize("op", ["same", "refresh", "read"])
def test_steps_that_do_nothing_are_none(op: str) -> None:
    assert seen([step(op)]).changes == []


def test_an_op_that_is_not_known_is_a_change() -> None:
    (change,) = seen([step("evaporate")]).changes
    assert change.op == "evaporate"


def test_a_replacement_is_one_change() -> None:
    found = seen([step("create-replacement"), step("replace"), step("delete-replaced")])
    assert [change.op for change in found.changes] == ["replace"]


def test_the_engines_own_resources_are_left_out() -> None:
    assert seen([step("create", type="pulumi:providers:pulumi-python")]).changes == []


def test_the_counts_of_rules_are_added_up() -> None:
    found = seen(
        [
            line(policyAnalyzeSummaryEvent={"passed": ["a", "b"]}),
            line(policyAnalyzeSummaryEvent={"passed": ["a"], "failed": ["b"]}),
            line(policyAnalyzeStackSummaryEvent={"failed": ["c"]}),
        ]
    )
    assert found.judged == {"a": (2, 0), "b": (1, 1), "c": (0, 1)}


def test_what_is_no_event_is_kept_apart() -> None:
    found = seen(["Previewing update", "{}", "[1]", "", line(somethingNew={"x": 1})])
    assert found.strays == ["Previewing update", "{}", "[1]"]
    assert found.events == 1


def test_the_summary_names_the_packs_without_their_folders() -> None:
    found = seen(
        [
            line(
                summaryEvent={
                    "resourceChanges": {"same": 2, "update": 1},
                    "PolicyPacks": {"hotdash-chatwoot|local|/home/somebody/policies": "0.1.0"},
                    "result": "succeeded",
                }
            )
        ]
    )
    assert found.packs == {"hotdash-chatwoot": "0.1.0"}
    assert dict(found.resources) == {"same": 2, "update": 1}
    assert found.result == "succeeded"


def test_nothing_said_is_nothing_seen() -> None:
    assert seen([]) == Seen()
