"""When has a machine come up? Looks at it until its version runs and its checks passed since, or it has failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from hotdash.clock import REAL, Clock
from hotdash.drift import CLOCK_SLACK, shown_time
from hotdash.errors import Conflict, LeaseHeld, RolloutFailed
from hotdash.fly import wire
from hotdash.fly.client import Fly
from hotdash.fly.model import Machine

TELL_EVERY = 5.0
"""Seconds between two lines about the same wait."""
CLOSELY = 30.0
"""Seconds in which a machine is looked at as often as the settings say."""
REVERT_LAG = 5.0
"""Seconds in which Fly may still show the version, or the state, before what was asked of it."""
_ENDED = frozenset({"failed", "launch_failed", "destroyed", "destroying", "replaced"})


class HealthSettings(Protocol):
    """Seconds; see RolloutSettings."""

    @property
    def health_timeout(self) -> float: ...
    @property
    def start_timeout(self) -> float: ...
    @property
    def settle(self) -> float: ...
    @property
    def poll(self) -> float: ...


class Watch:
    """Waits for machines of one app."""

    def __init__(
        self,
        fly: Fly,
        app: str,
        settings: HealthSettings,
        progress: Callable[[str], None],
        clock: Clock = REAL,
    ) -> None:
        self._fly = fly
        self._app = app
        self._settings = settings
        self._progress = progress
        self._clock = clock

    def until_well(self, name: str, written: Machine, *, previous: Machine | None, nonce: str = "") -> None:
        """Return once the machine runs `written`'s version and is well.

        Raises:
            RolloutFailed: it exited, was killed, was reverted, or its checks did not pass in time.
        """
        began = told = self._clock.now()
        started: float | None = None
        asked_to_start = False
        same = previous is not None and previous.instance_id == written.instance_id  # started, not updated
        grace = max((check.grace_period for check in written.checks), default=0.0)
        known_exits = {(e.at, e.exit_code) for e in previous.exits} if previous else set()
        stale = {(r.name, r.updated_at) for r in previous.results} if previous else set()
        while True:
            machine = self._fly.machine(self._app, written.id)
            now = self._clock.now()
            elapsed = now - began
            arrived = self._has_arrived(name, machine, written, previous, elapsed)
            self._refuse_exited(name, machine, written, known_exits)
            if arrived and machine.state == "started":
                started = now if started is None else started
                if self._is_well(machine, written, stale, now - started):
                    self._progress(f"{name}: well after {elapsed:.0f} s")
                    return
                if now - started > max(grace + self._settings.health_timeout, self._long_enough(machine)):
                    raise self._failed(
                        name, machine, f"not well {elapsed:.0f} s after the update: {_said(machine)}"
                    )
            elif arrived and machine.state in _ENDED and not (same and elapsed < REVERT_LAG):
                raise self._failed(name, machine, f"it is {machine.state}")
            elif elapsed > self._settings.start_timeout:
                raise self._failed(name, machine, f"still {machine.state} after {elapsed:.0f} s")
            elif arrived and machine.state == "stopped" and not asked_to_start and elapsed > 1.0:
                # Fly leaves a machine stopped that was stopped before its update.
                asked_to_start = self._start(machine, nonce)
            if now - told >= TELL_EVERY:
                told = now
                self._progress(f"{name}: waiting for {_awaited(machine)}, {elapsed:.0f} s")
            self._clock.sleep(_pause(self._settings.poll, elapsed))

    def _start(self, machine: Machine, nonce: str) -> bool:
        try:
            self._fly.start_machine(self._app, machine.id, nonce)
        except LeaseHeld:
            raise
        except Conflict:
            return False  # it is still being replaced: the next look shows whether that is over
        return True

    def _is_well(
        self,
        machine: Machine,
        written: Machine,
        stale: set[tuple[str, datetime | None]],
        running: float,
    ) -> bool:
        if not machine.expected_results:
            return running >= self._long_enough(machine)
        if not machine.passing:
            return False
        reference = written.version_at
        if reference and all(
            _since(r.updated_at, reference) and (r.name, r.updated_at) not in stale for r in machine.results
        ):
            return True
        # Results may be older than the update or the start: a leftover, or a status that never changed.
        return running >= self._long_enough(machine)

    def _long_enough(self, machine: Machine) -> float:
        """Seconds that a machine has run after which every check must have run again; without checks, to count as
        well."""
        if not machine.expected_results:
            return self._settings.settle
        return max((c.grace_period + 2 * c.interval + c.timeout for c in machine.checks), default=30.0)

    def _has_arrived(
        self, name: str, machine: Machine, written: Machine, previous: Machine | None, elapsed: float
    ) -> bool:
        """Whether Fly shows the version that was written; how well another one is says nothing of it.

        Raises RolloutFailed where Fly shows another one, and will not come to show this one.
        """
        if machine.instance_id == written.instance_id:
            return True
        if previous and machine.instance_id == previous.instance_id and elapsed < REVERT_LAG:
            return False
        mark = (machine.config.get("metadata") or {}).get(wire.ROLLOUT_KEY)
        if mark and mark == (written.config.get("metadata") or {}).get(wire.ROLLOUT_KEY):
            return True  # the same config under a newer id: Fly moved it to another host
        raise self._failed(
            name,
            machine,
            "Fly went back to another version (could the image not be pulled, or did somebody deploy?)",
        )

    def _refuse_exited(
        self, name: str, machine: Machine, written: Machine, known: set[tuple[datetime | None, int]]
    ) -> None:
        for ended in machine.exits:
            before = ended.at and written.version_at and ended.at < written.version_at
            if before or ended.requested or (ended.at, ended.exit_code) in known:
                continue
            if ended.oom_killed:
                size = f"{machine.guest.memory_mb} MB"
                raise self._failed(
                    name, machine, f"it was killed for want of memory ({size}) at {shown_time(ended.at)}"
                )
            raise self._failed(name, machine, f"its process ended with exit code {ended.exit_code}")

    def _failed(self, name: str, machine: Machine, what: str) -> RolloutFailed:
        return RolloutFailed(
            f"{name} did not come up: {what}",
            where=f"app {self._app}, machine {machine.id}, {machine.state}, version {machine.instance_id}",
            remedy=f"see `fly logs -a {self._app} -i {machine.id}`; mend what it says, then `pulumi up` again",
        )


def _pause(poll: float, elapsed: float) -> float:
    """Seconds until the next look: closely at first, when most happens; later as often as a person would look."""
    if elapsed < poll:
        return poll / 4
    return poll if elapsed < CLOSELY else max(poll, 1.0)


def _since(moment: datetime | None, reference: datetime) -> bool:
    return moment is not None and moment + CLOCK_SLACK + timedelta(milliseconds=1) > reference


def _awaited(machine: Machine) -> str:
    if machine.state != "started":
        return f"the start ({machine.state})"
    if not machine.expected_results:
        return "it to stay up"
    paths = ", ".join(sorted({check.path for check in machine.checks})) or "its checks"
    return f"{paths} ({_said(machine)})"


def _said(machine: Machine) -> str:
    if not machine.expected_results:
        return "it has no checks"
    if len(machine.results) < machine.expected_results:
        return "no answer of its checks yet"
    said = [f"{r.name} is {r.status}: {' '.join(r.output.split())[:200]}" for r in machine.failing]
    return "; ".join(said) or "its checks pass, but have not run since"
