"""Supabase: its shared pooler, its dedicated one and Postgres itself; and Supavisor elsewhere."""

from __future__ import annotations

from typing import Final

from hotdash.dsn.model import Place
from hotdash.dsn.rule import Certainty, Ground, Pooling, Rule, Source, Target

_DOCS: Final = Source(Ground.DOCS, "Supabase's docs, Connect to your database")
_SOURCE: Final = Source(Ground.SOURCE, "Supavisor's source")


def tenant(target: Target) -> str:
    """The tenant that a Supavisor serves: behind the role's last dot, or in `options=reference=…` (Supavisor's source).
    On Supabase it is the project. Empty where there is none."""
    for word in target.options.replace(",", " ").split():
        if word.startswith("reference="):
            return _plain(word.removeprefix("reference="))
    return _plain(target.username.rpartition(".")[2]) if "." in target.username else ""


def _plain(name: str) -> str:
    # It becomes a label of a host name. Projects are 20 small letters, but no page of Supabase's says so.
    return name if name.isascii() and name.replace("-", "").replace("_", "").isalnum() else ""


def _is_supavisor(target: Target) -> bool:
    return "supavisor" in target.host or "reference=" in target.options


def _direct(target: Target) -> Place | None:
    ref = tenant(target)
    if not ref:
        return None
    return target.moved(
        host=f"db.{ref}.supabase.co", port=5432, username=target.username.removesuffix(f".{ref}")
    )


def _pooler_identity(target: Target) -> str | None:
    ref = tenant(target)
    return f"supabase:{ref}/{target.database}" if ref and target.database else None


def _is_project(target: Target) -> bool:
    return target.host.startswith("db.") and target.host.count(".") == 3


def _project_identity(target: Target) -> str | None:
    return f"supabase:{target.host.split('.')[1]}/{target.database}" if target.database else None


RULES: Final = (
    Rule(
        id="supabase-pooler-transaction",
        provider="supabase",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.CERTAIN,
        when="`*.pooler.supabase.com`, port 6543",
        why="port 6543 of Supabase's shared pooler (Supavisor) is transaction mode",
        source=_DOCS,
        examples=(
            "postgres://postgres.abcdefghijklmnopqrst@aws-1-us-east-1.pooler.supabase.com:6543/postgres",
        ),
        fits=lambda t: t.port == 6543,
        tails=("pooler.supabase.com",),
        direct_form=_direct,
        identity=_pooler_identity,
    ),
    Rule(
        id="supabase-pooler-session",
        provider="supabase",
        pooling=Pooling.SESSION,
        certainty=Certainty.CERTAIN,
        when="`*.pooler.supabase.com`, port 5432",
        why="port 5432 of Supabase's shared pooler (Supavisor) is session mode",
        source=_DOCS,
        examples=(
            "postgres://postgres.abcdefghijklmnopqrst@aws-1-us-east-1.pooler.supabase.com:5432/postgres",
        ),
        fits=lambda t: t.port == 5432,
        tails=("pooler.supabase.com",),
        direct_form=_direct,
        identity=_pooler_identity,
    ),
    Rule(
        id="supabase-pooler-other-port",
        provider="supabase",
        pooling=Pooling.POOLED,
        certainty=Certainty.LIKELY,
        when="`*.pooler.supabase.com`, another port",
        why="the host is Supabase's shared pooler; its ports are 5432 and 6543, and this is neither",
        source=_DOCS,
        examples=(
            "postgres://postgres.abcdefghijklmnopqrst@aws-0-eu-west-1.pooler.supabase.com:5433/postgres",
        ),
        fits=lambda t: True,
        tails=("pooler.supabase.com",),
        direct_form=_direct,
        identity=_pooler_identity,
    ),
    Rule(
        id="supabase-dedicated",
        provider="supabase",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.CERTAIN,
        when="`db.REF.supabase.co`, port 6543",
        why="port 6543 of the project's own host is its dedicated PgBouncer, always in transaction mode",
        source=_DOCS,
        examples=("postgres://postgres@db.abcdefghijklmnopqrst.supabase.co:6543/postgres",),
        fits=lambda t: t.port == 6543 and _is_project(t),
        tails=("supabase.co",),
        direct_form=lambda t: t.moved(port=5432),
        identity=_project_identity,
    ),
    Rule(
        id="supabase-direct",
        provider="supabase",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`db.REF.supabase.co`, port 5432",
        why="port 5432 of the project's own host is Postgres itself",
        source=_DOCS,
        examples=("postgres://postgres@db.abcdefghijklmnopqrst.supabase.co:5432/postgres",),
        fits=lambda t: t.port == 5432 and _is_project(t),
        tails=("supabase.co",),
        identity=_project_identity,
    ),
)

SUPAVISOR: Final = (
    Rule(
        id="supavisor-transaction",
        provider="supavisor",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.LIKELY,
        when="`supavisor` in the host name or `options=reference=…`, port 6543",
        why="port 6543 of a Supavisor is transaction mode",
        source=_SOURCE,
        examples=("postgres://postgres.tenant@supavisor.internal:6543/chatwoot",),
        fits=lambda t: t.port == 6543 and _is_supavisor(t),
    ),
    Rule(
        id="supavisor-session",
        provider="supavisor",
        pooling=Pooling.SESSION,
        certainty=Certainty.LIKELY,
        when="`supavisor` in the host name or `options=reference=…`, port 5432",
        why="port 5432 of a Supavisor is session mode",
        source=_SOURCE,
        examples=("postgres://postgres@pooling.example.com:5432/chatwoot?options=reference%3Dtenant",),
        fits=lambda t: t.port == 5432 and _is_supavisor(t),
    ),
)
