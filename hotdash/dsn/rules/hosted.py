"""Vendors that host Postgres, each with its own way to write a pooler."""

from __future__ import annotations

from typing import Final

from hotdash.dsn.model import Place
from hotdash.dsn.rule import Certainty, Ground, Pooling, Rule, Source, Target

_NEON: Final = Source(Ground.DOCS, "Neon's docs, Connection pooling")
_AZURE: Final = Source(Ground.DOCS, "Azure's docs, PgBouncer in Azure Database for PostgreSQL")
_PLANETSCALE: Final = Source(Ground.DOCS, "PlanetScale's docs, Postgres connections")
_CRUNCHY: Final = Source(Ground.DOCS, "Crunchy Bridge's docs, PgBouncer")
_DIGITALOCEAN: Final = Source(Ground.DOCS, "DigitalOcean's docs, PostgreSQL connection pools")
_TIMESCALE: Final = Source(Ground.DOCS, "Tiger Cloud's docs, Connection pooling")
_RDS: Final = Source(Ground.DOCS, "Amazon's docs, RDS Proxy")
_PRISMA: Final = Source(Ground.DOCS, "Prisma's docs, Connection pooling")


def _same_host_5432(target: Target) -> Place | None:
    return target.moved(port=5432)


def _neon_direct(target: Target) -> Place | None:
    first, _, rest = target.host.partition(".")
    return target.moved(host=f"{first.removesuffix('-pooler')}.{rest}")


def _planetscale_identity(target: Target) -> str | None:
    _, dot, branch = target.username.partition("|")[0].rpartition(".")
    return f"planetscale:{branch}/{target.database}" if dot and branch and target.database else None


def _timescale_identity(target: Target) -> str | None:
    return f"timescale:{target.host}/tsdb"


