"""Leases on the machines of one rollout: all of them before anything moves, kept alive, and always given back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol

from hotdash.clock import REAL, Clock
from hotdash.errors import FlyError, LeaseHeld, NotFound
from hotdash.fly.client import Fly
from hotdash.fly.model import Lease, Machine


class LeaseSettings(Protocol):
    """Seconds: how long a lease lives unless it is kept, and how long another's is waited for."""

    @property
    def lease_ttl(self) -> int: ...
    @property
    def lease_wait(self) -> float: ...


class Leases:
    """A context in which leases are held. A killed process leaves them to run out by themselves, within the ttl."""

    def __init__(
        self,
        fly: Fly,
        app: str,
        settings: LeaseSettings,
        progress: Callable[[str], None],
        clock: Clock = REAL,
        description: str = "",
    ) -> None:
        """Args:
        description: what they are for; Fly shows it to whoever finds them taken.
        """
        self._fly = fly
        self._app = app
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._description = description
        self._held: dict[str, Lease] = {}
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="leases", daemon=True)

    def __enter__(self) -> Leases:
        self._keeper.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._closing.set()
        self._keeper.join()
        for machine_id, lease in self._held.items():
            try:
                self._fly.release_lease(self._app, machine_id, lease.nonce)
            except FlyError as error:
                self._progress(
                    f"the lease on {machine_id} could not be given back and runs out by itself: {error.summary}"
                )

    def take(self, machines: Sequence[Machine]) -> None:
        """Take a lease on each machine, waiting for those that another holds.

        Raises:
            LeaseHeld: one did not become free; those already taken are given back by the context.
        """
        deadline = self._clock.now() + self._settings.lease_wait
        for machine in sorted(machines, key=lambda m: m.id):
            if machine.id not in self._held:
                self._held[machine.id] = self._take_one(machine.id, deadline)

    def nonce(self, machine_id: str) -> str:
        return self._held[machine_id].nonce

    def keep(self, machine_id: str) -> None:
        """Make sure that it is held still, now.

        Raises:
            LeaseHeld: it ran out, and somebody else has it.
        """
        lease = self._held[machine_id]
        kept = self._fly.acquire_lease(
            self._app,
            machine_id,
            ttl=self._settings.lease_ttl,
            nonce=lease.nonce,
            description=self._description,
        )
        # One that had run out, and that nobody has taken, is granted anew.
        self._held[machine_id] = replace(lease, nonce=kept.nonce)

    def version(self, machine_id: str) -> str:
        """The machine's instance id when the lease was granted."""
        return self._held[machine_id].version

    def _take_one(self, machine_id: str, deadline: float) -> Lease:
        waited = False
        while True:
            try:
                return self._fly.acquire_lease(
                    self._app, machine_id, ttl=self._settings.lease_ttl, description=self._description
                )
            except LeaseHeld as held:
                if self._clock.now() > deadline:
                    held.meaning = f"nothing was changed: {held.meaning}"
                    held.summary = (
                        f"another's lease did not go away in {self._settings.lease_wait:g} s: {held.summary}"
                    )
                    raise
                if not waited:
                    self._progress(
                        f"machine {machine_id} is leased to somebody else, waiting: {held.summary}"
                    )
                waited = True
            except FlyError as lost:
                # The lease may have been granted, with a nonce that never arrived: it runs out within its ttl.
                if lost.status is not None and lost.status < 500:
                    raise
                if self._clock.now() > deadline:
                    raise
            self._clock.sleep(1.0)

    def _keep(self) -> None:
        while not self._closing.wait(self._settings.lease_ttl / 3):
            for machine_id in list(self._held):
                try:
                    self.keep(machine_id)
                except NotFound:
                    pass  # destroyed by this rollout, or by somebody; the next write to it says so
                except FlyError as error:
                    # A write under a lost lease is refused by Fly, so this is told and not more.
                    self._progress(f"the lease on {machine_id} could not be kept: {error.summary}")
