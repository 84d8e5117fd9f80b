"""A migration's run against a Fly of a few machines: what is done in which order, and what is left after any death."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotdash.errors import MigrationFailed
from hotdash.fly.logs import NoLogs
from hotdash.migration.journal import (
    APPLIED_KEY,
    Step,
)
from hotdash.migration.settings import MigrationSettings
from hotdash.migration.trying import Tried
from tests.hotdash.migration.fleet import NEW, OLD, PENDING, SETTINGS, WINDOW, Fleet, Task
from tests.hotdash.migration.scenes import migrated_once, nothing_left


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


def test_resume_ends_what_was_left_and_begins_nothing() -> None:
    fleet = Fleet()
    assert fleet.migration().resume().ran == 0
    assert fleet.one_offs() == []
