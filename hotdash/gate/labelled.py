"""A message of ours taken apart: what it says, and its labelled lines. See `HotdashError.__str__`."""

from __future__ import annotations

import re
from typing import Final

_LABELLED: Final = re.compile(r"^ *(subject|where|means|why|but|next|docs|code) +(.*)$")


def labels(text: str) -> tuple[str, dict[str, str]]:
    """What is said, and by label what stands behind it."""
    said: list[str] = []
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := _LABELLED.match(line):
            found[match[1]] = f"{found[match[1]]} {match[2]}" if match[1] in found else match[2].strip()
        else:
            said.append(line.rstrip())
    return "\n".join(said).strip(), found
