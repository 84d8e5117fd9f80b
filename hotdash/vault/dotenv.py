"""Dotenv as python-dotenv's parser reads it: text in, values out; and one value changed in a text. No I/O.

vault.example/README.md has the rules as a reader needs them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hotdash.vault.reference import KEY

if TYPE_CHECKING:
    from dotenv.parser import Binding

_MARK = "\ufeff"
"""Some editors begin a file with it."""
_BARE = re.compile(r"[A-Za-z0-9_./:@%+=,-]+")
"""What means the same without quotes, to this parser and to a shell."""
_BEFORE_VALUE = re.compile(r"\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=#\s]+)[^\S\r\n]*=[^\S\r\n]*")
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_UNQUOTED = re.compile(r"(?:(?!\s+#)[^\r\n])*")


class Malformed(ValueError):
    """A line is no dotenv. The message does not repeat it: it may be a value without its key.

    Args:
        line: its number, from 1.
    """

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line} is malformed")
        self.line = line


class Unwritable(ValueError):
    """Nothing that can be written in this text reads back as the value."""


def parse(text: str) -> dict[str, str]:
    """Values by key; of a key that comes twice, the last. A line break is read as \\n however it was written.

    Raises Malformed.
    """
    values: dict[str, str] = {}
    for binding in _bindings(text.removeprefix(_MARK).replace("\r\n", "\n").replace("\r", "\n")):
        original = binding.original.string
        if binding.error or (
            binding.key is not None and (binding.value is None or not KEY.match(binding.key))
        ):
            raise Malformed(binding.original.line + len(original) - len(original.lstrip("\n")))
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def with_value(text: str, key: str, value: str) -> str:
    """The text with this value under the key: in its place where the key is there, else in a line at the end.

    All else stays byte for byte, a comment behind the value too. What comes out was read back.

    Raises:
        Malformed: the text is no dotenv as it is.
        Unwritable: as the class says.
    """
    wanted = {**parse(text), key: value}
    mark = _MARK if text.startswith(_MARK) else ""
    for written in _ways_to_write(value):
        for pad in ("", " "):  # before a comment that would otherwise become part of the value
            changed = mark + _with_written(text.removeprefix(_MARK), key, written, pad)
            if _reads_as(changed, wanted):
                return changed
    raise Unwritable("nothing that can be written there reads back as this value")


def _bindings(text: str) -> Iterator[Binding]:
    from dotenv.parser import parse_stream  # here, because a preview without secrets has no need of it

    return parse_stream(io.StringIO(text))


def _ways_to_write(value: str) -> Iterator[str]:
    if _BARE.fullmatch(value):
        yield value
    yield "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    # Between double quotes a carriage return can be named; written as itself it would be read as a line break.
    yield '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r") + '"'


def _reads_as(text: str, wanted: dict[str, str]) -> bool:
    try:
        return parse(text) == wanted
    except Malformed:
        return False


def _with_written(text: str, key: str, written: str, pad: str) -> str:
    pieces = [(binding.key, binding.original.string) for binding in _bindings(text)]
    last = max((i for i, (name, _) in enumerate(pieces) if name == key), default=None)
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    if last is None:
        between = "" if not text or text.endswith(("\n", "\r")) else end_of_line
        return f"{text}{between}{key}={written}{end_of_line}"
    before, after = _around_value(pieces[last][1])
    changed = f"{before}{written}{pad if after.startswith('#') else ''}{after}"
    return "".join([*(p for _, p in pieces[:last]), changed, *(p for _, p in pieces[last + 1 :])])


def _around_value(line: str) -> tuple[str, str]:
    """What stands before and behind the value in the line, or lines, of one key."""
    begin = _BEFORE_VALUE.match(line)
    assert begin is not None, "a key with a value has a = between them"
    before, rest = line[: begin.end()], line[begin.end() :]
    if rest.startswith("#") and before[-1:].isspace():
        return before, rest  # an empty value, and a comment
    if quoted := _QUOTED.match(rest):
        return before, rest[quoted.end() :]
    bare = _UNQUOTED.match(rest)
    return before, rest[len(bare.group().rstrip()) if bare else 0 :]
