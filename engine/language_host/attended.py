"""Processes that end with their engine, even with one that was killed and could tell nobody.

The engine holds the other end of each plugin's stdin and never writes to it; when the engine is gone, stdin ends.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable


def when_the_engine_is_gone(act: Callable[[], None]) -> None:
    """Call `act`, in a thread of its own, once stdin ends. Does nothing where stdin is not the engine's pipe."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def watch() -> None:
        while os.read(0, 4096):
            pass
        act()

    threading.Thread(target=watch, daemon=True).start()
