"""Running checks side by side: within a time that holds whatever a server does, and without raising."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Final

from hotdash.preflight.outcome import Check, Outcome, Verdict

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds for a check whose turn it is. Each has its own, shorter one; this one holds where that one does not."""


def run(
    checks: Sequence[Check],
    *,
    progress: Callable[[Outcome], None] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> tuple[Outcome, ...]:
    """Run all checks at once, each in a thread; but those of one line after each other, in their order. The outcomes
    are in the order of the checks. Never raises for a check.

    Args:
        progress: told each outcome as it comes, in the calling thread.
        timeout: seconds, for each from its turn on: nobody pays for a slow one before it. A check that is not back by
            then could not tell, and is left to end by itself.
    """
    ended: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
    lines: dict[tuple[str, int], deque[int]] = defaultdict(deque)
    for number, check in enumerate(checks):
        lines[_line(check, number)].append(number)
    outcomes: dict[int, Outcome] = {}
    until: dict[int, float] = {}

    def begin(line: deque[int]) -> None:
        if line:
            number = line.popleft()
            until[number] = time.monotonic() + timeout
            # Daemons: a look-up that hangs must not keep the process from ending.
            threading.Thread(target=_run_one, args=(number, checks[number], ended), daemon=True).start()

    def end(number: int, outcome: Outcome) -> None:
        del until[number]
        outcomes[number] = outcome
        begin(lines[_line(checks[number], number)])
        if progress:
            progress(outcome)

    for line in lines.values():
        begin(line)
    while until:
        try:
            number, outcome = ended.get(timeout=max(0.0, min(until.values()) - time.monotonic()))
        except queue.Empty:
            now = time.monotonic()
            for number in [number for number, at in until.items() if at <= now]:
                end(number, _late(checks[number], timeout))
        else:
            if number in until:  # else it was given up already
                end(number, outcome)
    return tuple(outcomes[number] for number in range(len(checks)))


def _line(check: Check, number: int) -> tuple[str, int]:
    """A check that waits for none has a line of its own."""
    return (check.line, -1) if check.line else ("", number)


def _run_one(number: int, check: Check, ended: queue.SimpleQueue[tuple[int, Outcome]]) -> None:
    try:
        outcome = check.run()
    except Exception as error:
        outcome = Outcome(
            check.name,
            check.subject,
            Verdict.UNCLEAR,
            "unforeseen",
            f"the check itself failed ({type(error).__name__})",
            next="report this",
        )
    ended.put((number, outcome))


def _late(check: Check, timeout: float) -> Outcome:
    return Outcome(
        check.name,
        check.subject,
        Verdict.UNCLEAR,
        "timeout",
        f"no answer within {timeout:g} s",
        next="try again; if it lasts, see whether the server answers from anywhere",
        seconds=timeout,
    )
