"""The rules, by subject; what one of them looks at is in `facts`, and what one is in `rule`.

A rule is a value. It says what it needs of the facts, and is not asked where that cannot be read. It knows nothing of
Pulumi, of exceptions and of how its findings are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.rules import credentials, database, exposure, health, machines
from policies.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *database.RULES,
    *credentials.RULES,
    *machines.RULES,
    *health.RULES,
    *exposure.RULES,
)
BY_ID: Final[Mapping[str, Rule]] = {rule.id: rule for rule in RULES}
