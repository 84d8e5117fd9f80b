"""Each rule by cases: facts in which it finds nothing, facts in which it does, and the last ones on either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hotdash.stack.databases import Agreement, Database
from hotdash.stack.values import databases_in
from policies.rules.facts import (
    App,
    Connections,
    Facts,
    Group,
    HealthCheck,
    MachineSeen,
    Readiness,
    Urls,
)

REF = "abcdefghijklmnopqrst"
POOLER = "aws-1-us-east-1.pooler.supabase.com"
SESSION = f"postgres://postgres.{REF}:s3cr3t-Value@{POOLER}:5432/postgres?sslmode=require"
TRANSACTION = (
    f"postgres://postgres.{REF}:s3cr3t-Value@{POOLER}:6543/postgres?sslmode=require&prepared_statements=false"
)
DIRECT = f"postgres://postgres:s3cr3t-Value@db.{REF}.supabase.co:5432/postgres?sslmode=require"
OTHER_DIRECT = (
    "postgres://postgres:s3cr3t-Value@db.zyxwvutsrqponmlkjihg.supabase.co:5432/postgres?sslmode=require"
)
HOTDASH = f"postgres://postgres.zyxwvutsrqponmlkjihg:s3cr3t-Value@{POOLER}:5432/postgres?sslmode=require"
UNKNOWN_HOST = "postgres://chatwoot:s3cr3t-Value@18.213.155.45:5432/chatwoot?sslmode=require"
LOOPBACK = "postgres://chatwoot:s3cr3t-Value@127.0.0.1:5432/chatwoot"


def databases(**urls: str) -> dict[str, Database]:
    """What the URLs lead to, as the program finds it."""
    return {name: Database.of(found) for name, found in databases_in(urls).items()}


WEB = Group("web", 2, "shared", 1, 2048, HealthCheck("/api", 90.0), "chatwoot/chatwoot:v4.11.0")
WORKER = Group("worker", 1, "shared", 1, 2048)
SOUND = Facts(
    stack="staging",
    app=App("hotdash-chatwoot", "https://hotdash-chatwoot.fly.dev"),
    secrets={
        "DATABASE_URL": "occ/chatwoot/database_url.env#DATABASE_URL",
        "DIRECT_DATABASE_URL": "occ/chatwoot/direct_database_url.env#DIRECT_DATABASE_URL",
        "POSTGRES_HOST": "occ/chatwoot/database_url.env#DATABASE_URL:host",
        "REDIS_URL": "occ/chatwoot/redis_staging.env#REDIS_URL",
    },
    databases=databases(DATABASE_URL=SESSION, DIRECT_DATABASE_URL=DIRECT),
    forbidden_databases=databases(HotDash=HOTDASH),
    migration_database="DIRECT_DATABASE_URL",
    postgres_variables={"POSTGRES_HOST": Agreement.DERIVED},
    connections=Connections(limit=30),
    groups=(WEB, WORKER),
    readiness=Readiness("/api"),
    urls=Urls("https://support.hotdash.com", ("https://hotdash.com/hooks/chatwoot",)),
    machines=(MachineSeen("148e21f0", "web", frozenset({"RAILS_ENV", "FRONTEND_URL"}), frozenset()),),
    held_secrets=frozenset({"DATABASE_URL", "REDIS_URL"}),
)
"""Nothing is wrong with it."""


def like(**changes: Any) -> Facts:
    return replace(SOUND, **changes)


def groups(*changed: Group) -> Facts:
    return like(groups=changed)


def web(**changes: Any) -> Facts:
    """With another web."""
    return groups(replace(WEB, **changes), WORKER)


def check(**changes: Any) -> Facts:
    """With another check of web."""
    assert WEB.check is not None
    return web(check=replace(WEB.check, **changes))


def machine(*, env: frozenset[str] = frozenset(), literals: frozenset[str] = frozenset()) -> Facts:
    seen = MachineSeen("148e21f0", "web", env, literals)
    return like(machines=(seen, *SOUND.machines))


@dataclass(frozen=True)
class Case:
    """`finds`: the subjects of what the rule finds, in order; `says`: words of the first finding."""

    rule: str
    name: str
    facts: Facts
    finds: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    boundary: bool = False
    """The last facts on this side: a little more, and the rule says the opposite."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.name}"


