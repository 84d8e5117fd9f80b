"""Leases of a rollout: all or none, kept while it lasts, given back however it ends."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from hotdash.errors import Forbidden, LeaseHeld, NotFound, Unreachable
from hotdash.fly.client import Fly
from hotdash.fly.leases import Leases
from hotdash.fly.token import Token
from hotdash.plan import RolloutSettings
from tests.hotdash.scripted import Script, as_machine, body
from tests.sandbox.box import Box, Machine

SETTINGS = RolloutSettings(lease_ttl=30, lease_wait=10)
HELD = {"error": "machine ID m1 lease currently held by ci@hotdash.example, expires at 2026-08-01T12:00:30Z"}


def granted(nonce: str = "n1") -> httpx.Response:
    return httpx.Response(201, json={"data": {"nonce": nonce, "version": "v1", "expires_at": 5}})


def leases(script: Script, settings: RolloutSettings = SETTINGS) -> Leases:
    return Leases(script.fly, "a", settings, script.told.append, script.clock)


def scripted(*answers: httpx.Response | Exception) -> Script:
    """To each attempt on a lease the next of the answers, the last one for ever; what is given back is taken."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(200, json={})
        given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, Exception):
            raise given
        return given

    return Script((0, body()), others=answer)


ONE = [as_machine(body())]


def test_anothers_lease_is_waited_for() -> None:
    script = scripted(httpx.Response(409, json=HELD), httpx.Response(409, json=HELD), granted("mine"))
    with leases(script) as held:
        held.take(ONE)
        assert (held.nonce("m1"), held.version("m1")) == ("mine", "v1")
    assert script.seconds == pytest.approx(2.0)
    [told] = script.told
    assert told.startswith("machine m1 is leased to somebody else, waiting: Fly answered 409")
    assert "ci@hotdash.example" in told


def test_a_lease_that_does_not_go_away_ends_it_and_says_who_has_it() -> None:
    script = scripted(httpx.Response(409, json=HELD))
    with pytest.raises(LeaseHeld) as caught, leases(script) as held:
        held.take(ONE)
    assert "another's lease did not go away in 10 s" in caught.value.summary
    assert "ci@hotdash.example" in caught.value.summary
    assert caught.value.meaning.startswith("nothing was changed")
    assert 10 < script.seconds <= 12


def test_a_lost_answer_is_asked_again_without_a_nonce() -> None:
    script = scripted(
        httpx.ReadError("reset"), httpx.Response(500, json={}), httpx.Response(409, json=HELD), granted()
    )
    with leases(script) as held:
        held.take(ONE)
    asked = [request for request in script.asked if request.method == "POST"]
    assert len(asked) == 4
    assert not [request for request in asked if "fly-machine-lease-nonce" in request.headers]


@pytest.mark.parametrize(("status", "kind"), [(403, Forbidden), (404, NotFound)])
def test_what_fly_refuses_for_good_is_not_waited_for(status: int, kind: type[Exception]) -> None:
    script = scripted(httpx.Response(status, json={"error": "no"}))
    with pytest.raises(kind), leases(script) as held:
        held.take(ONE)
    assert script.seconds == 0


def test_a_fly_that_answers_nothing_ends_it_in_time() -> None:
    script = scripted(httpx.ReadError("reset"))
    with pytest.raises(Unreachable), leases(script) as held:
        held.take(ONE)
    assert script.seconds <= 12


def test_those_that_were_taken_are_given_back_when_one_cannot_be() -> None:
    script = scripted(granted("first"), httpx.Response(409, json=HELD))
    with pytest.raises(LeaseHeld), leases(script) as held:
        held.take([as_machine({**body(), "id": "m2"}), *ONE])
    back = [(r.url.path, r.headers["fly-machine-lease-nonce"]) for r in script.asked if r.method == "DELETE"]
    assert back == [
        ("/v1/apps/a/machines/m1/lease", "first")
    ]  # in the order of their ids, so that two do not lock


def test_a_lease_that_cannot_be_given_back_is_told_and_no_error() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return granted() if request.method == "POST" else httpx.Response(401, json={"error": "no"})

    script = Script((0, body()), others=answer)
    with leases(script) as held:
        held.take(ONE)
    assert script.told == [
        "the lease on m1 could not be given back and runs out by itself: Fly answered 401: no"
    ]


def kept(answer: Callable[[], httpx.Response]) -> tuple[Script, int]:
    """Hold a lease until it was to be kept twice; what was told, how often it was asked for."""
    times = threading.Semaphore(0)
    count = 0

    def others(request: httpx.Request) -> httpx.Response:
        nonlocal count
        if request.method == "DELETE":
            return httpx.Response(200, json={})
        if "fly-machine-lease-nonce" not in request.headers:
            return granted()
        assert request.headers["fly-machine-lease-nonce"] == "n1"
        count += 1
        times.release()
        return answer()

    script = Script((0, body()), others=others)
    with leases(script, replace(SETTINGS, lease_ttl=0.03)) as held:  # type: ignore[arg-type]
        held.take(ONE)
        for _ in range(2):
            assert times.acquire(timeout=10)
    return script, count


def test_a_lease_is_kept_until_it_is_given_back() -> None:
    script, count = kept(granted)
    assert script.told == []
    assert count >= 2
    assert script.asked[-1].method == "DELETE"


def test_a_lease_that_cannot_be_kept_is_told_and_one_on_nothing_is_not() -> None:
    lost, _ = kept(lambda: httpx.Response(409, json=HELD))
    assert {line.partition(": ")[0] for line in lost.told} == {"the lease on m1 could not be kept"}
    gone, _ = kept(lambda: httpx.Response(404, json={"error": "machine not found"}))
    assert gone.told == []


# On a real server


@pytest.fixture
def fly(box: Box) -> Iterator[Fly]:
    with Fly(Token(box.token, "a test"), base_url=box.url) as client:
        yield client


def is_held(box: Box, machine: Machine) -> bool:
    return box.call("GET", f"{machine.path}/lease").status_code == 200


def test_leases_outlive_their_ttl_while_they_are_held_and_not_the_block(box: Box, fly: Fly) -> None:
    app = box.app()
    machines = [box.machine(app), box.machine(app)]
    told: list[str] = []
    begun = time.monotonic()

    def work() -> None:
        with Leases(fly, app, replace(SETTINGS, lease_ttl=2), told.append) as held:
            held.take(fly.machines(app))
            while time.monotonic() - begun < 4.5:
                assert all(is_held(box, machine) for machine in machines)
            raise RuntimeError("the work failed")

    with pytest.raises(RuntimeError):
        work()
    assert not any(is_held(box, machine) for machine in machines)
    assert told == []


def test_a_lease_that_runs_out_is_taken_over(box: Box, fly: Fly) -> None:
    app = box.app()
    machine = box.machine(app)
    machine.lease(ttl=1)
    told: list[str] = []
    with Leases(fly, app, SETTINGS, told.append) as held:
        held.take(fly.machines(app))
        assert held.version(machine.id) == machine.get()["instance_id"]
    assert "leased to somebody else" in told[0]
