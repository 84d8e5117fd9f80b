"""What the sandbox can be told to make of migrations, and which of it makes sense.

Kept as plain JSON in the world's settings, and handed to machines as it is; chatwoot/migration.py acts on it."""

from collections.abc import Mapping
from typing import Any

from sandbox.chatwoot.migrations import VERSIONS
from sandbox.refusal import bad_request


def accept(wanted: object) -> dict[str, Any]:
    """The settings as they are kept; what is left out, null or zero is as usual. Refusal 400.

    slow        seconds that each migration takes besides
    fail_at     the version of the one that fails in its middle
    statement   seconds that a statement of the last one takes, in Postgres
    memory_mb   what a one-off machine needs; with less it is killed
    """
    if not isinstance(wanted, Mapping) or wanted.keys() - {"slow", "fail_at", "statement", "memory_mb"}:
        raise bad_request("migration must be an object of slow, fail_at, statement, memory_mb")
    kept: dict[str, Any] = {}
    for name in ("slow", "statement", "memory_mb"):
        value = wanted.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise bad_request(f"migration.{name} must be a number, not negative")
        if value:
            kept[name] = value
    version = wanted.get("fail_at")
    if version:
        if version not in VERSIONS:
            raise bad_request(f"there is no migration {version!r}; the stand-in has {', '.join(VERSIONS)}")
        kept["fail_at"] = version
    return kept
