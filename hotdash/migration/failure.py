"""What a migration's last words mean, and what to do about it. No I/O.

What Postgres and poolers say is explained by `hotdash.preflight.server_errors`; here is what Rails and Chatwoot say
besides, and what ends the machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hotdash.preflight.server_errors import explain_error

LAST_LINES: Final = 12
"""Lines of the migration's output that an error shows."""
_READ: Final = 200
"""Lines in which the reason is looked for, from the end."""


@dataclass(frozen=True)
class Reason:
    """What is known of a failure: a code, what it means, what to do."""

    code: str
    meaning: str
    next: str


UNKNOWN: Final = Reason("unknown", "", "see what it said last; mend that, then `pulumi up` again")
OUT_OF_MEMORY: Final = Reason(
    "out-of-memory",
    "its machine had too little memory",
    "raise hotdash:migration.memoryMb, then `pulumi up` again",
)
TOO_LONG: Final = Reason(
    "time-limit",
    "it took longer than hotdash:migration.timeLimit allows; what had ended by then stays migrated",
    "raise the limit (a large table's index may take long), then `pulumi up` again: it goes on behind the last "
    "migration that had ended",
)
NOT_STARTED: Final = Reason(
    "not-started",
    "Fly has found no host for its machine, or could not pull the image",
    "does the image exist? Else see status.flyio.net; then `pulumi up` again",
)
STOPPED: Final = Reason(
    "stopped", "somebody, or Fly, ended the machine while it migrated", "see who did, then `pulumi up` again"
)

_RULES: Final[tuple[tuple[str, Reason], ...]] = (
    (
        r"another migration process is currently running",
        Reason(
            "migration-locked",
            "another connection holds the lock of Rails' migrations: a migration that still runs, or one whose lock a "
            "pooler in transaction mode has kept",
            "see which (pg_locks, locktype advisory, has its pid; `hotdash migrate plan` shows it too); let it end, or "
            "end it with pg_terminate_backend, then `pulumi up` again",
        ),
    ),
    (
        r"failed to release advisory lock",
        Reason(
            "migration-through-pooler",
            "the migrations ran, and the lock that was taken on one connection of a transaction pooler was given back "
            "on another: it stays until that connection ends",
            "let hotdash:migration.database name the secret with the direct URL; end the connection that has the lock "
            "(pg_locks, pg_terminate_backend), then `pulumi up` again",
        ),
    ),
    (
        r"you have \d+ pending migrations?|migrations are pending",
        Reason(
            "still-pending",
            "the task ended, and migrations of this image are still to be run",
            "see above them why they did not run",
        ),
    ),
    (
        r"PG::OutOfMemory|(?:ERROR|FATAL):\s+out of (?:shared )?memory",
        Reason(
            "database-out-of-memory",
            "the database's server had too little memory for it, not the migration's machine",
            "see the server's own log and what else runs there, then `pulumi up` again",
        ),
    ),
    (
        r"NoMemoryError|cannot allocate memory|out of memory",
        OUT_OF_MEMORY,
    ),
    (
        r"redis.*(?:connection refused|CannotConnect|timed? ?out|NOAUTH|WRONGPASS|invalid username-password)"
        r"|error connecting to redis|RedisClient::\w+Error|Redis::\w+Error",
        Reason(
            "redis",
            "Chatwoot's migrations need Redis, and could not use it",
            "`hotdash preflight --only REDIS_URL` tells why; then `pulumi up` again",
        ),
    ),
    (
        r"bundle: (?:not found|command not found)|could not find .* in (?:any of the sources|locally installed gems)"
        r"|don't know how to build task",
        Reason(
            "not-chatwoot",
            "the image does not have what a Chatwoot image has",
            "is it the right image? hotdash:migration.image, or the image that is declared for web",
        ),
    ),
)
_COMPILED: Final = tuple((re.compile(pattern, re.IGNORECASE), reason) for pattern, reason in _RULES)


def reason_in(lines: Sequence[str]) -> Reason:
    """The reason that the output tells: the first in its last lines that is known, because what follows an error
    follows from it."""
    recent = lines[-_READ:]
    for line in recent:
        if not _tells(line):
            continue
        for pattern, reason in _COMPILED:
            if pattern.search(line):
                return reason
        if explained := explain_error(line):
            rule = explained.rule
            return Reason(rule.code, rule.meaning, f"{rule.next}; then `pulumi up` again")
    return UNKNOWN


def _tells(line: str) -> bool:
    """Not a line of Rails' report of what it does: names of tables and columns may hold any word."""
    return not line.lstrip().startswith(("==", "--", "->"))


def last_words(lines: Sequence[str]) -> str:
    """The end of the output, indented to stand below a sentence; empty where there is none."""
    return "\n".join(f"  | {line}" for line in [line for line in lines if line.strip()][-LAST_LINES:])
