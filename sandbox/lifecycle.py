"""Orders to machines: create, update, start, stop and so on; when they are refused, and what they change.

An order changes the record at once and is answered; movement.py then moves the process to where it leads. HTTP is not
known here, statuses of refusals are."""

from dataclasses import dataclass
from typing import Any

from sandbox import machine_config, regions, stamps
from sandbox.host import CheckResult, Host
from sandbox.movement import Movement
from sandbox.refusal import conflict, failed_precondition
from sandbox.state import App, Machine, Version
from sandbox.store import Store
from sandbox.waiting import Waiters

_AT_REST = frozenset({"stopped", "suspended", "failed"})
STARTABLE = frozenset({"stopped", "suspended", "started", "failed"})


@dataclass(frozen=True)
class Order:
    """The body of a create or an update. `config` is already in the form that Fly keeps."""

    config: dict[str, Any]
    name: str | None = None
    region: str | None = None
    skip_launch: bool = False
    skip_service_registration: bool = False
    skip_secrets: bool = False
    min_secrets_version: int | None = None
    current_version: str | None = None


class Lifecycle:
    """Gives orders to machines."""

    def __init__(self, store: Store, host: Host) -> None:
        self.store = store
        self.host = host
        self.waiters = Waiters()
        self.movement = Movement(store, host, self.waiters.wake)

    # Reading

    def results(self, machine: Machine) -> tuple[CheckResult, ...]:
        """Results of the current version's checks; empty until they ran."""
        return self.movement.results(machine)

    def is_routable(self, machine: Machine) -> bool:
        """Whether the edge may send requests to it: started, not cordoned, serving, every service check passing."""
        if machine.state != "started" or machine.cordoned or not machine.config.get("services"):
            return False
        wanted = sum(len(s.get("checks") or []) for s in machine.config["services"])
        service_checks = [r for r in self.results(machine) if r.name.startswith("servicecheck-")]
        return len(service_checks) >= wanted and all(r.status == "passing" for r in service_checks)

    # Orders

    async def create(self, app: App, order: Order) -> Machine:
        """A new machine. Refusals: 409 for a name in use, 412 for a secrets version that is not there yet."""
        self._refuse_future_secrets(app, order)
        if order.name and (holder := next((m for m in app.active() if m.name == order.name), None)):
            raise conflict(
                f"already_exists: unique machine name violation, machine ID {holder.id} "
                f'already exists with name "{order.name}"'
            )
        now = stamps.rfc3339()
        number = self.store.world.next_number()
        machine = Machine(
            id=stamps.machine_id(),
            name=order.name or stamps.machine_name(),
            app=app.name,
            region=order.region or regions.DEFAULT,
            private_ip=f"fdaa:0:{app.number:x}:a7b:{number:x}:0:0:2",
            created_at=now,
            updated_at=now,
            state="created",
            goal="stop" if order.skip_launch else "run",
            versions=[self._new_version(app, order)],
            cordoned=order.skip_service_registration,
        )
        app.machines[machine.id] = machine
        machine.add_event("launch", "created", "user")
        order_number = self.movement.take_order(machine)
        await self.movement.saved(machine)
        self.movement.begin(machine, self.movement.finish_create(machine, order_number))
        return machine

    async def update(self, app: App, machine: Machine, order: Order) -> None:
        """Replace the config: a new version. A running machine is stopped and started with it; another is started
        too, unless the order says skip_launch."""
        self._refuse_if_gone(machine)
        self._refuse_future_secrets(app, order)
        if order.current_version and order.current_version != machine.instance_id:
            # Fly's answer to a stale current_version is documented nowhere. 409, like every other lost race here;
            # a client should treat 409 and 412 alike.
            raise conflict(
                f"machine version mismatch: current_version {order.current_version} is not the latest, "
                f"{machine.instance_id} is"
            )
        before = (machine.state, machine.goal)
        machine.add_version(self._new_version(app, order))
        machine.goal = "stop" if order.skip_launch else "run"
        machine.restart_count = 0
        if order.skip_service_registration:
            machine.cordoned = True
        moves = machine.state not in _AT_REST or not order.skip_launch
        machine.state = "replacing" if moves else "stopped"
        machine.add_event("update", "replacing", "user")
        order_number = self.movement.take_order(machine)
        await self.movement.saved(machine)
        if moves:
            self.movement.begin(machine, self.movement.finish_update(machine, order_number, before))

    async def start(self, machine: Machine) -> str:
        """Start it with the version, and the secrets, that it has. Returns the state before."""
        previous = machine.state
        if previous == "replacing":
            raise failed_precondition("machine getting replaced, refusing to start")
        if previous not in STARTABLE:
            raise failed_precondition(f"unable to start machine from current state: '{previous}'")
        if previous != "started":
            machine.goal, machine.state, machine.restart_count = "run", "starting", 0
            machine.add_event("start", "starting", "user")
            order_number = self.movement.take_order(machine)
            await self.movement.saved(machine)
            self.movement.begin(machine, self.movement.finish_start(machine, order_number))
        return previous

    async def stop(
        self, machine: Machine, signal: int | None, timeout: float | None, suspend: bool = False
    ) -> None:
        """Stop or suspend it; nothing to do where it already is."""
        self._refuse_if_gone(machine)
        goal, doing, done = (
            ("suspend", "suspending", "suspended") if suspend else ("stop", "stopping", "stopped")
        )
        if machine.state == done:
            return
        if suspend and machine.state != "started":
            raise failed_precondition(f"unable to suspend machine from current state: '{machine.state}'")
        machine.goal, machine.state = goal, doing
        machine.add_event(goal, doing, "user")
        order_number = self.movement.take_order(machine)
        await self.movement.saved(machine)
        self.movement.begin(machine, self.movement.finish_stop(machine, order_number, done, signal, timeout))

    async def restart(self, machine: Machine, signal: int | None, timeout: float | None) -> None:
        """Stop and start the version that it has: no new config, no new secrets."""
        self._refuse_if_gone(machine)
        if machine.state == "replacing":
            raise failed_precondition("machine getting replaced, refusing to start")
        machine.goal, machine.state, machine.restart_count = "run", "restarting", 0
        machine.add_event("restart", "restarting", "user")
        order_number = self.movement.take_order(machine)
        await self.movement.saved(machine)
        self.movement.begin(machine, self.movement.finish_restart(machine, order_number, signal, timeout))

    async def destroy(self, machine: Machine, force: bool) -> None:
        """Refusal 412 for a machine that runs, unless forced."""
        if machine.gone:
            return
        if not force and machine.state not in ("stopped", "suspended", "created", "failed"):
            raise failed_precondition(
                f"unable to destroy machine, not currently stopped (state: '{machine.state}')"
            )
        machine.goal, machine.state = "destroy", "destroying"
        machine.add_event("destroy", "destroying", "user")
        self.movement.take_order(machine)
        await self.movement.saved(machine)
        self.movement.begin(machine, self.movement.finish_destroy(machine))

    async def set_cordoned(self, machine: Machine, cordoned: bool) -> None:
        self._refuse_if_gone(machine)
        machine.cordoned = cordoned
        await self.movement.saved(machine)

    async def signal(self, machine: Machine, number: int) -> None:
        if machine.state != "started":
            raise failed_precondition(f"unable to signal machine in current state: '{machine.state}'")
        await self.host.signal(machine.id, number)

    async def execute(
        self, app: App, machine: Machine, command: list[str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command beside the machine's process, in its environment. (exit code, stdout, stderr)."""
        if machine.state != "started":
            raise failed_precondition(f"unable to exec in machine in current state: '{machine.state}'")
        env = machine_config.environment(app, machine, machine.current, self.store.world.settings)
        return await self.host.exec(machine.id, command, env, timeout)

    async def kill_for_memory(self, machine: Machine) -> None:
        """What the kernel does to a machine that needs more memory than it has (admin door)."""
        if machine.state != "started":
            raise failed_precondition(f"machine is not running (state: '{machine.state}')")
        await self.movement.kill_for_memory(machine)

    async def spread(self, app: App) -> None:
        """Make the servers and workers that run know what was told to the sandbox: it is in their environment, so they
        start again. A task is left alone."""
        for machine in app.active():
            if machine.state == "started" and machine.group != machine_config.ONE_OFF:
                await self.restart(machine, None, None)

    async def changed(self, machine: Machine) -> None:
        """Save a change that the caller made to the record itself (lease, metadata)."""
        await self.movement.saved(machine)

    def _new_version(self, app: App, order: Order) -> Version:
        values = {} if order.skip_secrets else {s.name: s.value for s in app.secrets.values()}
        return Version(stamps.ulid(), order.config, values, app.secrets_version, stamps.rfc3339())

    @staticmethod
    def _refuse_future_secrets(app: App, order: Order) -> None:
        if order.min_secrets_version is not None and order.min_secrets_version > app.secrets_version:
            raise failed_precondition(f"min_secrets_version {order.min_secrets_version} is not yet available")

    @staticmethod
    def _refuse_if_gone(machine: Machine) -> None:
        if machine.gone:
            raise failed_precondition(f"machine {machine.id} is {machine.state}")
