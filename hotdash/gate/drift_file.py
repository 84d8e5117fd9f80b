"""The drift that a preview tells, passed on: the program appends it, typed, to a file that the gate names and reads.

The text of a preview is for people; what is made of drift by programs must not depend on its words. Nothing of a secret
is in it: it holds what the preview shows.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotdash.drift import Drift, Kind
from hotdash.fly.wire import parse_time


@dataclass(frozen=True)
class Told:
    """What was said of one resource. `resource` is its URN; notes are lines that are no drift."""

    resource: str
    drift: tuple[Drift, ...]
    notes: tuple[str, ...]


def append(file: str, told: Told) -> None:
    """Add a line. Raises OSError: a gate that is told half of the drift would pass what it must not."""
    line = json.dumps(
        {
            "resource": told.resource,
            "drift": [_plain(item) for item in told.drift],
            "notes": list(told.notes),
        }
    )
    # In one piece, because hooks of several resources may run at the same time.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def read(file: Path) -> tuple[Told, ...]:
    """All lines, in their order. Raises ValueError: a line is none of ours, or cut off."""
    try:
        return tuple(_told(json.loads(line)) for line in file.read_text(encoding="utf-8").split("\n") if line)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no drift: {error!r}") from None


def _plain(item: Drift) -> dict[str, Any]:
    return {**dataclasses.asdict(item), "since": item.since.isoformat() if item.since else None}


def _told(line: dict[str, Any]) -> Told:
    drift: Sequence[dict[str, Any]] = line["drift"]
    return Told(
        line["resource"],
        tuple(
            Drift(**{**item, "kind": Kind(item["kind"]), "since": parse_time(item["since"] or "")})
            for item in drift
        ),
        tuple(line["notes"]),
    )
