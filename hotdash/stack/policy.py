"""What a stack file says to the policy pack: how a rule is set, and what is excepted from one for a time.

The rules themselves are the pack's; which of them there are is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

_MIDNIGHT: Final = " 00:00:00 +0000 UTC"
"""What the engine makes of a date that stands in a stack file without quotes."""
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True)
class PolicyException:
    """A finding that is let pass, until the end of a day.

    Args:
        rule: the id of the rule.
        subject: what it was found of, as the finding names it; empty: whatever the rule finds.
        reason: for whoever reads the stack file next.
        until: the last day on which it counts, by UTC.
    """

    rule: str
    subject: str
    reason: str
    until: date

    def covers(self, rule: str, subject: str) -> bool:
        return self.rule == rule and self.subject in ("", subject)

    def expired(self, today: date) -> bool:
        return today > self.until

    def __str__(self) -> str:
        return f"{self.rule} {self.subject}".strip()


def in_force(
    exceptions: Iterable[PolicyException], rule: str, subject: str, today: date
) -> PolicyException | None:
    """The exception that lets this finding pass today; the one that lasts longest, where there are several."""
    covering = [e for e in exceptions if e.covers(rule, subject) and not e.expired(today)]
    return max(covering, key=lambda e: e.until, default=None)


def plain_dates(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the dates of their exceptions as text: without quotes, YAML takes `2026-12-31` for a date."""
    listed = values.get("exceptions")
    if not isinstance(listed, list):
        return dict(values)
    dated = [
        {**item, "until": _plain_date(item["until"])}
        if isinstance(item, Mapping) and "until" in item
        else item
        for item in listed
    ]
    return {**values, "exceptions": dated}


def _plain_date(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return value.removesuffix(_MIDNIGHT)
    return value


def day(text: str) -> date:
    """Raises ValueError: no day of the form 2026-12-31."""
    if not _DAY.match(text):
        raise ValueError("no day of the form 2026-12-31")
    return date.fromisoformat(text)


def policy_exceptions(listed: Iterable[Mapping[str, Any]]) -> tuple[PolicyException, ...]:
    return tuple(
        PolicyException(item["rule"], item.get("subject", ""), item["reason"], day(item["until"]))
        for item in listed
    )


def exception_properties(exceptions: Iterable[PolicyException]) -> list[dict[str, str]]:
    """The inverse of `policy_exceptions`."""
    return [
        {
            "rule": item.rule,
            **({"subject": item.subject} if item.subject else {}),
            "reason": item.reason,
            "until": item.until.isoformat(),
        }
        for item in exceptions
    ]
