"""Faults on purpose, rate limits, and the log that shows them."""

import time
from typing import Any

import httpx
import pytest

from tests.sandbox.box import Box

SECRETS = "/v1/apps/{app}/secrets"


@pytest.fixture
def box(own_box: Box) -> Box:
    """Faults strike every caller of a sandbox, so each test has one of its own."""
    return own_box


def add(box: Box, **fault: Any) -> str:
    return str(box.ok("POST", "/sandbox/faults", fault)["id"])


def names(box: Box, app: str) -> list[str]:
    return [s["name"] for s in box.ok("GET", f"/v1/apps/{app}/secrets")["secrets"]]


def test_a_status_strikes_by_route_and_count_and_does_nothing_else(box: Box) -> None:
    app = box.app()
    add(box, route=f"POST {SECRETS}", kind="500", count=2, skip=1)

    statuses = [
        box.call("POST", f"/v1/apps/{app}/secrets", {"values": {f"S{n}": "x"}}).status_code for n in range(5)
    ]

    assert statuses == [200, 500, 500, 200, 200]
    assert names(box, app) == ["S0", "S3", "S4"]
    assert box.ok("GET", "/sandbox/faults")["faults"] == []


@pytest.mark.parametrize(("retry_after", "header"), [(2, "2"), (0.5, "0.5"), (None, None)])
def test_429_comes_with_and_without_retry_after(
    box: Box, retry_after: float | None, header: str | None
) -> None:
    add(box, route="*", kind="429", retry_after=retry_after)

    answer = box.call("GET", "/v1/apps/no-such-app")

    assert answer.status_code == 429
    assert answer.headers.get("retry-after") == header
    assert answer.headers["fly-request-id"]
    box.refused(404, "GET", "/v1/apps/no-such-app")


def test_a_reset_before_the_write_leaves_nothing_done(box: Box) -> None:
    app = box.app()
    add(box, route="secrets", kind="reset-before")

    with pytest.raises(httpx.ReadError):
        box.call("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "1"}})

    assert names(box, app) == []


def test_a_reset_after_the_write_leaves_it_done(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)
    before = machine.get()["instance_id"]
    add(box, route="POST machines/{machine}", kind="reset-after")

    with pytest.raises(httpx.ReadError):
        machine.update()

    machine.wait("started")
    assert machine.get()["instance_id"] != before


def test_a_reset_touches_the_callers_connection_alone(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)
    with httpx.Client(base_url=box.url, headers=box.http.headers, trust_env=False) as other:
        assert other.get(machine.path).status_code == 200
        add(box, route="GET machines/{machine}", kind="reset-before")
        with pytest.raises(httpx.ReadError):
            box.call("GET", machine.path)
        assert other.get(machine.path).status_code == 200


def test_latency_is_added_to_every_matching_call(box: Box) -> None:
    app = box.app()
    fault = add(box, route="*", kind="latency", ms=150, count=None)

    for _ in range(2):
        began = time.monotonic()
        names(box, app)
        assert time.monotonic() - began >= 0.15

    box.ok("DELETE", f"/sandbox/faults/{fault}")
    box.ok("POST", "/sandbox/requests/clear")
    names(box, app)
    assert [call["fault"] for call in box.ok("GET", "/sandbox/requests")["requests"]] == [None]


def test_a_foreign_lease_comes_just_before_the_call(box: Box) -> None:
    machine = box.machine(box.app())
    add(box, route="POST machines/{machine}/lease", kind="lease", ttl=1, owner="ci@example.org")

    text = box.refused(409, "POST", f"{machine.path}/lease")

    assert "currently held by ci@example.org" in text
    deadline = time.monotonic() + 30
    while (answer := box.call("POST", f"{machine.path}/lease")).status_code == 409:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer.status_code == 201


def test_a_lease_can_be_given_away_at_once(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)

    box.ok("POST", f"/sandbox/apps/{app}/machines/{machine.id}/lease", {"owner": "somebody@else", "ttl": 60})

    assert "somebody@else" in box.refused(409, "POST", f"{machine.path}/restart")


@pytest.mark.parametrize(
    "fault",
    [
        {"route": "*", "kind": "earthquake"},
        {"route": "*", "kind": "200"},
        {"route": "/v1/no/such/route", "kind": "500"},
        {"route": "POST /v1/apps/{app}", "kind": "500"},
        {"route": "*", "kind": "500", "count": -1},
        {"route": "*", "kind": "latency", "ms": "long"},
    ],
)
def test_a_fault_that_means_nothing_is_refused(box: Box, fault: dict[str, Any]) -> None:
    box.refused(400, "POST", "/sandbox/faults", fault)


def test_all_faults_go_at_once_and_routes_are_listed(box: Box) -> None:
    add(box, route="*", kind="503", count=None)
    add(box, route="POST *", kind="502", count=None)
    assert box.call("GET", "/v1/apps/x").status_code == 503

    box.ok("DELETE", "/sandbox/faults")

    box.refused(404, "GET", "/v1/apps/x")
    assert f"POST {SECRETS}" in box.ok("GET", "/sandbox/routes")["routes"]


def test_rate_limits_are_per_action_and_machine_and_off_at_first(box: Box) -> None:
    app = box.app()
    first, second = box.machine(app), box.machine(app)

    def burst(method: str, path: str, count: int) -> list[int]:
        return [box.call(method, path).status_code for _ in range(count)]

    assert set(burst("POST", f"{first.path}/cordon", 6)) == {200}
    box.ok("POST", "/sandbox/rate-limits", {"enabled": True})

    assert burst("POST", f"{first.path}/cordon", 4) == [200, 200, 200, 429]
    assert burst("POST", f"{first.path}/uncordon", 1) == [200]
    assert burst("POST", f"{second.path}/cordon", 1) == [200]
    assert burst("GET", first.path, 10) == [200] * 10
    assert 429 in burst("GET", first.path, 4)
    deadline = time.monotonic() + 30
    while burst("POST", f"{first.path}/cordon", 1) == [429]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_log_shows_requests_by_route_without_tokens_or_values(box: Box) -> None:
    app = box.app()
    box.ok("POST", "/sandbox/requests/clear")
    box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "a-value-to-look-for"}})
    names(box, app)
    names(box, app)
    add(box, route="*", kind="reset-after")
    with pytest.raises(httpx.ReadError):
        names(box, app)

    answer = box.call("GET", "/sandbox/requests")

    log = answer.json()
    assert log["counts"] == {f"POST {SECRETS}": 1, f"GET {SECRETS}": 3}
    assert log["total"] == 4
    last = log["requests"][-1]
    assert (last["method"], last["route"], last["path"]) == ("GET", SECRETS, f"/v1/apps/{app}/secrets")
    assert (last["status"], last["fault"]) == (None, "reset-after")
    assert last["caller"].startswith("python-httpx")
    assert "a-value-to-look-for" not in answer.text
    assert box.token not in answer.text
