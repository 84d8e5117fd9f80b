"""The making of a check: what it notes, how it ends early, and how its words are made fit to be shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hotdash.preflight.outcome import PROVED_CODE, Check, Outcome, Verdict
from hotdash.said import shown

T = TypeVar("T")

LONGEST: Final = 300
"""Characters of one quotation of a server."""
_SHORTEST_SECRET: Final = 4
"""Characters. Shorter ones occur in any text by chance, and would show by their gaps."""


class Ended(Exception):
    """A check knows its verdict before it has tried everything."""

    def __init__(self, verdict: Verdict, code: str, said: str, next: str = "") -> None:
        super().__init__(code)
        self.verdict = verdict
        self.code = code
        self.said = said
        self.next = next


def refused(code: str, said: str, next: str) -> Ended:
    return Ended(Verdict.REFUSED, code, said, next)


def unclear(code: str, said: str, next: str) -> Ended:
    return Ended(Verdict.UNCLEAR, code, said, next)


@dataclass
class Notes:
    """What a check writes down while it tries. What was noted before it ended early is part of its outcome."""

    facts: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def note(self, name: str, value: object) -> None:
        if value not in ("", None):
            self.facts[name] = str(value)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def make_check(
    name: str,
    subject: str,
    uses: Iterable[str],
    body: Callable[[Notes], str],
    *,
    secrets: Iterable[str] = (),
    line: str = "",
) -> Check:
    """A check around `body`, which returns what it proved, in a line, or raises Ended.

    Args:
        secrets: texts that are in no outcome, whatever a server repeats.
        line: see `Check`.
    """
    hidden = tuple(secrets)

    def run() -> Outcome:
        notes = Notes()
        began = time.monotonic()
        verdict, code, next_ = Verdict.PROVED, PROVED_CODE, ""
        try:
            said = body(notes)
        except Ended as end:
            verdict, code, said, next_ = end.verdict, end.code, end.said, end.next
        except Exception as error:
            # Its words are not shown: nobody knows what a library puts into an error that nobody foresaw.
            verdict, code = Verdict.UNCLEAR, "unforeseen"
            said, next_ = f"the check itself failed ({type(error).__name__})", "report this"
        return Outcome(
            check=name,
            subject=subject,
            verdict=verdict,
            code=code,
            said=quoted(said, hidden),
            facts={key: quoted(value, hidden) for key, value in notes.facts.items()},
            warnings=tuple(quoted(text, hidden, limit=LONGEST * 2) for text in notes.warnings),
            # Our own words: what looks like a credential in them is meant to be read.
            next=without(next_, hidden),
            seconds=time.monotonic() - began,
        )

    return Check(name, subject, frozenset(uses), run, line)


def quoted(text: str, secrets: Iterable[str] = (), *, limit: int = LONGEST) -> str:
    """One line of what somebody else said, without the secrets and whatever else looks like one."""
    return shown(without(text, secrets), limit)


def without(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return text


@dataclass(frozen=True)
class Deadline:
    """The moment at which a check must be done. `left` is never below 1 ms: a time-out of 0 would mean none."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        return max(0.001, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at


def in_time(work: Callable[[], T], seconds: float) -> T:
    """The result of `work`, which knows no time-out of its own: it is left to itself in a thread that nobody waits for.

    Raises:
        TimeoutError: it was not done in time.
        Exception: what `work` raises.
    """
    done = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=attempt, daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError
    if errors:
        raise errors[0]
    return results[0]
