"""What the tests of a run share: what must be so at its end, and where it is."""

from __future__ import annotations

from hotdash.migration.journal import (
    APPLIED_KEY,
    JOURNAL_KEY,
)
from tests.hotdash.migration.fleet import NEW, PENDING, WINDOW, Fleet

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


def creation() -> int:
    """The number of the call by which a run in a window makes its machine."""
    probe = Fleet()
    probe.migration(WINDOW).run()
    return probe.calls.index("POST /machines")
