"""The warm interpreter: a Python that has imported the Pulumi SDK, and forks for each run instead of starting anew.

One command of the engine starts Python at least five times (language host, again, provider, program, provider), one
after the other, and each spends 0.1 s and more on the same imports. The first language host starts this while the
engine derives the key of its state; that host, and the runs that follow, are forks of it. It belongs to one engine
process, ends with it and ends its runs with it, so nothing of a command is ever seen by the next. Where there is none,
or it does not fit the run (another virtual environment, other PYTHON… variables), a run starts cold: slower, with the
same result.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import marshal
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from engine.language_host import handover

REQUEST_SECONDS = 5.0
END_SECONDS = 4.0
"""How long forks may take to end once the engine is gone: a little longer than the language host gives its children."""


@dataclass(frozen=True)
class Run:
    """What a fork has to run; see `handover.hand_over`."""

    executable: str
    module: str
    argv: list[str]
    cwd: str
    environment: dict[str, str]
    group: int


@dataclass(frozen=True)
class Child:
    """A fork under way, and the connection of the one who waits for it."""

    pid: int
    connection: socket.socket


class WarmInterpreter:
    """Serves one engine process."""

    def __init__(self, engine: int) -> None:
        """Raises `OSError` or `handover.NotWarm` if the engine is gone."""
        self._read_at_start = handover.read_at_start(os.environ)
        self._address = handover.address(engine)
        self._engine = os.pidfd_open(engine)
        self._listener = socket.socket(fileno=handover.LISTENER)
        self._children: dict[int, Child] = {}

    def serve(self) -> Run | None:
        """Answer requests until the engine is gone; then end what still runs. In a fork this returns what to run."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._engine, selectors.EVENT_READ)
            ready.register(self._listener, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fd == self._engine:
                        self._end(ready)
                        return None
                    if key.fd in self._children:
                        ready.unregister(key.fd)
                        self._tell_end(key.fd)
                        continue
                    connection = self._listener.accept()[0]
                    try:
                        run, streams = self._read(connection)
                        pid = os.fork()
                    except (OSError, ValueError, KeyError) as error:
                        _send(connection, f"refused: {error}")
                        connection.close()
                        continue
                    if pid == 0:
                        connection.close()
                        self._leave()
                        _take_over(streams)
                        return run
                    for number in streams:
                        os.close(number)
                    # Here, before the answer: the one who gets it may signal the group at once.
                    with contextlib.suppress(OSError):
                        os.setpgid(pid, run.group or pid)
                    _send(connection, str(pid))
                    handle = os.pidfd_open(pid)
                    self._children[handle] = Child(pid, connection)
                    ready.register(handle, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> tuple[Run, list[int]]:
        """The request and the streams that came with it. Raises `ValueError` for one that does not fit."""
        connection.settimeout(REQUEST_SECONDS)
        if handover.peer(connection) != os.geteuid():
            raise ValueError("not the same user")
        length, streams, _, _ = socket.recv_fds(connection, 4, 3)
        try:
            request = b""
            while len(request) < int.from_bytes(length, "big"):
                request += connection.recv(1 << 20) or _ended()
            run = Run(**marshal.loads(request))
            if handover.read_at_start(run.environment) != self._read_at_start:
                raise ValueError("another environment")
            if not os.path.samefile(Path(run.executable).parent.parent, sys.prefix):  # noqa: PTH121
                raise ValueError("another virtual environment")
        except BaseException:
            for number in streams:
                os.close(number)
            raise
        return run, list(streams)

    def _tell_end(self, handle: int) -> None:
        child = self._children.pop(handle)
        os.close(handle)
        _, status = os.waitpid(child.pid, 0)
        _send(child.connection, str(os.waitstatus_to_exitcode(status)))
        child.connection.close()

    def _leave(self) -> None:
        """Let go, in a fork, of what belongs to the server."""
        self._listener.close()
        for handle, child in self._children.items():
            os.close(handle)
            child.connection.close()
        os.close(self._engine)

    def _end(self, ready: selectors.BaseSelector) -> None:
        """End every fork: SIGTERM, so that the language host can end its children, and SIGKILL to what is left."""
        with contextlib.suppress(OSError):
            Path(self._address).unlink()
        ready.unregister(self._engine)
        ready.unregister(self._listener)
        deadline = time.monotonic() + END_SECONDS
        for number in (signal.SIGTERM, signal.SIGKILL):
            for child in self._children.values():
                _signal(child.pid, number)
            while self._children and time.monotonic() < deadline:
                for key, _ in ready.select(0.1):
                    ready.unregister(key.fd)
                    self._tell_end(key.fd)
        _forget_the_dead(Path(self._address).parent)


def main(engine: int) -> None:
    """Be the warm interpreter of the process `engine`; in a fork, run what was asked for."""
    try:
        interpreter = WarmInterpreter(engine)
    except (OSError, handover.NotWarm):
        return
    before = dict(os.environ)
    _import_what_runs_need()
    added = {name: value for name, value in os.environ.items() if name not in before}
    gc.collect()
    gc.freeze()  # collecting these objects in a fork would only copy their pages
    # A run imports for most of its life, and what it imports stays: looking for garbage so often finds none.
    gc.set_threshold(50_000, 50, 50)
    if run := interpreter.serve():
        _end_as_python_does(lambda: _become(run, added))


def _import_what_runs_need() -> None:
    import argparse
    import asyncio
    import runpy

    import pulumi.dynamic
    import pulumi.runtime

    _ = (argparse, asyncio, runpy, pulumi.dynamic, pulumi.runtime)


def _become(run: Run, added: dict[str, str]) -> None:
    """Run it as if Python had just been started for it; `added` is what the imports put into the environment."""
    import runpy

    try:
        os.setpgid(0, run.group)
    except OSError:
        # Its group is gone: the engine has ended the process that asked for this run, so nobody waits for it.
        sys.exit(1)
    os.chdir(run.cwd)
    os.environ.clear()
    os.environ.update(added | run.environment)
    sys.executable = run.executable
    sys.argv = list(run.argv)
    for name in [name for name in sys.modules if name.partition(".")[0] == "engine"]:
        del sys.modules[name]
    if run.module:
        sys.path[0] = run.cwd
        runpy.run_module(run.module, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(run.argv[0]).resolve().parent)
        code = compile(Path(run.argv[0]).read_bytes(), run.argv[0], "exec")
        place = vars(sys.modules["__main__"])
        place.clear()
        place.update(__name__="__main__", __file__=run.argv[0], __builtins__=__builtins__)
        exec(code, place)


def _end_as_python_does(act: Callable[[], None]) -> NoReturn:
    """Call `act`; then end the process as the interpreter would, but without taking its memory apart (20 ms)."""
    code: object = 0
    try:
        act()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that the interpreter would wait for
    atexit._run_exitfuncs()
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit((code or 0) & 0xFF)


def _signal(pid: int, number: signal.Signals) -> None:
    """To the process, and to its group if it leads one."""
    with contextlib.suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _take_over(streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


def _forget_the_dead(folder: Path) -> None:
    """Remove the sockets of warm interpreters that were killed."""
    for left in folder.iterdir():
        if not Path("/proc", left.name.partition("-")[0]).exists():
            left.unlink(missing_ok=True)


def _send(connection: socket.socket, text: str) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(text.encode())


def _ended() -> bytes:
    raise ValueError("the request ended early")


if __name__ == "__main__":
    # What a fork runs takes this module's place as `__main__`; the work is done by the module of the same name.
    from engine.language_host import warm

    warm.main(int(sys.argv[1]))
