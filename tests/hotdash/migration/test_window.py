"""The window closes, whatever else goes wrong, and the app is as it was."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from hotdash.errors import MigrationFailed
from hotdash.migration.settings import Web
from tests.hotdash.migration.fleet import WINDOW, Died, Fleet, Task
from tests.hotdash.migration.scenes import ALL_UP, creation, migrated_once, nothing_left


def work1_fails(fleet: Fleet) -> None:
    """Its start is taken, and it does not come up."""

    def broken(_method: str, path: str) -> httpx.Response | None:
        if path.endswith("/machines/work1/start"):
            fleet.machines["work1"].state = "failed"
            return httpx.Response(200, json={})
        return None

    fleet.broken = broken


def refusing(fleet: Fleet, path: str, status: int) -> None:
    def broken(_method: str, called: str) -> httpx.Response | None:
        return httpx.Response(status, json={"error": "no capacity"}) if called.endswith(path) else None

    fleet.broken = broken


def test_a_machine_that_is_not_well_afterwards_is_told_and_the_schema_kept() -> None:
    fleet = Fleet()

    work1_fails(fleet)
    report = fleet.migration(WINDOW).run()
    assert "worker work1 did not come up" in report.troubles[0]
    migrated_once(fleet)


def test_an_abort_tells_what_is_not_well() -> None:
    fleet = Fleet()
    fleet.die_at = creation()
    with pytest.raises(Died):
        fleet.migration(WINDOW).run()
    fleet.die_at = None
    fleet.let_leases_run_out()

    work1_fails(fleet)
    aborted = fleet.migration(WINDOW).abort()
    assert aborted.run is not None
    assert "work1" in aborted.troubles[0]


def test_a_fly_that_is_gone_for_good_is_told_with_what_is_left() -> None:
    fleet = Fleet()
    fleet.tasks = [Task(code=1, migrates=False)]

    def gone(_method: str, _path: str) -> httpx.Response | None:
        ended = any(m.state == "destroyed" for m in fleet.one_offs())
        return httpx.Response(503, json={"error": "down"}) if ended else None

    fleet.broken = gone
    with pytest.raises(MigrationFailed) as caught:
        fleet.migration(WINDOW).run()
    for word in ("work1", "hotdash migrate abort", "docs/migrations.md"):
        assert word in str(caught.value)
    assert fleet.states()["work1"] == "stopped"

    fleet.broken = lambda _method, _path: None
    fleet.tasks = []
    fleet.let_leases_run_out()
    fleet.migration(WINDOW).run()
    migrated_once(fleet)
    nothing_left(fleet)


def test_a_machine_that_cannot_be_started_keeps_no_other_down() -> None:
    fleet = Fleet()
    refusing(fleet, "/machines/web1/start", 412)
    with pytest.raises(MigrationFailed, match="no capacity") as caught:
        fleet.migration(replace(WINDOW, web=Web.STOP)).run()
    assert fleet.states() == ALL_UP | {"web1": "stopped"}
    assert "this was left at step close" in str(caught.value)

    fleet.broken = lambda _method, _path: None
    fleet.migration(replace(WINDOW, web=Web.STOP)).run()
    migrated_once(fleet)
    nothing_left(fleet)


def test_a_start_whose_answer_is_lost_is_looked_after() -> None:
    fleet = Fleet()
    lost: list[int] = []

    def broken(method: str, path: str) -> httpx.Response | None:
        if path.endswith("/machines/work1/start") and not lost:
            lost.append(1)
            return httpx.Response(502, json={"error": "lost"})
        return None

    fleet.broken = broken
    assert fleet.migration(WINDOW).run().troubles == ()
    nothing_left(fleet)


def test_a_machine_that_still_stops_is_waited_for_and_started() -> None:
    fleet = Fleet()
    fleet.stop_takes = 90.0
    fleet.machines["work1"].config["stop_config"] = {"timeout": "120s"}
    fleet.migration(WINDOW).run()
    migrated_once(fleet)
    nothing_left(fleet)

    slow = Fleet()
    slow.stop_takes = 70.0
    with pytest.raises(MigrationFailed, match="work1 does not stop"):
        slow.migration(WINDOW).run()
    nothing_left(slow)


def test_a_web_machine_that_is_stopped_gets_no_request_meanwhile() -> None:
    fleet = Fleet()
    for name in ("web1", "web2"):
        fleet.machines[name].config["services"] = [{"internal_port": 3000, "autostart": True}]
    cordoned: list[bool] = []

    def look(method: str, path: str) -> httpx.Response | None:
        if method == "POST" and path.endswith("/machines"):
            cordoned.extend(fleet.machines[name].cordoned for name in ("web1", "web2", "work1"))
        return None

    fleet.broken = look
    fleet.migration(replace(WINDOW, web=Web.STOP)).run()
    assert cordoned == [True, True, False]
    assert not any(machine.cordoned for machine in fleet.machines.values())
    nothing_left(fleet)


def test_in_a_window_web_stops_where_it_is_declared_to() -> None:
    fleet = Fleet()
    fleet.migration(replace(WINDOW, web=Web.STOP)).run()
    assert {call for call in fleet.calls if call.endswith("/stop")} == {
        f"POST /machines/{id_}/stop" for id_ in ("work1", "web1", "web2")
    }
    nothing_left(fleet)


def test_a_worker_that_was_stopped_before_stays_stopped() -> None:
    fleet = Fleet(worker="stopped")
    fleet.migration(WINDOW).run()
    migrated_once(fleet)
    nothing_left(fleet, ALL_UP | {"work1": "stopped"})
