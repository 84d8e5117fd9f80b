"""What Fly knows of an app, as plain values. No I/O, no JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

OWN_GROUPS = frozenset({"fly_app_release_command", "fly_app_console", "fly_app_test_machine_command"})
"""Groups of machines that Fly's own tools make for a moment; they are nobody's drift."""
STARTABLE = frozenset({"stopped", "suspended", "created"})
"""States out of which a start leads. A machine that failed needs a new version."""


@dataclass(frozen=True)
class TokenScope:
    """What a token may do in one organization. No apps: all of them. `expires` is empty where Fly does not tell."""

    organization: str
    apps: tuple[str, ...]
    user: str
    machine: str
    expires: str


@dataclass(frozen=True)
class Guest:
    """The size of a machine. Memory in MB."""

    cpu_kind: str
    cpus: int
    memory_mb: int

    def __str__(self) -> str:
        return f"{self.cpu_kind}-{self.cpus}x {self.memory_mb} MB"


@dataclass(frozen=True)
class HttpCheck:
    """One http check of a service. Durations in seconds; `headers` as (name, value) pairs, sorted."""

    path: str
    port: int
    method: str = "get"
    interval: float = 15.0
    timeout: float = 10.0
    grace_period: float = 30.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """What a check last said. `updated_at` is the last change of status, not the last run."""

    name: str
    status: str
    output: str
    updated_at: datetime | None


@dataclass(frozen=True)
class Exit:
    """A machine's process ended."""

    at: datetime | None
    exit_code: int
    oom_killed: bool
    requested: bool
    signal: int = 0
    """The signal that ended it; 0: none."""


@dataclass(frozen=True)
class Machine:
    """A machine as one list or get call shows it. `config` is Fly's own JSON, to be sent back changed."""

    id: str
    name: str
    group: str
    state: str
    region: str
    instance_id: str
    version_at: datetime | None
    """When the version that runs was made: what was staged later is not in it."""
    updated_at: datetime | None
    image: str
    guest: Guest
    checks: tuple[HttpCheck, ...]
    results: tuple[CheckResult, ...]
    expected_results: int
    """How many results Fly will report once every configured check has run."""
    exits: tuple[Exit, ...]
    standby: bool
    autostop: bool
    host_status: str
    config: Mapping[str, Any]

    @property
    def known(self) -> bool:
        """Its host answers Fly. Where it does not, Fly shows a part of its config at best: nothing to build upon."""
        return self.host_status == "ok"

    @property
    def passing(self) -> bool:
        """Every configured check has a result, and it passes. True where no check is configured."""
        return len(self.results) >= self.expected_results and all(r.status == "passing" for r in self.results)

    @property
    def failing(self) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if result.status != "passing")


@dataclass(frozen=True)
class Secret:
    """A secret as Fly lists it: never its value. The digest's algorithm is Fly's own: compare, never compute."""

    name: str
    digest: str
    updated_at: datetime | None


@dataclass(frozen=True)
class App:
    name: str
    organization: str
    status: str


@dataclass(frozen=True)
class SecretsWritten:
    """The answer to a write of secrets: the version to wait for, and the digests where Fly gave them."""

    version: int | None
    secrets: tuple[Secret, ...]


@dataclass(frozen=True)
class LeaseHolder:
    """Who holds a lease, as Fly tells everybody: the token's user, until when, and what the holder said it is for."""

    owner: str
    description: str
    expires_at: datetime | None


@dataclass(frozen=True)
class Lease:
    """A lease on one machine. `version` is the machine's instance id when it was granted."""

    nonce: str
    version: str
    expires_at: float
