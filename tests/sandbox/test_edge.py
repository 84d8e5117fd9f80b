"""The front of an app: a machine for each request, another if one does not answer, 503 if there is none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from sandbox.edge import Edge
from sandbox.ports import free_port


class Machine:
    """An HTTP server that answers with its name and what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.heads: list[str] = []
        self.mute = False
        self._conversations: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            if not self.mute:
                await self._answer(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()
            self._conversations.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        lengths = [int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line]
        body = await reader.readexactly(lengths[0]) if lengths else b""
        content = self.name.encode() + b":" + body
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(content))
        writer.write(content)
        await writer.drain()

    async def ended(self) -> None:
        await asyncio.gather(*self._conversations)


@asynccontextmanager
async def machine(name: str) -> AsyncIterator[Machine]:
    found = Machine(name)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await found.ended()


def through(work: Callable[[httpx.AsyncClient, list[int]], Awaitable[None]]) -> None:
    """Run `work` with a client of an app's front, and the list of its targets."""

    async def run() -> None:
        targets: list[int] = []
        edge = Edge(lambda app: targets if app == "shop" else [])
        port = free_port()
        await edge.open("shop", port)
        await edge.open("shop", port)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as client:
                await work(client, targets)
        finally:
            await edge.close()

    asyncio.run(run())


def test_without_a_machine_it_says_503() -> None:
    async def work(client: httpx.AsyncClient, targets: list[int]) -> None:
        answer = await client.get("/api")
        assert answer.status_code == 503
        assert "No machine of this app" in answer.text

    through(work)


def test_machines_take_turns() -> None:
    async def work(client: httpx.AsyncClient, targets: list[int]) -> None:
        async with machine("a") as a, machine("b") as b:
            targets[:] = [a.port, b.port]
            answers = [(await client.get("/")).text for _ in range(4)]
            assert sorted(answers) == ["a:", "a:", "b:", "b:"]
            targets[:] = [b.port]
            assert (await client.get("/")).text == "b:"

    through(work)


def test_a_machine_that_does_not_answer_is_passed_over() -> None:
    async def work(client: httpx.AsyncClient, targets: list[int]) -> None:
        async with machine("alive") as alive:
            targets[:] = [free_port(), alive.port]
            assert [(await client.get("/")).text for _ in range(4)] == ["alive:"] * 4
        targets[:] = [free_port()]
        assert (await client.get("/")).status_code == 502

    through(work)


def test_a_machine_that_hangs_up_gives_502() -> None:
    async def work(client: httpx.AsyncClient, targets: list[int]) -> None:
        async with machine("mute") as mute:
            mute.mute = True
            targets[:] = [mute.port]
            assert (await client.get("/")).status_code == 502

    through(work)


def test_bodies_go_through_whole_and_headers_are_completed() -> None:
    async def work(client: httpx.AsyncClient, targets: list[int]) -> None:
        async with machine("a") as a:
            targets[:] = [a.port]
            body = b"x" * 3_000_000
            answer = await client.post("/upload?x=1", content=body, headers={"X-Own": "kept"})
            assert answer.content == b"a:" + body
            head = a.heads[0].lower()
            assert head.startswith("post /upload?x=1 http/1.1\r\n")
            assert f"\r\nhost: {client.base_url.host}:{client.base_url.port}\r\n" in head
            assert "\r\nx-own: kept\r\n" in head
            assert "\r\nx-forwarded-for: 127.0.0.1\r\n" in head
            assert "\r\nx-forwarded-proto: http\r\n" in head
            assert head.count("\r\nconnection:") == 1

    through(work)


def test_what_is_no_request_is_refused() -> None:
    async def run() -> bytes:
        edge = Edge(lambda app: [])
        port = free_port()
        await edge.open("shop", port)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer
        finally:
            await edge.close()

    assert asyncio.run(run()).startswith(b"HTTP/1.1 400 ")


def test_a_shut_app_is_not_listened_for() -> None:
    async def run() -> None:
        edge = Edge(lambda app: [])
        port = free_port()
        await edge.open("shop", port)
        await edge.shut("shop")
        await edge.shut("shop")
        async with httpx.AsyncClient() as client:
            try:
                await client.get(f"http://127.0.0.1:{port}/")
            except httpx.ConnectError:
                return
        raise AssertionError("it still listens")

    asyncio.run(run())
