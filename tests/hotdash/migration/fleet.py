"""A Fly of a few machines, on a clock that only pauses move, whose caller can die at any call.

It knows as much of the Machines API as a migration uses. A one-off machine takes its seconds and then ends as the
scene says; what it migrates is counted, once for each migration, as Rails would do it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from hotdash.clock import Clock
from hotdash.fly.client import Fly, Patience
from hotdash.fly.logs import LogLine, NoLogs, Page
from hotdash.fly.token import Token
from hotdash.migration.deciding import Groups
from hotdash.migration.journal import SchemaState
from hotdash.migration.runner import Migration
from hotdash.migration.schema import Look, Unseen
from hotdash.migration.seams import Seams
from hotdash.migration.settings import MigrationSettings, Mode
from hotdash.migration.trying import Tried
from hotdash.plan import RolloutSettings
from tests.hotdash.strategies import NOW, ulid

OLD, NEW = "chatwoot/chatwoot:v4.11.0", "chatwoot/chatwoot:v4.12.0"
APP = "a"
GROUPS = Groups(("web",), ("worker",))
SETTINGS = MigrationSettings("DIRECT_DATABASE_URL", image=NEW)
WINDOW = MigrationSettings("DIRECT_DATABASE_URL", image=NEW, mode=Mode.WINDOW)
ROLLOUT = RolloutSettings(settle=2.0, lease_wait=40.0, poll=0.5)
PENDING = ("20260101000001", "20260101000002")
_PATH = re.compile(r"/v1/apps/a/machines(?:/(?P<id>[^/]+))?(?:/(?P<what>\w+))?\Z")


class Died(BaseException):
    """The process of the caller is no more. Nothing that it does from then on reaches Fly."""


@dataclass
class Task:
    """How a one-off machine goes.

    Args:
        seconds: from its start to its end.
        code, oom: how it ends.
        says: its lines.
        migrates: whether it applies what is pending before it ends.
    """

    seconds: float = 3.0
    code: int = 0
    oom: bool = False
    says: tuple[str, ...] = ("== 20260101000001 AddThings: migrating ==",)
    migrates: bool = True
    applied_at: float = 1.0


@dataclass
class _Machine:
    id: str
    group: str
    state: str
    config: dict[str, Any]
    version: int = 0
    lease: str = ""
    leased_until: float = 0.0
    started: float = 0.0
    stops_at: float = 0.0
    cordoned: bool = False
    task: Task | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


class Fleet:
    """Args:
    worker: the state of the worker before.
    """

    def __init__(self, *, worker: str = "started", image: str = OLD) -> None:
        self.seconds = 0.0
        self.clock = Clock(lambda: self.seconds, self._sleep)
        self.machines: dict[str, _Machine] = {}
        self.tasks: list[Task] = []
        """What the next one-off machines do, in turn; then the last for ever."""
        self.schema: list[str] = ["20250101000000"]
        self.times_run: dict[str, int] = {}
        self.locked_by: object | None = None
        self.secrets = ["DATABASE_URL", "DIRECT_DATABASE_URL"]
        self.visible = True
        self.logs: dict[str, list[str]] = {}
        self.no_logs: NoLogs | None = None
        self.calls: list[str] = []
        self.told: list[str] = []
        self.said: list[str] = []
        self.die_at: int | None = None
        self.die_after = False
        """Whether the call at which the caller dies is done."""
        self.broken: Callable[[str, str], httpx.Response | None] = lambda _method, _path: None
        self._dead = False
        self._numbers = 0
        self.make("web1", "web", "started", image)
        self.make("web2", "web", "started", image)
        self.make("work1", "worker", worker, image)

    def make(self, id_: str, group: str, state: str, image: str) -> _Machine:
        config = {
            "image": image,
            "env": {"RAILS_ENV": "production"},
            "metadata": {"fly_process_group": group},
            "services": [],
        }
        self.machines[id_] = _Machine(id_, group, state, config)
        return self.machines[id_]

    # Whoever calls

    def migration(self, settings: MigrationSettings = SETTINGS, **changes: Any) -> Migration:
        """A new caller, alive."""
        self._dead = False
        fly = Fly(
            Token("fo1_test", "a test"),
            base_url="http://fly.test",
            transport=httpx.MockTransport(self._answer),
            patience=Patience(budget=4.0, unreachable=1.0),
            clock=self.clock,
        )
        given: dict[str, Any] = {
            "logs": self,
            "look": self._look,
            "preflight": Tried,
            "progress": self.told.append,
            "output": self.said.append,
            "clock": self.clock,
            "now": lambda: NOW + timedelta(seconds=self.seconds),
            "owner": "me@here",
            **changes,
        }
        return Migration(fly, APP, settings, GROUPS, ROLLOUT, Seams(**given))

    @property
    def dead(self) -> bool:
        return self._dead

    # What must be so

    def states(self) -> dict[str, str]:
        return {m.id: m.state for m in self.machines.values() if m.task is None}

    def metadata(self, key: str) -> list[Any]:
        texts = [m.config["metadata"].get(key) for m in self.machines.values() if m.task is None]
        return [json.loads(text) if text else None for text in texts]

    def leases(self) -> list[str]:
        return [m.id for m in self.machines.values() if m.lease and m.leased_until > self.seconds]

    def one_offs(self) -> list[_Machine]:
        return [m for m in self.machines.values() if m.task is not None]

    # Its life

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        if self._dead:
            raise Died
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        end = self.seconds + seconds
        self._stop_what_is_due()
        while self.seconds < end:
            self.seconds = min(end, self.seconds + 0.25)
            self._stop_what_is_due()
            for machine in list(self.machines.values()):
                if machine.task and machine.state == "started":
                    self._go_on(machine, machine.task)

    def _stop_what_is_due(self) -> None:
        for machine in self.machines.values():
            if machine.state == "stopping" and self.seconds >= machine.stops_at:
                machine.state = "stopped"

    def _go_on(self, machine: _Machine, task: Task) -> None:
        age = self.seconds - machine.started
        if task.migrates and age >= task.applied_at:
            for version in PENDING:
                if version not in self.schema:
                    self.schema.append(version)
                    self.times_run[version] = self.times_run.get(version, 0) + 1
        if age >= task.seconds:
            self.end(machine, code=task.code, oom=task.oom)

    def end(self, machine: _Machine, *, code: int = 0, oom: bool = False, requested: bool = False) -> None:
        """The one-off machine's process ends, and the machine with it."""
        if machine.state in ("destroyed", "stopped"):
            return
        machine.state = "stopped" if self.lingers else "destroyed"
        stamp = int((NOW + timedelta(seconds=self.seconds)).timestamp() * 1000)
        ended = {"exit_code": code, "oom_killed": oom, "requested_stop": requested, "signal": -1}
        machine.events.insert(0, {"type": "exit", "timestamp": stamp, "request": {"exit_event": ended}})

    def _look(self) -> Look:
        if not self.visible:
            raise Unseen("no route to host")
        return Look(SchemaState(len(self.schema), max(self.schema)), True, None)

    def page(self, app: str, machine_id: str, next_token: str = "") -> Page:
        if self._dead:
            raise Died
        if self.no_logs:
            raise self.no_logs
        lines = self.logs.get(machine_id, [])
        begin = int(next_token or 0)
        found = tuple(LogLine(f"{machine_id}{n}", "", lines[n], "info") for n in range(begin, len(lines)))
        return Page(found, str(len(lines)))

    # Its API

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self._dead:
            raise Died
        call = f"{request.method} {request.url.path.removeprefix('/v1/apps/a')}"
        number = len(self.calls)
        self.calls.append(call)
        if broken := self.broken(request.method, request.url.path):
            return broken
        dies = self.die_at == number
        if dies and not self.die_after:
            self._dead = True
            raise Died
        answer = self._done(request)
        if dies:
            self._dead = True
            raise Died
        return answer

    def _done(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/apps/a/secrets":
            return httpx.Response(200, json={"secrets": [{"name": name} for name in self.secrets]})
        found = _PATH.match(request.url.path)
        assert found, request.url.path
        body = json.loads(request.content) if request.content else {}
        nonce = request.headers.get("fly-machine-lease-nonce", "")
        if found["id"] is None:
            if request.method == "POST":
                return httpx.Response(200, json=self._shown(self._create(body)))
            deleted = request.url.params.get("include_deleted") == "true"
            listed = [self._shown(m) for m in self.machines.values() if deleted or m.state != "destroyed"]
            return httpx.Response(200, json=listed)
        machine = self.machines.get(found["id"])
        if machine is None:
            return httpx.Response(404, json={"error": "machine not found"})
        match request.method, found["what"]:
            case "GET", None:
                return httpx.Response(200, json=self._shown(machine))
            case "GET", "lease":
                return self._holder(machine)
            case "POST", "lease":
                return self._lease(machine, nonce, body, int(request.url.params["ttl"]))
            case "DELETE", "lease":
                machine.lease = ""
                return httpx.Response(200, json={})
            case "PATCH", "metadata":
                for key, value in body["metadata"].items():
                    if value:
                        machine.config["metadata"][key] = value
                    else:
                        machine.config["metadata"].pop(key, None)
                return httpx.Response(204)
        if machine.lease and machine.leased_until > self.seconds and machine.lease != nonce:
            return httpx.Response(409, json={"error": f"machine ID {machine.id} lease currently held by x"})
        match request.method, found["what"]:
            case "POST", "stop":
                if machine.task:
                    self.end(machine, code=143, requested=True)
                else:
                    machine.state, machine.stops_at = "stopping", self.seconds + self.stop_takes
                    self.pass_time(0.0)
            case "POST", "start" if machine.state == "stopping":
                return httpx.Response(
                    412, json={"error": "unable to start machine from current state: 'stopping'"}
                )
            case "POST", "start":
                machine.state, machine.started = "started", self.seconds
            case "POST", "cordon" | "uncordon":
                machine.cordoned = found["what"] == "cordon"
            case "DELETE", None:
                machine.state = "destroyed"
            case _:
                raise AssertionError(f"{request.method} {request.url.path}")
        return httpx.Response(200, json={"ok": True})

    def _create(self, body: dict[str, Any]) -> _Machine:
        self._numbers += 1
        made = self.make(f"one{self._numbers}", "fly_app_release_command", "started", "")
        made.config = body["config"]
        made.group = made.config["metadata"]["fly_process_group"]
        made.started = self.seconds
        made.task = self.tasks.pop(0) if len(self.tasks) > 1 else (self.tasks or [Task()])[0]
        self.logs[made.id] = list(made.task.says)
        return made

    def _lease(self, machine: _Machine, nonce: str, body: dict[str, Any], ttl: int) -> httpx.Response:
        if machine.lease and machine.leased_until > self.seconds and machine.lease != nonce:
            return httpx.Response(409, json={"error": f"machine ID {machine.id} lease currently held by ci"})
        if not (machine.lease and machine.lease == nonce and machine.leased_until > self.seconds):
            self._numbers += 1
            machine.lease = f"n{self._numbers}"
        # On a clock that only pauses move, nobody keeps a lease in between.
        machine.leased_until = self.seconds + (ttl if self.short_leases else 10_000)
        return httpx.Response(
            201, json={"data": {"nonce": machine.lease, "version": self._instance(machine), "expires_at": 0}}
        )

    short_leases = False
    lingers = False
    """Whether a one-off machine stays, stopped, when its process has ended."""
    stop_takes = 0.0
    """Seconds from the call to `stopped`."""

    def _holder(self, machine: _Machine) -> httpx.Response:
        if not machine.lease or machine.leased_until <= self.seconds:
            return httpx.Response(404, json={"error": "lease not found"})
        return httpx.Response(200, json={"data": {"owner": "ci@x", "description": "", "expires_at": 1}})

    def let_leases_run_out(self) -> None:
        """What half a minute does to leases whose owner has died."""
        for machine in self.machines.values():
            machine.lease = ""

    def _instance(self, machine: _Machine) -> str:
        return ulid(NOW + timedelta(seconds=machine.version))

    def _shown(self, machine: _Machine) -> dict[str, Any]:
        return {
            "id": machine.id,
            "state": machine.state,
            "region": "fra",
            "instance_id": self._instance(machine),
            "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            "config": machine.config,
            "events": machine.events,
            "host_status": "ok",
        }
