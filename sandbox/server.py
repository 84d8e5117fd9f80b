"""The sandbox's process: `python -m sandbox.server --dir DIR [--port PORT] [--runtime process|null]`.

Puts the parts together, brings the machines of a kept state back, and serves until it is told to stop."""

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route as WebRoute

from sandbox import admin, ports, stamps, uiex
from sandbox.api import apps, leases, logs, machines, metadata, secrets
from sandbox.api.calls import Route
from sandbox.api.pipeline import Endpoint, unknown_route
from sandbox.checks import Checker
from sandbox.edge import Edge
from sandbox.graphql import door
from sandbox.host import Exit, NullChecks, NullHost
from sandbox.lifecycle import Lifecycle
from sandbox.plant import NoDoor, Plant
from sandbox.runtime import Runtime
from sandbox.services import ServiceError, Services
from sandbox.store import StateUnreadable, Store

log = logging.getLogger("sandbox.server")

DEFAULT_PORT = 4280
API_ROUTES = (
    *apps.ROUTES,
    *machines.ROUTES,
    *leases.ROUTES,
    *metadata.ROUTES,
    *secrets.ROUTES,
    *logs.ROUTES,
    *door.ROUTES,
    *uiex.ROUTES,
)


class CannotStart(Exception):
    """Why the server cannot run, for the person who started it."""


def web_app(plant: Plant) -> Starlette:
    """All routes. What none of them is, is logged as `*` and answered 404."""
    plant.routes = [(route.method, route.template) for route in API_ROUTES]
    web = [_web_route(plant, route, admin=False) for route in API_ROUTES]
    web += [_web_route(plant, route, admin=True) for route in admin.ROUTES]
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        web.append(_web_route(plant, Route(method, "/{anything:path}", unknown_route), admin=False))
    return Starlette(routes=web)


def _web_route(plant: Plant, route: Route, admin: bool) -> WebRoute:
    return WebRoute(route.template, Endpoint(plant, route, admin).__call__, methods=[route.method])


async def serve(directory: Path, port: int, runtime: str) -> None:
    """Run until a signal. CannotStart if the directory or the port is in use, or the state cannot be read."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    lock = _lock(directory)
    try:
        store = Store(directory)
    except StateUnreadable as error:
        raise CannotStart(str(error)) from error
    listening = _listen(port or store.world.port or ports.free_port())
    port = store.world.port = listening.getsockname()[1]
    plant = _assemble(store, port, runtime)
    config = uvicorn.Config(
        web_app(plant),
        log_config=None,
        access_log=False,
        server_header=False,
        # Longer than clients keep theirs, so that none sends a write into a connection that is being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    plant.connections = server.server_state.connections
    try:
        if plant.services is not None:
            await plant.services.start()
        await plant.reopen_pooler()
        await plant.reopen_doors()
        await plant.lifecycle.movement.resume()
        server.ready = lambda: _announce(plant, runtime)
        await server.serve(sockets=[listening])
    except ServiceError as error:
        raise CannotStart(str(error)) from error
    finally:
        (directory / "server.json").unlink(missing_ok=True)
        await plant.edge.close()
        await plant.lifecycle.movement.close()
        if plant.services is not None:
            await plant.services.stop()
        os.close(lock)


class _Server(uvicorn.Server):
    """uvicorn, but it tells when it is ready, and leaves signals to us: its own way ends the process before our
    machines are ended."""

    ready: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()


def _assemble(store: Store, port: int, runtime: str) -> Plant:
    if runtime == "null":
        lifecycle = Lifecycle(store, NullHost())
        lifecycle.movement.checks = NullChecks(lifecycle.movement.on_checks)
        return Plant(store, lifecycle, NoDoor(), port)

    async def on_exit(machine_id: str, instance_id: str, exit: Exit) -> None:
        await lifecycle.movement.on_exit(machine_id, instance_id, exit)

    host = Runtime(store.directory, on_exit)
    lifecycle = Lifecycle(store, host)
    lifecycle.movement.checks = Checker(lifecycle.movement.on_checks, host.serves)

    def targets(app: str) -> list[int]:
        """Local ports of the machines that may have a request now."""
        machines = store.world.apps[app].active() if app in store.world.apps else ()
        local = (host.port(machine.id) for machine in machines if lifecycle.is_routable(machine))
        return [port for port in local if port is not None]

    return Plant(store, lifecycle, Edge(targets), port, Services(store.directory))


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise CannotStart(
            f"Another sandbox runs on {directory}. Stop it with `hotdash sandbox down`, or choose another directory."
        ) from None
    return descriptor


def _listen(port: int) -> socket.socket:
    # The protocol is named, because asyncio switches Nagle's delay (40 ms an answer) off only where it is.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(512)
    except OSError:
        listening.close()
        raise CannotStart(
            f"Port {port} on 127.0.0.1 is taken. End what listens there, or choose another with --port or "
            "HOTDASH_SANDBOX_PORT."
        ) from None
    return listening


def _announce(plant: Plant, runtime: str) -> None:
    """Write server.json: whoever waits for the sandbox waits for this file."""
    body = {
        "pid": os.getpid(),
        "port": plant.port,
        "url": f"http://127.0.0.1:{plant.port}",
        "apps": {app.name: plant.url(app) for app in plant.store.world.apps.values() if app.port is not None},
        "runtime": runtime,
        "started_at": stamps.rfc3339(),
    }
    path = plant.store.directory / "server.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(body, indent=2) + "\n")
    temporary.replace(path)
    log.info("ready on %s", body["url"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.server", description="A Fly on this machine.")
    default_dir = os.environ.get("HOTDASH_SANDBOX_DIR") or Path(__file__).resolve().parent.parent / ".sandbox"
    default_port = os.environ.get("HOTDASH_SANDBOX_PORT") or str(DEFAULT_PORT)
    parser.add_argument("--dir", type=Path, default=Path(default_dir), help="where everything is kept")
    parser.add_argument(
        "--port", type=int, default=default_port, help="0: a free one, kept for the next time"
    )
    parser.add_argument(
        "--runtime", choices=("process", "null"), default="process", help="null: pretend machines"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    try:
        asyncio.run(_until_told(serve(options.dir, options.port, options.runtime)))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _until_told(serving: Coroutine[Any, Any, None]) -> None:
    """Serve; a signal that comes before the web server takes signals ends it too, and what was started by then."""
    task = asyncio.ensure_future(serving)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    sys.exit(main())
