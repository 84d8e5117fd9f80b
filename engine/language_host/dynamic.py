"""A dynamic provider: the SDK's `pulumi.dynamic`, made to end with its engine, and soon after it is told to.

Left to itself it would outlive an engine that was killed, going on with the call it was in while the next command
works on the same resource; and after a second Ctrl-C it would hold the engine for as long as that call takes.
"""

import os
import runpy
import signal
import sys
import threading
from types import FrameType

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
sys.path[0] = os.path.dirname(os.path.dirname(_HERE))  # noqa: PTH120

from engine.language_host.attended import when_the_engine_is_gone  # noqa: E402

GRACE_SECONDS = 1.0
"""How long the provider may take to end after a SIGINT; the engine would wait 5 s, and then kill it."""


def main() -> None:
    """Serve until told to end."""
    when_the_engine_is_gone(lambda: os._exit(1))
    signal.signal(signal.SIGINT, _end_soon)
    # As `python -m pulumi.dynamic` would have it: the program's folder first, and nothing of ours in the way.
    sys.path[0] = os.getcwd()  # noqa: PTH109
    for name in [name for name in sys.modules if name.partition(".")[0] == "engine"]:
        del sys.modules[name]
    try:
        runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(130)


def _end_soon(number: int, frame: FrameType | None) -> None:
    ending = threading.Timer(GRACE_SECONDS, os._exit, (130,))
    ending.daemon = True
    ending.start()
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
