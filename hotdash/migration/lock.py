"""One migration of an app at a time: a lease on the anchor machine says that somebody is at it, the journal how far.

The lease ends by itself 30 s after its owner has died; the journal stays, and tells whoever comes next what is left.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Final

from hotdash.clock import REAL, Clock
from hotdash.drift import shown_time
from hotdash.errors import FlyError, LeaseHeld, MigrationLocked, NotFound
from hotdash.fly.client import Fly
from hotdash.fly.leases import Leases, LeaseSettings
from hotdash.fly.model import LeaseHolder, Machine
from hotdash.migration.deciding import journal_told
from hotdash.migration.journal import (
    APPLIED_KEY,
    JOURNAL_KEY,
    Applied,
    Journal,
    applied_text,
    journal_in,
    journal_text,
)

WRITERS: Final = 8


def this_owner() -> str:
    """user@host, for others to read."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class Lock:
    """A context in which this process alone migrates the app.

    Args:
        machines: the machines that keep the journal; the first is the anchor, which is written to first. The leases on
            all of them are the lock: whichever of them another process knows of, it finds one taken. No machines:
            nothing is locked and nothing kept, because there is nothing to keep it on.
        reason: what for, in a few words that Fly shows to others.
    """

    def __init__(
        self,
        fly: Fly,
        app: str,
        machines: Sequence[Machine],
        settings: LeaseSettings,
        *,
        owner: str,
        reason: str,
        progress: Callable[[str], None],
        clock: Clock = REAL,
    ) -> None:
        self._fly = fly
        self._app = app
        self._machines = tuple(machines)
        self._owner = owner
        self._progress = progress
        self.journal: Journal | None = None
        """As it was written last."""
        self.leases = Leases(
            fly, app, settings, progress, clock, description=f"hotdash migration: {owner}: {reason}"
        )

    @property
    def anchor(self) -> Machine | None:
        return self._machines[0] if self._machines else None

    def __enter__(self) -> Lock:
        """Raises MigrationLocked: somebody else has one of the leases, and did not give it back in `lease_wait`."""
        self.leases.__enter__()
        try:
            # In one order for everybody, so that no two hold what the other waits for.
            for machine in sorted(self._machines, key=lambda m: m.id):
                self._take(machine)
        except BaseException:
            self.leases.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leases.__exit__(kind, error, traceback)

    def _take(self, machine: Machine) -> None:
        try:
            self.leases.take([machine])
        except LeaseHeld as held:
            raise self._locked(machine, held) from None

    def _locked(self, machine: Machine, held: LeaseHeld) -> MigrationLocked:
        holder, journal = None, None
        try:
            holder = self._fly.lease_holder(self._app, machine.id)
            journal = journal_in(self._fly.machines(self._app))
        except FlyError:
            pass  # what is known already will do
        return locked(self._app, machine.id, holder, journal, held.summary)

    def _keep(self) -> None:
        """Raises MigrationLocked: the lease ran out meanwhile, and somebody else has it, with all that is kept."""
        if anchor := self.anchor:
            try:
                self.leases.keep(anchor.id)
            except LeaseHeld as held:
                raise self._locked(anchor, held) from None

    def write(self, journal: Journal) -> Journal:
        """Keep the journal, before what it says is done.

        Raises:
            MigrationLocked: the lease ran out meanwhile, and somebody else has it.
            FlyError: it could not be kept.
        """
        written = replace(journal, entry=journal.entry + 1, owner=self._owner)
        self._keep()
        self.journal = written
        self._put({JOURNAL_KEY: journal_text(written)})
        return written

    def record(self, applied: Applied) -> None:
        """Keep what is applied, and let the journal go, in one writing. Raises as `write`."""
        self._keep()
        self._put({APPLIED_KEY: applied_text(applied), JOURNAL_KEY: None})

    def adopt(self, applied: Applied) -> None:
        """Keep what is taken as applied; a journal is not touched. Raises as `write`."""
        self._keep()
        self._put({APPLIED_KEY: applied_text(applied)})

    def forget(self) -> None:
        """Let the journal go. Raises as `write`."""
        self._keep()
        self._put({JOURNAL_KEY: None})

    def _put(self, values: Mapping[str, str | None]) -> None:
        if not self._machines:
            return
        anchor, *others = self._machines
        self._fly.change_metadata(self._app, anchor.id, values)

        def put(machine: Machine) -> None:
            try:
                self._fly.change_metadata(self._app, machine.id, values)
            except NotFound:
                pass  # destroyed meanwhile, and its part with it
            except FlyError as error:
                self._progress(f"migration: the journal could not be kept on {machine.id}: {error.summary}")

        with ThreadPoolExecutor(WRITERS, "journal") as pool:
            list(pool.map(put, others))


def locked(
    app: str, machine: str, holder: LeaseHolder | None, journal: Journal | None, said: str = ""
) -> MigrationLocked:
    """The error that somebody else is at it."""
    until = (
        f", until {shown_time(holder.expires_at)} unless it is kept" if holder and holder.expires_at else ""
    )
    who = " ".join(filter(None, [holder.owner, holder.description])) if holder else ""
    if journal:
        what = f"another migration of {app} is running: {journal_told(journal)}"
    else:
        what = f"somebody else has the lease on machine {machine} of {app}: {who or said}"
    return MigrationLocked(
        what,
        where=f"app {app}, lease on machine {machine}{f': {who}' if who else ''}{until}",
        meaning="nothing was changed; a lease whose owner has died ends by itself within half a minute",
        remedy="let it finish (`hotdash migrate status` shows how far it is), then `pulumi up` again",
    )
