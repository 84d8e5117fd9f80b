"""What is kept on Fly of migrations comes back as it was, and whatever else stands there does no harm."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hotdash.fly import wire
from hotdash.fly.model import Machine
from hotdash.migration.journal import (
    APPLIED_KEY,
    JOURNAL_KEY,
    Applied,
    Journal,
    SchemaState,
    Step,
    applied_from,
    applied_in,
    applied_properties,
    applied_text,
    journal_from,
    journal_in,
    journal_text,
    owned,
    steps_from,
)
from hotdash.migration.settings import Mode
from tests.hotdash.strategies import NOW

texts = st.text(max_size=12)
moments = st.integers(0, 10**9).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
schemas = st.none() | st.builds(SchemaState, st.integers(0, 500), st.text("0123456789", max_size=14))
journals = st.builds(
    Journal,
    run=texts,
    owner=texts,
    reason=texts,
    since=moments,
    image=texts,
    revision=texts,
    step=st.sampled_from(Step),
    mode=st.sampled_from(Mode),
    one_off=texts,
    attempt=st.integers(0, 5),
    scale=st.dictionaries(texts, texts, max_size=3),
    before=schemas,
    failed=texts,
    entry=st.integers(0, 50),
)
applieds = st.builds(Applied, texts, texts, moments, schemas, st.booleans(), texts)


def machine(id_: str = "m1", group: str = "web", state: str = "started", **metadata: str) -> Machine:
    body = {"id": id_, "state": state, "config": {"metadata": {"fly_process_group": group, **metadata}}}
    return wire.machine(body)


@given(journals)
def test_a_journal_comes_back(journal: Journal) -> None:
    assert journal_from(journal_text(journal)) == journal


@given(applieds)
def test_what_is_applied_comes_back(applied: Applied) -> None:
    assert applied_from(applied_text(applied)) == applied
    assert applied_from(applied_properties(applied)) == applied


@given(st.text(max_size=40) | st.sampled_from(['{"run":1}', "[]", "null", '{"image":1}', '{"step":"x"}']))
def test_what_else_may_stand_there_is_nothing(text: str) -> None:
    assert journal_from(text) is None
    journal_in([machine(**{JOURNAL_KEY: text, APPLIED_KEY: text})])


@given(journals, st.lists(st.integers(0, 50), min_size=1, max_size=4))
def test_the_newest_entry_counts(journal: Journal, entries: list[int]) -> None:
    machines = [
        machine(f"m{n}", **{JOURNAL_KEY: journal_text(replace(journal, entry=entry))})
        for n, entry in enumerate(entries)
    ]
    found = journal_in(machines)
    assert found is not None
    assert found.entry == max(entries)


def a_journal(**changes: Any) -> Journal:
    return replace(Journal("r", "me@here", "image", NOW, "c:1", "", Step.RUN, Mode.ONLINE), **changes)


def test_a_journal_of_a_run_that_has_succeeded_is_none() -> None:
    left = machine("m1", **{JOURNAL_KEY: journal_text(a_journal())})
    done = machine("m2", **{APPLIED_KEY: applied_text(Applied("c:1", "", NOW, run="r", number=1))})
    assert journal_in([left]) == a_journal()
    assert journal_in([left, done]) is None


def test_the_last_that_was_applied_counts() -> None:
    older = machine("m1", **{APPLIED_KEY: applied_text(Applied("c:1", "", NOW))})
    newer = machine("m2", **{APPLIED_KEY: applied_text(Applied("c:2", "", NOW + timedelta(hours=1)))})
    found = applied_in([newer, older, machine("m3")])
    assert found is not None
    assert found.image == "c:2"


def test_the_anchor_is_the_smallest_id_of_the_first_group() -> None:
    machines = [
        machine("m0", "worker"),
        machine("m2"),
        machine("m1"),
        machine("m3", state="destroyed"),
        machine("m4", "fly_app_release_command"),
        machine("m5", "cron"),
    ]
    assert [m.id for m in owned(machines, ["web", "worker"])] == ["m1", "m2", "m0"]


def test_steps_go_on_from_where_they_were() -> None:
    assert steps_from(Step.VERIFY) == (Step.VERIFY, Step.CLOSE, Step.RECORD)
