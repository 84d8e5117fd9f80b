"""Child processes of the host: started in a group of their own, so that they can be stopped whole and quietly.

The engine ends a host with SIGINT to the host's process group. A Python program in that group would answer with a
KeyboardInterrupt traceback in the middle of the diagnostics; in its own group it hears SIGTERM from the host alone.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from engine.language_host.handover import Handover, NotWarm, hand_over

GRACE_SECONDS = 2.0
"""How long a child may take to end by itself. The engine kills the host 5 s after its SIGINT."""

Stream = Literal["stdout", "stderr"]

_running: set[Child] = set()
_running_lock = threading.Lock()


@dataclass(frozen=True)
class PythonRun:
    """A run of Python: a script with its arguments, or with `module` the module of that name with them."""

    executable: str
    argv: Sequence[str]
    module: str = ""

    def cold(self) -> list[str]:
        """The command line that starts it anew."""
        what = ["-m", self.module, *self.argv[1:]] if self.module else list(self.argv)
        return [self.executable, "-u", *what]


class _Process(Protocol):
    @property
    def pid(self) -> int: ...

    def wait(self) -> int: ...


class Child:
    """A running process and everything that it starts."""

    def __init__(
        self, run: PythonRun, *, engine: int, cwd: str, env: Mapping[str, str], capture: bool = False
    ) -> None:
        """Start `run` for the engine process `engine`, warm if it can be. Its output goes to the host's own stdout and
        stderr, which the engine shows, or with `capture` to `output`. Raises `OSError` if it cannot be started."""
        with Path(os.devnull).open("rb") as nothing:
            self._output = [os.pipe(), os.pipe()] if capture else []
            streams = (
                (nothing.fileno(), *(write for _, write in self._output))
                if capture
                else (nothing.fileno(), 1, 2)
            )
            try:
                self._process = _start(run, engine, cwd, env, streams)
            finally:
                for _, write in self._output:
                    os.close(write)
        self.pid = self._process.pid
        self._code: int | None = None
        self._ended = threading.Event()
        with _running_lock:
            _running.add(self)
        threading.Thread(target=self._reap, daemon=True).start()

    def wait(self) -> int:
        """The exit code; negative for a signal, as in `subprocess`."""
        self._ended.wait()
        assert self._code is not None
        return self._code

    def output(self) -> Iterator[tuple[Stream, bytes]]:
        """What the child writes, as it writes it, until both of its streams end."""
        chunks: queue.SimpleQueue[tuple[Stream, bytes]] = queue.SimpleQueue()

        def pump(name: Stream, stream: int) -> None:
            while chunk := os.read(stream, 65536):
                chunks.put((name, chunk))
            os.close(stream)
            chunks.put((name, b""))

        names: tuple[Stream, Stream] = ("stdout", "stderr")
        for name, (read, _) in zip(names, self._output, strict=True):
            threading.Thread(target=pump, args=(name, read), daemon=True).start()
        ended = 0
        while ended < 2:
            name, chunk = chunks.get()
            if chunk:
                yield name, chunk
            else:
                ended += 1

    def stop(self) -> None:
        """End the process and its group: SIGTERM, then SIGKILL to what is left after `GRACE_SECONDS`. Does nothing
        once the process has ended by itself."""
        if self._ended.is_set():
            return
        self._signal(signal.SIGTERM)
        self._ended.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)

    def stop_soon(self) -> None:
        """`stop`, without making the caller wait for it."""
        if not self._ended.is_set():
            threading.Thread(target=self.stop, daemon=True).start()

    def _reap(self) -> None:
        self._code = self._process.wait()
        with _running_lock:
            _running.discard(self)
        self._ended.set()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _start(run: PythonRun, engine: int, cwd: str, env: Mapping[str, str], streams: Sequence[int]) -> _Process:
    try:
        taken: Handover = hand_over(
            engine=engine,
            executable=run.executable,
            module=run.module,
            argv=run.argv,
            cwd=cwd,
            environment=env,
            streams=streams,
            group=0,
        )
        return taken
    except NotWarm:
        stdin, stdout, stderr = streams
        return subprocess.Popen(
            run.cold(), cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, process_group=0
        )


def stop_all() -> None:
    """Stop every child that still runs, all at once; called when the host itself ends."""
    with _running_lock:
        children = list(_running)
    threads = [threading.Thread(target=child.stop, daemon=True) for child in children]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GRACE_SECONDS + 1)
