"""Whoever ran a migration dies, at any call: whoever comes next ends what it began."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from hotdash.errors import MigrationFailed
from hotdash.migration.journal import (
    JOURNAL_KEY,
    Journal,
    Step,
    journal_text,
)
from hotdash.migration.settings import MigrationSettings, Mode
from tests.hotdash.migration.fleet import NEW, SETTINGS, WINDOW, Died, Fleet, Task
from tests.hotdash.migration.scenes import creation, migrated_once, nothing_left
from tests.hotdash.strategies import NOW


def deaths() -> list[Any]:
    found = []
    for settings in (SETTINGS, WINDOW):
        fleet = Fleet()
        fleet.migration(settings).run()
        writes = [n for n, call in enumerate(fleet.calls) if not call.startswith("GET")]
        looks = [n for n, call in enumerate(fleet.calls) if call.startswith("GET")][::7]
        for number in (*writes, *looks):
            for after in (False, True):
                # By number alone: what is written to several machines at once comes in any order.
                name = f"{settings.mode}-{number}-{'after' if after else 'before'}"
                found.append(pytest.param(settings, number, after, id=name))
    return found


@pytest.mark.parametrize(("settings", "number", "after"), deaths())
def test_whoever_comes_after_a_death_ends_what_it_began(
    settings: MigrationSettings, number: int, after: bool
) -> None:
    fleet = Fleet()
    fleet.die_at, fleet.die_after = number, after
    with pytest.raises(Died):
        fleet.migration(settings).run()
    assert fleet.dead
    fleet.die_at = None
    fleet.let_leases_run_out()

    fleet.migration(settings).run()
    migrated_once(fleet)
    nothing_left(fleet)
    assert fleet.migration(settings).run().ran == 0


@pytest.mark.parametrize(("settings", "number", "after"), deaths())
def test_whoever_aborts_after_a_death_leaves_nothing(
    settings: MigrationSettings, number: int, after: bool
) -> None:
    fleet = Fleet()
    fleet.die_at, fleet.die_after = number, after
    with pytest.raises(Died):
        fleet.migration(settings).run()
    fleet.die_at = None
    fleet.let_leases_run_out()

    fleet.migration(settings).abort()
    if fleet.leases():  # the first death came before the journal: a lease is all there is, and it runs out
        fleet.let_leases_run_out()
    nothing_left(fleet)


def deaths_in_failure() -> list[Any]:
    fleet = Fleet()
    fleet.tasks = [Task(code=1, migrates=False), Task()]
    with pytest.raises(MigrationFailed):
        fleet.migration(WINDOW).run()
    end = next(n for n, call in enumerate(fleet.calls) if call == "POST /machines") + 3
    return [
        pytest.param(number, after, id=f"{number}-{after}")
        for number in range(end, len(fleet.calls))
        for after in (False, True)
    ]


@pytest.mark.parametrize(("number", "after"), deaths_in_failure())
def test_a_death_while_a_failure_is_tidied_up(number: int, after: bool) -> None:
    fleet = Fleet()
    fleet.tasks = [Task(code=1, migrates=False), Task()]
    fleet.die_at, fleet.die_after = number, after
    with pytest.raises(Died):
        fleet.migration(WINDOW).run()
    fleet.die_at = None
    fleet.let_leases_run_out()

    try:
        fleet.migration(WINDOW).run()
    except MigrationFailed:
        # The task was at it still, and whoever came next has seen it fail.
        nothing_left(fleet)
        fleet.migration(WINDOW).run()
    migrated_once(fleet)
    nothing_left(fleet)


@pytest.mark.parametrize(("settings", "number", "after"), deaths())
def test_two_deaths_are_like_one(settings: MigrationSettings, number: int, after: bool) -> None:
    fleet = Fleet()
    fleet.die_at, fleet.die_after = number, after
    with pytest.raises(Died):
        fleet.migration(settings).run()
    fleet.let_leases_run_out()
    fleet.die_at, fleet.die_after = len(fleet.calls) + 11, True
    with contextlib.suppress(Died):
        fleet.migration(settings).run()
    fleet.die_at = None
    fleet.let_leases_run_out()

    fleet.migration(settings).run()
    migrated_once(fleet)
    nothing_left(fleet)


def test_a_task_that_died_with_its_host_while_nobody_watched_is_run_again() -> None:
    fleet = Fleet()
    fleet.die_at, fleet.die_after = creation() + 3, True
    with pytest.raises(Died):
        fleet.migration(WINDOW).run()
    [first] = fleet.one_offs()
    assert first.state == "started"
    fleet.end(first, code=1)
    fleet.die_at = None
    fleet.let_leases_run_out()

    fleet.migration(WINDOW).run()
    assert len(fleet.one_offs()) == 2
    migrated_once(fleet)
    nothing_left(fleet)


def test_a_run_that_nobody_wants_any_more_is_tidied_away() -> None:
    fleet = Fleet()
    fleet.machines["work1"].state = "stopped"
    left = Journal(
        "r1",
        "me@gone",
        "image",
        NOW,
        "other:1",
        "",
        Step.OPEN,
        Mode.WINDOW,
        scale={"work1": "started"},
        entry=4,
    )
    fleet.machines["web1"].config["metadata"][JOURNAL_KEY] = journal_text(left)
    fleet.migration().run()
    migrated_once(fleet)
    nothing_left(fleet)


def test_a_task_of_an_image_that_is_not_declared_any_more_may_fail() -> None:
    fleet = Fleet()
    fleet.tasks = [Task(seconds=30, code=1, migrates=False), Task()]
    fleet.die_at = creation() + 3
    with pytest.raises(Died):
        fleet.migration(WINDOW).run()
    fleet.die_at = None
    fleet.let_leases_run_out()

    newer = "chatwoot/chatwoot:v4.12.1"
    assert fleet.migration(replace(WINDOW, image=newer)).run().ran == 1
    assert [machine.config["image"] for machine in fleet.one_offs()] == [NEW, newer]
    assert [line for line in fleet.told if "its image is not declared any more" in line], fleet.told
    migrated_once(fleet, newer)
    nothing_left(fleet)
