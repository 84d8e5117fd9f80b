"""`fly.ProcessGroup` without an engine: what it compares, shows and keeps, and that one rollout mends it all."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.process_group import (
    ProcessGroupProvider,
    declared_group,
    described,
    drift,
    drift_of,
    inputs,
    live_properties,
)
from components.secret_properties import recorded_properties
from hotdash.drift import DeclaredGroup, Kind, RecordedSecret, in_group
from hotdash.fly import wire
from hotdash.fly.model import HttpCheck, Machine, Secret
from hotdash.stack.settings import GroupSettings
from tests.components.conftest import Connect
from tests.hotdash.strategies import SECRET, declared_groups, machine_json, times
from tests.sandbox.box import Box, web_config

CHECK = HttpCheck("/api", 3000, "get", 2.0, 2.0, 1.0)
WEB = DeclaredGroup("web", 1, "shared", 1, 1024, CHECK, None)
AGO = datetime.now(UTC) - timedelta(hours=1)
ROLLOUT = {"settle": "100ms", "startTimeout": "30s", "healthTimeout": "30s", "leaseWait": "0s"}


def props(declared: DeclaredGroup = WEB, **changes: Any) -> dict[str, Any]:
    settings = GroupSettings(declared, ("run",))
    return {**inputs(settings, app="a", secrets={"A": "f1"}), "removeUndeclared": False, **changes}


def machine(id_: str = "m1", **changes: Any) -> Machine:
    """A web machine as WEB declares it, well for an hour."""
    config = web_config(services=[{"internal_port": 3000, "checks": [wire.render_check(CHECK)]}])
    check = {"name": "c", "status": "passing", "updated_at": AGO.isoformat()}
    body = {"id": id_, "state": "started", "config": config, "updated_at": AGO.isoformat(), "checks": [check]}
    return wire.machine({**body, **changes})


def secret(digest: str = "d1", since: datetime | None = AGO, name: str = "A") -> dict[str, Secret]:
    return {name: Secret(name, digest, since)}


def recorded(print_: str = "f1", digest: str = "d1", since: datetime | None = AGO) -> dict[str, str]:
    return recorded_properties({"A": RecordedSecret(print_, digest, since, since)})


def kinds(news: dict[str, Any], machines: list[Machine], live: Any, known: Any = None) -> list[Kind]:
    found = drift_of(news, recorded() if known is None else known, machines, live, now=datetime.now(UTC))
    return [item.kind for item in found]


# Declared


@given(declared_groups(), st.lists(st.text(min_size=1), max_size=2))
def test_a_group_is_read_from_its_inputs_as_it_was_declared(
    declared: DeclaredGroup, command: list[str]
) -> None:
    news = inputs(GroupSettings(declared, tuple(command)), app="a", secrets={})
    assert declared_group(json.loads(json.dumps(news))) == declared
    assert news.get("command", []) == command


def test_numbers_come_from_the_engine_as_floats() -> None:
    declared = declared_group({"group": "web", "count": 2.0, "cpus": 1.0, "memoryMb": 1024.0})
    assert (declared.count, declared.memory_mb) == (2, 1024)
    assert isinstance(declared.memory_mb, int)


@given(
    st.lists(machine_json(), min_size=1, max_size=3, unique_by=lambda body: str(body["id"])),
    declared_groups(),
)
def test_what_is_ignored_is_no_drift_whatever_the_preview_calls_it(
    bodies: list[dict[str, Any]], declared: DeclaredGroup
) -> None:
    # `ignore_changes` puts in the place of a declared value what the refresh has said of the live one.
    machines = [wire.machine(body) for body in bodies]
    news = props(declared)
    found = drift_of(news, {}, machines, {}, now=datetime.now(UTC))
    shown = described(news, in_group(machines, "web"), found)
    about = {
        "count": {Kind.MACHINE_COUNT},
        "cpus": {Kind.MACHINE_CPUS},
        "memoryMb": {Kind.MACHINE_MEMORY},
        "image": {Kind.IMAGE},
        "check": {Kind.CHECK_PATH, Kind.CHECK_SETTINGS},
    }
    for key, ignored in about.items():
        both = ("cpus", "cpuKind") if key == "cpus" else (key,)
        ignoring = {**news, **{name: shown[name] for name in both if name in shown}}
        assert not ignored & set(kinds(ignoring, machines, {}, {})), key


# Compared


def test_what_is_as_declared_is_no_drift() -> None:
    assert kinds(props(), [machine()], secret()) == []


@pytest.mark.parametrize(
    ("live", "known", "differs"),
    [
        (secret(), recorded(), False),
        ({}, recorded(), True),  # gone from Fly
        (secret("d2"), recorded(), True),  # changed on Fly
        (secret(), recorded("f0"), True),  # changed in the vault
        ({**secret(), **secret(name="X")}, recorded(), False),  # nobody's: it is told of the secrets
        (secret("d2"), {}, False),  # never applied: of the secrets too
    ],
)
def test_machines_have_to_move_for_secrets_that_will_be_staged(live: Any, known: Any, differs: bool) -> None:
    two = [machine("m1"), machine("m2")]
    news = props(replace(WEB, count=2))
    assert kinds(news, two, live, known) == ([Kind.SECRET_NOT_LIVE] * 2 if differs else [])


def test_machines_have_to_move_for_secrets_that_will_be_removed() -> None:
    live = {**secret(), **secret(name="X")}
    assert kinds(props(removeUndeclared=True), [machine()], live) == [Kind.SECRET_NOT_LIVE]


def test_a_machine_whose_host_is_away_is_not_told_to_move() -> None:
    away = machine(host_status="unreachable", config=None, incomplete_config=web_config())
    assert kinds(props(), [away], {}) == [Kind.UNHEALTHY]


def test_a_machine_is_told_once_however_many_ways_its_secrets_are_old() -> None:
    later = secret("d2", datetime.now(UTC))
    assert kinds(props(), [machine()], later) == [Kind.SECRET_NOT_LIVE]


def test_what_was_just_staged_counts_to_the_second() -> None:
    # As old as its machine by the clock's resolution, and set after it all the same.
    made = machine()
    since = AGO + timedelta(milliseconds=500)
    known = recorded(since=since)
    live = secret(since=since)

    def found(moved_for: dict[str, str]) -> list[Kind]:
        items = drift_of(props(), known, [made], live, moved_for=moved_for, now=datetime.now(UTC))
        return [item.kind for item in items]

    assert found(recorded("f0")) == [Kind.SECRET_NOT_LIVE]
    assert found(known) == []


@given(
    st.lists(machine_json(), max_size=3, unique_by=lambda body: str(body["id"])),
    declared_groups(),
    st.dictionaries(st.sampled_from(["A", "X"]), st.tuples(st.sampled_from(["d1", "d2"]), times)),
)
def test_what_is_kept_is_as_good_for_comparing_as_what_fly_said(
    bodies: list[dict[str, Any]], declared: DeclaredGroup, there: dict[str, Any]
) -> None:
    machines = [wire.machine(body) for body in bodies]
    live = {name: Secret(name, digest, since) for name, (digest, since) in there.items()}
    news = props(declared)
    olds = json.loads(json.dumps({"recorded": recorded(), **live_properties("web", machines, live)}))
    again = drift(olds, news)
    first = drift_of(news, recorded(), machines, live, moved_for=recorded(), now=datetime.now(UTC))
    assert again == first
    assert SECRET not in json.dumps(olds)


# Shown


def test_what_all_machines_share_is_shown_once_and_what_not_machine_by_machine() -> None:
    small = machine("m2", config=web_config(guest={"cpu_kind": "shared", "cpus": 1, "memory_mb": 512}))
    news = props()
    assert described(news, [machine()], ()) == {**news}
    shown = described(news, [machine(), small], ())
    assert shown["count"] == 2
    assert shown["cpus"] == 1
    assert shown["memoryMb"] == "1024 (m1), 512 (m2)"


def test_state_and_health_are_shown_where_they_are_not_well() -> None:
    stopped = machine("m1", state="stopped")
    failing = machine("m2", checks=[{"name": "c", "status": "critical", "output": "503"}])
    away = machine("m3", host_status="unreachable", config=None, incomplete_config=web_config())
    own = [stopped, failing, away]
    shown = described(props(), own, drift_of(props(), {}, own, {}, now=datetime.now(UTC)))
    assert shown["state"] == "stopped (m1)"
    assert shown["health"] == "c critical (m2), its host is unreachable (m3)"


def test_secrets_that_are_not_live_are_shown_in_the_place_of_the_secrets() -> None:
    found = drift_of(props(), recorded(), [machine()], {}, now=datetime.now(UTC))
    shown = described(props(), [machine()], found)
    assert shown["secrets"] == {"secret-not-live": "runs with other secrets than declared: A (m1)"}


# Mended


def test_one_rollout_mends_size_check_secrets_and_state_together(box: Box, connect: Connect) -> None:
    app = box.app()
    one, two = box.machine(app), box.machine(app)
    box.ok("POST", f"{two.path}/stop")
    two.wait("stopped", instance_id=two.get()["instance_id"])
    version = box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "1"}})["version"]
    declared = replace(WEB, count=3, memory_mb=2048, check=replace(CHECK, path="/health"))
    news = props(declared, app=app, recorded={}, secretsVersion=float(version))
    provider = ProcessGroupProvider()
    provider._connection = connect(rollout=json.dumps(ROLLOUT))

    created = provider.create(news)
    state = dict(created.outs or {})

    assert created.id == f"{app}/web"
    assert [m["memory_mb"] for m in box.status(app)["machines"]] == [2048] * 3
    assert {m["state"] for m in box.status(app)["machines"]} == {"started"}
    assert not [m for m in box.status(app)["machines"] if m["secrets_not_live"] or m["lease"]]
    assert {len(box.ok("GET", f"{m.path}/versions")) for m in (one, two)} == {2}
    assert not provider.diff("x", state, news).changes
    assert state["rollout"]

    # Nothing differs: nothing moves, and what waits for the rollout does not wait again.
    again = dict(provider.update("x", state, news).outs or {})
    assert again["rollout"] == state["rollout"]
    assert {len(box.ok("GET", f"{m.path}/versions")) for m in (one, two)} == {2}

    # What is made by hand is seen by a refresh.
    one.update(web_config(guest={"cpu_kind": "shared", "cpus": 1, "memory_mb": 512}))
    provider._connection = connect()
    read = provider.read("x", state)
    assert dict(read.inputs or {})["memoryMb"].count("2048") == 2
    found = drift(dict(read.outs or {}), news)
    assert [item.kind for item in found if item.machine == one.id][:1] == [Kind.MACHINE_MEMORY]


def test_a_destroy_leaves_the_machines(box: Box, connect: Connect) -> None:
    app = box.app()
    box.machine(app)
    provider = ProcessGroupProvider()
    provider._connection = connect()
    provider.delete("x", props(app=app))
    assert len(box.status(app)["machines"]) == 1


def test_an_app_that_is_gone_is_gone(connect: Connect) -> None:
    provider = ProcessGroupProvider()
    provider._connection = connect()
    assert provider.read("x", props(app="no-such-app")).id == ""
