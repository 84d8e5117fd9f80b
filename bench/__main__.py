"""`python -m bench [PART…]`: measure, print the table, exit 1 where a target is missed. Without a part, everything."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import dsn, gate, many, migration, outage, preflight
from bench.report import Result, show

PARTS: Final[Mapping[str, tuple[str, Callable[[Path], list[Result]]]]] = {
    "outage": ("one app: previews and ups (about a minute)", outage.measure),
    "many": ("ten apps (about half a minute)", many.measure),
    "migration": ("migrating, and what the app answers meanwhile (about a minute)", migration.measure),
    "gate": ("the gate against a preview (about a minute)", gate.measure),
    "preflight": ("credentials, tried (about half a minute)", preflight.measure),
    "dsn": ("database URLs, a hundred thousand (about half a minute)", lambda _: dsn.measure()),
}


def main(chosen: Sequence[str]) -> int:
    if unknown := [name for name in chosen if name not in PARTS]:
        print(f"bench: there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    results: list[Result] = []
    for name in chosen or PARTS:
        title, measure = PARTS[name]
        print(f"bench: {title}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            results += measure(Path(folder))
    return 0 if show(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
