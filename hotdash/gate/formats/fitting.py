"""Texts that others have written, made fit to stand in a line: a subject or an error may hold line breaks, and a
terminal or a CI system obeys what stands at a margin or behind an escape character.
"""

from __future__ import annotations


def line(text: str) -> str:
    """The text in one line, each run of blanks as one."""
    return " ".join(_printable(text).split())


def lines(text: str) -> list[str]:
    """The text's lines, their indents kept; at least one."""
    return [_printable(item).rstrip() for item in text.splitlines()] or [""]


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
