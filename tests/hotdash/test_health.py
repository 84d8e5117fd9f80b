"""When a machine has come up, and when it has not: each way that it can go, second by second."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.errors import LeaseHeld, RolloutFailed
from hotdash.fly.health import Watch
from hotdash.fly.model import Machine
from hotdash.plan import RolloutSettings
from tests.hotdash.scripted import OLD, OTHER, Script, as_machine, body, ended, result
from tests.hotdash.strategies import SECRET

SETTINGS = RolloutSettings(health_timeout=20, start_timeout=30, settle=4, poll=0.25)
STALE = 8.0
"""Seconds after which the check must have run again: its grace, twice its interval, its timeout."""
WRITTEN = as_machine(body(state="replacing"))
BEFORE = as_machine(body(OLD, checks=[result("passing", -3600)]))
Scene = tuple[float, dict[str, Any]]


def watch(script: Script, *, written: Machine = WRITTEN, previous: Machine | None = BEFORE) -> float:
    """Seconds until it was well."""
    watching = Watch(script.fly, "a", SETTINGS, script.told.append, script.clock)
    watching.until_well("web: machine 1 of 2", written, previous=previous, nonce="n1")
    return script.seconds


def failure(script: Script, **options: Any) -> tuple[float, RolloutFailed]:
    with pytest.raises(RolloutFailed) as caught:
        watch(script, **options)
    assert caught.value.summary.startswith("web: machine 1 of 2 did not come up: ")
    assert "app a, machine m1" in caught.value.where
    assert "fly logs -a a -i m1" in caught.value.remedy
    return script.seconds, caught.value


def bare(*args: Any, **changes: Any) -> dict[str, Any]:
    """A machine without checks."""
    shown = body(*args, **changes)
    return {**shown, "config": {**shown["config"], "services": []}}


# Well


def test_it_is_well_once_its_checks_have_passed_since_the_update() -> None:
    script = Script(
        (0, body(OLD)),
        (1, body(state="replacing")),
        (2, body()),
        (4, body(checks=[result("critical", 4)])),
        (9, body(checks=[result("passing", 9)])),
    )
    assert 9 <= watch(script) <= 9.5
    assert script.told[-1] == "web: machine 1 of 2: well after 9 s"
    assert script.asked == []


def test_what_passed_before_the_update_does_not_count_until_every_check_must_have_run_again() -> None:
    script = Script((0, body(state="replacing")), (3, body(checks=[result("passing", -60)])))
    assert 3 + STALE <= watch(script) <= 3 + STALE + 0.5


def test_what_passed_before_a_start_does_not_count_either() -> None:
    # A start makes no version: the results are later than that, and still of the process before.
    old = [result("passing", 60)]
    stopped = as_machine(body(state="stopped", checks=old))
    stays = Script((0, body(state="starting", checks=old)), (2, body(checks=old)))
    assert 2 + STALE <= watch(stays, written=stopped, previous=stopped) <= 2 + STALE + 0.5
    runs_again = Script((0, body(state="starting", checks=old)), (2, body(checks=[result("passing", 120)])))
    assert 2 <= watch(runs_again, written=stopped, previous=stopped) <= 2.5


def test_without_checks_it_is_well_when_it_has_stayed_up() -> None:
    script = Script((0, bare(state="replacing")), (5, bare()))
    assert 5 + SETTINGS.settle <= watch(script) <= 5 + SETTINGS.settle + 0.5


def test_all_of_its_checks_must_pass() -> None:
    two = body(checks=[result("passing", 1)])
    two["config"]["checks"] = {"alive": {"type": "tcp", "port": 3000}}
    both = {**two, "checks": [result("passing", 1), {**result("passing", 1), "name": "alive"}]}
    script = Script((0, two), (6, both))
    assert 6 <= watch(script) <= 6.5


def test_a_slow_check_has_its_time_to_run_again() -> None:
    slow = body(checks=[result("passing", -60)])
    slow["config"]["services"][0]["checks"][0] = {"type": "http", "interval": "60s", "timeout": "1s"}
    script = Script((0, slow))
    assert 121 <= watch(script, written=as_machine(slow)) <= 122.5  # more than the health timeout


def test_fly_may_show_the_version_before_for_a_moment() -> None:
    script = Script(
        (0, body(OLD, checks=[result("passing", -3600)])), (4, body(checks=[result("passing", 4)]))
    )
    assert 4 <= watch(script) <= 4.5


def test_fly_may_move_it_to_another_host() -> None:
    marked = body(state="replacing")
    marked["config"]["metadata"]["hotdash_rollout"] = "r1"
    moved = {**marked, "instance_id": OTHER, "state": "started", "checks": [result("passing", 9)]}
    script = Script((0, marked), (9, moved))
    assert 9 <= watch(script, written=as_machine(marked)) <= 9.5


# Not well


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (ended(5, exit_code=1), "its process ended with exit code 1"),
        (ended(5, exit_code=0), "its process ended with exit code 0"),
        (ended(5, guest_exit_code=7), "its process ended with exit code 7"),
        (
            ended(5, exit_code=137, oom_killed=True),
            "killed for want of memory (512 MB) at 2026-08-01 12:00:05Z",
        ),
    ],
)
@pytest.mark.parametrize("state", ["started", "stopped", "starting"])
def test_it_has_failed_as_soon_as_it_exits(event: dict[str, Any], said: str, state: str) -> None:
    script = Script((0, body(state="replacing")), (5, body(state=state, events=[event])))
    seconds, error = failure(script)
    assert said in error.summary
    assert 5 <= seconds <= 5.5


@pytest.mark.parametrize(
    "event",
    [
        ended(-1, exit_code=1),  # the version before
        ended(1, exit_code=1, requested_stop=True),  # to make room for the new one
        {"type": "start", "timestamp": 0, "request": None},
    ],
)
def test_an_exit_that_is_not_its_own_is_nothing(event: dict[str, Any]) -> None:
    script = Script((0, body(events=[event], checks=[result("passing", 2)])))
    assert watch(script) <= 0.5


def test_exits_that_were_known_before_are_nothing() -> None:
    # A stopped machine that is started has the version that it had when it was killed.
    crashed = as_machine(body(state="stopped", events=[ended(5, exit_code=1)]))
    again = Script((0, body(events=[ended(5, exit_code=1)], checks=[result("passing", 60)])))
    assert watch(again, written=crashed, previous=crashed) <= 0.5
    anew = Script((0, body(events=[ended(90, exit_code=1), ended(5, exit_code=1)])))
    assert "exit code 1" in failure(anew, written=crashed, previous=crashed)[1].summary


@pytest.mark.parametrize("state", ["failed", "launch_failed", "destroyed"])
def test_it_has_failed_as_soon_as_fly_says_so(state: str) -> None:
    script = Script((0, body(state="replacing")), (2, body(state=state)))
    seconds, error = failure(script)
    assert error.summary.endswith(f"did not come up: it is {state}")
    assert 2 <= seconds <= 2.5


def test_a_failed_machine_that_was_started_may_be_shown_as_failed_for_a_moment() -> None:
    failed = as_machine(body(state="failed"))
    comes = Script((0, body(state="failed")), (3, body(checks=[result("passing", 3)])))
    assert watch(comes, written=failed, previous=failed) <= 3.5
    stays = Script((0, body(state="failed")))
    assert failure(stays, written=failed, previous=failed)[0] <= 6


def test_it_was_reverted() -> None:
    back = body(OLD, checks=[result("passing", -3600)])
    later = Script((0, body(state="replacing")), (6, back))
    seconds, error = failure(later)
    assert "went back to another version" in error.summary
    assert seconds <= 6.5
    at_once = Script((0, back))
    assert 5 <= failure(at_once)[0] <= 5.5
    others = Script((0, body(OTHER, checks=[result("passing", 8)])))
    assert failure(others)[0] == 0


def test_it_does_not_start_in_time() -> None:
    seconds, error = failure(Script((0, body(state="starting"))))
    assert "still starting after 3" in error.summary
    assert 30 <= seconds <= 32


def test_its_checks_do_not_pass_in_time_and_the_error_has_their_answer() -> None:
    said = f"<h1>500</h1> could not connect to postgres://u:{SECRET}@h/d"
    script = Script((0, body(state="starting")), (10, body(checks=[result("critical", 10, said)])))
    seconds, error = failure(script)
    assert 10 + 3 + 20 <= seconds <= 10 + 3 + 20 + 2  # from its start: grace, then the timeout
    assert "servicecheck-00-http-3000 is critical: 500 could not connect to postgres://…@h/d" in error.summary
    assert SECRET not in str(error)


def test_checks_that_never_answer_are_told_as_that() -> None:
    assert "no answer of its checks yet" in failure(Script((0, body())))[1].summary


# Stopped after the update


def starts(script: Script) -> list[httpx.Request]:
    return [request for request in script.asked if request.url.path.endswith("/machines/m1/start")]


def test_what_fly_leaves_stopped_is_started_once_under_the_lease() -> None:
    script = Script((0, body(state="stopped")), (6, body(checks=[result("passing", 6)])))
    watch(script)
    [request] = starts(script)
    assert request.headers["fly-machine-lease-nonce"] == "n1"


def test_what_is_still_being_replaced_is_started_when_it_can_be() -> None:
    answers = [412, 412, 200]
    script = Script(
        (0, body(state="stopped")),
        (6, body(checks=[result("passing", 6)])),
        others=lambda _request: httpx.Response(answers.pop(0), json={"error": "machine getting replaced"}),
    )
    watch(script)
    assert len(starts(script)) == 3


def test_a_start_under_somebody_elses_lease_ends_it() -> None:
    held = httpx.Response(409, json={"error": "machine ID m1 lease currently held by x"})
    with pytest.raises(LeaseHeld):
        watch(Script((0, body(state="stopped")), others=lambda _request: held))


# Looking and telling


@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.sampled_from(["starting", "started", "stopped", "failed"])), max_size=5
    ),
    st.floats(0.2, 5),
)
def test_it_is_looked_at_no_more_often_than_fly_allows_and_comes_to_an_end(
    life: list[tuple[float, str]], poll: float
) -> None:
    script = Script(
        (0, body(state="replacing")), *((since, body(state=state)) for since, state in sorted(life))
    )
    settings = replace(SETTINGS, poll=poll)
    with pytest.raises(RolloutFailed):
        Watch(script.fly, "a", settings, script.told.append, script.clock).until_well(
            "x", WRITTEN, previous=BEFORE
        )
    assert script.seconds <= 60 + 30 + 23 + 10
    for first in script.looks:
        in_a_burst = [look for look in script.looks if first <= look < first + 1]
        assert len(in_a_burst) <= 10
    assert len(script.looks) <= 10 + 5 * script.seconds


def test_what_is_waited_for_is_told_every_few_seconds() -> None:
    script = Script(
        (0, body(state="replacing")),
        (8, body()),
        (12, body(checks=[result("critical", 12, "503 no")])),
        (21, body(checks=[result("passing", 21)])),
    )
    watch(script)
    assert script.told == [
        "web: machine 1 of 2: waiting for the start (replacing), 5 s",
        "web: machine 1 of 2: waiting for /api (no answer of its checks yet), 10 s",
        "web: machine 1 of 2: waiting for /api (servicecheck-00-http-3000 is critical: 503 no), 15 s",
        "web: machine 1 of 2: waiting for /api (servicecheck-00-http-3000 is critical: 503 no), 20 s",
        "web: machine 1 of 2: well after 21 s",
    ]
    worker = Script((0, bare()))
    Watch(worker.fly, "a", replace(SETTINGS, settle=7), worker.told.append, worker.clock).until_well(
        "w", WRITTEN, previous=None
    )
    assert worker.told[0] == "w: waiting for it to stay up, 5 s"
