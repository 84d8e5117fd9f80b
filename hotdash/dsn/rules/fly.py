"""Fly.io: Managed Postgres with its PgBouncer, and the Postgres apps that came before it."""

from __future__ import annotations

from typing import Final

from hotdash.dsn.rule import Certainty, Ground, Pooling, Rule, Source, Target

_MPG: Final = Source(Ground.DOCS, "Fly's docs, Managed Postgres")
_APP: Final = Source(Ground.DOCS, "Fly's docs, Fly Postgres")
_CLOUD_INTERNAL: Final = frozenset({"ec2", "compute", "docker", "google", "railway"})
"""Labels before .internal that are not Fly's: Amazon's, Docker's, Google's, Railway's."""


def _is_app(target: Target) -> bool:
    if target.host.endswith(".flycast"):
        return True
    labels = target.host.split(".")
    return labels[-2] not in _CLOUD_INTERNAL and "c" not in labels[:-2]


def _app_identity(target: Target) -> str | None:
    return f"fly:{target.host.split('.')[-2]}/{target.database}" if target.database else None


MANAGED: Final = (
    Rule(
        id="fly-mpg-pooled",
        provider="fly-mpg",
        pooling=Pooling.POOLED,
        certainty=Certainty.CERTAIN,
        when="`pgbouncer.CLUSTER.flympg.net`",
        why="the cluster's PgBouncer: session mode unless the dashboard was told transaction",
        source=_MPG,
        examples=("postgres://fly-user@pgbouncer.abcdefgh12345678.flympg.net/fly-db",),
        fits=lambda t: t.host.startswith("pgbouncer."),
        tails=("flympg.net",),
        direct_form=lambda t: t.moved(host=f"direct.{t.host.partition('.')[2]}"),
    ),
    Rule(
        id="fly-mpg-direct",
        provider="fly-mpg",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`direct.CLUSTER.flympg.net`",
        why="the cluster's host that goes past PgBouncer",
        source=_MPG,
        examples=("postgres://fly-user@direct.abcdefgh12345678.flympg.net/fly-db",),
        fits=lambda t: t.host.startswith("direct."),
        tails=("flympg.net",),
    ),
)

APPS: Final = (
    Rule(
        id="fly-postgres",
        provider="fly-postgres",
        pooling=Pooling.DIRECT,
        certainty=Certainty.LIKELY,
        when="`APP.flycast` or `APP.internal`, port 5432",
        why="port 5432 of a Fly Postgres app leads to its writable member, without a pooler",
        source=_APP,
        examples=(
            "postgres://app@chatwoot-db.flycast:5432/chatwoot",
            "postgres://app@chatwoot-db.internal:5432/chatwoot",
        ),
        fits=lambda t: t.port == 5432 and _is_app(t),
        tails=("flycast", "internal"),
        identity=_app_identity,
    ),
    Rule(
        id="fly-postgres-member",
        provider="fly-postgres",
        pooling=Pooling.DIRECT,
        certainty=Certainty.LIKELY,
        when="`APP.flycast` or `APP.internal`, port 5433",
        why="port 5433 of a Fly Postgres app is one member's own, which may be a replica",
        source=_APP,
        examples=("postgres://app@fra.chatwoot-db.internal:5433/chatwoot",),
        fits=lambda t: t.port == 5433 and _is_app(t),
        tails=("flycast", "internal"),
        direct_form=lambda t: t.moved(port=5432),
        identity=_app_identity,
    ),
)
