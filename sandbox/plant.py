"""The sandbox's parts, put together once: what handlers and the admin door reach for."""

import asyncio
import contextlib
import logging
import struct
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Protocol

from sandbox import ports
from sandbox.api.limits import RateLimits
from sandbox.lifecycle import Lifecycle
from sandbox.refusal import Refusal
from sandbox.requests import RequestLog
from sandbox.services import ServiceError, Services
from sandbox.state import App, Pooler, add_app, add_foreign_app
from sandbox.store import Store

log = logging.getLogger("sandbox.plant")


class AppDoor(Protocol):
    """Answers at each app's own local URL."""

    async def open(self, app: str, port: int) -> None: ...

    async def shut(self, app: str) -> None: ...

    async def close(self) -> None: ...


class NoDoor:
    """For a null host: its machines serve nothing."""

    async def open(self, app: str, port: int) -> None:
        return None

    async def shut(self, app: str) -> None:
        return None

    async def close(self) -> None:
        return None


@dataclass
class Plant:
    """`connections`: the web server's open connections, so that a fault can reset one."""

    store: Store
    lifecycle: Lifecycle
    edge: AppDoor
    port: int
    services: Services | None = None
    requests: RequestLog = field(default_factory=RequestLog)
    limits: RateLimits = field(default_factory=RateLimits)
    connections: set[Any] = field(default_factory=set)
    routes: list[tuple[str, str]] = field(default_factory=list)

    def url(self, app: App) -> str | None:
        return None if app.port is None else f"http://127.0.0.1:{app.port}"

    async def open_app(self, name: str, org: str, network: str) -> App:
        """A new app with a local URL of its own."""
        app = add_app(self.store.world, name, org, network, None)
        await self._open_door(app)
        return app

    async def reopen_doors(self) -> None:
        """The URLs of a kept state. A port that somebody took meanwhile is replaced by a free one."""
        for app in self.store.world.apps.values():
            if app.port is None:
                continue
            try:
                await self.edge.open(app.name, app.port)
            except OSError:
                taken = app.port
                await self._open_door(app)
                log.warning(
                    "port %d of %s is taken by another program; it is on %s now",
                    taken,
                    app.name,
                    self.url(app),
                )

    async def set_pooler(self, mode: str, size: int) -> None:
        """A pooler before Postgres, on the port that it had; `mode` "off": none. Refusal 503 if it cannot be had."""
        world = self.store.world
        if self.services is None:
            raise Refusal(503, "this sandbox pretends its machines, and has no Postgres")
        if mode == "off":
            await self.services.unpool()
            world.pooler = None
        else:
            wanted = Pooler(mode, size, world.pooler.port if world.pooler else ports.free_port())
            try:
                await self.services.pool(wanted.mode, wanted.size, wanted.port)
            except ServiceError as error:
                raise Refusal(503, str(error)) from error
            world.pooler = wanted
        await self.store.commit()

    async def reopen_pooler(self) -> None:
        """The pooler of a kept state. The sandbox is there without it, too."""
        pooler = self.store.world.pooler
        if pooler is not None and self.services is not None:
            try:
                await self.services.pool(pooler.mode, pooler.size, pooler.port)
            except ServiceError as error:
                log.warning("the pooler is off: %s", error)

    async def _open_door(self, app: App) -> None:
        """On the first free port above the API's."""
        taken = {other.port for other in self.store.world.apps.values()}
        for port in range(self.port + 1, 65_536):
            if port not in taken and ports.is_free(port):
                with contextlib.suppress(OSError):
                    await self.edge.open(app.name, port)
                    app.port = port
                    return
        raise Refusal(503, f"no free port above {self.port} for the URL of {app.name}")

    async def close_app(self, app: App) -> None:
        world = self.store.world
        await self.lifecycle.movement.forget(app)
        await self.edge.shut(app.name)
        world.secrets_version_floor = max(world.secrets_version_floor, app.secrets_version)
        world.apps.pop(app.name, None)

    async def reset_world(self) -> None:
        """An empty world again: tokens and the digest key stay; faults, limits and what the databases held go."""
        world = self.store.world
        for app in list(world.apps.values()):
            await self.close_app(app)
        if self.services is not None:
            await self.services.unpool()
            await self.services.restore()
        world.pooler = None
        world.faults.clear()
        world.settings = type(world.settings)()
        add_foreign_app(world)
        self.requests.clear()
        self.limits.clear()
        await self.store.commit()

    async def reset_connection(self, client: Any) -> None:
        """End the caller's connection with a TCP reset instead of an answer."""
        for connection in list(self.connections):
            if client is not None and connection.client == (client.host, client.port):
                socket = connection.transport.get_extra_info("socket")
                socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                connection.transport.abort()
        # The web server must have seen it before it is handed the answer, else it would try to write that.
        await asyncio.sleep(0.005)
