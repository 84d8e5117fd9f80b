"""From drift to moves: each machine moves once, for all its reasons; what is missing is made, what is too much goes."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.drift import DeclaredGroup, Drift, Kind, group_drift, in_group
from hotdash.errors import SettingsError
from hotdash.fly import wire
from hotdash.fly.model import STARTABLE, CheckResult, Guest, HttpCheck, Machine
from hotdash.plan import Action, GroupPlan, new_machine, plan_group, share_of, updated_config
from tests.hotdash.strategies import NOW, SECRET, declared_groups, machine_json, times

DECLARED = DeclaredGroup("web", None, "shared", 2, 4096, HttpCheck("/api", 3000), None)
WORKER = DeclaredGroup("worker", 1, "shared", 1, 2048, None, None)
COMMAND = ["bundle", "exec", "sidekiq"]


def config(group: str = "web", **changes: Any) -> dict[str, Any]:
    services = (
        [{"internal_port": 3000, "checks": [{"type": "http", "path": "/api"}]}] if group == "web" else None
    )
    return {
        "image": "chatwoot:v4",
        "env": {"RAILS_ENV": "production", "FLY_PROCESS_GROUP": group},
        "init": {"cmd": ["rails", "server"]},
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 1024},
        "metadata": {"fly_process_group": group, "fly_platform_version": "v2", "fly_release_version": "7"},
        "restart": {"policy": "always"},
        "services": services,
        **changes,
    }


def machine(id_: str = "m1", group: str = "web", **changes: Any) -> Machine:
    body = {"id": id_, "state": "started", "region": "fra", "config": config(group)}
    found = wire.machine({**body, **changes})
    passes = tuple(CheckResult("c", "passing", "", NOW) for _ in range(found.expected_results))
    return replace(found, results=passes)


def planned(declared: DeclaredGroup, *machines: Machine) -> GroupPlan:
    return plan_group(declared, machines, group_drift(declared, machines, {}, now=NOW))


def moves(plan: GroupPlan) -> list[tuple[Action, str]]:
    return [(move.action, move.machine.id if move.machine else "") for move in plan.moves]


# Which moves


@given(
    st.lists(machine_json(), max_size=5, unique_by=lambda body: str(body["id"])),
    declared_groups(),
    st.dictionaries(st.sampled_from(["A", "B"]), times),
)
def test_every_drifted_machine_is_in_exactly_one_move_and_no_other_is(
    bodies: list[dict[str, Any]], declared: DeclaredGroup, since: dict[str, Any]
) -> None:
    machines = [wire.machine(body) for body in bodies]
    own = in_group(machines, "web")
    drift = group_drift(declared, machines, since, now=NOW)
    try:
        plan = plan_group(declared, machines, drift)
    except SettingsError:
        assert declared.check is not None
        port = declared.check.port
        assert any(port not in wire.checkable_ports(m.config) for m in own if m.known)
        return

    moved = [move.machine.id for move in plan.moves if move.machine]
    assert len(set(moved)) == len(moved)
    surplus = [m.machine.id for m in plan.moves if m.action is Action.DESTROY and m.machine]
    assert set(moved) == {item.machine for item in drift if item.machine} | set(surplus)
    made = [move for move in plan.moves if move.action is Action.CREATE]
    count = len(own) if declared.count is None else declared.count
    assert len(own) + len(made) - len(surplus) == count
    assert not (made and surplus)
    assert (plan.moves == ()) == (
        not [item for item in drift if item.machine or item.kind is Kind.MACHINE_COUNT]
    )

    order = [move.action for move in plan.moves]
    last = {Action.CREATE: 1, Action.DESTROY: 2}
    assert order == sorted(order, key=lambda action: last.get(action, 0))
    for move in plan.moves:
        if move.machine and move.action is not Action.DESTROY:
            reasons = [item.kind for item in drift if item.machine == move.machine.id]
            assert move.reasons == tuple(dict.fromkeys(reasons))
            starts = reasons == [Kind.MACHINE_STATE] and move.machine.state in STARTABLE
            assert move.action is (Action.START if starts else Action.UPDATE)
            assert move.machine.known
    assert plan.restarts == sum(action in (Action.START, Action.UPDATE) for action in order)


def test_what_is_stopped_is_started_and_what_differs_too_is_updated() -> None:
    stopped = machine(state="stopped")
    as_it_is = DeclaredGroup("web", None, None, None, 1024, None, None)
    assert moves(planned(as_it_is, stopped)) == [(Action.START, "m1")]
    assert moves(planned(replace(as_it_is, memory_mb=2048), stopped)) == [(Action.UPDATE, "m1")]
    # A start leads nowhere from here.
    assert moves(planned(as_it_is, machine(state="failed"))) == [(Action.UPDATE, "m1")]


def test_what_serves_nobody_moves_first() -> None:
    well, stopped = machine("a"), machine("d", state="stopped")
    failing = replace(machine("c"), results=())
    also_well = machine("b")
    assert [id_ for _, id_ in moves(planned(DECLARED, well, also_well, failing, stopped))] == [
        "d",
        "c",
        "a",
        "b",
    ]


def test_what_serves_nobody_goes_first_and_what_goes_does_not_move() -> None:
    well, failing = machine("a"), replace(machine("b"), results=())
    stopped = machine("c", state="stopped")
    plan = planned(replace(DECLARED, count=1), well, failing, stopped)
    assert moves(plan) == [(Action.UPDATE, "a"), (Action.DESTROY, "c"), (Action.DESTROY, "b")]


def test_a_machine_whose_host_is_away_is_left_alone_whoever_wants_it_moved() -> None:
    away = wire.machine(
        {"id": "m1", "config": None, "host_status": "unreachable", "incomplete_config": config()}
    )
    drift = [Drift(Kind.SECRET_NOT_LIVE, "web m1", "", "", "", "", None, "m1")]
    assert plan_group(replace(DECLARED, check=None), [away], drift).moves == ()


def test_a_check_without_a_service_is_refused_before_anything_moves() -> None:
    declared = replace(DECLARED, check=HttpCheck("/api", 8080))
    with pytest.raises(
        SettingsError, match="declared on port 8080, and machine m1 has no service there"
    ) as caught:
        planned(declared, machine())
    assert caught.value.meaning == "nothing was changed"
    assert "ports that it serves: 3000" in caught.value.remedy


@given(st.integers(0, 200), st.floats(0.001, 300))
def test_a_share_is_at_least_one_and_no_more_than_was_said(count: int, bold: float) -> None:
    share = share_of(count, bold)
    assert share >= 1
    if bold < 1:
        assert share <= max(1, count)
        assert share - 1 < count * bold or share == 1
    else:
        assert share == int(bold)


@pytest.mark.parametrize(
    ("count", "bold", "share"), [(3, 0.33, 1), (4, 0.33, 2), (10, 0.33, 4), (2, 1, 1), (9, 3, 3)]
)
def test_shares_are_those_of_flys_own_tool(count: int, bold: float, share: int) -> None:
    assert share_of(count, bold) == share


# What a machine becomes


def test_an_updated_machine_keeps_what_is_not_declared() -> None:
    changed = updated_config(DECLARED, machine(), "r1")
    assert changed["guest"] == {"cpu_kind": "shared", "cpus": 2, "memory_mb": 4096}
    assert changed["image"] == "chatwoot:v4"
    assert changed["metadata"]["hotdash_rollout"] == "r1"
    assert changed["env"] == config()["env"]
    assert (
        updated_config(replace(DECLARED, cpus=None, memory_mb=None), machine(), "r1")["guest"]
        == config()["guest"]
    )


def test_a_new_machine_is_a_copy_of_a_sibling() -> None:
    sibling = machine("m1", region="ams")
    made, region = new_machine(
        replace(DECLARED, image="chatwoot:v5"), [], [machine("x", "worker"), sibling], "r1"
    )
    assert region == "ams"
    assert (made["image"], made["guest"]["memory_mb"]) == ("chatwoot:v5", 4096)
    assert made["init"] == config()["init"]
    before = copy.deepcopy(dict(sibling.config))
    made["env"]["CHANGED"] = "yes"
    assert sibling.config == before


def test_a_sibling_whose_host_is_away_is_no_model() -> None:
    away = wire.machine({"id": "m0", "host_status": "unknown", "incomplete_config": config()})
    made, _ = new_machine(DECLARED, [], [away, machine("m1")], "r1")
    assert made["image"] == "chatwoot:v4"
    with pytest.raises(SettingsError, match="no machine to copy"):
        new_machine(DECLARED, [], [away], "r1")


def test_a_group_without_machines_is_made_from_another_and_the_declared_command() -> None:
    made, region = new_machine(WORKER, COMMAND, [machine()], "r1")
    assert region == "fra"
    assert made["init"] == {"cmd": COMMAND}
    assert made["env"] == {"RAILS_ENV": "production", "FLY_PROCESS_GROUP": "worker"}
    assert made["metadata"]["fly_process_group"] == "worker"
    assert made["metadata"]["fly_platform_version"] == "v2"
    assert made["services"] == []
    assert made["restart"] == {"policy": "always"}
    assert wire.machine({"id": "new", "config": made}).guest == Guest("shared", 1, 2048)


@pytest.mark.parametrize(
    "group", ["fly_app_release_command", "fly_app_console", "fly_app_test_machine_command"]
)
def test_a_machine_that_flys_tools_made_for_a_moment_is_no_model(group: str) -> None:
    lent = machine("m0", config=config(group, env={"RELEASE_COMMAND": "1"}))
    made, _ = new_machine(WORKER, COMMAND, [lent, machine()], "r1")
    assert "RELEASE_COMMAND" not in made["env"]
    with pytest.raises(SettingsError, match="no machine to take the image from"):
        new_machine(WORKER, COMMAND, [lent], "r1")


def test_an_app_without_machines_is_made_from_what_is_declared_alone() -> None:
    declared = replace(DECLARED, image="chatwoot:v4", cpu_kind=None, cpus=None, memory_mb=None)
    made, region = new_machine(declared, COMMAND, [], "r1")
    assert region == ""
    there = wire.machine({"id": "new", "state": "started", "config": made})
    assert there.checks == (declared.check,)
    assert there.group == "web"
    assert {port["port"] for port in made["services"][0]["ports"]} == {80, 443}


@pytest.mark.parametrize(
    ("declared", "command", "machines", "said", "where"),
    [
        (WORKER, [], [machine()], "no machine to copy, and no command is declared", "worker.command"),
        (WORKER, COMMAND, [], "no machine to take the image from", "worker.image"),
        (
            DECLARED, COMMAND, [machine(config=config(mounts=[{"volume": "vol_1"}]))],
            "needs a volume of its own", "process group web",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_made_from_what_is_said(
    declared: DeclaredGroup, command: list[str], machines: list[Machine], said: str, where: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        new_machine(declared, command, machines, "r1")
    assert where in caught.value.where
    assert caught.value.remedy
    assert SECRET not in str(caught.value)
