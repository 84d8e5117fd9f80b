"""Leases: who holds a machine, and what nobody else may then do."""

import time

import pytest

from tests.sandbox.box import NONCE, Box

GUARDED = [
    ("POST", ""),
    ("POST", "/start"),
    ("POST", "/stop"),
    ("POST", "/restart"),
    ("POST", "/suspend"),
    ("POST", "/cordon"),
    ("POST", "/uncordon"),
    ("DELETE", ""),
]


def test_a_lease_is_granted_in_an_envelope_with_the_machines_version(box: Box) -> None:
    machine = box.machine(box.app())

    answer = box.call("POST", f"{machine.path}/lease", {"ttl": 60, "description": "rollout"})

    assert answer.status_code == 201
    assert answer.json()["status"] == "success"
    data = answer.json()["data"]
    assert data["nonce"]
    assert data["owner"] == "oncall@hotdash.example"
    assert data["description"] == "rollout"
    assert data["version"] == machine.get()["instance_id"]
    assert 55 <= data["expires_at"] - time.time() <= 61
    assert box.ok("GET", f"{machine.path}/lease")["data"]["owner"] == data["owner"]


def test_the_ttl_may_be_in_the_query(box: Box) -> None:
    machine = box.machine(box.app())

    data = box.ok("POST", f"{machine.path}/lease?ttl=300")["data"]

    assert 295 <= data["expires_at"] - time.time() <= 301
    other = box.machine(box.app())
    box.refused(400, "POST", f"{other.path}/lease?ttl=soon")


def test_a_second_holder_is_refused_and_told_who_holds_it(box: Box) -> None:
    machine = box.machine(box.app())
    nonce = machine.lease()

    text = box.refused(409, "POST", f"{machine.path}/lease")

    assert text.startswith(
        f"machine ID {machine.id} lease currently held by oncall@hotdash.example, expires at 20"
    )
    box.refused(409, "POST", f"{machine.path}/lease", headers={NONCE: "wrong"})
    refreshed = box.ok("POST", f"{machine.path}/lease?ttl=100", headers={NONCE: nonce})["data"]
    assert refreshed["nonce"] == nonce
    assert refreshed["expires_at"] - time.time() > 90


@pytest.mark.parametrize(("method", "end"), GUARDED)
def test_a_held_machine_obeys_its_holder_only(box: Box, method: str, end: str) -> None:
    machine = box.machine(box.app())
    nonce = machine.lease()
    body = {"config": machine.get()["config"]} if (method, end) == ("POST", "") else None
    query = {"force": "true"} if method == "DELETE" else {}

    for headers in ({}, {NONCE: "wrong"}):
        text = box.refused(409, method, machine.path + end, body, headers=headers, params=query)
        assert "lease currently held by" in text
    assert machine.state() == "started"

    box.ok(method, machine.path + end, body, headers={NONCE: nonce}, params=query)


def test_reading_waiting_and_metadata_need_no_lease(box: Box) -> None:
    machine = box.machine(box.app())
    machine.lease()

    machine.get()
    machine.wait("started")
    box.ok("POST", f"{machine.path}/metadata/note", {"value": "x"})
    box.ok("GET", f"{machine.path}/events")


def test_a_lease_ends_by_release_and_by_time(box: Box) -> None:
    machine = box.machine(box.app())
    nonce = machine.lease()
    box.refused(400, "DELETE", f"{machine.path}/lease", headers={NONCE: "wrong"})

    assert box.call("DELETE", f"{machine.path}/lease", headers={NONCE: nonce}).status_code == 200

    box.refused(404, "GET", f"{machine.path}/lease")
    box.refused(404, "DELETE", f"{machine.path}/lease", headers={NONCE: nonce})

    short = machine.lease(ttl=1)
    deadline = time.monotonic() + 30
    while box.call("GET", f"{machine.path}/lease").status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # Whoever held it has lost it: an order with the old nonce must not pass for one under a lease.
    box.refused(409, "POST", f"{machine.path}/cordon", headers={NONCE: short})
    box.ok("POST", f"{machine.path}/cordon")


def test_the_lease_of_a_new_machine_comes_with_it(box: Box) -> None:
    app = box.app()
    body = {"config": {"image": "a:1"}, "lease_ttl": 30}
    created = box.ok("POST", f"/v1/apps/{app}/machines", body)

    path = f"/v1/apps/{app}/machines/{created['id']}"
    box.refused(409, "POST", f"{path}/cordon")
    box.ok("POST", f"{path}/cordon", headers={NONCE: created["nonce"]})
    assert "nonce" not in box.ok("GET", path)


def test_leases_are_shown_on_request_without_their_nonce(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)
    nonce = machine.lease()

    shown = box.ok("GET", f"/v1/apps/{app}/machines", params={"include_leases": "true"})[0]["lease"]

    assert shown["owner"] == "oncall@hotdash.example"
    assert shown["expires_at"].endswith("Z")
    assert nonce not in str(shown)
    assert "lease" not in machine.get()
    assert "lease" in box.ok("GET", machine.path, params={"include_leases": "true"})
