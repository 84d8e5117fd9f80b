"""Following a migration's machine: its output while it runs, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from hotdash.clock import REAL, Clock
from hotdash.errors import NotFound
from hotdash.fly.client import Fly
from hotdash.fly.logs import NoLogs, Page
from hotdash.fly.model import Exit, Machine
from hotdash.migration import one_off
from hotdash.preflight.trial import quoted

LOG_PAUSE: Final = 1.0
"""Seconds between two looks into the log."""
MACHINE_PAUSE: Final = 1.0
"""Seconds between two looks at the machine once it has run for a while: Fly allows five a second, and it takes long."""
DRAIN_SECONDS: Final = 5.0
"""Seconds for which the log is asked for what is still on its way."""
QUIET: Final = 2
"""Looks without a new line after which the log counts as complete."""
TELL_EVERY: Final = 15.0
LONGEST_LINE: Final = 300
_NOT_YET: Final = frozenset({"created", "starting", "creating", "preparing"})
_OVER: Final = frozenset({"stopped", "failed", "launch_failed", "destroyed"})
END_LAG: Final = 5.0
"""Seconds in which the event of its end may still be missing from a machine that is over."""


class LogSource(Protocol):
    """Where the output comes from; see `hotdash.fly.logs.FlyLogs`."""

    def page(self, app: str, machine_id: str, next_token: str = "") -> Page: ...


class Output:
    """The lines of one machine as they come, fit to be shown, and kept.

    Args:
        hidden: texts that are in none of them.
        line: told each.
        progress: told that there is no log.
    """

    def __init__(
        self,
        source: LogSource,
        app: str,
        machine_id: str,
        *,
        hidden: Collection[str],
        line: Callable[[str], None],
        progress: Callable[[str], None],
    ) -> None:
        self._source = source
        self._app = app
        self._machine_id = machine_id
        self._hidden = tuple(hidden)
        self._line = line
        self._progress = progress
        self._token = ""
        self._seen: set[str] = set()
        self._complained = False
        self._given_up = False
        self.lines: list[str] = []

    def read(self) -> int:
        """Take what is new; how many lines that were. Never raises."""
        if self._given_up:
            return 0
        try:
            page = self._source.page(self._app, self._machine_id, self._token)
        except NoLogs as none:
            self._given_up = none.lasting
            if not self._complained:
                self._complained = True
                self._progress(
                    f"migration: its output cannot be had here ({none}); see "
                    f"`fly logs -a {self._app} -i {self._machine_id}`"
                )
            return 0
        self._token = page.next_token
        new = 0
        for line in page.lines:
            if line.id and line.id in self._seen:
                continue
            self._seen.add(line.id)
            for text in line.message.splitlines() or [""]:
                new += 1
                shown = fit(text, self._hidden)
                self.lines.append(shown)
                self._line(shown)
        return new

    def drain(self, clock: Clock) -> None:
        """Take what is still on its way after the end."""
        began, quiet = clock.now(), 0
        while not self._given_up and quiet < QUIET and clock.now() - began < DRAIN_SECONDS:
            quiet = 0 if self.read() else quiet + 1
            if quiet < QUIET:
                clock.sleep(LOG_PAUSE / 2)


def fit(text: str, hidden: Collection[str]) -> str:
    """A line without credentials; its indentation stays, by which Rails tells steps from what they belong to."""
    indent = len(text) - len(text.lstrip())
    return " " * min(indent, 12) + quoted(text, hidden, limit=LONGEST_LINE)


@dataclass(frozen=True)
class End:
    """How it ended.

    Args:
        exit: Fly's event; None where it was not to be seen.
        state: the machine's last state.
        timed_out: it ran when its time was up.
        lines: its output.
    """

    exit: Exit | None
    state: str
    timed_out: bool = False
    lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def succeeded(self) -> bool:
        return self.exit is not None and not self.timed_out and one_off.succeeded(self.exit)

    @property
    def not_started(self) -> bool:
        return self.state == "launch_failed" or (self.timed_out and self.state in _NOT_YET)

    @property
    def unknown(self) -> bool:
        """Nobody can say how: Fly kept no event of it."""
        return self.exit is None and not self.timed_out and self.state in ("destroyed", "stopped")


def follow(
    fly: Fly,
    app: str,
    machine: Machine,
    output: Output,
    *,
    time_limit: float,
    start_timeout: float,
    poll: float,
    progress: Callable[[str], None],
    clock: Clock = REAL,
) -> End:
    """Look at the machine until it is over. Where its time is up it returns with the machine running.

    Args:
        time_limit, start_timeout, poll: seconds.

    Raises:
        FlyError: Fly could not be asked.
    """
    began = told = looked = clock.now()
    over: float | None = None
    state = machine.state
    output.read()
    while True:
        try:
            machine = fly.machine(app, machine.id)
            state = machine.state
        except NotFound:
            state = "destroyed"
        now = clock.now()
        if now - looked >= LOG_PAUSE:
            looked = now
            output.read()
        ended = one_off.end_of(machine)
        if ended is not None or state in _OVER:
            over = now if over is None else over
            if ended is not None or now - over >= END_LAG:
                output.drain(clock)
                return End(ended, state, lines=tuple(output.lines))
        elif now - began > time_limit or (state in _NOT_YET and now - began > start_timeout):
            return End(None, state, timed_out=True, lines=tuple(output.lines))
        if now - told >= TELL_EVERY:
            told = now
            progress(f"migration: machine {machine.id} is {state}, {now - began:.0f} s")
        clock.sleep(poll if now - began < 30.0 else max(poll, MACHINE_PAUSE))
