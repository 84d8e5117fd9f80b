"""What a run works with besides Fly, each of them a seam: a test brings its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from hotdash.clock import REAL, Clock
from hotdash.fly.leases import LeaseSettings
from hotdash.migration.following import LogSource
from hotdash.migration.lock import this_owner
from hotdash.migration.schema import Look
from hotdash.migration.trying import Tried


class RunSettings(LeaseSettings, Protocol):
    """Seconds; see `hotdash.plan.RolloutSettings`."""

    @property
    def health_timeout(self) -> float: ...
    @property
    def start_timeout(self) -> float: ...
    @property
    def settle(self) -> float: ...
    @property
    def poll(self) -> float: ...


def _nothing_said(_step: str) -> None:
    pass


@dataclass(frozen=True)
class Seams:
    """What a run works with besides Fly.

    Args:
        logs: where the task's output comes from.
        look: a look at the database from here; raises Unseen.
        preflight: tries the database's URL and Redis from here.
        hidden: texts that are in nothing that is shown: the secrets' values.
        progress: told each line about the run.
        output: told each line of the task's output.
        step: told each step's name as it begins.
        clock: how to wait.
        now: the time of day, for the journal.
        owner: user@host.
    """

    logs: LogSource
    look: Callable[[], Look]
    preflight: Callable[[], Tried]
    hidden: Collection[str] = field(default=(), repr=False)
    progress: Callable[[str], None] = print
    output: Callable[[str], None] | None = None
    step: Callable[[str], None] = _nothing_said
    clock: Clock = REAL
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    owner: str = ""

    @property
    def named_owner(self) -> str:
        return self.owner or this_owner()
