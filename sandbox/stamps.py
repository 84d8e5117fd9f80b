"""Timestamps and identifiers in the forms that Fly uses.

RFC 3339 in UTC, ULIDs for machine versions and events, 14-hex machine ids. Nothing here knows about the world."""

import os
import secrets
import time
from datetime import UTC, datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_last_ulid = 0


def rfc3339(moment: float | None = None) -> str:
    """`moment` (seconds since the epoch; default now) as RFC 3339 with microseconds.

    Microseconds, so that a secret set and a release made in the same second keep their order, on which flyctl's
    "Staged"/"Deployed" rests."""
    stamp = datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339_seconds(moment: float) -> str:
    """`moment` (seconds since the epoch) as RFC 3339 in whole seconds, as in the text of a lease conflict."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds() -> int:
    """Now, in milliseconds since the epoch: the unit of an event's timestamp."""
    return time.time_ns() // 1_000_000


def ulid() -> str:
    """A new ULID (26 characters), greater than every one given out before by this process."""
    global _last_ulid
    value = (milliseconds() << 80) | int.from_bytes(os.urandom(10), "big")
    # Two in the same millisecond, or a clock set back: order must hold all the same, events are compared by id.
    _last_ulid = value if value > _last_ulid else _last_ulid + 1
    value = _last_ulid
    digits = []
    for _ in range(26):
        digits.append(_CROCKFORD[value & 31])
        value >>= 5
    return "".join(reversed(digits))


def machine_id() -> str:
    """A machine's id: 14 hexadecimal digits of which the first is decimal."""
    return secrets.choice("123456789") + secrets.token_hex(7)[:13]


def machine_name() -> str:
    """A name for a machine that was created without one."""
    first = secrets.choice(
        ("bold", "calm", "dry", "early", "fresh", "green", "late", "quiet", "small", "wild")
    )
    second = secrets.choice(
        ("bird", "cloud", "field", "frost", "lake", "leaf", "moon", "river", "snow", "wave")
    )
    return f"{first}-{second}-{secrets.randbelow(10_000)}"


def request_id(region: str) -> str:
    """The value of one answer's `fly-request-id` header."""
    return f"{ulid()}-{region}"


def nonce() -> str:
    """The proof that one holds a lease."""
    return secrets.token_hex(6)
