"""Machines in a few plain words: as good for comparing as the machines themselves, and without a value in them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.drift import DeclaredGroup, group_drift
from hotdash.fly import wire
from hotdash.fly.model import HttpCheck
from hotdash.fly.summary import check_from, check_properties, restore, summarize
from tests.hotdash.strategies import NOW, SECRET, declared_groups, http_checks, machine_json, times

since = st.dictionaries(st.sampled_from(["A", "B"]), times)


@given(st.lists(machine_json(), max_size=4), declared_groups(), since, st.sets(st.sampled_from(["A", "B"])))
def test_drift_is_the_same_from_a_machine_and_from_its_summary(
    bodies: list[dict[str, Any]],
    declared: DeclaredGroup,
    secrets_since: dict[str, Any],
    just_staged: set[str],
) -> None:
    machines = [wire.machine(body) for body in bodies]
    kept = json.loads(json.dumps([summarize(machine) for machine in machines]))
    restored = [restore(summary) for summary in kept]

    def found(these: Any) -> Any:
        return group_drift(declared, these, secrets_since, just_staged=just_staged, now=NOW)

    assert found(restored) == found(machines)
    # Nothing is lost a second time, but for what nothing compares.
    assert [without_env(summarize(machine)) for machine in restored] == [without_env(item) for item in kept]


def without_env(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in summary.items() if key not in ("env", "literals")}


@given(machine_json())
def test_a_summary_holds_nothing_of_env_commands_and_files(body: dict[str, Any]) -> None:
    assert SECRET not in json.dumps(summarize(wire.machine(body)))


def test_a_summary_names_env_entries_and_where_a_credential_seems_to_stand() -> None:
    config = {
        "env": {"RAILS_ENV": "production", "SMTP_PASSWORD": SECRET, "FLY_PROCESS_GROUP": "web"},
        "init": {"cmd": ["sh", "-c", f"DATABASE_URL=postgres://u:{SECRET}@h:5432/d run"]},
        "metadata": {"fly_release_id": "1", "note": f"redis://:{SECRET}@h"},
        "containers": [{"env": {"TOKEN_URL": f"https://h/?token={SECRET}"}, "cmd": ["run"]}],
    }
    summary = summarize(wire.machine({"id": "m1", "config": config}))
    assert summary["env"] == ["RAILS_ENV", "SMTP_PASSWORD", "TOKEN_URL"]
    assert summary["literals"] == ["env SMTP_PASSWORD", "env TOKEN_URL", "init.cmd", "metadata note"]
    assert SECRET not in json.dumps(summary)


def test_a_summary_is_the_same_while_nothing_differs() -> None:
    def seen(output: str, exits: list[dict[str, Any]]) -> dict[str, Any]:
        check = {"name": "a", "status": "passing", "output": output, "updated_at": "2026-08-01T10:00:00Z"}
        return summarize(wire.machine({"id": "m1", "config": {}, "checks": [check], "events": exits}))

    stopped = {"type": "exit", "timestamp": 1, "request": {"exit_event": {"requested_stop": True}}}
    assert seen("it is 10:00:00", []) == seen("it is 10:00:05", [stopped])


@given(http_checks)
def test_a_check_in_the_words_of_the_settings(check: HttpCheck) -> None:
    assert check_from(check_properties(check)) == check


@pytest.mark.parametrize(
    "properties", [{}, {"path": "/a"}, {**check_properties(HttpCheck("/a", 1)), "interval": "x"}]
)
def test_what_is_no_check(properties: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        check_from(properties)


def test_a_summary_of_an_earlier_version_is_still_read() -> None:
    # What a preview compares first is what an earlier version of the program wrote.
    summary = summarize(wire.machine({"id": "m1", "state": "started", "config": {}}))
    least = {key: summary[key] for key in ("id", "group", "state", "version", "image", "guest")}
    assert restore(least).known
    assert (
        group_drift(DeclaredGroup("app", 1, None, None, None, None, None), [restore(least)], {}, now=NOW)
        == ()
    )
    assert restore({**least, "updatedAt": (NOW - timedelta(hours=1)).isoformat()}).updated_at
