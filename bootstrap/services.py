"""`python -m bootstrap.services`: see that the sandbox will find the programs of Postgres and Redis.

Wheels bring both where they exist for this platform; elsewhere the system's own package manager is used. With `--tests`
also PgBouncer, which no wheel brings: tests put it before Postgres, and nothing else needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bootstrap import system
from engine.terminal import SetupError, say
from sandbox.services import binaries
from sandbox.services.endpoints import ServiceError

Program = tuple[str, Callable[[], Path], dict[str, str]]

FOR_SANDBOX: Final[tuple[Program, ...]] = (
    ("Postgres", binaries.postgres_bin, {"apt-get": "postgresql", "brew": "postgresql"}),
    ("Redis", binaries.redis_server, {"apt-get": "redis-server", "brew": "redis"}),
)
FOR_TESTS: Final[tuple[Program, ...]] = (
    ("PgBouncer", binaries.pgbouncer, {"apt-get": "pgbouncer", "brew": "pgbouncer"}),
)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--tests"]):
        print("bootstrap.services takes nothing, or --tests", file=sys.stderr)
        return 2
    wanted = [("for the sandbox", program) for program in FOR_SANDBOX]
    if arguments:
        wanted += [("for the tests", program) for program in FOR_TESTS]
    try:
        for purpose, (name, find, packages) in wanted:
            if not _there(find):
                system.install(f"{name}, {purpose}", packages)
                if not _there(find):
                    raise SetupError(
                        f"{name} has been installed, but its programs are not where they are looked for"
                    )
    except SetupError as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nservices: interrupted; run the command again to go on", file=sys.stderr)
        return 130
    say(f"services: there are {', '.join(name for _, (name, *_) in wanted)}")
    return 0


def _there(find: Callable[[], Path]) -> bool:
    try:
        find()
    except ServiceError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
