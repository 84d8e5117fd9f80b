"""Starts, watches over and stops the services of one sandbox."""

import asyncio
import fcntl
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.services import endpoints as kept
from sandbox.services import postgres, watchdog
from sandbox.services.endpoints import Endpoints, ServiceError

if TYPE_CHECKING:
    from sandbox.services.pgbouncer import PgBouncer
    from sandbox.services.redis import Redis

_PREDECESSOR_SECONDS = 25.0


class Services:
    """Postgres and Redis of the sandbox in `directory`, and a pooler where one is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._postgres: postgres.Postgres | None = None
        self._redis: Redis | None = None
        self._pooler: PgBouncer | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.endpoints: Endpoints | None = None

    async def start(self) -> Endpoints:
        """Start both and return where they are; waits for the end of those that a killed sandbox left.

        Raises:
            ServiceError: one of them did not come up, or another sandbox runs in this folder. None is left running.
        """
        try:
            # The drivers' loading takes as long as Postgres' start, and is not for every process that looks in here.
            loading = asyncio.to_thread(importlib.import_module, "sandbox.services.schema")
            _, endpoints = await asyncio.gather(loading, asyncio.to_thread(self._start))
            return endpoints
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all, and wait for their end. The data stays. Safe to repeat."""
        await self.unpool()
        await asyncio.gather(
            *(asyncio.to_thread(service.stop) for service in (self._postgres, self._redis) if service)
        )
        if self._watchdog and self._watchdog.stdin:
            self._watchdog.stdin.close()
            await asyncio.to_thread(self._watchdog.wait)
        self._postgres = self._redis = self._watchdog = None

    async def pool(self, mode: str, size: int, port: int) -> None:
        """Put a PgBouncer before Postgres, in place of one that is there.

        Raises:
            ServiceError: there is none on this machine, or it did not come up. None runs then.
        """
        if self.endpoints is None:
            raise ServiceError("the sandbox's Postgres is not running")
        from sandbox.services import binaries, pgbouncer

        binaries.pgbouncer()  # before the one that is there goes
        await self.unpool()
        pooler = pgbouncer.PgBouncer(
            self._directory, self.endpoints, self._directory / "log" / "pgbouncer.log"
        )
        pids: list[int] = []

        def started(pid: int) -> None:
            pids.append(pid)
            self._watch(pid, pgbouncer.STOP_SIGNAL)

        try:
            await asyncio.to_thread(pooler.start, mode, size, port, started)
        except ServiceError:
            for pid in pids:
                self._tell_watchdog(f"- {pid}\n")
            raise
        self._pooler = pooler

    async def unpool(self) -> None:
        """Stop the pooler, if there is one. Safe to repeat."""
        pooler, self._pooler = self._pooler, None
        if pooler is not None:
            pid = pooler.pid
            await asyncio.to_thread(pooler.stop)
            if pid is not None:
                self._tell_watchdog(f"- {pid}\n")

    async def restore(self) -> None:
        """Put back what the databases hold, as it was at first; Redis is emptied.

        Raises:
            ServiceError: not running, or one of them refused.
        """
        if self.endpoints is None:
            raise ServiceError("the sandbox's Postgres and Redis are not running")
        from psycopg import Error
        from redis import RedisError

        from sandbox.services import schema

        try:
            await asyncio.to_thread(schema.restore, self.endpoints)
        except (Error, RedisError) as error:
            raise ServiceError(f"the databases could not be put back as they were: {error}") from None

    def pids(self) -> dict[str, int]:
        """The processes that run, by service."""
        services = {"postgres": self._postgres, "redis": self._redis, "pgbouncer": self._pooler}
        return {name: pid for name, service in services.items() if service and (pid := service.pid)}

    def _start(self) -> Endpoints:
        log = self._directory / "log"
        log.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._start_watchdog()
        endpoints = kept.load_or_create(self._directory)
        self._postgres = postgres.Postgres(self._directory, endpoints, log / "postgres.log")
        self._postgres.start(lambda pid: self._watch(pid, postgres.STOP_SIGNAL))
        import psycopg

        from sandbox.services import redis, schema

        self._redis = redis.Redis(self._directory, endpoints, log / "redis.log")
        self._redis.start(lambda pid: self._watch(pid, redis.STOP_SIGNAL))
        try:
            schema.prepare(endpoints)
        except psycopg.Error as error:
            raise ServiceError(
                f"the sandbox's Postgres runs, but its databases could not be made: {error}. "
                "Remove the sandbox's folder and bring it up anew."
            ) from None
        self.endpoints = endpoints
        return endpoints

    def _start_watchdog(self) -> None:
        descriptor = os.open(self._directory / "services.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + _PREDECESSOR_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServiceError(
                            f"another sandbox's services are running in {self._directory}. "
                            "Take it down first, or use another folder."
                        ) from None
                    time.sleep(0.02)
            # -S -P: it needs nothing but the standard library, and starts in 10 ms without the rest.
            self._watchdog = subprocess.Popen(
                [sys.executable, "-S", "-P", watchdog.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                pass_fds=(descriptor,),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    def _watch(self, pid: int, signal: int) -> None:
        self._tell_watchdog(f"+ {pid} {int(signal)}\n")

    def _tell_watchdog(self, order: str) -> None:
        assert self._watchdog is not None
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(order.encode())
        self._watchdog.stdin.flush()
