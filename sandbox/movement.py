"""Carries orders out: moves a machine's process to where its last order leads, and follows what befalls it.

One task at a time per machine. A task whose order is not the last any more leaves the rest of the way to the task of
the one that is. What an order is and when it is refused is in lifecycle.py."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from sandbox import machine_config, stamps
from sandbox.host import CheckResult, Exit, HealthChecks, Host
from sandbox.state import SETTLED, App, Machine
from sandbox.store import Store

log = logging.getLogger("sandbox.movement")

RESTART_DELAY_SECONDS = 1.0
PULL_SECONDS = 0.5
DEFAULT_MAX_RETRIES = 10
SIGKILL = 9
HOST_FAILED = 255
"""The exit code of a task that ended with its host."""
_REST = {"stop": "stopped", "suspend": "suspended", "destroy": "destroyed"}


@dataclass(frozen=True)
class _Launch:
    """A process that runs. Numbered, because a restarted version has the same instance id as before."""

    number: int
    instance_id: str


class Movement:
    """Machines' processes, as the records want them.

    `checks` is set by whoever builds it, as checks report here. Times in seconds: how long it takes to find out that
    an image cannot be pulled, and how long a machine that exited rests before it runs again."""

    def __init__(self, store: Store, host: Host, wake: Callable[[Machine], None]) -> None:
        self.store = store
        self.host = host
        self.checks: HealthChecks
        self.pull_seconds = PULL_SECONDS
        self.restart_delay_seconds = RESTART_DELAY_SECONDS
        self._wake = wake
        self._results: dict[str, tuple[str, tuple[CheckResult, ...]]] = {}
        self._running: dict[str, _Launch] = {}
        self._launches = 0
        self._orders: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def results(self, machine: Machine) -> tuple[CheckResult, ...]:
        """Results of the current version's checks; empty until they ran."""
        instance_id, results = self._results.get(machine.id, ("", ()))
        return results if instance_id == machine.instance_id else ()

    async def saved(self, machine: Machine) -> None:
        """On disk first, then told to those who wait: what somebody was told is never lost."""
        machine.text = None
        await self.store.commit()
        self._wake(machine)

    # Orders, numbered

    def take_order(self, machine: Machine) -> int:
        """The number of the order that the machine just got; makes all earlier ones stale."""
        self._orders[machine.id] = self._orders.get(machine.id, 0) + 1
        return self._orders[machine.id]

    def _is_last(self, machine: Machine, order: int) -> bool:
        return self._orders.get(machine.id, 0) == order

    def begin(self, machine: Machine | None, work: Coroutine[Any, Any, None]) -> None:
        """Carry an order out in the background."""
        task = asyncio.ensure_future(self._guarded(machine, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What hosts and checks report

    async def on_exit(self, machine_id: str, instance_id: str, exit: Exit) -> None:
        """The host's word that a process ended. Orders to stop see their own end themselves."""
        launch = self._running.get(machine_id)
        if (
            launch is not None
            and launch.instance_id == instance_id
            and not exit.requested
            and not self._closing
        ):
            self.begin(None, self._exited(machine_id, launch, exit))

    async def on_checks(self, machine_id: str, instance_id: str, results: tuple[CheckResult, ...]) -> None:
        if self._running_version(machine_id) == instance_id:
            self._results[machine_id] = (instance_id, results)

    # From the disk, and to the end

    async def resume(self) -> None:
        """After a start with a kept state: machines that ran run again, same version, same secrets, nothing noted."""
        for app in self.store.world.apps.values():
            for machine in list(app.active()):
                if machine.goal == "run" and _runs_once(machine):
                    self._lose(machine)
                elif machine.goal == "run":
                    _drop_unpullable(machine)
                    await self._run(app, machine, 0, noted=machine.state != "started")
                elif machine.state not in SETTLED or machine.state == "created":
                    machine.state = _REST[machine.goal]
                    machine.text = None
                if machine.state == "stopped" and _is_over(machine):
                    _destroyed(machine)
        await self.store.commit()

    def _lose(self, machine: Machine) -> None:
        """A machine whose task died with its host: it is not begun again."""
        self._note_exit(machine, Exit(HOST_FAILED, None, oom_killed=False, requested=False), restarting=False)
        machine.goal, machine.state = "stop", "stopped"

    async def forget(self, app: App) -> None:
        """End every process of an app that is being deleted, and let go of its machines."""
        for machine in list(app.active()):
            machine.goal = "destroy"
            self.take_order(machine)
            async with self._lock(machine):
                await self._halt(machine, SIGKILL, 1.0)
                machine.state = "destroyed"
            self._wake(machine)

    async def rest(self) -> None:
        """Return once nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop working, without a word about it in the state: the next start resumes from there."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.host.close()

    async def kill_for_memory(self, machine: Machine) -> None:
        """What the kernel does to a machine that needs more memory than it has."""
        async with self._lock(machine):
            launch = self._running.get(machine.id)
            if launch is not None:
                await self.host.stop(machine.id, signal=SIGKILL, timeout=1.0)
                killed = Exit(128 + SIGKILL, SIGKILL, oom_killed=True, requested=False)
                await self._follow_exit(machine, launch, killed)

    # Tasks that carry an order out

    async def finish_create(self, machine: Machine, order: int) -> None:
        async with self._lock(machine):
            if not self._is_last(machine, order):
                return
            if machine.goal == "stop":
                machine.state = "stopped"
                await self.saved(machine)
            else:
                await self._run(self._app(machine), machine, order, launched=False)

    async def finish_update(self, machine: Machine, order: int, before: tuple[str, str]) -> None:
        async with self._lock(machine):
            if not self._is_last(machine, order):
                return
            if not machine_config.can_be_pulled(machine.config):
                # flyd pulls before it stops: the old version goes on, and a client that only waits for `started`
                # would take it for the new one.
                await asyncio.sleep(self.pull_seconds)
                if self._is_last(machine, order):
                    await self._revert(machine, order, before)
                return
            await self._halt_noted(machine)
            if machine.goal == "run":
                await self._run(self._app(machine), machine, order)
            elif self._is_last(machine, order):
                machine.state = "stopped"
                await self.saved(machine)

    async def finish_start(self, machine: Machine, order: int) -> None:
        async with self._lock(machine):
            await self._run(self._app(machine), machine, order, launched=False)

    async def finish_restart(
        self, machine: Machine, order: int, signal: int | None, timeout: float | None
    ) -> None:
        async with self._lock(machine):
            if self._is_last(machine, order):
                await self._halt_noted(machine, signal, timeout)
                await self._run(self._app(machine), machine, order, launched=False)

    async def finish_stop(
        self, machine: Machine, order: int, done: str, signal: int | None, timeout: float | None
    ) -> None:
        async with self._lock(machine):
            await self._halt_noted(machine, signal, timeout)
            if self._is_last(machine, order):
                machine.state = done
            await self.saved(machine)
            if self._is_last(machine, order) and done == "stopped":
                await self._destroy_if_over(machine)

    async def finish_destroy(self, machine: Machine) -> None:
        async with self._lock(machine):
            await self._halt_noted(machine, SIGKILL, 1.0)
            _destroyed(machine)
            self._app(machine).forget_old_machines()
            await self.saved(machine)

    async def _exited(self, machine_id: str, launch: _Launch, exit: Exit) -> None:
        machine = self.store.world.find_machine(machine_id)
        if machine is not None:
            async with self._lock(machine):
                await self._follow_exit(machine, launch, exit)

    async def _follow_exit(self, machine: Machine, launch: _Launch, exit: Exit) -> None:
        """What follows from an exit that nobody ordered: a restart, or the end."""
        if self._running.get(machine.id) != launch:
            return
        self._not_running(machine)
        if machine.state != "started":  # an order is on its way, and decides what comes next
            self._note_exit(machine, exit, restarting=False)
            await self.saved(machine)
            return
        again = self._should_restart(machine, exit)
        if again:
            machine.restart_count += 1
        self._note_exit(machine, exit, restarting=again)
        if again:
            machine.state = "restarting"
            self.begin(machine, self._start_again(machine, self._orders.get(machine.id, 0)))
        else:
            machine.state, machine.goal = "stopped", "stop"
        await self.saved(machine)
        await self._destroy_if_over(machine)

    async def _destroy_if_over(self, machine: Machine) -> None:
        if machine.state == "stopped" and _is_over(machine):
            machine.goal, machine.state = "destroy", "destroying"
            machine.add_event("destroy", "destroying", "flyd")
            self.take_order(machine)
            await self.saved(machine)
            self.begin(machine, self.finish_destroy(machine))

    async def _start_again(self, machine: Machine, order: int) -> None:
        await asyncio.sleep(self.restart_delay_seconds)
        async with self._lock(machine):
            await self._run(self._app(machine), machine, order, launched=False)

    # Steps

    async def _run(
        self, app: App, machine: Machine, order: int, *, noted: bool = True, launched: bool = True
    ) -> None:
        """Start the current version's process, unless a newer order came. Not `noted` after a killed sandbox: then it
        is as if nothing had been."""
        if not self._is_last(machine, order):
            return
        if noted:
            machine.state = "starting"
            if launched:
                machine.add_event("launch", "created", "user")
            await self.saved(machine)
            if not self._is_last(machine, order):
                return
        version = machine.current
        if not machine_config.can_be_pulled(version.config):
            await self._fail_to_launch(machine, "image could not be pulled")
            return
        spec = machine_config.launch_spec(app, machine, version, self.store.world.settings)
        self._launches += 1
        self._running[machine.id] = _Launch(self._launches, version.instance_id)
        self._results.pop(machine.id, None)
        try:
            await self.host.launch(spec)
        except Exception as error:  # a host that cannot run it is a failed machine, not a dead sandbox
            log.exception("machine %s could not be launched", machine.id)
            self._not_running(machine)
            await self._fail_to_launch(machine, type(error).__name__)
            return
        self.checks.watch(machine.id, version.instance_id, version.config, self.host.port(machine.id))
        if self._is_last(machine, order):
            machine.state = "started"
            if noted:
                machine.add_event("start", "started", "flyd")
            await self.saved(machine)

    async def _revert(self, machine: Machine, order: int, before: tuple[str, str]) -> None:
        """Back to the version, and to where its order led, before an update that could not be carried out."""
        _drop_unpullable(machine)
        state, machine.goal = before
        machine.add_event("update", "reverted", "flyd")
        if machine.goal == "run" and self._running_version(machine.id) == machine.instance_id:
            machine.state = "started"
            await self.saved(machine)
            return
        # The update before this one was itself still on its way.
        await self._halt_noted(machine)
        if machine.goal == "run":
            await self._run(self._app(machine), machine, order)
        elif self._is_last(machine, order):
            machine.state = state if state in SETTLED else _REST[machine.goal]
            await self.saved(machine)

    async def _fail_to_launch(self, machine: Machine, why: str) -> None:
        machine.state, machine.goal = "failed", "stop"
        machine.add_event("launch", "failed", "flyd", {"error": why})
        await self.saved(machine)

    async def _halt(self, machine: Machine, signal: int | None, timeout: float | None) -> Exit | None:
        if machine.id not in self._running:
            return None
        default_signal, default_timeout = machine_config.stop_settings(machine.config)
        self._not_running(machine)
        return await self.host.stop(
            machine.id,
            signal=default_signal if signal is None else signal,
            timeout=default_timeout if timeout is None else timeout,
        )

    async def _halt_noted(
        self, machine: Machine, signal: int | None = None, timeout: float | None = None
    ) -> None:
        exit = await self._halt(machine, signal, timeout)
        if exit is not None:
            self._note_exit(machine, exit, restarting=False)

    def _running_version(self, machine_id: str) -> str | None:
        launch = self._running.get(machine_id)
        return launch.instance_id if launch is not None else None

    def _not_running(self, machine: Machine) -> None:
        self._running.pop(machine.id, None)
        self._results.pop(machine.id, None)
        self.checks.forget(machine.id)

    @staticmethod
    def _should_restart(machine: Machine, exit: Exit) -> bool:
        policy = machine.config.get("restart") or {}
        kind = policy.get("policy") or "on-failure"
        if kind == "always":
            return True
        retries = policy.get("max_retries") or DEFAULT_MAX_RETRIES
        return bool(kind == "on-failure" and exit.exit_code != 0 and machine.restart_count < retries)

    @staticmethod
    def _note_exit(machine: Machine, exit: Exit, restarting: bool) -> None:
        exit_event = {
            "exit_code": exit.exit_code,
            "guest_exit_code": exit.exit_code,
            "guest_signal": exit.signal or -1,
            "oom_killed": exit.oom_killed,
            "requested_stop": exit.requested,
            "restarting": restarting,
            "signal": exit.signal or -1,
            "exited_at": stamps.rfc3339(),
        }
        request = {"exit_event": exit_event, "restart_count": machine.restart_count}
        machine.add_event("exit", "stopped", "flyd", request)

    def _app(self, machine: Machine) -> App:
        return self.store.world.apps[machine.app]

    def _lock(self, machine: Machine) -> asyncio.Lock:
        return self._locks.setdefault(machine.id, asyncio.Lock())

    async def _guarded(self, machine: Machine | None, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("work on machine %s failed", machine.id if machine else "?")
            if machine is not None:
                with contextlib.suppress(OSError):
                    await self._fail_to_launch(machine, "internal error of the sandbox")


def _drop_unpullable(machine: Machine) -> None:
    """Back to the newest version that can run."""
    while len(machine.versions) > 1 and not machine_config.can_be_pulled(machine.config):
        machine.versions.pop(0)


def _runs_once(machine: Machine) -> bool:
    return (machine.config.get("restart") or {}).get("policy") == "no"


def _is_over(machine: Machine) -> bool:
    """Whether Fly destroys the machine now that it is stopped. One that never ran is still waiting to be started."""
    return bool(machine.config.get("auto_destroy")) and any(event.type == "exit" for event in machine.events)


def _destroyed(machine: Machine) -> None:
    machine.goal, machine.state = "destroy", "destroyed"
    machine.add_event("destroy", "destroyed", "flyd")
