"""Tables of Markdown, and pages in which only the tables are generated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


class Undocumented(Exception):
    """A page cannot be written: it and the program do not fit together."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, with a line break at its end. A `|` in a cell must be escaped by whoever gives it."""
    lines = [f"| {' | '.join(cells)} |\n" for cells in (head, *rows)]
    lines.insert(1, f"|{'---|' * len(head)}\n")
    return "".join(lines)


def filled(there: str, tables: Mapping[str, str]) -> str:
    """The page with each table put between its marks, `<!-- NAME: …` to `<!-- end of NAME -->`.

    Raises:
        Undocumented: the page has not exactly these marks.
    """
    for name, made in tables.items():
        begin, found, rest = there.partition(f"<!-- {name}: ")
        comment, closed, body = rest.partition("-->\n")
        _, end, tail = body.partition(f"<!-- end of {name} -->")
        if not (found and closed and end):
            raise Undocumented(f"there is no place marked {name}")
        there = f"{begin}{found}{comment}{closed}{made}{end}{tail}"
    return there
