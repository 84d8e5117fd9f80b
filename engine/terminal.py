"""What set-up says: one line a step, and a live line for what takes minutes.

On a terminal the live line is rewritten every second; elsewhere (CI logs) a new line comes every 15 s.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

PLAIN_INTERVAL_SECONDS = 15.0
LIVE_INTERVAL_SECONDS = 1.0


class SetupError(Exception):
    """Set-up cannot go on; the message says what happened and what to install or do."""


def say(text: str) -> None:
    print(text, flush=True)


def elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Shows that a long step is alive: how long it has taken and what it does now.

    Use as a context manager; set `doing` from any thread.
    """

    def __init__(
        self, title: str, out: TextIO | None = None, plain_interval: float = PLAIN_INTERVAL_SECONDS
    ) -> None:
        self.title = title
        self.doing = ""
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._interval = LIVE_INTERVAL_SECONDS if self._live else plain_interval
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._live:
            self._out.write("\r\x1b[K")
        if error is None:
            self._out.write(f"  {self.title}: done in {elapsed(self.seconds)}\n")
        self._out.flush()

    def _tick(self) -> None:
        while not self._ended.wait(self._interval):
            line = f"  {self.title}: {elapsed(self.seconds)}" + (f", {self.doing}" if self.doing else "")
            if self._live:
                width = shutil.get_terminal_size().columns - 1
                self._out.write(f"\r\x1b[K{line[:width]}")
            else:
                self._out.write(f"{line}\n")
            self._out.flush()
