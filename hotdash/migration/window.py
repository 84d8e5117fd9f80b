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
from hotdash.fly.wire import parse_duration
from hotdash.fly.writing import start
from hotdash.migration.deciding import stopped_by
from hotdash.migration.journal import Journal, owned

STOP_SECONDS: Final = 60.0
"""That a machine may take to stop at least: Sidekiq lets its jobs end for 25 s (its own default)."""
KILL_SECONDS: Final = 10.0
"""For Fly to kill a machine that has not stopped in its own time, and to say so."""
_RUNS: Final = frozenset({"started", "starting", "restarting", "updating", "replacing"})
_STOPPED: Final = frozenset({"stopped", "suspended", "failed"})
_STOPPING: Final = frozenset({"stopping", "suspending"})


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
                nonce = self._leases.nonce(machine.id)
                if _has_services(machine):
                    # Else Fly's proxy starts it again at the next request, where autostart is on.
                    self._fly.cordon_machine(self._app, machine.id, nonce)
                self._fly.stop_machine(self._app, machine.id, nonce)
        for machine in machines:
            state, seconds = self._awaited(machine, lambda state: state in _STOPPED)
            if state not in _STOPPED:
                raise MigrationFailed(
                    f"{machine.group} {machine.id} does not stop: it is {state} after {seconds:.0f} s",
                    where=f"app {self._app}, machine {machine.id}",
                    remedy=f"see `fly logs -a {self._app} -i {machine.id}`, then `pulumi up` again",
                )

    def close(self, journal: Journal) -> list[str]:
        """Start what ran before, and wait until it is well. What is up already is left alone.

        A machine that cannot be started keeps none of the others down.

        Returns what is not well though it was started, a line each: that is for the rollout to mend.

        Raises:
            FlyError: not everything could be started; everything else was.
        """
        errors: list[FlyError] = []
        starting: list[Machine] = []
        for machine_id in stopped_by(journal):
            try:
                if machine := self._start(machine_id):
                    starting.append(machine)
            except FlyError as error:
                self._progress(f"migration: machine {machine_id} could not be started: {error.summary}")
                errors.append(error)
        troubles = []
        watch = Watch(self._fly, self._app, self._settings, self._progress, self._clock)
        for machine in starting:
            name = f"migration: {machine.group} {machine.id}"
            try:
                watch.until_well(name, machine, previous=machine, nonce=self._leases.nonce(machine.id))
            except RolloutFailed as failure:
                troubles.append(failure.summary.removeprefix("migration: "))
            except FlyError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return troubles

    def _start(self, machine_id: str) -> Machine | None:
        """Start one machine; None: it is up, or gone."""
        machine = self._machine(machine_id)
        if machine is None:
            return None
        self._leases.take([machine])
        nonce = self._leases.nonce(machine.id)
        if _has_services(machine):
            self._fly.cordon_machine(self._app, machine.id, nonce, cordoned=False)
        state, _ = self._awaited(machine, lambda state: state not in _STOPPING)
        if state in _RUNS:
            return None
        self._progress(f"migration: starting {machine.group} {machine.id}")
        start(self._fly, self._app, machine, nonce)
        return machine

    def _awaited(self, machine: Machine, over: Callable[[str], bool]) -> tuple[str, float]:
        """Wait until its state is `over`, for as long as it may take to stop; the state, and the seconds."""
        began, limit = self._clock.now(), stop_seconds(machine)
        while True:
            state = self._fly.machine(self._app, machine.id).state
            seconds = self._clock.now() - began
            if over(state) or seconds > limit:
                return state, seconds
            self._clock.sleep(self._settings.poll)

    def _machines(self, journal: Journal) -> list[Machine]:
        return [machine for id_ in stopped_by(journal) if (machine := self._machine(id_))]

    def _machine(self, machine_id: str) -> Machine | None:
        try:
            machine = self._fly.machine(self._app, machine_id)
        except NotFound:
            machine = None
        if machine is None or machine.state in ("destroyed", "destroying"):
            self._progress(f"migration: machine {machine_id} is gone since; it is not made again here")
            return None
        return machine


def stop_seconds(machine: Machine) -> float:
    """That it may take to stop: a little longer than Fly gives it before it kills it."""
    try:
        own = parse_duration((machine.config.get("stop_config") or {}).get("timeout") or 0)
    except ValueError:
        own = 0.0
    return max(STOP_SECONDS, own + KILL_SECONDS)


def _has_services(machine: Machine) -> bool:
    return bool(machine.config.get("services"))


def left_stopped(fly: Fly, app: str, journal: Journal) -> list[str]:
    """The machines that still stand still though they ran before, as far as Fly answers."""
    ids = set(stopped_by(journal))
    try:
        return sorted(m.id for m in fly.machines(app) if m.id in ids and m.state not in _RUNS)
    except FlyError:
        return sorted(ids)
