"""What cases are made of: facts in which nothing is wrong, and changes to them."""

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
    migration_image="chatwoot/chatwoot:v4.12.0",
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
