"""One Postgres cluster: made with `initdb`, started as a child, stopped. TCP on 127.0.0.1 only, SCRAM passwords.

Run as root, the cluster belongs to an unprivileged account, because Postgres insists."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.ports import is_free
from sandbox.services import binaries, contrib
from sandbox.services.endpoints import Endpoints, ServiceError

STOP_SIGNAL = signal.SIGINT
"""Postgres' "fast" shutdown: clients are sent away, the data is written."""

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0

_SETTINGS = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
# Two dozen machines and whoever tests a connection; a pooler's limits are tested with a pooler.
max_connections = 200
shared_buffers = '16MB'
# Nothing here is worth a disk's patience: a lost cluster is made anew.
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = '64MB'
autovacuum = off
jit = off
max_logical_replication_workers = 0
# A statement may hold a password, so none is logged, not even one that failed.
log_statement = 'none'
log_min_error_statement = 'panic'
log_line_prefix = '%m %u@%d '
lc_messages = 'C'
timezone = 'UTC'
"""
_ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"


class Postgres:
    """The cluster in `directory`/postgres, logging to `log`."""

    def __init__(self, directory: Path, endpoints: Endpoints, log: Path) -> None:
        self._data = directory / "postgres" / "data"
        self._endpoints = endpoints
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, started: Callable[[int], None]) -> None:
        """Start the server, making the cluster first if there is none; returns when it accepts connections.

        Args:
            started: told the pid as soon as there is a process, before it is ready.
        Raises:
            ServiceError: it did not come up; says why, by its log.
        """
        account = binaries.owner()
        programs = binaries.postgres_bin()
        if account:
            programs = binaries.reachable_by(account, programs)
        self._end_leftover()
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster(programs, account)
        port = self._endpoints.postgres_port
        if not is_free(port):
            raise ServiceError(
                f"port {port}, which this sandbox keeps for its Postgres, is taken by another program. End that "
                "program, or remove the sandbox's folder and bring it up anew."
            )
        extensions: list[str] = []
        if self._version() >= contrib.SINCE:
            contrib.write(self._data)
            extensions = contrib.options(self._data, others=account is not None)
        begin = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log, self._as(account) as (data, options):
            self._process = subprocess.Popen(
                [programs / "postgres", "-D", data, *extensions],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )
        started(self._process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServiceError(
                    f"Postgres did not start. Its log ({self._log}) ends with:\n{self._tail(begin)}"
                )
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server and wait for its end; kills it if it takes longer than 10 s. Safe to repeat."""
        if self._process is None:
            return
        for number, patience in ((STOP_SIGNAL, _STOP_SECONDS), (signal.SIGQUIT, 2.0), (signal.SIGKILL, None)):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        self._process = None

    def _make_cluster(self, programs: Path, account: binaries.Owner | None) -> None:
        import shutil

        shutil.rmtree(self._data, ignore_errors=True)  # what an interrupted initdb left
        self._data.mkdir(mode=0o700, parents=True)
        password = self._data.parent / "superuser"
        password.touch(mode=0o600)
        try:
            password.write_text(self._endpoints.superuser.password)
            descriptor = os.open(password, os.O_RDONLY)
            try:
                with self._as(account) as (data, options):
                    # Handed over as an open file: the account may not be able to walk to its path.
                    options["pass_fds"] = (*options["pass_fds"], descriptor)
                    if account:
                        os.chown(password, account.uid, account.gid)
                    done = subprocess.run(
                        [
                            *(programs / "initdb", "-D", data, "-U", self._endpoints.superuser.role),
                            f"--pwfile=/dev/fd/{descriptor}",
                            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                            *("--no-sync", "--no-instructions"),
                        ],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                        errors="replace",
                        **options,
                    )
            finally:
                os.close(descriptor)
        finally:
            password.unlink()
        if done.returncode:
            raise ServiceError(
                f"initdb could not make a Postgres cluster in {self._data}:\n{done.stdout.strip()}"
            )
        settings = _SETTINGS.format(host=self._endpoints.postgres_host, port=self._endpoints.postgres_port)
        if self._version() >= 18:
            settings += "io_method = 'sync'\n"  # three processes fewer
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(settings)
        (self._data / "pg_hba.conf").write_text(_ACCESS)

    @contextmanager
    def _as(self, account: binaries.Owner | None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The data folder's path and the process options for a child that runs as `account`."""
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        if account is None:
            yield str(self._data), {"env": environment, "cwd": "/", "pass_fds": ()}
            return
        if not Path("/proc/self/fd").is_dir():
            raise ServiceError(
                "as root, the sandbox's Postgres needs /proc. Run the sandbox as an ordinary user."
            )
        os.chown(self._data, account.uid, account.gid)
        descriptor = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # By descriptor, not by path: the folders above (DIR, /root) admit root alone, and stay so.
            yield (
                f"/proc/self/fd/{descriptor}",
                {
                    "env": environment,
                    "cwd": "/",
                    "pass_fds": (descriptor,),
                    "user": account.uid,
                    "group": account.gid,
                    "extra_groups": [],
                },
            )
        finally:
            os.close(descriptor)

    def _version(self) -> int:
        """The cluster's major version."""
        return int((self._data / "PG_VERSION").read_text())

    def _ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        assert self._process is not None
        return len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def _end_leftover(self) -> None:
        """End a server that outlived its sandbox and its watchdog; it would hold the data and the port."""
        import psutil

        try:
            process = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
            leftover = process.name() == "postgres" and any(
                c.laddr.port == self._endpoints.postgres_port for c in process.net_connections("tcp")
            )
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if leftover:
            process.send_signal(STOP_SIGNAL)
            deadline = time.monotonic() + _STOP_SECONDS
            while not is_free(self._endpoints.postgres_port) and time.monotonic() < deadline:
                time.sleep(0.01)

    def _tail(self, begin: int) -> str:
        with self._log.open("rb") as file:
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-8:])
