"""Values that must be found nowhere, and where to look for them."""

import base64
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

SHORTEST = 12
"""Shorter values would be found by chance."""


class Canary:
    """Planted values by name. What is looked for is each value as it is, percent-encoded, and in base64."""

    def __init__(self, values: Mapping[str, str]) -> None:
        assert all(len(value) >= SHORTEST for value in values.values())
        self._needles = {name: tuple(_disguises(value)) for name, value in values.items()}

    def in_bytes(self, data: bytes) -> set[str]:
        """The names of the values that are in there."""
        return {name for name, needles in self._needles.items() if any(needle in data for needle in needles)}

    def in_text(self, text: str) -> set[str]:
        return self.in_bytes(text.encode())

    def in_files(self, *places: Path) -> dict[str, set[str]]:
        """Files, in folders and below, with the names of the values that each holds; only those that hold any."""
        found: dict[str, set[str]] = {}
        for place in places:
            for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if path.is_file() and (names := self.in_bytes(path.read_bytes() + str(path).encode())):
                    found[str(path)] = names
        return found


def _disguises(value: str) -> Iterable[bytes]:
    yield value.encode()
    yield quote(value, safe="").encode()
    for shift in range(3):
        # In the middle of a longer text, base64 begins at one of three places; its ends depend on what is around.
        whole = base64.b64encode(b"\0" * shift + value.encode())
        middle = whole[4 if shift else 0 : -4]
        yield middle
        yield middle.replace(b"+", b"-").replace(b"/", b"_")


class Argv:
    """The command lines of all processes that could be seen."""

    def __init__(self) -> None:
        self.lines: set[bytes] = set()
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        for process in Path("/proc").glob("[0-9]*"):
            try:
                self.lines.add((process / "cmdline").read_bytes())
            except OSError:
                continue  # it has ended


@contextmanager
def watched_argv() -> Iterator[Argv]:
    """Look at the command lines of all processes, again and again, while what is inside runs."""
    argv, done = Argv(), threading.Event()

    def watch() -> None:
        while not done.is_set():
            argv.look()
            done.wait(0.005)

    watcher = threading.Thread(target=watch, name="argv")
    watcher.start()
    try:
        yield argv
    finally:
        done.set()
        watcher.join()
