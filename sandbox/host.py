"""What the lifecycle needs of a host: to run machines and to check them. Protocols, and a null host.

The null host pretends that every machine runs and passes its checks at once: for tests of the API and for
measurements with many machines. The real one is runtime.py and checks.py."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox import stamps


@dataclass(frozen=True)
class LaunchSpec:
    """One version of a machine, as its host runs it; `env` is complete, secrets included."""

    app: str
    machine_id: str
    instance_id: str
    group: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    memory_mb: int


@dataclass(frozen=True)
class Exit:
    """How a machine's main process ended; `requested` by an order to stop."""

    exit_code: int
    signal: int | None
    oom_killed: bool
    requested: bool


@dataclass(frozen=True)
class CheckResult:
    """One check's last answer. `updated_at` moves when `status` changes, not with every run."""

    name: str
    status: str
    output: str
    updated_at: str


OnExit = Callable[[str, str, Exit], Awaitable[None]]
OnChange = Callable[[str, str, tuple[CheckResult, ...]], Awaitable[None]]


class Host(Protocol):
    """Runs machines."""

    async def launch(self, spec: LaunchSpec) -> None: ...

    async def stop(self, machine_id: str, *, signal: int = ..., timeout: float = ...) -> Exit: ...

    async def signal(self, machine_id: str, number: int) -> None: ...

    async def exec(
        self, machine_id: str, command: Sequence[str], env: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]: ...

    def port(self, machine_id: str) -> int | None: ...

    def processes(self, machine_id: str) -> list[dict[str, Any]]: ...

    def log_path(self, machine_id: str) -> Path | None: ...

    async def close(self) -> None: ...


class HealthChecks(Protocol):
    """Runs the checks of machines, by their config, and tells of every change."""

    def watch(
        self, machine_id: str, instance_id: str, config: Mapping[str, Any], port: int | None
    ) -> None: ...

    def forget(self, machine_id: str) -> None: ...


def check_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that Fly gives to the checks of a machine config: service checks first, then top-level ones."""
    names = []
    for service in config.get("services") or []:
        for index, check in enumerate(service.get("checks") or []):
            kind = check.get("type") or "tcp"
            names.append(
                f"servicecheck-{index:02d}-{kind}-{check.get('port') or service.get('internal_port')}"
            )
    names.extend((config.get("checks") or {}).keys())
    return tuple(names)


class NullHost:
    """Pretends to run machines."""

    def __init__(self) -> None:
        self.running: dict[str, LaunchSpec] = {}

    async def launch(self, spec: LaunchSpec) -> None:
        self.running[spec.machine_id] = spec

    async def stop(self, machine_id: str, *, signal: int = 2, timeout: float = 5.0) -> Exit:
        self.running.pop(machine_id, None)
        return Exit(exit_code=0, signal=None, oom_killed=False, requested=True)

    async def signal(self, machine_id: str, number: int) -> None:
        return None

    async def exec(
        self, machine_id: str, command: Sequence[str], env: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        return 0, b"", b""

    def port(self, machine_id: str) -> int | None:
        return None

    def processes(self, machine_id: str) -> list[dict[str, Any]]:
        return []

    def log_path(self, machine_id: str) -> Path | None:
        return None

    async def close(self) -> None:
        self.running.clear()


class NullChecks:
    """Pretends that every check passes at once."""

    def __init__(self, on_change: OnChange) -> None:
        self._on_change = on_change
        self._pending: set[Any] = set()

    def watch(self, machine_id: str, instance_id: str, config: Mapping[str, Any], port: int | None) -> None:
        now = stamps.rfc3339()
        results = tuple(CheckResult(name, "passing", "200 OK", now) for name in check_names(config))
        task = asyncio.ensure_future(self._on_change(machine_id, instance_id, results))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    def forget(self, machine_id: str) -> None:
        return None
