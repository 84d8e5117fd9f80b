"""Write the pages that the program's own tables and schemas tell: `python -m docs.generate`.

With `--check` write nothing, and say whether each page still is what the program says. A page is a module here with a
function `page`: it is given the text that is there, and returns the text that should be.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs import dsn_page, policies_page, preflight_page, settings_page
from docs.tables import Undocumented

DOCS: Final = Path(__file__).resolve().parent
PAGES: Final[Mapping[str, Callable[[str], str]]] = {
    "dsn.md": dsn_page.page,
    "policies.md": policies_page.page,
    "preflight.md": preflight_page.page,
    "settings.md": settings_page.page,
}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("docs.generate takes nothing, or --check", file=sys.stderr)
        return 2
    behind = 0
    for name, page in PAGES.items():
        file = DOCS / name
        there = file.read_text(encoding="utf-8") if file.exists() else ""
        try:
            wanted = page(there)
        except Undocumented as error:
            print(f"docs.generate: {name}: {error}", file=sys.stderr)
            return 1
        if there == wanted:
            continue
        if not arguments:
            file.write_text(wanted, encoding="utf-8")
            continue
        behind += 1
        lines = there.splitlines(True), wanted.splitlines(True)
        sys.stderr.writelines(difflib.unified_diff(*lines, f"docs/{name}", "the program"))
        print(
            f"docs/{name} is behind the program; write it anew: python -m docs.generate",
            file=sys.stderr,
        )
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
