"""Running checks side by side: within a time that holds whatever a server does, and without raising."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from hotdash.preflight.outcome import Check, Outcome, Verdict

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds for all checks together. Each has its own, shorter one; this one holds where that one does not."""


def run(
    checks: Sequence[Check],
    *,
    progress: Callable[[Outcome], None] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> tuple[Outcome, ...]:
    """Run all checks at once, each in a thread; the outcomes in the order of the checks. Never raises for a check.

    Args:
        progress: told each outcome as it comes, in the calling thread.
        timeout: seconds. A check that is not back by then could not tell, and is left to end by itself.
    """
    ended: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
    began = time.monotonic()
    for number, check in enumerate(checks):
        # Daemons: a look-up that hangs must not keep the process from ending.
        threading.Thread(target=_run_one, args=(number, check, ended), daemon=True).start()
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < len(checks):
        try:
            number, outcome = ended.get(timeout=max(0.0, began + timeout - time.monotonic()))
        except queue.Empty:
            break
        outcomes[number] = outcome
        if progress:
            progress(outcome)
    for number, check in enumerate(checks):
        if number not in outcomes:
            outcomes[number] = _late(check, timeout)
            if progress:
                progress(outcomes[number])
    return tuple(outcomes[number] for number in range(len(checks)))


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
