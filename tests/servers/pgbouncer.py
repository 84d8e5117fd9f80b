"""A real PgBouncer before a Postgres, in one mode."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.ports import free_port
from sandbox.services import binaries
from tests.servers.tls import Certificates

POOL_SIZE = 8
_SETTINGS = """\
[databases]
* = host=127.0.0.1 port={upstream}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = {clients}
stats_users = {stats}
logfile = {log}
{more}
"""
_TLS = """\
client_tls_sslmode = {mode}
client_tls_cert_file = {certificate}
client_tls_key_file = {key}
"""


@contextlib.contextmanager
def pgbouncer(
    upstream: int,
    mode: str,
    users: Mapping[str, str],
    *,
    clients: int = 40,
    stats: str = "",
    tls: str = "",
    certificates: Certificates | None = None,
) -> Iterator[int]:
    """Its port.

    Args:
        upstream: Postgres' port.
        mode: session, transaction or statement.
        users: passwords by role, of clients and towards Postgres alike.
        clients: the most that it takes.
        stats: the role that may ask it about itself.
        tls: what it does with clients' TLS, in its own words: prefer, require, …; with certificates.
    """
    # Not in pytest's own folder: that admits root alone, and PgBouncer does not run as root.
    with tempfile.TemporaryDirectory(prefix="hotdash-pgbouncer-") as place:
        directory, port, account = Path(place), free_port(), binaries.owner()
        directory.chmod(0o755)
        log = directory / "log"
        log.touch()
        file = directory / "users"
        file.write_text("".join(f'"{role}" "{password}"\n' for role, password in users.items()))
        settings = directory / "pgbouncer.ini"
        owned, more = [file, log, settings], ""
        if certificates:
            for path in (certificates.certificate, certificates.key):
                owned.append(Path(shutil.copy(path, directory)))
            more = _TLS.format(mode=tls, certificate=owned[-2], key=owned[-1])
        settings.write_text(
            _SETTINGS.format(
                upstream=upstream,
                port=port,
                users=file,
                mode=mode,
                size=POOL_SIZE,
                clients=clients,
                stats=stats,
                log=log,
                more=more,
            )
        )
        options: dict[str, object] = {}
        if account:
            for path in owned:
                os.chown(path, account.uid, account.gid)
            options = {"user": account.uid, "group": account.gid, "extra_groups": []}
        file.chmod(0o600)
        process = subprocess.Popen(
            [binaries.pgbouncer(), "--quiet", settings],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,  # type: ignore[call-overload]
        )
        try:
            _wait(process, port, log)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert process.poll() is None, f"PgBouncer did not start:\n{log.read_text()}"
        assert time.monotonic() < deadline, "PgBouncer does not listen"
        time.sleep(0.02)
