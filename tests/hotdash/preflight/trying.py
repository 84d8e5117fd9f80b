"""One check, run by itself, as every test here does it."""

from collections.abc import Mapping
from typing import Any

from hotdash.preflight import Outcome, checks_for, run

PATIENCE = 60.0
"""Seconds: a machine may be busy, and no test here is about that."""


def outcomes(values: Mapping[str, str], **given: Any) -> dict[str, Outcome]:
    """By the checks' names."""
    made = checks_for(values, **{"timeout": PATIENCE, **given})
    return {outcome.check: outcome for outcome in run(made, timeout=PATIENCE * 2)}


def outcome(values: Mapping[str, str], **given: Any) -> Outcome:
    """Of the only check there is."""
    (only,) = outcomes(values, **given).values()
    return only


def database(url: str, **given: Any) -> Outcome:
    return outcome({"DATABASE_URL": url}, **given)
