"""A migration, step by step. Every step is written to the journal before it is begun and may be done twice; whatever
fails, the window is closed, and whoever comes after a death goes on from where the journal says.
"""

from __future__ import annotations

import contextlib
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hotdash.errors import FlyError, MigrationFailed, MigrationLocked, SettingsError
from hotdash.fly.client import Fly
from hotdash.fly.model import Machine
from hotdash.migration import one_off
from hotdash.migration.checks import Checks
from hotdash.migration.deciding import (
    Groups,
    Kept,
    adopted,
    goes_on,
    image_to_run,
    journal_told,
    kept_on,
    reason_to_run,
    window_text,
)
from hotdash.migration.failing import as_before, as_failure, joined
from hotdash.migration.journal import (
    JOURNAL_KEY,
    Applied,
    Journal,
    Step,
    applied_in,
    metadata_of,
    owned,
    steps_from,
)
from hotdash.migration.lock import Lock
from hotdash.migration.seams import RunSettings, Seams
from hotdash.migration.settings import MigrationSettings
from hotdash.migration.task import Task
from hotdash.migration.window import Window, left_stopped, scale_of


@dataclass(frozen=True)
class Report:
    """What a run came to.

    Args:
        applied: what is recorded now; None: nothing, because the app has no machine to keep it on, or nothing was
            declared.
        ran: how many runs were done: 0, where nothing was to do.
        troubles: machines that are not well after the window; the schema is migrated all the same.
    """

    applied: Applied | None
    ran: int = 0
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Aborted:
    """What an abort came to.

    Args:
        run: the journal of the run that was left; None: there was none.
        troubles: machines that are not well after the window.
    """

    run: Journal | None
    troubles: tuple[str, ...] = ()


