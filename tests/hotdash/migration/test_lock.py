"""One run at a time, whichever machines somebody knows of, and nothing of it left."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from hotdash.errors import MigrationLocked
from hotdash.migration.journal import (
    APPLIED_KEY,
    JOURNAL_KEY,
    Journal,
    Step,
    journal_text,
)
from hotdash.migration.settings import Mode
from tests.hotdash.migration.fleet import NEW, OLD, PENDING, SETTINGS, WINDOW, Died, Fleet, Task
from tests.hotdash.migration.scenes import migrated_once, nothing_left
from tests.hotdash.strategies import NOW


def test_anothers_lock_is_waited_for_and_then_named() -> None:
    fleet = Fleet()
    other = Journal("r1", "ci@runner", "image", NOW, NEW, "", Step.RUN, Mode.ONLINE, "one9", 1)
    fleet.machines["web2"].config["metadata"][JOURNAL_KEY] = journal_text(other)
    fleet.machines["web1"].lease, fleet.machines["web1"].leased_until = "theirs", 10_000.0
    with pytest.raises(MigrationLocked) as caught:
        fleet.migration().run()
    for word in ("run r1 of ci@runner", "at step run", "2026", "migration-locked", "nothing was changed"):
        assert word in str(caught.value)
    assert fleet.seconds >= 40
    assert fleet.one_offs() == []


def test_a_lease_without_a_journal_is_somebody_elses_deploy() -> None:
    fleet = Fleet()
    fleet.machines["web1"].lease, fleet.machines["web1"].leased_until = "theirs", 10_000.0
    with pytest.raises(MigrationLocked, match="somebody else has the lease on machine web1 of a: ci@x"):
        fleet.migration().run()


def test_two_at_once_migrate_once() -> None:
    fleet = Fleet()
    first = fleet.migration()
    second_done: list[int] = []

    # The second looks before the first has begun, and comes to the lock when the first has ended.
    def meanwhile(method: str, path: str) -> httpx.Response | None:
        if method == "POST" and path.endswith("web1/lease") and not second_done:
            second_done.append(0)
            second_done.append(fleet.migration().run().ran)
        return None

    fleet.broken = meanwhile
    assert first.run().ran == 0
    assert second_done == [0, 1]
    migrated_once(fleet)
    nothing_left(fleet)


def test_a_machine_that_came_meanwhile_is_no_second_lock() -> None:
    fleet = Fleet()
    refused: list[str] = []

    def meanwhile(method: str, path: str) -> httpx.Response | None:
        if method == "POST" and path.endswith("/machines") and not refused:
            refused.append("")
            fleet.make("aaa0", "web", "started", OLD)
            with pytest.raises(MigrationLocked) as caught:
                fleet.migration(WINDOW).run()
            refused.append(str(caught.value))
        return None

    fleet.broken = meanwhile
    fleet.migration(WINDOW).run()
    assert "another migration of a is running" in refused[1]
    assert len(fleet.one_offs()) == 1
    assert fleet.times_run == dict.fromkeys(PENDING, 1)


def test_whoever_lost_the_lock_records_nothing() -> None:
    fleet = Fleet()
    taken: list[int] = []

    def meanwhile(method: str, path: str) -> httpx.Response | None:
        if path.endswith("/machines/work1/start") and not taken:
            taken.append(1)
            for machine in fleet.machines.values():
                machine.lease, machine.leased_until = "another's", 10_000.0
            fleet.machines["work1"].lease = ""
        return None

    fleet.broken = meanwhile
    with pytest.raises(MigrationLocked):
        fleet.migration(WINDOW).run()
    assert fleet.metadata(APPLIED_KEY) == [None, None, None]
    assert None not in fleet.metadata(JOURNAL_KEY)


def test_a_journal_of_a_run_that_is_over_brings_nothing_back() -> None:
    fleet = Fleet()
    fleet.migration().run()
    fleet.migration(replace(SETTINGS, revision="2")).run()
    old = Journal("r0", "me@here", "image", NOW, OLD, "", Step.CLOSE, Mode.WINDOW, scale={"work1": "started"})
    fleet.machines["web2"].config["metadata"][JOURNAL_KEY] = journal_text(old)
    fleet.machines["work1"].state = "stopped"

    assert fleet.migration(replace(SETTINGS, revision="2")).run().ran == 0
    assert fleet.states()["work1"] == "stopped"
    assert fleet.metadata(JOURNAL_KEY) == [None, None, None]


def bare_fleet() -> Fleet:
    fleet = Fleet()
    fleet.machines.clear()
    return fleet


def test_an_app_without_machines_waits_for_anothers_task() -> None:
    probe, fleet = bare_fleet(), bare_fleet()
    probe.migration().run()
    fleet.die_at = probe.calls.index("POST /machines")
    fleet.die_after = True
    with pytest.raises(Died):
        fleet.migration().run()
    fleet.die_at = None
    [first] = fleet.one_offs()
    seen: list[str] = []

    def look(method: str, path: str) -> httpx.Response | None:
        if method == "POST" and path.endswith("/machines"):
            seen.append(first.state)
        return None

    fleet.broken = look
    fleet.migration().run()
    assert seen == ["destroyed"]
    assert fleet.times_run == dict.fromkeys(PENDING, 1)


def test_an_app_without_machines_does_not_run_beside_a_task_that_does_not_end() -> None:
    fleet = bare_fleet()
    other = fleet.make("one9", "fly_app_release_command", "started", OLD)
    other.config["metadata"]["hotdash_run"] = "r9-1"
    other.task = Task(seconds=5000, migrates=False)
    with pytest.raises(MigrationLocked, match="machine one9 migrates"):
        fleet.migration().run()
    assert fleet.one_offs() == [other]


def test_a_task_left_by_nobody_is_ended_before_another_begins() -> None:
    fleet = Fleet()
    other = fleet.make("one9", "fly_app_release_command", "started", OLD)
    other.config["metadata"]["hotdash_run"] = "r9-1"
    other.task = Task(seconds=5000, migrates=False)
    fleet.migration().run()
    nothing_left(fleet)
    migrated_once(fleet)


def test_a_machine_that_does_not_destroy_itself_is_destroyed() -> None:
    fleet = Fleet()
    fleet.lingers = True
    fleet.migration().run()
    nothing_left(fleet)
    migrated_once(fleet)
