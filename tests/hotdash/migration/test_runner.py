"""A migration's run against a Fly of a few machines: what is done in which order, and what is left after any death."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import httpx
import pytest

from hotdash.errors import MigrationFailed, MigrationLocked
from hotdash.fly.logs import NoLogs
from hotdash.migration.journal import (
    APPLIED_KEY,
    JOURNAL_KEY,
    Journal,
    Step,
    journal_text,
)
from hotdash.migration.settings import MigrationSettings, Mode, Web
from hotdash.migration.trying import Tried
from tests.hotdash.migration.fleet import NEW, OLD, PENDING, SETTINGS, WINDOW, Died, Fleet, Task
from tests.hotdash.strategies import NOW

ALL_UP = {"web1": "started", "web2": "started", "work1": "started"}


def nothing_left(fleet: Fleet, states: dict[str, str] | None = None) -> None:
    """The scale is as it was, and nothing of a run is there any more."""
    assert fleet.states() == (states or ALL_UP)
    assert fleet.metadata(JOURNAL_KEY) == [None, None, None]
    assert fleet.leases() == []
    assert [m.id for m in fleet.one_offs() if m.state != "destroyed"] == []


def migrated_once(fleet: Fleet, image: str = NEW) -> None:
    assert fleet.times_run == dict.fromkeys(PENDING, 1)
    assert {applied["image"] for applied in fleet.metadata(APPLIED_KEY)} == {image}


@pytest.mark.parametrize("settings", [SETTINGS, WINDOW], ids=["online", "window"])
def test_it_migrates_once_and_keeps_what_is_applied(settings: MigrationSettings) -> None:
    fleet = Fleet()
    report = fleet.migration(settings).run()
    assert report.ran == 1
    assert report.applied is not None
    assert report.applied.schema is not None
    assert (report.applied.image, report.applied.schema.newest) == (NEW, PENDING[-1])
    migrated_once(fleet)
    nothing_left(fleet)
    stopped = [call for call in fleet.calls if call.endswith("/stop")]
    assert stopped == (["POST /machines/work1/stop"] if settings is WINDOW else [])

    assert fleet.migration(settings).run().ran == 0
    assert len(fleet.one_offs()) == 1


def test_the_lines_of_the_task_are_shown_and_the_steps_told() -> None:
    fleet = Fleet()
    fleet.migration(WINDOW).run()
    assert fleet.said == ["== 20260101000001 AddThings: migrating =="]
    steps = [line.split(":")[1].split()[1] for line in fleet.told if line.startswith("migration: step")]
    assert list(dict.fromkeys(steps)) == [step.value for step in Step]


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


def test_an_app_that_runs_the_image_already_is_taken_as_it_is() -> None:
    fleet = Fleet(image=NEW)
    assert fleet.migration(replace(SETTINGS, revision="1")).run().ran == 0
    assert fleet.one_offs() == []
    assert {applied["adopted"] for applied in fleet.metadata(APPLIED_KEY)} == {True}
    # From then on another revision is one.
    assert fleet.migration(replace(SETTINGS, revision="2")).run().ran == 1


def test_another_revision_runs_the_same_image_again() -> None:
    fleet = Fleet()
    fleet.migration().run()
    assert fleet.migration(replace(SETTINGS, revision="2")).run().ran == 1
    assert len(fleet.one_offs()) == 2
    migrated_once(fleet)


def test_without_any_image_only_a_revision_makes_it_run() -> None:
    fleet = Fleet()
    bare = replace(SETTINGS, image="")
    assert fleet.migration(bare).run().ran == 0
    assert fleet.migration(replace(bare, revision="1")).run().ran == 1
    assert fleet.one_offs()[0].config["image"] == OLD
    assert fleet.migration(replace(bare, revision="1")).run().ran == 0


def test_its_machine_is_like_flys_own_for_a_release_command() -> None:
    fleet = Fleet()
    fleet.migration().run()
    [machine] = fleet.one_offs()
    config = machine.config
    assert config["image"] == NEW
    assert config["metadata"]["fly_process_group"] == "fly_app_release_command"
    assert config["env"] == {
        "RAILS_ENV": "production",
        "RELEASE_COMMAND": "1",
        "FLY_PROCESS_GROUP": "fly_app_release_command",
        "PRIMARY_REGION": "fra",
    }
    assert config["restart"] == {"policy": "no"}
    assert config["auto_destroy"] is True
    assert config["init"]["cmd"] == [
        "sh",
        "-c",
        'PRIMARY_DATABASE_URL="$DIRECT_DATABASE_URL" DATABASE_URL="$DIRECT_DATABASE_URL" '
        "POSTGRES_STATEMENT_TIMEOUT=600s exec bundle exec rails db:chatwoot_prepare "
        "db:abort_if_pending_migrations",
    ]


# Failures: whatever it is, nothing is left


FAILURES: dict[str, tuple[Task, list[str]]] = {
    "a migration that fails": (
        Task(code=1, migrates=False, says=("PG::UndefinedTable: ERROR:  relation does not exist",)),
        ["exit code 1", "relation does not exist"],
    ),
    "no memory": (Task(code=137, oom=True, migrates=False), ["want of memory (2048 MB)", "memoryMb"]),
    "a statement's time": (
        Task(
            code=1,
            migrates=False,
            says=("PG::QueryCanceled: ERROR:  canceling statement due to statement timeout",),
        ),
        ["statement took longer"],
    ),
    "another's lock": (
        Task(
            code=1,
            migrates=False,
            says=("Cannot run migrations because another migration process is currently running.",),
        ),
        ["another connection holds the lock"],
    ),
    "a lock that is not given back": (
        Task(code=1, says=("ActiveRecord::ConcurrentMigrationError: Failed to release advisory lock",)),
        ["transaction pooler"],
    ),
    "an extension": (
        Task(code=1, migrates=False, says=("Failed to enable 'vector' extension",)),
        ["needs an extension"],
    ),
    "a wrong password": (
        Task(code=1, migrates=False, says=('FATAL:  password authentication failed for user "chatwoot"',)),
        ["wrong password"],
    ),
    "a full pool": (
        Task(code=1, migrates=False, says=("FATAL:  no more connections allowed (max_client_conn)",)),
        ["takes no more clients"],
    ),
    "no memory in the database": (
        Task(code=1, migrates=False, says=("PG::OutOfMemory: ERROR:  out of memory",)),
        ["the database's server had too little memory"],
    ),
    "something pending": (
        Task(code=1, migrates=False, says=("You have 2 pending migrations:",)),
        ["still to be run"],
    ),
    "no Redis": (
        Task(code=1, migrates=False, says=("Redis::CannotConnectError: Connection refused - connect(2)",)),
        ["need Redis"],
    ),
    "too long": (Task(seconds=2000, migrates=False), ["is started after 900 s", "timeLimit"]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_closes_the_window_and_says_why(name: str) -> None:
    task, words = FAILURES[name]
    fleet = Fleet()
    fleet.tasks = [task, Task()]
    with pytest.raises(MigrationFailed) as caught:
        fleet.migration(WINDOW).run()
    text = " ".join(str(caught.value).split())
    for word in (
        *words,
        "the window is closed again",
        "runs the image that it ran before",
        "migration-failed",
    ):
        assert word in text, text
    nothing_left(fleet)
    assert fleet.metadata(APPLIED_KEY) == [None, None, None]

    assert fleet.migration(WINDOW).run().ran == 1
    migrated_once(fleet)
    nothing_left(fleet)


def test_what_preflight_refuses_is_not_begun() -> None:
    fleet = Fleet()
    refused = Tried(
        ("x: refused",), "DIRECT_DATABASE_URL (db): refused: wrong password", "vault/a", "", "mend it"
    )
    with pytest.raises(MigrationFailed, match="not begun: DIRECT_DATABASE_URL"):
        fleet.migration(WINDOW, preflight=lambda: refused).run()
    assert fleet.one_offs() == []
    assert not [call for call in fleet.calls if call.endswith("/stop")]
    nothing_left(fleet)


def test_without_its_secret_on_fly_nothing_is_begun() -> None:
    fleet = Fleet()
    fleet.secrets = ["DATABASE_URL"]
    with pytest.raises(MigrationFailed, match="DIRECT_DATABASE_URL is not among the app's secrets on Fly"):
        fleet.migration(WINDOW).run()
    assert fleet.one_offs() == []
    assert not [call for call in fleet.calls if call.endswith("/stop")]
    nothing_left(fleet)


def test_a_schema_that_did_not_come_is_no_success() -> None:
    fleet = Fleet()
    first = fleet._look()
    looks = iter([first, replace(first, complete=False)])
    with pytest.raises(MigrationFailed, match="not migrated"):
        fleet.migration(look=lambda: next(looks, first)).run()
    nothing_left(fleet)


def test_a_database_that_cannot_be_seen_leaves_it_to_the_tasks_own_word() -> None:
    fleet = Fleet()
    fleet.visible = False
    report = fleet.migration().run()
    assert report.applied is not None
    assert report.applied.schema is None
    assert [line for line in fleet.told if "cannot be seen from here" in line]
    nothing_left(fleet)


@pytest.mark.parametrize("lasting", [True, False])
def test_no_log_is_told_and_goes_on(lasting: bool) -> None:
    fleet = Fleet()
    fleet.no_logs = NoLogs("it answers 403", lasting=lasting)
    assert fleet.migration().run().ran == 1
    [machine] = fleet.one_offs()
    assert len([line for line in fleet.told if f"fly logs -a a -i {machine.id}" in line]) == 1
    migrated_once(fleet)


def test_no_value_of_a_secret_is_shown() -> None:
    fleet = Fleet()
    fleet.tasks = [
        Task(code=1, migrates=False, says=("    connecting with s3cr3tvalue to postgres://u:p@h/d",))
    ]
    with pytest.raises(MigrationFailed) as caught:
        fleet.migration(hidden=["s3cr3tvalue"]).run()
    for text in (str(caught.value), *fleet.said, *fleet.told):
        assert "s3cr3tvalue" not in text
        assert "u:p@" not in text
    assert fleet.said == ["    connecting with … to postgres://…@h/d"]


def test_a_machine_that_is_not_well_afterwards_is_told_and_the_schema_kept() -> None:
    fleet = Fleet()

    def fails(_method: str, path: str) -> httpx.Response | None:
        if path.endswith("/machines/work1/start"):
            fleet.machines["work1"].state = "failed"
            return httpx.Response(200, json={})
        return None

    fleet.broken = fails
    report = fleet.migration(WINDOW).run()
    assert "worker work1 did not come up" in report.troubles[0]
    migrated_once(fleet)


# Others


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


# Death at every call


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
    made = 0

    def number_of_creation() -> int:
        probe = Fleet()
        probe.migration(WINDOW).run()
        return next(n for n, call in enumerate(probe.calls) if call == "POST /machines")

    made = number_of_creation()
    fleet.die_at, fleet.die_after = made + 3, True
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


def test_resume_ends_what_was_left_and_begins_nothing() -> None:
    fleet = Fleet()
    assert fleet.migration().resume().ran == 0
    assert fleet.one_offs() == []


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


# A window closes, whatever else goes wrong


def refusing(fleet: Fleet, path: str, status: int) -> None:
    def broken(_method: str, called: str) -> httpx.Response | None:
        return httpx.Response(status, json={"error": "no capacity"}) if called.endswith(path) else None

    fleet.broken = broken


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


# One run at a time, whatever machines somebody knows of


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
    fleet = bare_fleet()
    fleet.die_at = next(n for n in range(99) if _creates(n))
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


def _creates(number: int) -> bool:
    probe = bare_fleet()
    probe.migration().run()
    return probe.calls[number] == "POST /machines"


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


def test_a_task_of_an_image_that_is_not_declared_any_more_may_fail() -> None:
    fleet = Fleet()
    fleet.tasks = [Task(seconds=30, code=1, migrates=False), Task()]
    fleet.die_at = next(n for n, call in enumerate(_calls_of_a_run()) if call == "POST /machines") + 3
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


def _calls_of_a_run() -> list[str]:
    fleet = Fleet()
    fleet.migration(WINDOW).run()
    return fleet.calls


def test_an_abort_tells_what_is_not_well() -> None:
    fleet = Fleet()
    fleet.die_at = next(n for n, call in enumerate(_calls_of_a_run()) if call == "POST /machines")
    with pytest.raises(Died):
        fleet.migration(WINDOW).run()
    fleet.die_at = None
    fleet.let_leases_run_out()

    def fails(_method: str, path: str) -> httpx.Response | None:
        if path.endswith("/machines/work1/start"):
            fleet.machines["work1"].state = "failed"
            return httpx.Response(200, json={})
        return None

    fleet.broken = fails
    aborted = fleet.migration(WINDOW).abort()
    assert aborted.run is not None
    assert "work1" in aborted.troubles[0]
