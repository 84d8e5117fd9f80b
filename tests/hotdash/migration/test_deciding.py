"""When a migration runs, and what is said of it."""

from dataclasses import replace

import pytest

from hotdash.drift import Kind, told
from hotdash.migration.deciding import Groups, Kept, adopted, drift, goes_on, image_to_run, reason_to_run
from hotdash.migration.journal import Applied, Journal, Step
from hotdash.migration.settings import MigrationSettings, Mode, Web, migration_settings
from tests.hotdash.strategies import NOW

OLD, NEW = "c:v4.11.0", "c:v4.12.0"
GROUPS = Groups(("web",), ("worker",))
IMAGE = MigrationSettings("D", image=NEW)
BARE = MigrationSettings("D")
NOTHING = Kept(None, None, (OLD,))
DONE = Kept(Applied(NEW, "", NOW), None, (OLD,))
LEFT = Journal(
    "r", "me@here", "why", NOW, NEW, "", Step.OPEN, Mode.WINDOW, scale={"w1": "started", "w2": "stopped"}
)


@pytest.mark.parametrize(
    ("settings", "kept", "words"),
    [
        (IMAGE, NOTHING, "no migration is recorded, and web runs c:v4.11.0, not c:v4.12.0"),
        (IMAGE, replace(NOTHING, web_images=(NEW,)), ""),
        (IMAGE, replace(NOTHING, web_images=(NEW, OLD)), "web runs c:v4.11.0 and c:v4.12.0, not c:v4.12.0"),
        (IMAGE, Kept(None, None, (), False), "no web machine is there yet"),
        (IMAGE, DONE, ""),
        (replace(IMAGE, image="c:v4.13.0"), DONE, "image c:v4.12.0 is migrated, c:v4.13.0 is declared"),
        # Back to an older image: its schema is there, and what it does not know is no matter; but Rails must say so.
        (replace(IMAGE, image=OLD), DONE, "image c:v4.12.0 is migrated, c:v4.11.0 is declared"),
        (replace(IMAGE, revision="2"), DONE, "revision 2 is declared, (none) was applied"),
        (BARE, NOTHING, ""),
        (BARE, DONE, ""),
        (replace(BARE, revision="1"), NOTHING, "no migration is recorded, and revision 1 is declared"),
        (replace(BARE, revision="1"), Kept(Applied(OLD, "1", NOW), None, (NEW,)), ""),
    ],
)
def test_why_it_runs(settings: MigrationSettings, kept: Kept, words: str) -> None:
    reason = reason_to_run(settings, kept)
    assert (words in reason) if words else reason == ""
    assert bool(drift(settings, kept, GROUPS)) == bool(words)


def test_what_is_found_with_the_declared_image_is_taken_as_applied() -> None:
    taken = adopted(replace(IMAGE, revision="3"), replace(NOTHING, web_images=(NEW,)))
    assert taken == Applied(NEW, "3", None, adopted=True)
    assert adopted(IMAGE, DONE) is None
    assert adopted(IMAGE, NOTHING) is None
    assert adopted(BARE, NOTHING) is None


def test_the_image_is_the_declared_one_or_the_one_that_all_of_web_runs() -> None:
    assert image_to_run(IMAGE, NOTHING) == NEW
    assert image_to_run(BARE, NOTHING) == OLD
    assert image_to_run(BARE, replace(NOTHING, web_images=(OLD, NEW))) == ""


def test_a_run_is_taken_up_where_it_is_still_wanted() -> None:
    assert goes_on(LEFT, IMAGE, NOTHING)
    assert not goes_on(replace(LEFT, failed="it had"), IMAGE, NOTHING)
    assert not goes_on(LEFT, replace(IMAGE, image="c:v4.13.0"), NOTHING)
    assert not goes_on(LEFT, replace(IMAGE, revision="9"), NOTHING)


def test_a_preview_says_that_it_runs_why_and_with_which_window() -> None:
    [item] = drift(replace(IMAGE, mode=Mode.WINDOW), NOTHING, GROUPS)
    assert item.kind is Kind.MIGRATION_PENDING
    assert told([item]) == (
        "migration: up runs db:chatwoot_prepare of c:v4.12.0, in a window: worker stopped, web serves on\n"
        "  migration-pending       no migration is recorded, and web runs c:v4.11.0, not c:v4.12.0"
    )


@pytest.mark.parametrize(
    ("mode", "web", "said"),
    [
        (Mode.ONLINE, Web.KEEP, "while the app runs on"),
        (Mode.WINDOW, Web.KEEP, "in a window: worker stopped, web serves on"),
        (Mode.WINDOW, Web.STOP, "in a window: worker and web stopped"),
    ],
)
def test_the_window_in_words(mode: Mode, web: Web, said: str) -> None:
    [item] = drift(replace(IMAGE, mode=mode, web=web), NOTHING, GROUPS)
    assert item.remedy.endswith(said)


def test_a_run_that_was_left_comes_first() -> None:
    left, pending = drift(IMAGE, replace(NOTHING, unfinished=LEFT), GROUPS)
    assert (left.kind, pending.kind) == (Kind.MIGRATION_UNFINISHED, Kind.MIGRATION_PENDING)
    assert left.was == "left at step open by me@here, 1 machine stopped for it"


def test_settings_have_the_declared_image_of_web_unless_they_say_another() -> None:
    assert migration_settings(None) is None
    least = migration_settings({"database": "D"}, web_image=OLD)
    assert least == MigrationSettings("D", image=OLD)
    all_of_it = migration_settings(
        {
            "database": "D",
            "mode": "window",
            "web": "stop",
            "image": NEW,
            "revision": "1",
            "statementTimeout": "20m",
            "timeLimit": "1h",
            "memoryMb": 4096,
            "cpus": 2.0,
            "cpuKind": "performance",
        },
        web_image=OLD,
    )
    assert all_of_it is not None
    assert (all_of_it.image, all_of_it.mode, all_of_it.web) == (NEW, Mode.WINDOW, Web.STOP)
    assert (all_of_it.statement_timeout, all_of_it.time_limit) == (1200, 3600)
    assert str(all_of_it.guest) == "performance-2x 4096 MB"