class Migration:
    """The migrations of one app.

    Args:
        groups: the declared process groups.
        secrets_version: what must be on the task's machine; None: whatever Fly has.
    """

    def __init__(
        self,
        fly: Fly,
        app: str,
        settings: MigrationSettings,
        groups: Groups,
        run_settings: RunSettings,
        seams: Seams,
        *,
        secrets_version: int | None = None,
    ) -> None:
        self._fly = fly
        self._app = app
        self._settings = settings
        self._groups = groups
        self._run_settings = run_settings
        self._seams = seams
        self._task = Task(fly, app, settings, groups, run_settings, seams, secrets_version)
        self._checks = Checks(fly, app, settings, run_settings, seams)
        self._tell = seams.progress

    # What a person asks for

    def run(self, *, again: bool = False) -> Report:
        """End what was left, then run what must run; nothing where nothing must.

        Args:
            again: run it although it is applied.

        Raises:
            MigrationLocked: another migration runs; nothing was changed.
            MigrationFailed: it failed; the window is closed again, unless the message says otherwise.
            FlyError: Fly could not be asked.
        """
        kept = self._kept()
        if not kept.unfinished and not again and not reason_to_run(self._settings, kept):
            return self._keep_what_is(kept)
        with self._lock("db:chatwoot_prepare") as lock:
            ran = 0
            troubles: list[str] = []
            if (left := self._kept().unfinished) is not None:
                done = self._end(left, lock)
                if done is not None:
                    ran, troubles = 1, done
            kept = self._kept()
            reason = reason_to_run(self._settings, kept) or ("it was asked for" if again and not ran else "")
            if not reason:
                return Report(kept.applied, ran, tuple(troubles))
            return self._begin(reason, kept, lock, ran)

    def resume(self) -> Report:
        """End a run that was left, and begin none. Raises as `run`."""
        kept = self._kept()
        if kept.unfinished is None:
            return self._keep_what_is(kept)
        with self._lock("going on with a run that was left") as lock:
            left = self._kept().unfinished
            done = self._end(left, lock) if left else None
            return Report(self._kept().applied, 0 if done is None else 1, tuple(done or ()))

    def abort(self) -> Aborted:
        """End a run that was left without running anything: its machine goes, the window is closed, the journal goes.

        Raises as `run`.
        """
        kept = self._kept()
        if kept.unfinished is None:
            self._keep_what_is(kept)
            return Aborted(None)
        with self._lock("aborting a run that was left") as lock:
            left = self._kept().unfinished
            if left is None:
                return Aborted(None)
            self._tell(f"migration: aborting {journal_told(left)}")
            troubles = self._tidy(lock.write(replace(left, failed=left.failed or "it was aborted")), lock)
            return Aborted(left, tuple(troubles))

    # Beginning, going on

    def _kept(self) -> Kept:
        return kept_on(self._fly.machines(self._app), self._groups)

    def _own(self) -> tuple[Machine, ...]:
        return owned(self._fly.machines(self._app), self._groups.all)

    def _lock(self, reason: str) -> Lock:
        return Lock(
            self._fly,
            self._app,
            self._own(),
            self._run_settings,
            owner=self._seams.named_owner,
            reason=reason,
            progress=self._tell,
            clock=self._seams.clock,
        )

    def _keep_what_is(self, kept: Kept) -> Report:
        """Where nothing must run, see that all machines say so: that the app was found with the declared image, so
        that another one is told from it later; and what was kept on some machines alone."""
        if adopted(self._settings, kept) is None and not self._behind(kept):
            return Report(kept.applied)
        with self._lock("keeping what is applied") as lock:
            kept = self._kept()
            if kept.unfinished or reason_to_run(self._settings, kept):
                return Report(kept.applied)  # somebody has begun one meanwhile; it is for the next look
            taken = adopted(self._settings, kept)
            if taken is None:
                if kept.applied:
                    lock.record(kept.applied)
                return Report(kept.applied)
            applied = replace(taken, at=self._seams.now())
            lock.adopt(applied)
        self._tell(
            f"migration: web runs {applied.image} already, so its schema counts as applied; nothing was run"
        )
        return Report(applied)

    def _behind(self, kept: Kept) -> bool:
        """Whether a keeping has reached some machines alone."""
        return kept.applied is not None and any(
            applied_in([m]) != kept.applied or JOURNAL_KEY in metadata_of(m) for m in self._own()
        )

    def _begin(self, reason: str, kept: Kept, lock: Lock, ran: int) -> Report:
        image = image_to_run(self._settings, kept)
        if not image:
            raise SettingsError(
                "no image is declared for the migration, and web's machines do not run one and the same",
                where="hotdash:migration.image",
                meaning="nothing was changed",
                remedy="declare it there, or as the image of web",
            )
        journal = Journal(
            run=randomness.token_hex(4),
            number=1 + (kept.applied.number if kept.applied else 0),
            owner=self._seams.named_owner,
            reason=reason,
            since=self._seams.now(),
            image=image,
            revision=self._settings.revision,
            step=Step.LOCK,
            mode=self._settings.mode,
        )
        self._tell(f"migration: {image}: {reason}; {window_text(self._settings, self._groups)}")
        troubles = self._steps(journal, lock)
        return Report(self._kept().applied if lock.anchor else None, ran + 1, tuple(troubles))

    def _end(self, left: Journal, lock: Lock) -> list[str] | None:
        """End a run whose owner has died. None: it was not taken up, or came to nothing that is wanted; it is tidied
        away."""
        self._tell(f"migration: found the {journal_told(left)}, and nobody at it")
        migrated = left.step in (Step.VERIFY, Step.CLOSE, Step.RECORD)
        wanted = goes_on(left, self._settings, self._kept())
        if left.failed or not (migrated or (wanted and left.step is Step.RUN) or self._runs(left)):
            # Nothing of it has reached the database, or nobody wants it any more.
            self._tell_troubles(self._tidy(lock.write(left), lock))
            return None
        self._tell(f"migration: going on from step {left.step}")
        try:
            return self._steps(left, lock, again=wanted)
        except MigrationFailed as failure:
            if wanted or migrated or self._kept().unfinished:
                raise
            # It was let come to its end, and is tidied away: what is declared is another one.
            summary = failure.summary.partition("\n")[0]
            self._tell(f"migration: {summary}; its image is not declared any more, so another follows")
            return None

    def _runs(self, left: Journal) -> bool:
        """Whether the run's task runs, or has ended well."""
        machine = self._task.find(left) if left.step is Step.RUN else None
        ended = one_off.end_of(machine) if machine else None
        return machine is not None and (one_off.succeeded(ended) if ended else machine.state != "destroyed")

    # The steps

    def _steps(self, journal: Journal, lock: Lock, *, again: bool = True) -> list[str]:
        """From the journal's step to the end; what is not well afterwards.

        Args:
            again: whether its task is run once more, where nobody saw how it ended.
        """
        troubles: list[str] = []
        try:
            for step in steps_from(journal.step):
                self._seams.step(step.value)
                if step is Step.RECORD:
                    self._say(journal.at(step), f"keeping that {journal.image} is applied")
                    self._record(journal, lock)
                    break
                journal = self._prepared(journal.at(step))
                journal = lock.write(journal)
                match step:
                    case Step.LOCK:
                        self._task.clear(journal, locked=lock.anchor is not None)
                        self._say(journal, f"run {journal.run}, nobody else migrates {self._app} now")
                    case Step.PREFLIGHT:
                        journal = self._checks.before(journal)
                    case Step.OPEN:
                        self._open(journal, lock)
                    case Step.RUN:
                        journal = self._task.run(journal, lock, again=again)
                    case Step.VERIFY:
                        self._checks.after(journal)
                    case Step.CLOSE:
                        troubles = self._close(journal, lock)
        except BaseException as error:
            raise self._failed(error, lock.journal or journal, lock) from None
        return troubles

    def _say(self, journal: Journal, text: str) -> None:
        self._tell(journal.says(text))

    def _prepared(self, journal: Journal) -> Journal:
        """The journal with what the step must know before it is begun."""
        if journal.step is Step.OPEN and not journal.scale:
            still = self._groups.standing_still(self._settings)
            return replace(journal, scale=scale_of(self._own(), still)) if still else journal
        return journal

    def _open(self, journal: Journal, lock: Lock) -> None:
        if not journal.scale:
            self._say(journal, "the app runs on")
            return
        kept = ", ".join(f"{id_} {state}" for id_, state in sorted(journal.scale.items()))
        self._say(journal, f"stopping what must stand still; remembered: {kept}")
        self._window(lock).open(journal)

    def _close(self, journal: Journal, lock: Lock) -> list[str]:
        if not journal.scale:
            self._say(journal, "nothing was stopped")
            return []
        self._say(journal, "starting what ran before")
        troubles = self._window(lock).close(journal)
        self._tell_troubles(troubles)
        return troubles

    def _tell_troubles(self, troubles: Sequence[str]) -> None:
        for trouble in troubles:
            self._tell(f"migration:   started, and not well: {trouble}")

    def _window(self, lock: Lock) -> Window:
        return Window(self._fly, self._app, lock.leases, self._run_settings, self._tell, self._seams.clock)

    def _record(self, journal: Journal, lock: Lock) -> None:
        # They end by themselves; but once the journal is gone, nobody would know of one that did not.
        self._task.end_all(journal)
        lock.record(
            Applied(
                journal.image,
                journal.revision,
                self._seams.now(),
                self._checks.schema(),
                run=journal.run,
                number=journal.number,
            )
        )

    # Failing

    def _failed(self, error: BaseException, journal: Journal, lock: Lock) -> BaseException:
        """Tidy up after a failure; the error to raise."""
        failure = as_failure(error, journal, self._app)
        if isinstance(error, MigrationLocked):
            return error  # somebody else is at it now: what there is to tidy is his
        if journal.step in (Step.CLOSE, Step.RECORD):
            failure.meaning = joined(
                f"the schema is migrated, and this was left at step {journal.step}", failure.meaning
            )
            failure.remedy = joined(
                failure.remedy, "`pulumi up` or `hotdash migrate resume` goes on from there"
            )
            return failure
        try:
            journal = lock.write(replace(journal, failed=failure.summary.partition("\n")[0][:300]))
            troubles = self._tidy(journal, lock)
        except MigrationLocked:
            return failure
        except FlyError as why:
            stopped = left_stopped(self._fly, self._app, journal)
            left = (
                f"these machines still stand still: {', '.join(stopped)}"
                if stopped
                else "no machine stands still"
            )
            failure.meaning = joined(
                failure.meaning, f"and Fly could not be told to tidy up ({why.summary}): {left}"
            )
            failure.remedy = joined(
                failure.remedy,
                "`hotdash migrate abort` or the next `pulumi up` tidies up; by hand: docs/migrations.md",
            )
            return failure
        failure.meaning = joined(failure.meaning, as_before(journal, troubles))
        return failure

    def _tidy(self, journal: Journal, lock: Lock) -> list[str]:
        """End the run's machines, close the window, let the journal go. What is not well is returned.

        Raises:
            FlyError: something was left, the journal with it.
        """
        with contextlib.ExitStack() as finally_:
            # The task first: whatever it does to the schema, the workers must not run meanwhile. But close in any case.
            closed: list[list[str]] = []
            finally_.callback(
                lambda: closed.append(self._window(lock).close(journal) if journal.scale else [])
            )
            if journal.attempt:
                self._task.end_all(journal)
        lock.forget()
        return [trouble for troubles in closed for trouble in troubles]
