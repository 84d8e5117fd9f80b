"""The sandbox's world: organisations, apps, machines, secrets, leases, releases, as plain records.

Records know how to become JSON and back, and nothing else: what may happen to them is in lifecycle.py and api/,
and how they reach the disk in store.py."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox import stamps

EVENTS_KEPT = 50
VERSIONS_KEPT = 20
RELEASES_KEPT = 50
DESTROYED_KEPT = 20
SETTLED = frozenset({"created", "started", "stopped", "suspended", "failed", "destroyed"})
"""States that a machine stays in."""
DEFAULT_FOREIGN_OWNER = "ci-deploy@hotdash.example"


@dataclass
class Secret:
    """One app secret. The value is in the clear here: the directory is the user's own, mode 0700."""

    name: str
    value: str
    digest: str
    created_at: str
    updated_at: str


@dataclass
class Lease:
    """An exclusive hold on a machine; `expires_at` in seconds since the epoch."""

    nonce: str
    owner: str
    description: str
    expires_at: float
    version: str

    def live(self) -> bool:
        return time.time() < self.expires_at


@dataclass
class Event:
    """Something that happened to a machine; `timestamp` in milliseconds."""

    id: str
    type: str
    status: str
    source: str
    timestamp: int
    request: dict[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self.id,
            "type": self.type,
            "status": self.status,
            "source": self.source,
            "timestamp": self.timestamp,
        }
        if self.request is not None:
            body["request"] = self.request
        return body


@dataclass
class Version:
    """One version of a machine: its config, and the app secrets as they were when it was made.

    `secrets` is emptied for all but the current and the previous version: only those can run again."""

    instance_id: str
    config: dict[str, Any]
    secrets: dict[str, str]
    secrets_version: int
    created_at: str


@dataclass
class Machine:
    """A machine. `goal` is where its last order leads (`run`, `stop`, `suspend`, `destroy`), `state` where it is."""

    id: str
    name: str
    app: str
    region: str
    private_ip: str
    created_at: str
    updated_at: str
    state: str
    goal: str
    versions: list[Version]
    cordoned: bool = False
    restart_count: int = 0
    events: list[Event] = field(default_factory=list)
    lease: Lease | None = None
    # The last JSON text of this record; None after a change. Saves writing all machines anew for a change of one.
    text: str | None = field(default=None, compare=False, repr=False)

    @property
    def current(self) -> Version:
        return self.versions[0]

    @property
    def instance_id(self) -> str:
        return self.versions[0].instance_id

    @property
    def config(self) -> dict[str, Any]:
        return self.versions[0].config

    @property
    def group(self) -> str:
        metadata = self.config.get("metadata") or {}
        return str(metadata.get("fly_process_group") or metadata.get("process_group") or "app")

    @property
    def gone(self) -> bool:
        return self.state in ("destroyed", "destroying")

    def live_lease(self) -> Lease | None:
        """The lease, unless there is none or it ran out."""
        return self.lease if self.lease is not None and self.lease.live() else None

    def add_version(self, version: Version) -> None:
        self.versions.insert(0, version)
        for old in self.versions[2:]:
            old.secrets = {}
        del self.versions[VERSIONS_KEPT:]

    def add_event(self, kind: str, status: str, source: str, request: dict[str, Any] | None = None) -> None:
        """Note an event, newest first; touches `updated_at` too."""
        self.events.insert(0, Event(stamps.ulid(), kind, status, source, stamps.milliseconds(), request))
        del self.events[EVENTS_KEPT:]
        self.updated_at = stamps.rfc3339()
        self.text = None

    def to_text(self) -> str:
        if self.text is None:
            record = {name: value for name, value in vars(self).items() if name != "text"}
            self.text = json.dumps(record, default=vars, separators=(",", ":"))
        return self.text

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Machine":
        fields = dict(record)
        fields["versions"] = [Version(**v) for v in record["versions"]]
        fields["events"] = [Event(**e) for e in record["events"]]
        fields["lease"] = Lease(**record["lease"]) if record["lease"] else None
        return cls(**fields)


@dataclass
class Release:
    """One release of an app, as `flyctl` creates and reads them."""

    id: str
    version: int
    status: str
    strategy: str
    image_ref: str
    user: str
    created_at: str
    description: str = ""
    definition: dict[str, Any] | None = None


@dataclass
class App:
    """An app: its machines by id (destroyed ones too, for a while), secrets by name, releases newest first."""

    id: str
    name: str
    org: str
    number: int
    network: str
    created_at: str
    port: int | None = None
    secrets_version: int = 0
    never_healthy: bool = False
    secrets: dict[str, Secret] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    machines: dict[str, Machine] = field(default_factory=dict, compare=False)

    def active(self) -> Iterator[Machine]:
        """Machines that are not destroyed, in the order of their creation."""
        return (m for m in self.machines.values() if m.state != "destroyed")

    def status(self) -> str:
        active = list(self.active())
        if not active and not self.releases:
            return "pending"
        return "deployed" if any(m.state == "started" for m in active) else "suspended"

    def forget_old_machines(self) -> None:
        destroyed = [m.id for m in self.machines.values() if m.state == "destroyed"]
        for machine in destroyed[:-DESTROYED_KEPT]:
            del self.machines[machine]

    def to_text(self) -> str:
        record = {name: value for name, value in vars(self).items() if name != "machines"}
        head = json.dumps(record, default=vars, separators=(",", ":"))
        machines = ",".join(m.to_text() for m in self.machines.values())
        return f'{head[:-1]},"machines":[{machines}]}}'

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "App":
        fields = dict(record)
        fields["secrets"] = {name: Secret(**s) for name, s in record["secrets"].items()}
        fields["releases"] = [Release(**r) for r in record["releases"]]
        fields["machines"] = {m["id"]: Machine.from_record(m) for m in record["machines"]}
        return cls(**fields)


