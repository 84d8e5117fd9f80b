"""Health checks: read from machine configs as Fly writes them, run, and told of when they change."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sandbox.checks import Checker, CheckSpec, run, specs_from_config
from sandbox.host import CheckResult, check_names
from sandbox.ports import free_port

CONFIG: dict[str, Any] = {
    "services": [
        {
            "internal_port": 3000,
            "checks": [
                {
                    "type": "http",
                    "path": "/api",
                    "interval": "15s",
                    "timeout": 10_000_000_000,
                    "grace_period": "1m30s",
                },
                {"type": "tcp", "port": 3001},
            ],
        }
    ],
    "checks": {
        "deep": {
            "type": "http",
            "port": 3000,
            "method": "head",
            "path": "/health",
            "protocol": "https",
            "headers": [{"name": "X-Forwarded-Proto", "values": ["https", "again"]}],
        }
    },
}


class Target:
    """An HTTP server that answers what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.body = "fine"
        self.delay = 0.0
        self.asked: list[str] = []
        self.port = 0
        self.conversations: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.conversations.add(task)
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await asyncio.sleep(self.delay)
            writer.write(
                f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\n\r\n{self.body}".encode()
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.conversations.discard(task)


@asynccontextmanager
async def target() -> AsyncIterator[Target]:
    found = Target()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in found.conversations:
            task.cancel()
        await asyncio.gather(*found.conversations, return_exceptions=True)


def http(**changes: Any) -> CheckSpec:
    fields: dict[str, Any] = {"interval_s": 0.05, "timeout_s": 1.0, "grace_s": 0.0, "path": "/api", **changes}
    return CheckSpec(name="web", kind="http", port=3000, **fields)


def config(**check: Any) -> dict[str, Any]:
    asked = {
        "type": "http",
        "path": "/api",
        "interval": "50ms",
        "timeout": "1s",
        "grace_period": "0s",
        **check,
    }
    return {"services": [{"internal_port": 3000, "checks": [asked]}]}


def test_specs_carry_what_the_config_says() -> None:
    first, second, deep = specs_from_config(CONFIG)
    assert (first.name, first.path, first.interval_s, first.timeout_s, first.grace_s) == (
        *("servicecheck-00-http-3000", "/api"),
        *(15.0, 10.0, 90.0),
    )
    assert (second.name, second.kind, second.port) == ("servicecheck-01-tcp-3001", "tcp", 3001)
    assert (deep.name, deep.method, deep.protocol) == ("deep", "HEAD", "https")
    assert deep.headers == (("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "again"))
    assert tuple(spec.name for spec in specs_from_config(CONFIG)) == check_names(CONFIG)
    assert specs_from_config({}) == ()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("200 OK", "passing"),
        ("204 No Content", "passing"),
        ("301 Moved Permanently", "critical"),
        ("302 Found", "critical"),
        ("404 Not Found", "critical"),
        ("500 Internal Server Error", "critical"),
        ("503 Service Unavailable", "critical"),
    ],
)
def test_only_2xx_passes(answer: str, status: str) -> None:
    body = "" if answer.startswith("204") else "fine"

    async def work() -> tuple[str, str]:
        async with target() as server:
            server.status, server.body = answer, body
            return await run(http(), server.port)

    assert asyncio.run(work()) == (status, f'HTTP GET http://172.19.0.2:3000/api: {answer} Output: "{body}"')


def test_a_path_that_is_none_is_critical() -> None:
    assert asyncio.run(run(http(path="\n"), 1))[0] == "critical"


def test_the_host_is_the_machines_own_unless_the_check_names_one() -> None:
    async def work() -> list[str]:
        async with target() as server:
            await run(http(), server.port)
            headers = (("Host", "chat.example"), ("X-Forwarded-Proto", "https"))
            await run(http(method="HEAD", headers=headers), server.port)
            return server.asked

    plain, named = asyncio.run(work())
    assert plain.startswith("GET /api HTTP/1.1\r\nHost: 172.19.0.2:3000\r\n")
    assert named.startswith("HEAD /api HTTP/1.1\r\n")
    assert "\r\nHost: chat.example\r\n" in named
    assert "172.19.0.2" not in named
    assert "\r\nX-Forwarded-Proto: https\r\n" in named


def test_no_answer_is_critical_and_says_why() -> None:
    async def work() -> None:
        async with target() as server:
            server.delay = 5.0
            status, output = await run(http(timeout_s=0.1), server.port)
            assert status == "critical"
            assert "gave up after 0.1s" in output
            status, output = await run(http(protocol="https"), server.port)
            assert status == "critical"
            assert "server gave HTTP response to HTTPS client" in output
        for port in (None, free_port()):
            assert await run(http(), port) == (
                "critical",
                "HTTP GET http://172.19.0.2:3000/api: connect: connection refused",
            )

    asyncio.run(work())


def test_a_tcp_check_needs_a_listener() -> None:
    async def work() -> None:
        spec = CheckSpec("tcp", "tcp", 3000, 1.0, 1.0, 0.0)
        async with target() as server:
            assert await run(spec, server.port) == ("passing", "Success")
        assert await run(spec, free_port()) == (
            "critical",
            "dial tcp 172.19.0.2:3000: connect: connection refused",
        )

    asyncio.run(work())


class Changes(list[tuple[str, str, tuple[CheckResult, ...]]]):
    """What a checker told, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = asyncio.Condition()

    async def heard(self, machine: str, instance: str, results: tuple[CheckResult, ...]) -> None:
        async with self._moved:
            self.append((machine, instance, results))
            self._moved.notify_all()

    async def reach(self, count: int) -> CheckResult:
        async with self._moved:
            await asyncio.wait_for(self._moved.wait_for(lambda: len(self) >= count), 10.0)
        return self[count - 1][2][0]


def test_nothing_is_told_before_the_grace_period_is_over() -> None:
    async def work() -> None:
        changes = Changes()
        checker = Checker(changes.heard)
        async with target() as server:
            clock = asyncio.get_running_loop().time
            begun = clock()
            checker.watch("m1", "v1", config(grace_period="300ms"), server.port)
            result = await changes.reach(1)
            assert 0.3 <= clock() - begun < 2.0
            assert result.status == "passing"
            assert changes[0][:2] == ("m1", "v1")
        checker.close()

    asyncio.run(work())


def test_updated_at_moves_with_the_status_and_not_with_the_text() -> None:
    async def work() -> None:
        changes = Changes()
        checker = Checker(changes.heard)
        async with target() as server:
            checker.watch("m1", "v1", config(), server.port)
            passing = await changes.reach(1)
            server.body = "fine, at another time"
            asked = len(server.asked)
            while len(server.asked) < asked + 3:
                await asyncio.sleep(0.01)
            assert len(changes) == 1
            server.status = "500 Internal Server Error"
            failing = await changes.reach(2)
            server.status = "404 Not Found"
            worse = await changes.reach(3)
            assert (failing.status, worse.status) == ("critical", "critical")
            assert "404 Not Found" in worse.output
            assert passing.updated_at < failing.updated_at == worse.updated_at
            server.status = "200 OK"
            assert (await changes.reach(4)).updated_at > worse.updated_at
        checker.close()

    asyncio.run(work())


def test_a_forgotten_machine_is_not_asked_again() -> None:
    async def work() -> None:
        changes = Changes()
        checker = Checker(changes.heard)
        async with target() as server:
            checker.watch("m1", "v1", config(), server.port)
            await changes.reach(1)
            checker.forget("m1")
            await asyncio.sleep(0.02)
            asked = len(server.asked)
            await asyncio.sleep(0.2)
            assert len(server.asked) == asked

    asyncio.run(work())


def test_a_port_that_the_machine_does_not_serve_is_refused() -> None:
    async def work() -> None:
        changes = Changes()
        checker = Checker(changes.heard, lambda machine, port: port == 3000)
        async with target() as server:
            wrong = {"services": [{"internal_port": 8080, "checks": config()["services"][0]["checks"]}]}
            checker.watch("m1", "v1", wrong, server.port)
            result = await changes.reach(1)
            assert result.name == "servicecheck-00-http-8080"
            assert result.output.endswith("connect: connection refused")
        checker.close()

    asyncio.run(work())
