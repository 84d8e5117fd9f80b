"""A PgBouncer before the sandbox's Postgres, with a small pool: what a hosted database puts between, and what a
migration must not go through. TCP on 127.0.0.1 only, SCRAM passwords.

Run as root, it runs as Postgres' account, because it insists too."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.ports import is_free
from sandbox.services import binaries
from sandbox.services.endpoints import Endpoints, ServiceError, write_private

STOP_SIGNAL = signal.SIGTERM
"""At once: its gentler end waits for clients that a session pool never lets go."""
MODES = ("session", "transaction")

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0

_SETTINGS = """\
[databases]
* = host={host} port={upstream}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits
query_wait_timeout = 10
{more}
"""
_MORE = {
    # As Supavisor has it: a client has its connection for life, and one client too many is refused at once.
    "session": "max_client_conn = {size}",
    # Every server in its turn, as under load: a client alone would be given the same one each time, and what a
    # transaction pool breaks would not be seen to break.
    "transaction": "max_client_conn = 400\nmin_pool_size = {size}\nserver_round_robin = 1",
}


class PgBouncer:
    """The pooler whose settings are in `directory`/pgbouncer, logging to `log`."""

    def __init__(self, directory: Path, endpoints: Endpoints, log: Path) -> None:
        self._directory = directory / "pgbouncer"
        self._endpoints = endpoints
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, mode: str, size: int, port: int, started: Callable[[int], None]) -> None:
        """Start it; returns when it accepts connections.

        Args:
            started: told the pid as soon as there is a process, before it is ready.
        Raises:
            ServiceError: there is none on this machine, or it did not come up.
        """
        program, account = binaries.pgbouncer(), binaries.owner()
        if not is_free(port):
            raise ServiceError(
                f"port {port}, which this sandbox keeps for its PgBouncer, is taken by another program"
            )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # By descriptor, not by path: the folders above admit root alone, and PgBouncer does not run as root.
            place = f"/proc/self/fd/{folder}" if account else str(self._directory)
            self._write(mode, size, port, place, account)
            options: dict[str, Any] = {}
            if account:
                options = {
                    "user": account.uid,
                    "group": account.gid,
                    "extra_groups": [],
                    "pass_fds": (folder,),
                }
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [program, f"{place}/pgbouncer.ini"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                    start_new_session=True,
                    **options,
                )
        finally:
            os.close(folder)
        started(self._process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens(port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServiceError(f"PgBouncer did not start; see its log, {self._log}.")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it and wait for its end. Its clients are cut off. Safe to repeat."""
        if self._process is None:
            return
        self._process.send_signal(STOP_SIGNAL)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _write(self, mode: str, size: int, port: int, place: str, account: binaries.Owner | None) -> None:
        endpoints = self._endpoints
        accounts = (endpoints.chatwoot, endpoints.hotdash)
        users, settings = self._directory / "users", self._directory / "pgbouncer.ini"
        write_private(users, "".join(f'"{who.role}" "{who.password}"\n' for who in accounts))
        write_private(
            settings,
            _SETTINGS.format(
                host=endpoints.postgres_host,
                upstream=endpoints.postgres_port,
                port=port,
                users=f"{place}/users",
                mode=mode,
                size=size,
                more=_MORE[mode].format(size=size),
            ),
        )
        if account:
            for path in (self._directory, users, settings):
                os.chown(path, account.uid, account.gid)

    def _listens(self, port: int) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self._endpoints.postgres_host, port), 1.0),
        ):
            return True
        return False


def url(endpoints: Endpoints, port: int) -> str:
    """Chatwoot's DATABASE_URL through the pooler."""
    return endpoints.chatwoot.dsn(endpoints.postgres_host, port)
