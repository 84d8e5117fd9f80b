"""What a stack file says of migrations, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hotdash.fly.model import Guest
from hotdash.fly.wire import parse_duration

GUEST: Final = Guest("shared", 1, 2048)
"""Rails with all of Chatwoot's code needs about a GB; 512 MB was killed."""


class Mode(StrEnum):
    ONLINE = "online"
    WINDOW = "window"


class Web(StrEnum):
    """What web does in a window."""

    KEEP = "keep"
    STOP = "stop"


@dataclass(frozen=True)
class MigrationSettings:
    """Durations in seconds.

    Args:
        database: the name of the declared secret whose URL the migration takes.
        mode: online: the app runs on. window: the workers stand still meanwhile.
        web: in a window: whether web serves on.
        image: the image whose migrations are run; empty: that of the web machines.
        revision: another text runs them again for the same image.
        statement_timeout: for one statement (Chatwoot's POSTGRES_STATEMENT_TIMEOUT; its own default of 14 s is too
            short for an index of a large table, its Procfile has 600 s).
        time_limit: for the whole task, from the start of its machine on.
        guest: the size of its machine.
    """

    database: str
    mode: Mode = Mode.ONLINE
    web: Web = Web.KEEP
    image: str = ""
    revision: str = ""
    statement_timeout: float = 600.0
    time_limit: float = 900.0
    guest: Guest = GUEST


def migration_settings(values: Mapping[str, Any] | None, *, web_image: str = "") -> MigrationSettings | None:
    """From settings that were checked; None where the stack declares no migrations.

    Args:
        web_image: the image that is declared for web, if one is.
    """
    if not values:
        return None
    return MigrationSettings(
        database=values["database"],
        mode=Mode(values.get("mode", Mode.ONLINE)),
        web=Web(values.get("web", Web.KEEP)),
        image=values.get("image", web_image),
        revision=str(values.get("revision", "")),
        statement_timeout=parse_duration(values.get("statementTimeout", "600s")),
        time_limit=parse_duration(values.get("timeLimit", "15m")),
        guest=Guest(
            values.get("cpuKind", GUEST.cpu_kind),
            int(values.get("cpus", GUEST.cpus)),
            int(values.get("memoryMb", GUEST.memory_mb)),
        ),
    )
