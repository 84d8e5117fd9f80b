"""What can be told of a host that no vendor's name is on, and of one whose name alone tells nothing."""

from __future__ import annotations

from typing import Final

from hotdash.dsn.rule import Certainty, Ground, Pooling, Rule, Source, Target

_PGBOUNCER: Final = Source(Ground.SOURCE, "PgBouncer's source: its default port; its default mode is session")
_HEROKU: Final = Source(Ground.DOCS, "Heroku's docs, Postgres connection pooling")


def is_this_machine(host: str) -> bool:
    """A loopback address, or a socket: those begin with a slash, or with an @ for Linux's abstract ones (libpq)."""
    return host in ("localhost", "::1") or host.startswith(("127.", "/", "@"))


def _this_machine_identity(target: Target) -> str | None:
    where = target.host if target.host.startswith(("/", "@")) else "localhost"
    return f"{where}:{target.port}/{target.database}" if target.database else None


def _cloud_sql_identity(target: Target) -> str | None:
    instance = target.host.removeprefix("/cloudsql/")
    return f"cloud-sql:{instance}/{target.database}" if instance and target.database else None


def _labels_hold(target: Target, *words: str) -> bool:
    """Whether a label of the host, or a word between its hyphens, is one of these."""
    return any(word in words for label in target.host.split(".") for word in label.split("-"))


POOLERS: Final = (
    Rule(
        id="pgbouncer-name",
        provider="pgbouncer",
        pooling=Pooling.POOLED,
        certainty=Certainty.LIKELY,
        when="`pgbouncer` or `pooler` in the host name",
        why="whoever named the host calls it a pooler; its mode is in its own configuration",
        source=Source(Ground.UNVERIFIED, "by custom"),
        examples=(
            "postgres://app@pgbouncer.example.com:5432/chatwoot",
            "postgres://app@chatwoot-pooler.flycast:5432/chatwoot",
        ),
        fits=lambda t: _labels_hold(t, "pgbouncer", "pooler"),
    ),
    Rule(
        id="pgbouncer-port",
        provider="pgbouncer",
        pooling=Pooling.POOLED,
        certainty=Certainty.LIKELY,
        when="port 6432",
        why="6432 is PgBouncer's own port; Google Cloud SQL's pooling has it too; the mode is configured there",
        source=_PGBOUNCER,
        examples=("postgres://app@10.0.0.5:6432/chatwoot", "postgres://app@localhost:6432/chatwoot"),
        fits=lambda t: t.port == 6432,
    ),
)

REST: Final = (
    Rule(
        id="port-6543",
        provider="unknown",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.GUESS,
        when="port 6543",
        why="6543 is where Supavisor and Supabase's PgBouncer have transaction mode",
        source=Source(Ground.SOURCE, "Supavisor's source"),
        examples=("postgres://app.tenant@pooling.example.com:6543/chatwoot",),
        fits=lambda t: t.port == 6543,
    ),
    Rule(
        id="heroku-on-dyno",
        provider="heroku",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.GUESS,
        when="this machine, port 6000",
        why="Heroku's PgBouncer buildpack puts a URL of this form before the app, in transaction mode",
        source=Source(Ground.UNVERIFIED, "Heroku's PgBouncer buildpack"),
        examples=("postgres://app@127.0.0.1:6000/chatwoot",),
        fits=lambda t: t.port == 6000 and is_this_machine(t.host),
    ),
    Rule(
        id="pgbouncer-flag",
        provider="unknown",
        pooling=Pooling.POOLED,
        certainty=Certainty.GUESS,
        when="`pgbouncer=true`",
        why="the flag is Prisma's: whoever wrote it took this for a pooler",
        source=Source(Ground.DOCS, "Prisma's docs, Configure Prisma Client with PgBouncer"),
        examples=("postgres://app@db.example.com:5432/chatwoot?pgbouncer=true",),
        fits=lambda t: t.flagged,
    ),
    Rule(
        id="cloud-sql-socket",
        provider="cloud-sql",
        pooling=Pooling.UNKNOWN,
        certainty=Certainty.NONE,
        when="the socket `/cloudsql/…`",
        why="the socket of a Cloud SQL proxy; whether it asks for the instance or its pooler is the proxy's "
        "setting",
        source=Source(Ground.DOCS, "Google's docs, Cloud SQL managed connection pooling"),
        examples=("postgres://app@%2Fcloudsql%2Facme%3Aeurope-west1%3Achatwoot/chatwoot",),
        fits=lambda t: t.host.startswith("/cloudsql/"),
        identity=_cloud_sql_identity,
    ),
    Rule(
        id="this-machine",
        provider="this-machine",
        pooling=Pooling.UNKNOWN,
        certainty=Certainty.NONE,
        when="`localhost`, `127.…`, `::1` or a socket",
        why="a Postgres, a pooler or a tunnel to either may listen on this machine",
        source=Source(Ground.INFERRED, "libpq's docs, Connection control functions"),
        examples=(
            "postgres://app@localhost:5432/chatwoot",
            "postgres://app@[::1]:5432/chatwoot",
            "postgres://%2Fvar%2Frun%2Fpostgresql/chatwoot",
        ),
        fits=lambda t: is_this_machine(t.host),
        identity=_this_machine_identity,
    ),
    Rule(
        id="railway",
        provider="railway",
        pooling=Pooling.UNKNOWN,
        certainty=Certainty.NONE,
        when="`*.railway.internal` or `*.proxy.rlwy.net`",
        why="Railway's DATABASE_URL and DATABASE_UNPOOLED_URL look alike; the second one is direct",
        source=Source(Ground.DOCS, "Railway's docs, PostgreSQL connection pooling"),
        examples=(
            "postgres://postgres@postgres.railway.internal:5432/railway",
            "postgres://postgres@roundhouse.proxy.rlwy.net:12345/railway",
        ),
        fits=lambda t: True,
        tails=("railway.internal", "proxy.rlwy.net"),
    ),
    Rule(
        id="amazon-ec2",
        provider="amazon-ec2",
        pooling=Pooling.UNKNOWN,
        certainty=Certainty.NONE,
        when="`ec2-*.amazonaws.com`",
        why="any machine in EC2, Heroku's databases among them; Heroku's pooled URL is another config var, "
        "without a form of its own",
        source=_HEROKU,
        examples=("postgres://app@ec2-18-213-155-45.compute-1.amazonaws.com:5432/chatwoot",),
        fits=lambda t: t.host.startswith("ec2-"),
        tails=("amazonaws.com",),
    ),
    Rule(
        id="unknown",
        provider="unknown",
        pooling=Pooling.UNKNOWN,
        certainty=Certainty.NONE,
        when="anything else",
        why="no rule knows this host; port 5432 does not mean direct",
        source=Source(Ground.INFERRED, "Supavisor, RDS Proxy and Fly's PgBouncer answer on 5432 too"),
        examples=(
            "postgres://app@db.example.com:5432/chatwoot",
            "postgres://app@18.213.155.45:5432/chatwoot",
        ),
        fits=lambda t: True,
    ),
)
