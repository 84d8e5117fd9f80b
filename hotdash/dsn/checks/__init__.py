"""The table of checks: what Chatwoot needs of a DSN, and what it makes of one that has it not.

`written` looks at how it is written, `poolers` at what a pooler does to Rails, `places` at where it leads. A check says
no more than its source does.
"""

from __future__ import annotations

from typing import Final

from hotdash.dsn.checks import places, poolers, written
from hotdash.dsn.finding import Check

CHECKS: Final[tuple[Check, ...]] = (*written.CHECKS, *places.CHECKS, *poolers.CHECKS)
