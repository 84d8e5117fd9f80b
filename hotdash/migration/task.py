"""The task of a run: begun on a machine of its own, followed to its end, ended before its time where it must."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final

from hotdash.errors import FlyError, MigrationFailed, MigrationLocked, NotFound
from hotdash.fly.client import Fly
from hotdash.fly.model import Machine
from hotdash.fly.writing import write_once
from hotdash.migration import one_off
from hotdash.migration.deciding import Groups
from hotdash.migration.failure import (
    NOT_STARTED,
    OUT_OF_MEMORY,
    STOPPED,
    TOO_LONG,
    UNKNOWN,
    Reason,
    last_words,
    reason_in,
)
from hotdash.migration.following import End, Output, follow
from hotdash.migration.journal import Journal, owned
from hotdash.migration.lock import Lock
from hotdash.migration.seams import RunSettings, Seams
from hotdash.migration.settings import MigrationSettings

STOP_SIGNAL: Final = "SIGTERM"
STOP_SECONDS: Final = 15.0
"""That the task may take to end when its time is up: Rails undoes the migration that it is in, where it can."""
ATTEMPTS: Final = 2
"""Machines of one run: a second one where nobody saw how the first ended. The task may be run twice."""


class Task:
    """The tasks of one app's migrations. Args: see `hotdash.migration.runner.Migration`."""

    def __init__(
        self,
        fly: Fly,
        app: str,
        settings: MigrationSettings,
        groups: Groups,
        run_settings: RunSettings,
        seams: Seams,
        secrets_version: int | None,
    ) -> None:
        self._fly = fly
        self._app = app
        self._settings = settings
        self._groups = groups
        self._run_settings = run_settings
        self._seams = seams
        self._secrets_version = secrets_version
        self._tell = seams.progress

    def clear(self, journal: Journal, *, locked: bool) -> None:
        """See that no machine of another run is at it.

        Args:
            locked: nobody else is at work, so that one which is there was left, and is ended. Else (an app without
                machines has nothing to lock) it may be somebody's, and its end is waited for.
        """
        for machine in self._fly.machines(self._app):
            run = one_off.run_of(machine)
            if run in ("", journal.run):
                continue
            if locked:
                self._tell(f"migration: machine {machine.id} was left by run {run}; ending it")
                self.end(machine)
                continue
            self._tell(f"migration: machine {machine.id} migrates for run {run}; waiting for its end")
            if self._follow(machine).timed_out:
                logs = f"fly logs -a {self._app} -i {machine.id}"
                raise MigrationLocked(
                    f"machine {machine.id} migrates since more than {self._settings.time_limit:g} s",
                    where=f"app {self._app}, machine {machine.id}, run {run}",
                    meaning="nothing was changed",
                    remedy=f"see `{logs}`; let it end, or destroy it, then `pulumi up` again",
                )

    def run(self, journal: Journal, lock: Lock, *, again: bool) -> Journal:
        """Run the task, or go on waiting for one that an owner who has died had begun.

        Args:
            again: run it once more where nobody saw how it ended.
        """
        machine = self.find(journal) if journal.attempt else None
        for _ in range(ATTEMPTS):
            watched = machine is None or one_off.end_of(machine) is None
            if machine is None:
                journal = lock.write(replace(journal, attempt=journal.attempt + 1, one_off=""))
                machine = self._make(journal)
                shown = one_off.shown_command(self._settings)
                self._tell(journal.says(f"machine {machine.id} runs {shown}"))
            else:
                self._tell(journal.says(f"machine {machine.id} was made by it; waiting for its end"))
            journal = lock.write(replace(journal, one_off=machine.id))
            end = self._follow(machine)
            if end.succeeded:
                return journal
            if not again or (watched and not end.unknown):
                raise self._failed(journal, machine, end)
            how = one_off.told(end.exit, machine.guest.memory_mb) if end.exit else "nobody saw its end"
            self._tell(
                f"migration:   machine {machine.id}: {how}, with nobody watching; running the task once more"
            )
            self.end(machine)
            machine = None
        raise self._failed(journal, None, end)

    def find(self, journal: Journal) -> Machine | None:
        """The machine of the run's last attempt, though it be destroyed; None: it was not made, or is forgotten."""
        if not journal.attempt:
            return None
        if journal.one_off:
            try:
                return self._fly.machine(self._app, journal.one_off)
            except NotFound:
                return None
        return one_off.marked(self._fly.machines(self._app, deleted=True), journal.mark)

    def _make(self, journal: Journal) -> Machine:
        machines = self._fly.machines(self._app)
        web = owned(machines, self._groups.web) or owned(machines, self._groups.all)
        config = one_off.config(self._settings, journal.image, web, journal.mark)

        def create() -> Machine:
            return self._fly.create_machine(
                self._app,
                config=config,
                region=web[0].region if web else "",
                min_secrets_version=self._secrets_version,
            )

        def done() -> Machine | None:
            return one_off.marked(self._fly.machines(self._app, deleted=True), journal.mark)

        return write_once(create, done, poll=self._run_settings.poll, clock=self._seams.clock)

    def _follow(self, machine: Machine) -> End:
        output = Output(
            self._seams.logs,
            self._app,
            machine.id,
            hidden=self._seams.hidden,
            line=self._seams.output or (lambda line: self._tell(f"  | {line}")),
            progress=self._tell,
        )
        return follow(
            self._fly,
            self._app,
            machine,
            output,
            time_limit=self._settings.time_limit,
            start_timeout=self._run_settings.start_timeout,
            poll=self._run_settings.poll,
            progress=self._tell,
            clock=self._seams.clock,
        )

    def _failed(self, journal: Journal, machine: Machine | None, end: End) -> MigrationFailed:
        if end.not_started:
            what = (
                f"its machine did not start, and is {end.state} after {self._run_settings.start_timeout:g} s"
            )
        elif end.timed_out:
            what = f"it is {end.state} after {self._settings.time_limit:g} s"
        elif end.exit:
            what = one_off.told(end.exit, self._settings.guest.memory_mb)
        else:
            what = f"its machine is {end.state}, and nobody saw how it ended"
        reason = _reason(end)
        words = last_words(end.lines)
        return MigrationFailed(
            f"the migration to {journal.image} failed: {what}" + (f"\n{words}" if words else ""),
            where=f"app {self._app}, machine {machine.id if machine else journal.one_off}",
            meaning=reason.meaning,
            remedy=reason.next,
        )

    def end_all(self, journal: Journal) -> None:
        """End every machine of the run that is still there."""
        for machine in self._fly.machines(self._app):
            if one_off.run_of(machine) == journal.run and machine.state not in ("destroyed", "destroying"):
                self.end(machine)

    def end(self, machine: Machine) -> None:
        """Stop the task's machine so that Rails can undo what it is in, then destroy it."""
        clock = self._seams.clock
        began = clock.now()
        with contextlib.suppress(NotFound):
            there = self._fly.machine(self._app, machine.id)
            if there.state == "destroyed":
                return
            if there.state == "started" and one_off.end_of(there) is None:
                self._tell(f"migration: stopping machine {machine.id}")
                with contextlib.suppress(FlyError):
                    self._fly.stop_machine(self._app, machine.id, signal=STOP_SIGNAL, timeout=STOP_SECONDS)
                while there.state in ("started", "stopping") and clock.now() - began < STOP_SECONDS + 2:
                    clock.sleep(self._run_settings.poll)
                    there = self._fly.machine(self._app, machine.id)
        self._fly.destroy_machine(self._app, machine.id, "")


def _reason(end: End) -> Reason:
    if end.exit and end.exit.oom_killed:
        return OUT_OF_MEMORY
    if end.not_started:
        return NOT_STARTED
    if end.timed_out:
        return TOO_LONG
    found = reason_in(end.lines)
    if found is UNKNOWN and (end.exit is None or end.exit.requested or end.exit.signal > 0):
        return STOPPED
    return found
