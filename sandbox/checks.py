"""Runs the health checks of machines, by their config, and tells of every change.

A check's results are empty until its grace period is over; then it runs at once, and every interval. What a result
means for routing is the lifecycle's business."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox import stamps
from sandbox.host import CheckResult, OnChange
from sandbox.machine_config import duration_seconds
from sandbox.refusal import Refusal

INTERVAL_SECONDS = 15.0
TIMEOUT_SECONDS = 5.0
_OUTPUT_LIMIT = 300


@dataclass(frozen=True)
class CheckSpec:
    """One check as a machine config declares it; `port` is the machine's, times are in seconds."""

    name: str
    kind: str
    port: int
    interval_s: float
    timeout_s: float
    grace_s: float
    method: str = "GET"
    path: str = "/"
    protocol: str = "http"
    headers: tuple[tuple[str, str], ...] = ()


def specs_from_config(config: Mapping[str, Any]) -> tuple[CheckSpec, ...]:
    """The checks of a machine config: those of its services first, then the top-level ones, named as Fly names them."""
    specs = []
    for service in config.get("services") or []:
        for index, check in enumerate(service.get("checks") or []):
            kind = check.get("type") or "tcp"
            port = check.get("port") or service.get("internal_port")
            specs.append(_spec(f"servicecheck-{index:02d}-{kind}-{port}", check, port))
    for name, check in (config.get("checks") or {}).items():
        specs.append(_spec(name, check, check.get("port")))
    return tuple(specs)


def _spec(name: str, check: Mapping[str, Any], port: Any) -> CheckSpec:
    headers = [(h["name"], value) for h in check.get("headers") or [] for value in h.get("values") or []]
    return CheckSpec(
        name=name,
        kind=check.get("type") or "tcp",
        port=int(port or 0),
        interval_s=max(_seconds(check.get("interval"), INTERVAL_SECONDS), 0.05),
        timeout_s=max(_seconds(check.get("timeout"), TIMEOUT_SECONDS), 0.05),
        grace_s=_seconds(check.get("grace_period"), 0.0),
        method=str(check.get("method") or "GET").upper(),
        path=check.get("path") or "/",
        protocol=check.get("protocol") or "http",
        headers=tuple(headers),
    )


def _seconds(value: Any, default: float) -> float:
    if value in (None, ""):
        return default
    try:
        return duration_seconds(value)
    except Refusal:
        return default


@dataclass
class _Watched:
    """A machine under watch: its results by check, in the order of the config."""

    instance_id: str
    specs: tuple[CheckSpec, ...]
    results: dict[str, CheckResult]
    tasks: list["asyncio.Task[None]"]


class Checker:
    """Watches machines.

    Args:
        on_change: told (machine, instance, all results so far) when a status changes, or a failure's text.
        serves: whether a machine listens on a port of its own; without it, on every port.
    """

    def __init__(self, on_change: OnChange, serves: Callable[[str, int], bool] | None = None) -> None:
        self._on_change = on_change
        self._serves = serves
        self._watched: dict[str, _Watched] = {}

    def watch(self, machine_id: str, instance_id: str, config: Mapping[str, Any], port: int | None) -> None:
        """Check this version of the machine from now on, its ports being served on local `port` (None: nowhere)."""
        self.forget(machine_id)
        watched = _Watched(instance_id, specs_from_config(config), {}, [])
        self._watched[machine_id] = watched
        for spec in watched.specs:
            watched.tasks.append(asyncio.ensure_future(self._follow(machine_id, watched, spec, port)))

    def forget(self, machine_id: str) -> None:
        """Stop checking the machine."""
        watched = self._watched.pop(machine_id, None)
        for task in watched.tasks if watched else ():
            task.cancel()

    def close(self) -> None:
        """Stop checking."""
        for machine in list(self._watched):
            self.forget(machine)

    async def _follow(self, machine_id: str, watched: _Watched, spec: CheckSpec, port: int | None) -> None:
        await asyncio.sleep(spec.grace_s)
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            local = port if self._serves is None or self._serves(machine_id, spec.port) else None
            status, output = await run(spec, local)
            before = watched.results.get(spec.name)
            moved = before is None or before.status != status
            if moved or (status != "passing" and before and before.output != output):
                since = before.updated_at if before and not moved else stamps.rfc3339()
                watched.results[spec.name] = CheckResult(spec.name, status, output, since)
                ordered = tuple(watched.results[s.name] for s in watched.specs if s.name in watched.results)
                await self._on_change(machine_id, watched.instance_id, ordered)
            due = max(due + spec.interval_s, clock())
            await asyncio.sleep(due - clock())


async def run(spec: CheckSpec, port: int | None) -> tuple[str, str]:
    """Run a check once against local `port`: its status, and the text that Fly would show."""
    # With the first check, when the machines have booted, not with the server, for which all of them wait.
    import httpx

    try:
        async with asyncio.timeout(spec.timeout_s):
            if port is None:
                raise ConnectionRefusedError
            if spec.kind == "http":
                return await _http(spec, port)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            await _hang_up(writer)
            return "passing", "Success"
    except TimeoutError:
        return "critical", f"{_what(spec)}: gave up after {spec.timeout_s:g}s (context deadline exceeded)"
    except (ConnectionRefusedError, httpx.ConnectError):
        return "critical", f"{_what(spec)}: connect: connection refused"
    except (OSError, httpx.TransportError, httpx.InvalidURL):
        return "critical", f"{_what(spec)}: connection reset by peer"


async def _http(spec: CheckSpec, port: int) -> tuple[str, str]:
    if spec.protocol == "https":
        return "critical", f"{_what(spec)}: http: server gave HTTP response to HTTPS client"
    import httpx

    # As on Fly, where checks go to the machine's private address: never the app's canonical host.
    headers = httpx.Headers(
        {"Host": f"172.19.0.2:{spec.port}", "User-Agent": "Consul Health Check", "Connection": "close"}
    )
    headers.update(spec.headers)
    request = httpx.Request(spec.method, f"http://127.0.0.1:{port}{spec.path}", headers=headers)
    # The transport alone: a client would follow a redirect, and has headers of its own.
    async with httpx.AsyncHTTPTransport(verify=False) as transport:
        answer = await transport.handle_async_request(request)
        body = (await answer.aread()).decode(errors="replace")[:_OUTPUT_LIMIT].strip()
    status = "passing" if answer.is_success else "critical"
    return status, f'{_what(spec)}: {answer.status_code} {answer.reason_phrase} Output: "{body}"'


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _what(spec: CheckSpec) -> str:
    if spec.kind == "http":
        return f"HTTP {spec.method} {spec.protocol}://172.19.0.2:{spec.port}{spec.path}"
    return f"dial tcp 172.19.0.2:{spec.port}"
