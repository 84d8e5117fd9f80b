"""What rules look at: a stack as it is declared, and what is known of it as it runs. No Pulumi, no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hotdash.stack.databases import Agreement, Database
from hotdash.stack.refusals import DATABASE_VARIABLE

WEB: Final = "web"


@dataclass(frozen=True)
class App:
    name: str
    url: str
    delete_on_destroy: bool = False


@dataclass(frozen=True)
class Connections:
    """What Chatwoot's processes open, and what there is to be had; None: nobody declared that."""

    web_processes: int = 1
    web_threads: int = 5
    worker_threads: int = 10
    limit: int | None = None


@dataclass(frozen=True)
class HealthCheck:
    """`grace`: seconds. `is_served`: somebody has said that the image answers this path, though Chatwoot's do not.
    `forwarded_proto`: the header X-Forwarded-Proto, empty where it is not sent."""

    path: str
    grace: float
    is_served: bool = False
    forwarded_proto: str = ""


@dataclass(frozen=True)
class Group:
    """A process group as declared. Memory in MB."""

    name: str
    count: int
    cpu_kind: str
    cpus: int
    memory_mb: int
    check: HealthCheck | None = None
    image: str = ""

    @property
    def is_web(self) -> bool:
        return self.check is not None or self.name == WEB


@dataclass(frozen=True)
class Readiness:
    path: str
    status: int = 200


@dataclass(frozen=True)
class Urls:
    frontend: str = ""
    webhooks: tuple[str, ...] = ()


@dataclass(frozen=True)
class MachineSeen:
    """What is known of a machine's own config: the names of its env, and where a credential seems to stand."""

    id: str
    group: str
    env: frozenset[str]
    literals: frozenset[str]

    def __str__(self) -> str:
        return f"{self.group} {self.id}"


@dataclass(frozen=True)
class Facts:
    """One app.

    Declared:
        secrets: name to the reference of its value.
        databases: for each secret that is the URL of a Postgres, where it leads.
        forbidden_databases: the same of those that Chatwoot must not use, by their labels.
        migration_image: the image whose migrations are run; empty: none is declared, or nothing is migrated.
        postgres_variables: POSTGRES_* secrets, and how each stands to the main database's URL.
        key_encrypted: the fingerprint key is encrypted in the stack file.
        literals: keys of the stack file that hold what looks like a credential, with the reason.

    Seen on Fly, when the engine last looked:
        machines: what is known of each machine's env.
        held_secrets: every secret that was set from here or found on Fly.
    """

    stack: str = ""
    app: App = App("", "")
    secrets: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, Database] = field(default_factory=dict)
    forbidden_databases: Mapping[str, Database] = field(default_factory=dict)
    migration_database: str = DATABASE_VARIABLE
    migration_image: str = ""
    postgres_variables: Mapping[str, Agreement] = field(default_factory=dict)
    connections: Connections = Connections()
    groups: tuple[Group, ...] = ()
    readiness: Readiness = Readiness("")
    urls: Urls = Urls()
    key_encrypted: bool = True
    literals: Mapping[str, str] = field(default_factory=dict)
    machines: tuple[MachineSeen, ...] = ()
    held_secrets: frozenset[str] = frozenset()


SEEN: Final = frozenset({"machines", "held_secrets"})
"""The facts that come from Fly: while an update is planned the engine does not show them."""
