"""One Redis server: its configuration file, start and stop. TCP on 127.0.0.1 only, with a password."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.ports import is_free
from sandbox.services import binaries
from sandbox.services.endpoints import Endpoints, ServiceError, write_private

STOP_SIGNAL = signal.SIGTERM

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0

_SETTINGS = """\
bind {host}
port {port}
requirepass {password}
dir {directory}
logfile ""
daemonize no
appendonly no
# Written when it is stopped: a queue should be there again after a restart.
save 3600 1
"""


class Redis:
    """The server whose data is in `directory`/redis, logging to `log`."""

    def __init__(self, directory: Path, endpoints: Endpoints, log: Path) -> None:
        self._directory = directory / "redis"
        self._endpoints = endpoints
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, started: Callable[[int], None]) -> None:
        """Start the server; returns when it answers.

        Args:
            started: told the pid as soon as there is a process, before it is ready.
        Raises:
            ServiceError: it did not come up.
        """
        program = binaries.redis_server()
        port = self._endpoints.redis_port
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._end_leftover()
        if not is_free(port):
            raise ServiceError(
                f"port {port}, which this sandbox keeps for its Redis, is taken by another program. End that "
                "program, or remove the sandbox's folder and bring it up anew."
            )
        settings = self._directory / "redis.conf"
        write_private(
            settings,
            _SETTINGS.format(
                host=self._endpoints.redis_host,
                port=port,
                password=self._endpoints.redis_password,
                directory=f'"{self._directory}"',
            ),
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                start_new_session=True,
            )
        started(self._process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServiceError(f"Redis did not start; see its log, {self._log}.")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server and wait for its end. Safe to repeat."""
        if self._process is None:
            return
        self._process.send_signal(STOP_SIGNAL)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _ready(self) -> bool:
        try:
            with client(self._endpoints) as session:
                return bool(session.ping())
        except redis.RedisError:
            return False

    def _end_leftover(self) -> None:
        """End a server that outlived its sandbox and its watchdog: it knows our password."""
        try:
            with client(self._endpoints) as session:
                session.ping()
                session.shutdown()
        except redis.RedisError:
            return
        deadline = time.monotonic() + _STOP_SECONDS
        while not is_free(self._endpoints.redis_port) and time.monotonic() < deadline:
            time.sleep(0.01)


def client(endpoints: Endpoints) -> redis.Redis:
    """A client that tries once: whoever asks here does so again by himself, or wants to know."""
    return redis.Redis.from_url(endpoints.redis_url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