DB, DIRECT_DB = "DATABASE_URL", "DIRECT_DATABASE_URL"


def migrating(url: str) -> Facts:
    return like(databases=databases(DATABASE_URL=url), migration_database=DB)


def opening(limit: int | None, *, webs: int = 1, url: str = SESSION, migrates: str = "") -> Facts:
    """web × 5 + 1 worker × 10, and a migration through `migrates`, or else the same door."""
    urls = databases(DATABASE_URL=url, DIRECT_DATABASE_URL=migrates or url)
    return like(
        databases=urls, connections=Connections(limit=limit), groups=(replace(WEB, count=webs), WORKER)
    )


CASES: tuple[Case, ...] = (
    # migrations-direct
    Case("migrations-direct", "direct", SOUND),
    Case("migrations-direct", "session pooler", migrating(SESSION), (DB,), ("pooler (session)", POOLER)),
    Case("migrations-direct", "transaction pooler", migrating(TRANSACTION), (DB,), ("pooler (transaction)",)),
    Case(
        "migrations-direct",
        "a pooler whose mode nobody knows",
        migrating("postgres://app:s3cr3t-Value@pgbouncer.example.com:6432/chatwoot?sslmode=require"),
        (DB,),
        ("pooler (pooled)",),
    ),
    Case(
        "migrations-direct",
        "an unknown host is not direct",
        migrating(UNKNOWN_HOST),
        (DB,),
        ("nothing tells whether", "18.213.155.45:5432"),
        boundary=True,
    ),
    Case(
        "migrations-direct",
        "an unknown host that somebody vouches for",
        migrating(UNKNOWN_HOST),
        config={"directHosts": ["18.213.155.45"]},
        boundary=True,
    ),
    Case(
        "migrations-direct",
        "nobody can vouch for a pooler",
        migrating(SESSION),
        (DB,),
        config={"directHosts": [POOLER]},
    ),
    Case(
        "migrations-direct",
        "another host is vouched for",
        migrating(UNKNOWN_HOST),
        (DB,),
        config={"directHosts": ["18.213.155.46"]},
    ),
    Case(
        "migrations-direct",
        "a secret that is not declared",
        like(migration_database="MIGRATION_URL"),
        ("MIGRATION_URL",),
        ("is not among hotdash:secrets", "nobody can tell"),
    ),
    Case(
        "migrations-direct",
        "a secret that is no database URL",
        like(migration_database="REDIS_URL"),
        ("REDIS_URL",),
        ("is no postgres:// URL",),
    ),
    # connection-budget
    Case("connection-budget", "room for all", SOUND),
    Case(
        "connection-budget",
        "the sixteenth",
        opening(None),
        (DB,),
        ("16", "15", "1 web × 5 + 1 worker × 10 + 1 migration = 16", "session mode"),
        boundary=True,
    ),
    Case(
        "connection-budget",
        "fifteen of fifteen, the migration goes past the pooler",
        opening(None, migrates=DIRECT),
        boundary=True,
    ),
    Case("connection-budget", "a second web", opening(None, webs=2, migrates=DIRECT), (DB,), ("= 20",)),
    Case("connection-budget", "a transaction pooler's size", opening(None, url=TRANSACTION), (DB,), ("15",)),
    Case("connection-budget", "a declared limit", opening(16)),
    Case(
        "connection-budget",
        "a declared limit, one too few",
        opening(15),
        (DB,),
        ("hotdash:connections.limit",),
    ),
    Case("connection-budget", "nobody knows the server's limit", opening(None, url=UNKNOWN_HOST, webs=50)),
    Case("connection-budget", "a direct server with a limit", opening(15, url=UNKNOWN_HOST), (DB,)),
    Case(
        "connection-budget",
        "a migration of Rails 7.0 takes two",
        like(
            databases=databases(DATABASE_URL=SESSION, DIRECT_DATABASE_URL=SESSION),
            connections=Connections(limit=16),
            groups=(replace(WEB, count=1, image="chatwoot/chatwoot:v4.2.0"), WORKER),
        ),
        (DB,),
        ("2 migrations = 17",),
    ),
    Case(
        "connection-budget",
        "one of Rails 7.1 takes one",
        like(
            databases=databases(DATABASE_URL=SESSION, DIRECT_DATABASE_URL=SESSION),
            connections=Connections(limit=16),
            groups=(replace(WEB, count=1, image="chatwoot/chatwoot:v4.3.0"), WORKER),
        ),
    ),
    Case(
        "connection-budget",
        "threads and processes as they are declared",
        like(
            connections=Connections(web_processes=2, web_threads=3, worker_threads=4, limit=15),
            groups=(replace(WEB, count=2), WORKER),
        ),
        (DB,),
        ("2 web × 2 × 3 + 1 worker × 4", "= 16"),
    ),
    Case(
        "connection-budget",
        "no process is one process",
        like(connections=Connections(web_processes=0, limit=15), groups=(replace(WEB, count=1), WORKER)),
    ),
    # transaction-prepared
    Case("transaction-prepared", "session mode", SOUND),
    Case(
        "transaction-prepared",
        "prepared statements off",
        like(databases=databases(DATABASE_URL=TRANSACTION)),
        boundary=True,
    ),
    Case(
        "transaction-prepared",
        "prepared statements on",
        like(databases=databases(DATABASE_URL=TRANSACTION.replace("&prepared_statements=false", ""))),
        (DB,),
        ("transaction mode", "prepared statements on"),
        boundary=True,
    ),
    Case(
        "transaction-prepared",
        "another vendor's pooler",
        like(
            databases=databases(
                DATABASE_URL="postgres://a:s3cr3t-Value@ep-x-1-pooler.us-east-2.aws.neon.tech:5432/c?sslmode=require"
            )
        ),
        (DB,),
    ),
    # own-database
    Case("own-database", "its own", SOUND),
    Case(
        "own-database",
        "HotDash's, through another door",
        like(
            databases=databases(DATABASE_URL=OTHER_DIRECT, DIRECT_DATABASE_URL=DIRECT),
            migration_database=DB,
        ),
        (DB,),
        ("leads to HotDash's database", "db.zyxwvutsrqponmlkjihg.supabase.co"),
        boundary=True,
    ),
    Case(
        "own-database",
        "migrations alone go to HotDash's",
        like(databases=databases(DATABASE_URL=SESSION, DIRECT_DATABASE_URL=OTHER_DIRECT)),
        (DIRECT_DB, DIRECT_DB),
        ("leads to HotDash's database",),
    ),
    Case(
        "own-database",
        "migrations go to a third one",
        like(
            databases=databases(DATABASE_URL=SESSION, DIRECT_DATABASE_URL=OTHER_DIRECT),
            forbidden_databases=databases(HotDash=UNKNOWN_HOST),
        ),
        (DIRECT_DB,),
        ("another database than the one that Chatwoot uses",),
    ),
    Case(
        "own-database",
        "two hosts that only the servers could tell apart",
        like(
            databases=databases(DATABASE_URL=UNKNOWN_HOST, DIRECT_DATABASE_URL=DIRECT),
            forbidden_databases=databases(HotDash="postgres://u:s3cr3t-Value@db.example.com:5432/chatwoot"),
        ),
        boundary=True,
    ),
    Case(
        "own-database",
        "nothing is named",
        like(forbidden_databases={}),
        ("forbiddenDatabases",),
        ("no database is named",),
    ),
    Case("own-database", "nothing has to be named", like(forbidden_databases={}), config={"required": False}),
    # postgres-agrees
    Case("postgres-agrees", "derived", SOUND),
    Case("postgres-agrees", "equal", like(postgres_variables={"POSTGRES_PORT": Agreement.EQUAL}), boundary=True),
    Case(
        "postgres-agrees",
        "different",
        like(postgres_variables={"POSTGRES_HOST": Agreement.DERIVED, "POSTGRES_PORT": Agreement.DIFFERS}),
        ("POSTGRES_PORT",),
        ("POSTGRES_PORT does not say what DATABASE_URL says",),
        boundary=True,
    ),
    Case(
        "postgres-agrees",
        "not to be compared",
        like(postgres_variables={"POSTGRES_PORT": Agreement.UNKNOWN}),
        ("POSTGRES_PORT",),
        ("cannot be compared",),
    ),
    Case(
        "postgres-agrees",
        "no URL to disagree with",
        like(secrets={"POSTGRES_PORT": "occ/pg.env#PORT"}, postgres_variables={"POSTGRES_PORT": Agreement.UNKNOWN}),
    ),
    # tls-required
    Case("tls-required", "required", SOUND),
    Case("tls-required", "this machine", like(databases=databases(DATABASE_URL=LOOPBACK)), boundary=True),
    Case(
        "tls-required",
        "not given",
        like(databases=databases(DATABASE_URL=UNKNOWN_HOST.partition("?")[0])),
        (DB,),
        ("no sslmode", "18.213.155.45"),
        boundary=True,
    ),
    Case(
        "tls-required",
        "prefer is not require",
        like(databases=databases(DATABASE_URL=UNKNOWN_HOST.replace("require", "prefer"))),
        (DB,),
        ("sslmode=prefer",),
    ),
    Case(
        "tls-required",
        "misspelt",
        like(databases=databases(DATABASE_URL=UNKNOWN_HOST.replace("require", "required"))),
        (DB,),
    ),
    Case(
        "tls-required",
        "a host that has none",
        like(databases=databases(DATABASE_URL=UNKNOWN_HOST.partition("?")[0])),
        config={"withoutTls": ["18.213.155.45"]},
    ),
    # secrets-from-vault
    Case("secrets-from-vault", "none in sight", SOUND, boundary=True),
    Case(
        "secrets-from-vault",
        "the key in clear",
        like(key_encrypted=False),
        ("fingerprintKey",),
        ("in clear",),
        boundary=True,
    ),
    Case(
        "secrets-from-vault",
        "a literal",
        like(literals={"processGroups.web.command.2": "processGroups.web.command.2 seems to be a credential"}),
        ("processGroups.web.command.2",),
    ),
    # no-secret-in-env
    Case("no-secret-in-env", "names alone", machine(env=frozenset({"SMTP_PASSWORD_FILE"})), boundary=True),
    Case(
        "no-secret-in-env",
        "an entry",
        machine(env=frozenset({"SMTP_PASSWORD"}), literals=frozenset({"env SMTP_PASSWORD"})),
        ("SMTP_PASSWORD",),
        ("env SMTP_PASSWORD of web 148e21f0",),
        boundary=True,
    ),
    Case(
        "no-secret-in-env",
        "a command",
        machine(literals=frozenset({"init.cmd"})),
        ("init.cmd",),
    ),
    # no-shadowed-secret
    Case("no-shadowed-secret", "other names", machine(env=frozenset({"REDIS_URI"})), boundary=True),
    Case(
        "no-shadowed-secret",
        "the same name",
        machine(env=frozenset({"REDIS_URL"})),
        ("REDIS_URL",),
        ("web 148e21f0",),
        boundary=True,
    ),
    # encryption-keys-kept
    Case("encryption-keys-kept", "never had any", SOUND),
    Case(
        "encryption-keys-kept",
        "declared",
        like(
            held_secrets=frozenset({"ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"}),
            secrets={**SOUND.secrets, "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY": "occ/keys.env#A"},
        ),
        boundary=True,
    ),
    Case(
        "encryption-keys-kept",
        "dropped",
        like(held_secrets=frozenset({"ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", "OTHER"})),
        ("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",),
        ("is not declared",),
        boundary=True,
    ),
    # memory-floor
    Case("memory-floor", "as much as it needs", SOUND, boundary=True),
    Case("memory-floor", "a step less", web(memory_mb=1792), ("web",), ("1792 MB", "2048"), boundary=True),
    Case(
        "memory-floor",
        "another floor for one group",
        groups(WEB, replace(WORKER, memory_mb=1024)),
        config={"groups": {"worker": 1024.0}},
    ),
    Case(
        "memory-floor",
        "another floor for all",
        groups(replace(WEB, memory_mb=4096), replace(WORKER, memory_mb=2048)),
        ("worker",),
        ("4096",),
        config={"floorMb": 4096.0},
    ),
    # machine-size
    Case("machine-size", "one that there is", SOUND),
    Case("machine-size", "the largest", web(cpus=8, memory_mb=16384), boundary=True),
    Case("machine-size", "a step more", web(cpus=8, memory_mb=16640), ("web",), ("16640",), boundary=True),
    Case("machine-size", "no such number of cpus", web(cpus=3), ("web",), ("3 cpus",)),
    Case("machine-size", "no multiple", web(memory_mb=2000), ("web",), ("multiple of 256",)),
    # nobody-at-zero
    Case("nobody-at-zero", "one is enough", groups(replace(WEB, count=1), WORKER), boundary=True),
    Case(
        "nobody-at-zero",
        "none",
        groups(WEB, replace(WORKER, count=0)),
        ("worker",),
        ("worker is declared with no machine",),
        boundary=True,
    ),
    # two-webs
    Case("two-webs", "two", SOUND, boundary=True),
    Case("two-webs", "one", web(count=1), ("web",), ("one machine",), boundary=True),
    Case("two-webs", "one of each of two groups", groups(WEB, replace(WEB, name="api", count=1))),
    Case("two-webs", "none is another rule's", web(count=0)),
    # image-pinned
    Case("image-pinned", "a release", SOUND, boundary=True),
    Case("image-pinned", "none declared", web(image="")),
    Case("image-pinned", "a digest", web(image=f"chatwoot/chatwoot@sha256:{'ab' * 32}")),
    Case("image-pinned", "latest", web(image="chatwoot/chatwoot:latest"), ("web",), ("latest",)),
    Case("image-pinned", "no tag, and a registry's port", web(image="registry.local:5000/chatwoot"), ("web",)),
    Case("image-pinned", "a line of releases", web(image="chatwoot/chatwoot:v4.11"), ("web",), boundary=True),
    # web-has-check
    Case("web-has-check", "it has", SOUND),
    Case("web-has-check", "it has not", web(check=None), ("web",), ("no http check",), boundary=True),
    Case("web-has-check", "a worker needs none", groups(WEB, WORKER), boundary=True),
    Case("web-has-check", "another group that is web", SOUND, ("worker",), config={"groups": ["worker"]}),
    # check-path-exists
    Case("check-path-exists", "/api", SOUND),
    Case("check-path-exists", "/health of its first version", check(path="/health"), boundary=True),
    Case(
        "check-path-exists",
        "/health before it",
        web(check=HealthCheck("/health", 90.0), image="chatwoot/chatwoot:v4.10.1"),
        ("web",),
        ("since v4.11.0", "v4.10.1"),
        boundary=True,
    ),
    Case(
        "check-path-exists",
        "/health of nobody knows what",
        web(check=HealthCheck("/health", 90.0), image=""),
        ("web",),
        ("no version is declared",),
    ),
    Case(
        "check-path-exists",
        "/health of a version that was told",
        web(check=HealthCheck("/health", 90.0), image=""),
        config={"version": "4.12.0"},
    ),
    Case("check-path-exists", "/rails/health", check(path="/rails/health/?a=1"), ("web",), ("/rails/health", "404")),
    Case("check-path-exists", "/up", check(path="/up"), ("web",), ("404",)),
    Case("check-path-exists", "/hc", check(path="/hc"), ("web",), ("404",)),
    Case("check-path-exists", "a path of nobody", check(path="/healthz"), ("web",), ("not known",)),
    Case("check-path-exists", "a path that the image serves", check(path="/healthz", is_served=True)),
    Case(
        "check-path-exists",
        "what readiness asks for",
        like(readiness=Readiness("/up")),
        ("readiness",),
        ("404",),
    ),
    Case("check-path-exists", "readiness that waits for a 404", like(readiness=Readiness("/up", 404))),
    # grace-for-boot
    Case("grace-for-boot", "just enough", check(grace=60.0), boundary=True),
    Case("grace-for-boot", "a little less", check(grace=59.5), ("web",), ("59.5 s", "60"), boundary=True),
    Case("grace-for-boot", "told otherwise", check(grace=2.0), config={"seconds": 2.0}),
    # forwarded-proto
    Case("forwarded-proto", "no FORCE_SSL", SOUND, boundary=True),
    Case(
        "forwarded-proto",
        "FORCE_SSL, and the check asks in clear",
        like(secrets={**SOUND.secrets, "FORCE_SSL": "occ/ssl.env#FORCE_SSL"}),
        ("web",),
        ("X-Forwarded-Proto",),
        boundary=True,
    ),
    Case(
        "forwarded-proto",
        "FORCE_SSL, and the check says https",
        replace(
            check(forwarded_proto="HTTPS"), secrets={**SOUND.secrets, "FORCE_SSL": "occ/ssl.env#FORCE_SSL"}
        ),
    ),
    # protected
    Case("protected", "another stack may go", like(app=App("a", "", delete_on_destroy=True)), boundary=True),
    Case("protected", "production stays", like(stack="production")),
    Case(
        "protected",
        "production would go",
        like(stack="production", app=App("hotdash-chatwoot", "", delete_on_destroy=True)),
        ("hotdash-chatwoot",),
        ("pulumi destroy",),
        boundary=True,
    ),
    Case(
        "protected",
        "a stack that was called production",
        like(app=App("hotdash-chatwoot", "", delete_on_destroy=True)),
        ("hotdash-chatwoot",),
        config={"stacks": ["staging"]},
    ),
    # public-urls
    Case("public-urls", "public and https", SOUND),
    Case("public-urls", "nothing declared", like(urls=Urls())),
    Case(
        "public-urls",
        "http",
        like(urls=Urls("http://support.hotdash.com")),
        ("urls.frontend",),
        ("is http, not https",),
    ),
    Case(
        "public-urls",
        "Fly's private network",
        like(urls=Urls("", ("https://a.example", "https://hotdash.flycast/hook"))),
        ("urls.webhooks.1",),
        ("hotdash.flycast", "private network"),
        boundary=True,
    ),
    Case("public-urls", "a host that only looks so", like(urls=Urls("https://flycast.hotdash.com")), boundary=True),
    Case(
        "public-urls",
        "a private address",
        like(urls=Urls("", ("https://[fdaa:0:1::3]:8080/hook",))),
        ("urls.webhooks.0",),
        ("private address",),
    ),
    Case(
        "public-urls",
        "a host that may be private",
        like(urls=Urls("http://localhost:3000")),
        config={"privateHosts": ["localhost"]},
    ),
)  # fmt: skip
