"""Handing a Python run over to the warm interpreter: the client's side, and what both sides agree on.

Kept to a handful of C modules: each command starts a front process four times, and every import counts. `warm` is the
other side and says what a warm interpreter is.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import sys

TYPE_CHECKING = False  # as in typing, which takes longer to import than all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

SWITCH = "HOTDASH_WARM_PYTHON"
"""An environment variable; `off` makes every process start cold."""

LISTENER = 9
"""The file descriptor at which a warm interpreter finds the socket that it serves."""

CONNECT_SECONDS = 5.0
_READ_AT_START = ("PYTHON", "LD_", "TRACEPARENT", "PULUMI_OTEL_", "GRPC_")


class NotWarm(Exception):
    """There is no warm interpreter for this run; start a cold one."""


def possible(environment: Mapping[str, str]) -> bool:
    """Whether there can be one: it needs process handles, so Linux, to end when its engine does."""
    return (
        hasattr(os, "pidfd_open") and environment.get(SWITCH) != "off" and "PYTHONSAFEPATH" not in environment
    )


def folder() -> str:
    """Where the sockets are: a folder that only this user can enter."""
    return f"{os.environ.get('TMPDIR') or '/tmp'}/pulumi-warm-python-{os.geteuid()}"


def address(engine: int) -> str:
    """The socket of the warm interpreter of the engine with this process id; its start time tells it from an earlier
    process with the same id. Raises `NotWarm` if that process is no engine: where the engine was killed, its children
    see another parent, and a warm interpreter must not live as long as that one."""
    try:
        with open(f"/proc/{engine}/stat", "rb") as file:  # noqa: PTH123 (pathlib takes longer than all the rest)
            name, _, fields = file.read().rpartition(b")")
    except OSError:
        name, fields = b"", b""
    if not name.endswith(b"(pulumi"):
        raise NotWarm("the engine is not there")
    started = fields.split()[19].decode()
    return f"{folder()}/{engine}-{started}"


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter and its first imports read from the environment: runs that differ here cannot share one."""
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}


def peer(connection: _socket.socket) -> int:
    """The user on the other side of a Unix socket."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder)


def warm_up(engine: int, environment: Mapping[str, str]) -> None:
    """Start a warm interpreter for the engine process `engine`, with this process's own Python, unless it has one.
    It can be connected to at once, and answers when it is warm. Does nothing where there can be none."""
    if not possible(environment):
        return
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "warm.py")  # noqa: PTH100, PTH118, PTH120
    try:
        listener = _listen(address(engine))
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-u", script, str(engine)],
            environment,
            file_actions=[
                # It must not hold the pipes of the host that starts it: the engine waits for their end.
                *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, listener.fileno(), LISTENER),
            ],
            setpgroup=0,
        )
    except (OSError, NotWarm):
        return


def _listen(place: str) -> _socket.socket:
    """Raises `OSError` if someone listens there already, or if the folder is not only this user's."""
    try:  # noqa: SIM105 (contextlib takes longer than all the rest)
        os.mkdir(folder(), 0o700)  # noqa: PTH102
    except FileExistsError:
        pass
    status = os.lstat(folder())
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder()} is not only this user's")
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    listener.bind(place)
    listener.listen(16)
    return listener


class Handover:
    """A run that the warm interpreter has taken."""

    def __init__(self, connection: _socket.socket, pid: int) -> None:
        self.pid = pid
        self._connection = connection

    def wait(self, seconds: float | None = None) -> int:
        """The exit code, negative for a signal. Raises `TimeoutError` after `seconds`."""
        self._connection.settimeout(seconds)
        # No answer: the warm interpreter has ended, which it does only with the engine, taking its runs along.
        return int(self._connection.recv(64) or -9)


def hand_over(
    *,
    engine: int,
    executable: str,
    module: str,
    argv: Sequence[str],
    cwd: str,
    environment: Mapping[str, str],
    streams: Sequence[int],
    group: int,
) -> Handover:
    """Let the warm interpreter run `argv` in a fork of itself: a script, or with `module` the module of that name.

    `executable` is the Python that is meant; `streams` become stdin, stdout and stderr; `group` is the process group
    to join, or 0 for one of its own. Raises `NotWarm`."""
    if not possible(environment):
        raise NotWarm("switched off, or not possible here")
    request = marshal.dumps(
        {
            "executable": executable,
            "module": module,
            "argv": list(argv),
            "cwd": cwd,
            "environment": dict(environment),
            "group": group,
        }
    )
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(address(engine))
        if peer(connection) != os.geteuid():
            raise NotWarm("the socket belongs to someone else")
        numbers = b"".join(stream.to_bytes(4, sys.byteorder) for stream in streams)
        connection.sendmsg(
            [len(request).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)]
        )
        connection.sendall(request)
        answer = connection.recv(64)
    except OSError as error:
        raise NotWarm(str(error)) from None
    if not answer.isdigit():
        raise NotWarm(answer.decode() or "it has ended")
    return Handover(connection, int(answer))


def stand_in_front(script: str, arguments: Sequence[str]) -> NoReturn:
    """Let the warm interpreter run `script` in this process's place, its process group and with its streams; end as it
    ends. Raises `NotWarm`."""
    # Until then an engine that changes its mind ends this at once, without a traceback.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    run = hand_over(
        engine=os.getppid(),
        executable=sys.executable,
        module="",
        argv=[script, *arguments],
        cwd=os.getcwd(),  # noqa: PTH109
        environment=os.environ,
        streams=(0, 1, 2),
        group=os.getpgrp(),
    )
    # The run is in the same process group: it hears what the engine sends, and this waits for its end.
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    os._exit(run.wait() & 0xFF)
