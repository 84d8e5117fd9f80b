"""A migration as a person watches it: on a terminal the steps with what each waits for, below them what the task says;
plain lines where nobody sits before it.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import click

from hotdash.migration.journal import STEPS

if TYPE_CHECKING:
    from rich.console import RenderableType

TAIL: Final = 12
"""Lines of the task's output that stay on the screen; all of them are in Fly's log."""
TITLES: Final = {
    "lock": "take the lock",
    "preflight": "try the database from here",
    "open": "open the window",
    "run": "migrate",
    "verify": "look at the schema",
    "close": "close the window",
    "record": "keep what is applied",
}


class Display:
    """A context that shows a run. This one writes plain lines."""

    @classmethod
    def for_stdout(cls) -> Display:
        return _Live() if sys.stdout.isatty() else cls()

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def step(self, name: str) -> None:
        """A step begins. Its first line says so."""

    def progress(self, line: str) -> None:
        click.echo(line)

    def output(self, line: str) -> None:
        """A line of the task's output."""
        click.echo(f"  | {line}")

    def done(self) -> None:
        """All steps have ended well."""


class _Live(Display):
    def __init__(self) -> None:
        from rich.live import Live

        self._steps: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._live = Live(get_renderable=self._render, refresh_per_second=8, transient=False)

    def __enter__(self) -> Display:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.refresh()
        self._live.__exit__(kind, error, traceback)

    @property
    def _current(self) -> str:
        return next(reversed(self._steps), "")

    def step(self, name: str) -> None:
        self._end_current()
        self._steps[name] = time.monotonic()

    def progress(self, line: str) -> None:
        text = line.removeprefix("migration: ").removeprefix(f"step {self._current}: ")
        if self._current and not line.startswith("migration:   "):
            self._said[self._current] = text
        else:
            self._live.console.print(text.strip(), markup=False, highlight=False)

    def output(self, line: str) -> None:
        self._tail.append(line)

    def done(self) -> None:
        self._end_current()

    def _end_current(self) -> None:
        if self._current:
            self._ended.setdefault(self._current, time.monotonic())

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        for step in STEPS:
            name = step.value
            began, ended = self._steps.get(name), self._ended.get(name)
            mark: Any = Text("·", style="dim")
            if ended is not None:
                mark = Text("✓", style="green")
            elif began is not None:
                mark = Spinner("dots", style="cyan")
            seconds = f"{(ended or time.monotonic()) - began:.0f} s" if began is not None else ""
            style = "" if began is not None else "dim"
            table.add_row(
                mark,
                Text(TITLES[name], style=style),
                Text(seconds, style="dim", justify="right"),
                Text(self._said.get(name, ""), style="dim", overflow="ellipsis", no_wrap=True),
            )
        tail = [Text(f"  | {line}", style="dim", overflow="ellipsis", no_wrap=True) for line in self._tail]
        return Group(table, *tail) if self._steps else Text("")