@dataclass
class Organization:
    id: str
    slug: str
    name: str
    number: int


@dataclass
class Token:
    """Who a token stands for, and the organisations it may see."""

    id: str
    user: str
    orgs: list[str]


@dataclass
class Settings:
    """How the sandbox's machines behave. Memory in MB by process group, boot time in seconds; `migration`: see
    `migration_settings.py`; `fill_pools`: each holds as many connections as its threads may."""

    memory_need_mb: dict[str, int] = field(default_factory=lambda: {"web": 600, "worker": 700})
    boot_seconds: float = 1.0
    rate_limits: bool = False
    migration: dict[str, Any] = field(default_factory=dict)
    fill_pools: bool = False


@dataclass
class Pooler:
    """A PgBouncer before the sandbox's Postgres: its mode, the size of its pool, and the port that it keeps."""

    mode: str
    size: int
    port: int


@dataclass
class Fault:
    """A trouble that the API makes on purpose; see faults.py. `count` None: until it is taken away."""

    id: str
    route: str
    kind: str
    count: int | None = 1
    skip: int = 0
    ms: int = 0
    retry_after: float | None = None
    ttl: float = 30.0
    owner: str = DEFAULT_FOREIGN_OWNER


@dataclass
class World:
    """Everything there is. `digest_key` is made once: it keys the digests of secrets, across apps."""

    digest_key: str
    orgs: dict[str, Organization]
    tokens: dict[str, Token]
    settings: Settings = field(default_factory=Settings)
    faults: list[Fault] = field(default_factory=list)
    apps: dict[str, App] = field(default_factory=dict)
    numbers: int = 1000
    port: int | None = None
    # Secret versions of apps that are gone: a new app starts above, as clients remember the versions by app name.
    secrets_version_floor: int = 0
    pooler: Pooler | None = None

    def digest(self, value: str) -> str:
        """16 hexadecimal digits for a secret's value; equal values have equal digests in every app.

        Fly's own algorithm is not public, so a keyed hash: nobody can come to rely on computing it."""
        return hmac.new(bytes.fromhex(self.digest_key), value.encode(), hashlib.sha256).hexdigest()[:16]

    def next_number(self) -> int:
        self.numbers += 1
        return self.numbers

    def machines(self) -> Iterator[Machine]:
        for app in self.apps.values():
            yield from app.machines.values()

    def find_machine(self, machine_id: str) -> Machine | None:
        for app in self.apps.values():
            if (machine := app.machines.get(machine_id)) is not None:
                return machine
        return None

    def to_text(self) -> str:
        record = {name: value for name, value in vars(self).items() if name != "apps"}
        head = json.dumps(record, default=vars, separators=(",", ":"))
        apps = ",".join(a.to_text() for a in self.apps.values())
        return f'{head[:-1]},"apps":[{apps}]}}'

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "World":
        fields = dict(record)
        fields["orgs"] = {slug: Organization(**o) for slug, o in record["orgs"].items()}
        fields["tokens"] = {t: Token(**v) for t, v in record["tokens"].items()}
        fields["settings"] = Settings(**record["settings"])
        fields["faults"] = [Fault(**f) for f in record["faults"]]
        fields["apps"] = {a["name"]: App.from_record(a) for a in record["apps"]}
        fields["pooler"] = Pooler(**pooler) if (pooler := record.get("pooler")) else None
        return cls(**fields)


def new_world(token: str) -> World:
    """A world with the organisations `hotdash`, which `token` may see, and `elsewhere`, which it may not."""
    world = World(
        digest_key=secrets.token_hex(32),
        orgs={
            "hotdash": Organization("gK1nR8vLx2Zq0", "hotdash", "HotDash", 101),
            "elsewhere": Organization("pW7mB3tYc9Xd4", "elsewhere", "Elsewhere Ltd", 202),
        },
        tokens={token: Token("tok_sandbox", "oncall@hotdash.example", ["hotdash"])},
    )
    add_foreign_app(world)
    return world


def add_foreign_app(world: World) -> None:
    """The app of another organisation: asking for it must be answered 403, as Fly does for an app one cannot see."""
    add_app(world, "elsewhere-app", "elsewhere", "default", None)


def add_app(world: World, name: str, org: str, network: str, port: int | None) -> App:
    number = world.next_number()
    app = App(
        id=f"app{number}{secrets.token_hex(4)}",
        name=name,
        org=org,
        number=number,
        network=network,
        created_at=stamps.rfc3339(),
        port=port,
        secrets_version=world.secrets_version_floor,
    )
    world.apps[name] = app
    return app
