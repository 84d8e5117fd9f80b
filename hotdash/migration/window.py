"""The window: machines that stand still while the schema changes, and are afterwards exactly as they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hotdash.clock import REAL, Clock
from hotdash.errors import FlyError, MigrationFailed, NotFound, RolloutFailed
from hotdash.fly.client import Fly
from hotdash.fly.health import HealthSettings, Watch
from hotdash.fly.leases import Leases
from hotdash.fly.model import Machine
from hotdash.migration.deciding import stopped_by
from hotdash.migration.journal import Journal, owned

STOP_SECONDS: Final = 60.0
"""That a machine may take to stop: Sidekiq lets its jobs end for 25 s (its own default)."""
_RUNS: Final = frozenset({"started", "starting", "restarting", "updating", "replacing"})
_STOPPED: Final = frozenset({"stopped", "suspended", "failed"})


def scale_of(machines: Sequence[Machine], groups: Sequence[str]) -> dict[str, str]:
    """The machines that will stand still, with the state to which each of them comes back: one that is on its way up
    counts as up."""
    return {
        m.id: "started" if m.state in _RUNS else m.state for m in owned(machines, groups) if not m.standby
    }


class Window:
    """Opens and closes it.

    Args:
        leases: under which it is done; those it lacks are taken.
        settings: how patient it is.
    """

    def __init__(
        self,
        fly: Fly,
        app: str,
        leases: Leases,
        settings: HealthSettings,
        progress: Callable[[str], None],
        clock: Clock = REAL,
    ) -> None:
        self._fly = fly
        self._app = app
        self._leases = leases
        self._settings = settings
        self._progress = progress
        self._clock = clock

    def open(self, journal: Journal) -> None:
        """Stop what ran; stopped already is as good.

        Raises:
            MigrationFailed: a machine does not stop.
            FlyError
        """
        machines = self._machines(journal)
        self._leases.take(machines)
        for machine in machines:
            if machine.state not in _STOPPED:
                self._progress(f"migration: stopping {machine.group} {machine.id}")
                self._fly.stop_machine(self._app, machine.id, self._leases.nonce(machine.id))
        began = self._clock.now()
        for machine in machines:
            while (state := self._fly.machine(self._app, machine.id).state) not in _STOPPED:
                if self._clock.now() - began > STOP_SECONDS:
                    raise MigrationFailed(
                        f"{machine.group} {machine.id} does not stop: it is {state} after {STOP_SECONDS:g} s",
                        where=f"app {self._app}, machine {machine.id}",
                        remedy=f"see `fly logs -a {self._app} -i {machine.id}`, then `pulumi up` again",
                    )
                self._clock.sleep(self._settings.poll)

    def close(self, journal: Journal) -> list[str]:
        """Start what ran before, and wait until it is well. What is up already is left alone.

        Returns what is not well though it was started, a line each: that is for the rollout to mend.

        Raises:
            FlyError: not everything could be started.
        """
        machines = self._machines(journal)
        self._leases.take(machines)
        resting = [m for m in machines if m.state not in _RUNS]
        for machine in resting:
            self._progress(f"migration: starting {machine.group} {machine.id}")
            self._fly.start_machine(self._app, machine.id, self._leases.nonce(machine.id))
        troubles = []
        watch = Watch(self._fly, self._app, self._settings, self._progress, self._clock)
        for machine in resting:
            name = f"migration: {machine.group} {machine.id}"
            try:
                watch.until_well(name, machine, previous=machine, nonce=self._leases.nonce(machine.id))
            except RolloutFailed as failure:
                troubles.append(failure.summary.removeprefix("migration: "))
        return troubles

    def _machines(self, journal: Journal) -> list[Machine]:
        found = []
        for machine_id in stopped_by(journal):
            try:
                found.append(self._fly.machine(self._app, machine_id))
            except NotFound:
                self._progress(f"migration: machine {machine_id} is gone since; it is not made again here")
        return [m for m in found if m.state not in ("destroyed", "destroying")]


def left_stopped(fly: Fly, app: str, journal: Journal) -> list[str]:
    """The machines that still stand still though they ran before, as far as Fly answers."""
    ids = set(stopped_by(journal))
    try:
        return sorted(m.id for m in fly.machines(app) if m.id in ids and m.state not in _RUNS)
    except FlyError:
        return sorted(ids)
