"""The front of the sandbox's apps: one local port an app, behind it the machines that may have requests.

Like Fly's proxy it picks a machine for each request, tries another if one does not answer, and says 503 when there is
none."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

NO_MACHINE = (503, "Service Unavailable", "No machine of this app is started and passes its health checks.\n")
BAD_GATEWAY = (502, "Bad Gateway", "The machines of this app did not answer.\n")
BAD_REQUEST = (400, "Bad Request", "This is not an HTTP request.\n")

_HEAD_LIMIT = 65_536
_HEAD_SECONDS = 60.0
_CONNECT_SECONDS = 5.0
_HOP = (b"connection:", b"keep-alive:", b"proxy-connection:")


class Edge:
    """Opens and closes the apps' ports; `targets` gives the local ports of the machines that may be asked."""

    def __init__(self, targets: Callable[[str], Sequence[int]]) -> None:
        self._targets = targets
        self._servers: dict[str, tuple[int, asyncio.Server]] = {}
        self._turns: dict[str, int] = {}
        self._conversations: set[asyncio.Task[None]] = set()

    async def open(self, app: str, port: int) -> None:
        """Listen on 127.0.0.1:`port` for the app. OSError if the port is taken. Safe to repeat."""
        if app in self._servers:
            if self._servers[app][0] == port:
                return
            await self.shut(app)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._conversations.add(task)
            try:
                await self._converse(app, reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                pass  # one of the two has gone
            finally:
                await _hang_up(writer)
                self._conversations.discard(task)

        server = await asyncio.start_server(serve, "127.0.0.1", port, limit=_HEAD_LIMIT)
        self._servers[app] = (port, server)

    async def shut(self, app: str) -> None:
        """Stop listening for one app."""
        _, server = self._servers.pop(app, (0, None))
        if server is not None:
            server.close()

    async def close(self) -> None:
        """Stop listening, and break off what is under way."""
        for app in list(self._servers):
            await self.shut(app)
        for task in list(self._conversations):
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _converse(self, app: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
        except asyncio.LimitOverrunError:
            await _say(writer, BAD_REQUEST)
            return
        lines = head[:-4].split(b"\r\n")
        if len(lines[0].split(b" ")) != 3:
            await _say(writer, BAD_REQUEST)
            return
        targets = self._in_turn(app)
        if not targets:
            await _say(writer, NO_MACHINE)
            return
        for port in targets:
            try:
                machine = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), _CONNECT_SECONDS)
            except (OSError, TimeoutError):
                continue
            break
        else:
            await _say(writer, BAD_GATEWAY)
            return
        machine_reader, machine_writer = machine
        try:
            # One request a connection: the next one may have to go to another machine.
            kept = [line for line in lines[1:] if not line.lower().startswith(_HOP)]
            added = [b"Connection: close", b"X-Forwarded-For: 127.0.0.1", b"Fly-Client-IP: 127.0.0.1"]
            if not any(line.lower().startswith(b"x-forwarded-proto:") for line in kept):
                added.append(b"X-Forwarded-Proto: http")
            machine_writer.write(b"\r\n".join([lines[0], *kept, *added]) + b"\r\n\r\n")
            sending = asyncio.ensure_future(_pour(reader, machine_writer))
            try:
                answered = await _pour(machine_reader, writer)
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await sending
            if not answered:
                await _say(writer, BAD_GATEWAY)
        finally:
            await _hang_up(machine_writer)

    def _in_turn(self, app: str) -> list[int]:
        """The app's targets, beginning with another one each time."""
        targets = list(self._targets(app))
        if not targets:
            return []
        turn = self._turns[app] = (self._turns.get(app, -1) + 1) % len(targets)
        return targets[turn:] + targets[:turn]


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> int:
    """Copy until the source ends; the number of bytes."""
    count = 0
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
        count += len(data)
    return count


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close, and wait until it is closed: a loop that ends before would leave the socket to the garbage collector."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _say(writer: asyncio.StreamWriter, answer: tuple[int, str, str]) -> None:
    status, reason, body = answer
    writer.write(
        f"HTTP/1.1 {status} {reason}\r\nserver: Fly/sandbox\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()
    )
    await writer.drain()
