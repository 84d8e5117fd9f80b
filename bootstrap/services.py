"""`python -m bootstrap.services`: see that the sandbox will find the programs of Postgres and Redis.

Wheels bring both where they exist for this platform; elsewhere the system's own package manager is used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from bootstrap import system
from engine.terminal import SetupError, say
from sandbox.services import binaries
from sandbox.services.endpoints import ServiceError


def main() -> int:
    try:
        for name, find, packages in (
            ("Postgres", binaries.postgres_bin, {"apt-get": "postgresql", "brew": "postgresql"}),
            ("Redis", binaries.redis_server, {"apt-get": "redis-server", "brew": "redis"}),
        ):
            if not _there(find):
                system.install(f"{name}, for the sandbox", packages)
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
    say("services: Postgres and Redis are there")
    return 0


def _there(find: Callable[[], Path]) -> bool:
    try:
        find()
    except ServiceError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
