"""What every role does: wait until booted, end when told to or when the sandbox is gone."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from sandbox.chatwoot.log import Log


def end_with_parent() -> None:
    """End this process at once when the other end of its standard input is closed: nobody is left to stop it."""

    def watch() -> None:
        while os.read(0, 64):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def end_on_signal(log: Log) -> None:
    """Answer SIGINT and SIGTERM as Puma and Sidekiq do: say goodbye and exit with 0."""

    def leave(number: int, frame: FrameType | None) -> None:
        log(f"- Gracefully stopping ({signal.Signals(number).name})")
        os._exit(0)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)


@contextmanager
def boot(env: Mapping[str, str]) -> Iterator[None]:
    """Take the time that loading Chatwoot takes, with what is done inside: our own libraries are loaded there."""
    booted = time.monotonic() + float(env.get("SANDBOX_BOOT_SECONDS") or 1.0)
    yield
    time.sleep(max(0.0, booted - time.monotonic()))
