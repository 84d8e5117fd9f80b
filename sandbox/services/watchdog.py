"""Ends the services if the sandbox dies without doing so itself (kill -9, a lost terminal).

A program of its own, run by path with the standard library alone. It reads orders from its standard input,
`+ PID SIGNAL` to look after a process and `- PID` to stop doing so; when that pipe closes, it ends what is left.
It holds the sandbox's lock (an inherited descriptor) to the end, so that the next sandbox waits for it."""

import os
import signal
import sys
import time

PATIENCE = 10.0
"""Seconds that a process gets to end by itself."""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # A dead process whose new parent has not collected it yet counts as ended.
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 (pathlib would double this program's start time)
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not os.path.isdir("/proc/self")  # noqa: PTH112


def end(charges: dict[int, int]) -> None:
    """Send each process its signal, wait, then kill what is left."""
    for pid, number in charges.items():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + PATIENCE
    while any(map(alive, charges)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in filter(alive, charges):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    charges: dict[int, int] = {}
    for line in sys.stdin:
        order = line.split()
        if order[0] == "+":
            charges[int(order[1])] = int(order[2])
        else:
            charges.pop(int(order[1]), None)
    end(charges)


if __name__ == "__main__":
    main()
