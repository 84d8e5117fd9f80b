"""Fly's API in trouble during `up`: it succeeds, or fails with words that help; the next `up` ends where it should,
with no machine twice and no lease left."""

from typing import Any

import pytest

from tests.program.stack import Stack
from tests.program.test_adoption import from_nothing

ROUTES = (
    "POST secrets",
    "POST lease",
    "POST machines",
    "POST {machine}",
    "GET {machine}",
    "GET machines",
    "DELETE lease",
)
"""Every call that an `up` makes which stages a secret, moves machines and makes one; by the end of its path."""


FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"kind": "latency", "ms": 150, "count": None},
    "429 that says when": {"kind": "429", "retry_after": 1},
    "429": {"kind": "429"},
    "500": {"kind": "500"},
    "503": {"kind": "503"},
    "reset before it was done": {"kind": "reset-before"},
    "reset after it was done": {"kind": "reset-after"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_trouble_once_on_every_route_is_weathered(applied: Stack, name: str) -> None:
    world = applied.world
    world.break_("secret-tampered", "worker-stopped")
    for route in ROUTES:
        world.fault(route=route, **FAULTS[name])
    world.clear_requests()

    applied.up().ok()

    calls = world.requests()
    struck = {f"{c['method']} {c['route'].rpartition('/')[2]}" for c in calls if c["fault"]}
    if name != "latency":
        assert struck == set(ROUTES)
    assert len(world.machines("web")) == 2
    assert len(world.machines("worker")) == 1
    assert all(m["secrets_not_live"] == [] for m in world.status()["machines"])
    world.api.call("DELETE", "/sandbox/faults")
    applied.expect_clean()


@pytest.mark.parametrize("name", ["429", "500", "reset before it was done", "reset after it was done"])
def test_trouble_with_starting_and_destroying_is_weathered(applied: Stack, name: str) -> None:
    """A web machine is stopped, and the workers are one too many."""
    world = applied.world
    worker = world.machines("worker")[0]
    world.api.call(
        "POST", f"/v1/apps/{world.app}/machines", {"config": worker["config"], "region": worker["region"]}
    )
    world.wait_healthy()
    world.break_("machine-stopped")
    for route in ("POST start", "DELETE {machine}"):
        world.fault(route=route, **FAULTS[name])
    world.clear_requests()

    applied.up().ok()

    assert {call["fault"] for call in world.requests()} == {None, FAULTS[name]["kind"]}
    assert [m["state"] for m in world.machines()] == ["started"] * 3
    world.api.call("DELETE", "/sandbox/faults")
    applied.expect_clean()


def test_trouble_on_every_look_does_not_spoil_a_preview(applied: Stack) -> None:
    with applied.nothing_changed():
        for route in ("GET {app}", "GET secrets", "GET machines"):
            for kind in ("500", "429", "reset-before"):
                applied.world.fault(kind, route)
        applied.preview().ok()
        assert sum(bool(call["fault"]) for call in applied.world.requests()) == 9


def test_an_update_that_fly_never_takes_fails_and_the_next_up_goes_on(applied: Stack) -> None:
    world = applied.world
    world.break_("secret-tampered")
    before = applied.versions()
    world.fault("503", "POST {machine}", count=None)

    applied.up().failed("Fly answered 503", "Fly itself is in trouble", "code fly", "request ")
    assert applied.versions() == before
    assert applied.leases() == []

    world.api.call("DELETE", "/sandbox/faults")
    applied.up().ok()
    assert all(m["secrets_not_live"] == [] for m in world.status()["machines"])
    applied.expect_clean()


def test_an_app_whose_making_was_lost_on_the_way_is_adopted(stack: Stack) -> None:
    name, world = from_nothing(stack), stack.world
    stack.config["hotdash:app"] |= {"create": True, "deleteOnDestroy": True}
    for group in stack.config["hotdash:processGroups"].values():
        group["count"] = 0
    stack.config["hotdash:readiness"]["status"] = 503
    world.fault("reset-after", "POST /v1/apps")

    stack.up().failed("Fly broke the connection", "may or may not have been done", "fly-unreachable")
    stack.up().ok()
    assert world.api.app(name) is not None
    stack.preview().ok()


def lease_to_a_stranger(stack: Stack, seconds: float) -> str:
    """Somebody else takes the lease of a web machine; the machine."""
    machine = str(stack.world.machines("web")[-1]["id"])
    path = f"/sandbox/apps/{stack.world.app}/machines/{machine}/lease"
    stack.world.api.call("POST", path, {"owner": "deploy@hotdash.example", "ttl": seconds})
    return machine


def test_a_foreign_lease_that_goes_away_is_waited_for(applied: Stack) -> None:
    applied.config["hotdash:processGroups"]["web"]["memoryMb"] = 1024
    # Long enough for the slowest engine to find it held.
    machine = lease_to_a_stranger(applied, 12)

    answer = applied.up().ok()
    assert f"machine {machine} is leased to somebody else, waiting" in answer.text
    assert "held by deploy@hotdash.example" in answer.text
    assert {m["config"]["guest"]["memory_mb"] for m in applied.world.machines("web")} == {1024}
    applied.expect_clean()
    applied.clean = False


def test_a_foreign_lease_that_stays_is_an_error_and_nothing_is_changed(applied: Stack) -> None:
    applied.config["hotdash:processGroups"]["web"]["memoryMb"] = 1024
    applied.config["hotdash:rollout"]["leaseWait"] = "1s"
    machine = lease_to_a_stranger(applied, 300)
    before = applied.versions()
    applied.world.clear_requests()

    applied.up().failed(
        "another's lease did not go away in 1 s",
        f"machine ID {machine} lease currently held by deploy@hotdash.example",
        f"app {applied.world.app}, machine {machine}",
        "nothing was changed",
        "let it finish and run `pulumi up` again",
        "code fly-lease-held",
    )
    assert applied.versions() == before
    assert {call for call in applied.writes() if not call.endswith("/lease")} == set()
    assert applied.leases() == [machine]
