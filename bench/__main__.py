"""`python -m bench`: measure everything, print the table, exit 1 where a target is missed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench import many, outage
from bench.report import show


def main() -> int:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as ten:
        print("bench: one app (about a minute)", flush=True)
        results = outage.measure(Path(one))
        print("bench: ten apps (about half a minute)", flush=True)
        results += many.measure(Path(ten))
    return 0 if show(results) else 1


if __name__ == "__main__":
    sys.exit(main())
