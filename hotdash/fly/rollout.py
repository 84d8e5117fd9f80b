"""The rollout: moves the machines of one process group as planned, behind leases and health checks.

Leases on all of them first; then one machine alone; then the rest, a share at a time. A machine is done when its new
version runs and its checks have passed since; it has failed as soon as it exits, is killed or was reverted. On failure
the rest stays as it was, the failed machine gets its previous config back, and every lease is given back.
"""

from __future__ import annotations

import secrets as randomness
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

from hotdash.clock import REAL, Clock
from hotdash.drift import DeclaredGroup, Kind
from hotdash.errors import FlyError, HotdashError, RolloutFailed
from hotdash.fly.client import Fly
from hotdash.fly.health import Watch
from hotdash.fly.leases import Leases
from hotdash.fly.model import Machine
from hotdash.fly.wire import ROLLOUT_KEY
from hotdash.fly.writing import start, write_once
from hotdash.plan import Action, GroupPlan, Move, RolloutSettings, new_machine, share_of, updated_config

Progress = Callable[[str], None]
"""Takes one line for the person who waits."""


class Rollout:
    """One run over one group.

    Args:
        declared, command: the group as the stack file has it.
        machines: all of the app's machines, as they were when the plan was made.
        min_secrets_version: the version of the secrets that each new version must have.
        progress: told what is waited for.
    """

    def __init__(
        self,
        fly: Fly,
        app: str,
        declared: DeclaredGroup,
        command: Sequence[str],
        machines: Sequence[Machine],
        *,
        min_secrets_version: int | None,
        settings: RolloutSettings,
        progress: Progress,
        clock: Clock = REAL,
    ) -> None:
        self._fly = fly
        self._app = app
        self._declared = declared
        self._command = command
        self._machines = machines
        self._secrets_version = min_secrets_version
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._id = randomness.token_hex(8)

    def run(self, plan: GroupPlan) -> None:
        """Do the moves.

        Raises:
            LeaseHeld: another's lease did not go away; nothing was changed.
            RolloutFailed: a machine did not come up; the message says what was left how.
            FlyError: Fly refused or could not be reached.
        """
        if not plan.moves:
            return
        existing = [move.machine for move in plan.moves if move.machine is not None]
        with self._leases() as leases:
            leases.take(existing)
            steps = [move for move in plan.moves if move.action is not Action.DESTROY]
            self._run_steps(steps, leases)
            for move in plan.moves:
                if move.action is Action.DESTROY and move.machine is not None:
                    self._progress(
                        f"{plan.group}: destroying machine {move.machine.id}, one more than declared"
                    )
                    self._fly.destroy_machine(self._app, move.machine.id, leases.nonce(move.machine.id))

    def _run_steps(self, steps: Sequence[Move], leases: Leases) -> None:
        if not steps:
            return
        total = len(steps)
        begun, failed = 0, False
        beginning = threading.Lock()

        def step(index: int) -> None:
            nonlocal begun, failed
            with beginning:
                if failed:
                    return
                begun += 1
            name = f"{self._declared.name}: machine {index + 1} of {total}"
            try:
                self._step(steps[index], name, leases)
            except BaseException as error:
                with beginning:
                    failed = True
                if isinstance(error, HotdashError):
                    _tell_untouched(error, total - begun)
                raise

        step(0)
        with ThreadPoolExecutor(share_of(total, self._settings.max_unavailable), "rollout") as pool:
            running: list[Future[None]] = [pool.submit(step, index) for index in range(1, total)]
            wait(running, return_when=FIRST_EXCEPTION)
            for future in running:
                future.result()

    def _step(self, move: Move, name: str, leases: Leases) -> None:
        watch = Watch(self._fly, self._app, self._settings, self._progress, self._clock)
        if move.machine is None:
            self._create(name, watch)
            return
        machine = move.machine
        if leases.version(machine.id) != machine.instance_id:
            # It changed between the plan and the lease; what is built upon must be what is there.
            machine = self._fly.machine(self._app, machine.id)
        name = f"{name} ({machine.id})"
        if move.action is Action.START:
            self._start(machine, name, leases.nonce(machine.id), watch)
        else:
            self._update(machine, move.reasons, name, leases, watch)

    def _start(self, machine: Machine, name: str, nonce: str, watch: Watch) -> None:
        self._progress(f"{name}: starting")
        start(self._fly, self._app, machine, nonce)
        watch.until_well(name, machine, previous=machine, nonce=nonce)

    def _leases(self) -> Leases:
        return Leases(self._fly, self._app, self._settings, self._progress, self._clock)

    # Updating

    def _update(
        self, machine: Machine, reasons: Sequence[Kind], name: str, leases: Leases, watch: Watch
    ) -> None:
        config = updated_config(self._declared, machine, self._id)
        self._progress(f"{name}: updating for {', '.join(reasons)}")
        nonce = leases.nonce(machine.id)
        updated = self._write(machine, config, nonce)
        try:
            watch.until_well(name, updated, previous=machine, nonce=nonce)
        except RolloutFailed as failure:
            failure = self._give_back(machine, name, leases, failure)
            if Kind.SECRET_NOT_LIVE in reasons:
                failure.meaning += ", but runs with the secrets that are staged now: Fly has no others"
            raise failure from None

    def _write(self, machine: Machine, config: dict[str, Any], nonce: str) -> Machine:
        def update() -> Machine:
            return self._fly.update_machine(
                self._app,
                machine.id,
                config=config,
                nonce=nonce,
                current_version=machine.instance_id,
                min_secrets_version=self._secrets_version,
            )

        def done() -> Machine | None:
            there = self._fly.machine(self._app, machine.id)
            return there if _mark(there) == self._id else None

        return self._once(update, done)

    def _once(self, write: Callable[[], Machine], done: Callable[[], Machine | None]) -> Machine:
        return write_once(write, done, poll=self._settings.poll, clock=self._clock)

    def _give_back(
        self, machine: Machine, name: str, leases: Leases, failure: RolloutFailed
    ) -> RolloutFailed:
        failure.meaning = "the machine has its previous config back"
        try:
            there = self._fly.machine(self._app, machine.id)
            if there.instance_id != machine.instance_id:
                self._progress(f"{name}: giving its previous config back")
                self._fly.update_machine(
                    self._app,
                    machine.id,
                    config=machine.config,
                    nonce=leases.nonce(machine.id),
                    current_version=there.instance_id,
                    min_secrets_version=None,
                )
        except FlyError as error:
            failure.meaning = f"and its previous config could not be given back: {error.summary}"
        return failure

    # Making

    def _create(self, name: str, watch: Watch) -> None:
        # A mark of its own: another new machine of this rollout is not this one.
        mark = f"{self._id}-{randomness.token_hex(4)}"
        config, region = new_machine(self._declared, self._command, self._machines, mark)
        self._progress(f"{name}: making it")

        def create() -> Machine:
            return self._fly.create_machine(
                self._app, config=config, region=region, min_secrets_version=self._secrets_version
            )

        def done() -> Machine | None:
            return next((m for m in self._fly.machines(self._app) if _mark(m) == mark), None)

        machine = self._once(create, done)
        name = f"{name} ({machine.id})"
        try:
            watch.until_well(name, machine, previous=None)
        except RolloutFailed as failure:
            self._destroy_again(machine, failure)
            raise

    def _destroy_again(self, machine: Machine, failure: RolloutFailed) -> None:
        failure.meaning = "the new machine was destroyed again"
        try:
            with self._leases() as leases:
                leases.take([machine])
                self._fly.destroy_machine(self._app, machine.id, leases.nonce(machine.id))
        except FlyError as error:
            failure.meaning = f"and the new machine could not be destroyed again: {error.summary}"


def _mark(machine: Machine) -> str:
    return str((machine.config.get("metadata") or {}).get(ROLLOUT_KEY) or "")


def _tell_untouched(error: HotdashError, untouched: int) -> None:
    if untouched:
        rest = "1 other of the group was" if untouched == 1 else f"{untouched} others of the group were"
        rest = f"{rest} not touched"
        error.meaning = f"{error.meaning}; {rest}" if error.meaning else rest