RULES: Final = (
    Rule(
        id="neon-pooled",
        provider="neon",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.CERTAIN,
        when="`*-pooler.….neon.tech`",
        why="-pooler in the host name leads to Neon's PgBouncer, which is in transaction mode",
        source=_NEON,
        examples=("postgres://app@ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech:5432/chatwoot",),
        fits=lambda t: t.host.partition(".")[0].endswith("-pooler"),
        tails=("neon.tech",),
        direct_form=_neon_direct,
    ),
    Rule(
        id="neon-direct",
        provider="neon",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`ep-*.….neon.tech`, no `-pooler`",
        why="without -pooler in the host name Neon's proxy gives each client a Postgres connection of its own",
        source=_NEON,
        examples=("postgres://app@ep-cool-darkness-123456.us-east-2.aws.neon.tech:5432/chatwoot",),
        fits=lambda t: t.host.startswith("ep-"),
        tails=("neon.tech",),
    ),
    Rule(
        id="azure-pgbouncer",
        provider="azure",
        pooling=Pooling.POOLED,
        certainty=Certainty.CERTAIN,
        when="`*.postgres.database.azure.com`, port 6432",
        why="port 6432 is the server's built-in PgBouncer; its mode is a server parameter",
        source=_AZURE,
        examples=("postgres://app@chatwoot.postgres.database.azure.com:6432/chatwoot",),
        fits=lambda t: t.port == 6432,
        tails=("postgres.database.azure.com",),
        direct_form=_same_host_5432,
    ),
    Rule(
        id="azure-worker-pgbouncer",
        provider="azure",
        pooling=Pooling.POOLED,
        certainty=Certainty.CERTAIN,
        when="`*.postgres.database.azure.com`, port 8432",
        why="port 8432 is the PgBouncer of an elastic cluster's workers",
        source=_AZURE,
        examples=("postgres://app@chatwoot.postgres.database.azure.com:8432/chatwoot",),
        fits=lambda t: t.port == 8432,
        tails=("postgres.database.azure.com",),
    ),
    Rule(
        id="azure-direct",
        provider="azure",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`*.postgres.database.azure.com`, port 5432",
        why="port 5432 is Postgres itself; the built-in PgBouncer has 6432",
        source=_AZURE,
        examples=("postgres://app@chatwoot.postgres.database.azure.com:5432/chatwoot",),
        fits=lambda t: t.port == 5432,
        tails=("postgres.database.azure.com",),
    ),
    Rule(
        id="planetscale-pgbouncer",
        provider="planetscale",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.CERTAIN,
        when="`*.psdb.cloud`, port 6432",
        why="port 6432 is PlanetScale's PgBouncer, in transaction mode",
        source=_PLANETSCALE,
        examples=("postgres://postgres.a1b2c3d4e5f6@us-east-1.pg.psdb.cloud:6432/postgres",),
        fits=lambda t: t.port == 6432,
        tails=("psdb.cloud",),
        direct_form=_same_host_5432,
        identity=_planetscale_identity,
    ),
    Rule(
        id="planetscale-direct",
        provider="planetscale",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`*.psdb.cloud`, port 5432",
        why="port 5432 is Postgres itself; PlanetScale's PgBouncer has 6432",
        source=_PLANETSCALE,
        examples=("postgres://postgres.a1b2c3d4e5f6@us-east-1.pg.psdb.cloud:5432/postgres",),
        fits=lambda t: t.port == 5432,
        tails=("psdb.cloud",),
        identity=_planetscale_identity,
    ),
    Rule(
        id="crunchy-pgbouncer",
        provider="crunchy",
        pooling=Pooling.POOLED,
        certainty=Certainty.CERTAIN,
        when="`p.*.db.postgresbridge.com`, port 5431",
        why="port 5431 is the cluster's PgBouncer; the docs do not give its mode",
        source=_CRUNCHY,
        examples=("postgres://app@p.43lmodgbqvdmlpbjirv22dfciu.db.postgresbridge.com:5431/chatwoot",),
        fits=lambda t: t.port == 5431,
        tails=("db.postgresbridge.com",),
        direct_form=_same_host_5432,
    ),
    Rule(
        id="crunchy-direct",
        provider="crunchy",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`p.*.db.postgresbridge.com`, port 5432",
        why="port 5432 is Postgres itself; the cluster's PgBouncer has 5431",
        source=_CRUNCHY,
        examples=("postgres://app@p.43lmodgbqvdmlpbjirv22dfciu.db.postgresbridge.com:5432/chatwoot",),
        fits=lambda t: t.port == 5432,
        tails=("db.postgresbridge.com",),
    ),
    Rule(
        id="digitalocean-pool",
        provider="digitalocean",
        pooling=Pooling.POOLED,
        certainty=Certainty.CERTAIN,
        when="`*.db.ondigitalocean.com`, port 25061",
        why="port 25061 is a connection pool; each has its own mode (transaction unless told), and its name is"
        " in the place of the database's",
        source=_DIGITALOCEAN,
        examples=("postgres://doadmin@db-postgresql-fra1-12345.b.db.ondigitalocean.com:25061/chatwoot-pool",),
        fits=lambda t: t.port == 25061,
        tails=("db.ondigitalocean.com",),
    ),
    Rule(
        id="digitalocean-direct",
        provider="digitalocean",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`*.db.ondigitalocean.com`, port 25060",
        why="port 25060 is Postgres itself; pools have 25061",
        source=_DIGITALOCEAN,
        examples=("postgres://doadmin@db-postgresql-fra1-12345.b.db.ondigitalocean.com:25060/chatwoot",),
        fits=lambda t: t.port == 25060,
        tails=("db.ondigitalocean.com",),
    ),
    Rule(
        id="aiven",
        provider="aiven",
        pooling=Pooling.UNKNOWN,
        certainty=Certainty.NONE,
        when="`*.aivencloud.com`",
        why="a pool differs from the service by a port that Aiven chooses, and has its name in the place of "
        "the database's: only the console tells which this is",
        source=Source(Ground.DOCS, "Aiven's docs, Manage connection pooling"),
        examples=("postgres://avnadmin@pg-chatwoot-acme.a.aivencloud.com:21699/defaultdb",),
        fits=lambda t: True,
        tails=("aivencloud.com",),
    ),
    Rule(
        id="timescale-transaction",
        provider="timescale",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.CERTAIN,
        when="`*.tsdb.cloud.timescale.com`, database `tsdb_transaction`",
        why="the database name tsdb_transaction is the pooler's transaction pool",
        source=_TIMESCALE,
        examples=("postgres://tsdbadmin@abc123.project.tsdb.cloud.timescale.com:32101/tsdb_transaction",),
        fits=lambda t: t.database == "tsdb_transaction",
        tails=("tsdb.cloud.timescale.com",),
        identity=_timescale_identity,
    ),
    Rule(
        id="timescale-tsdb",
        provider="timescale",
        pooling=Pooling.UNKNOWN,
        certainty=Certainty.NONE,
        when="`*.tsdb.cloud.timescale.com`, database `tsdb`",
        why="the database name tsdb is Postgres itself or the pooler's session pool: only the port differs, "
        "and each service has its own",
        source=_TIMESCALE,
        examples=("postgres://tsdbadmin@abc123.project.tsdb.cloud.timescale.com:32100/tsdb",),
        fits=lambda t: t.database == "tsdb",
        tails=("tsdb.cloud.timescale.com",),
        identity=_timescale_identity,
    ),
    Rule(
        id="rds-proxy",
        provider="amazon-rds",
        pooling=Pooling.POOLED,
        certainty=Certainty.CERTAIN,
        when="`*.proxy-*.….rds.amazonaws.com`",
        why="RDS Proxy shares server connections by the transaction, until a session does something that pins "
        "it",
        source=_RDS,
        examples=("postgres://app@chatwoot.proxy-abcdefghijkl.us-east-1.rds.amazonaws.com:5432/chatwoot",),
        fits=lambda t: ".proxy-" in t.host,
        tails=("rds.amazonaws.com",),
    ),
    Rule(
        id="rds-direct",
        provider="amazon-rds",
        pooling=Pooling.DIRECT,
        certainty=Certainty.LIKELY,
        when="`*.rds.amazonaws.com`, no `proxy-`",
        why="an endpoint of an RDS instance or an Aurora cluster; a proxy has proxy- in its name",
        source=Source(Ground.INFERRED, "Amazon's docs, RDS Proxy: its endpoints have proxy- in them"),
        examples=("postgres://app@chatwoot.cluster-abcdefghijkl.us-east-1.rds.amazonaws.com:5432/chatwoot",),
        fits=lambda t: t.port != 6432,
        tails=("rds.amazonaws.com",),
    ),
    Rule(
        id="prisma-pooled",
        provider="prisma",
        pooling=Pooling.TRANSACTION,
        certainty=Certainty.CERTAIN,
        when="`pooled.db.prisma.io`",
        why="Prisma's PgBouncer, in transaction mode",
        source=_PRISMA,
        examples=("postgres://0123456789abcdef@pooled.db.prisma.io:5432/postgres",),
        fits=lambda t: t.host == "pooled.db.prisma.io",
        tails=("prisma.io",),
        direct_form=lambda t: t.moved(host="db.prisma.io"),
        identity=lambda t: None,
    ),
    Rule(
        id="prisma-direct",
        provider="prisma",
        pooling=Pooling.DIRECT,
        certainty=Certainty.CERTAIN,
        when="`db.prisma.io`",
        why="the host that goes past Prisma's PgBouncer",
        source=_PRISMA,
        examples=("postgres://0123456789abcdef@db.prisma.io:5432/postgres",),
        fits=lambda t: t.host == "db.prisma.io",
        tails=("prisma.io",),
        identity=lambda t: None,
    ),
)
