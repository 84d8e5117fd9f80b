"""What a pooler does to Rails: prepared statements, migrations' locks, session settings, and clients over the cap."""

from __future__ import annotations

from typing import Final

from hotdash.dsn.classification import Classification
from hotdash.dsn.finding import Check, Severity
from hotdash.dsn.model import Dsn
from hotdash.dsn.rule import Ground, Pooling, Source

_SUPAVISOR: Final = frozenset({"supabase-pooler-transaction", "supavisor-transaction"})
_SUPAVISOR_SOURCE: Final = Source(Ground.SOURCE, "Supavisor's source: pool_size")
_MIGRATOR: Final = Source(Ground.SOURCE, "Active Record's migrator; rails/rails#32622")


def _shares(told: Classification) -> bool:
    """Whether what a session was told is lost, or met by another."""
    return told.pooling is Pooling.TRANSACTION or told.pooling is Pooling.STATEMENT


def _prepares(dsn: Dsn) -> bool:
    # Rails takes the very word false, and no other, for off.
    return dsn.parameters.get("prepared_statements") != "false"


def _sets_by_options(dsn: Dsn, told: Classification) -> bool:
    if told.pooling is Pooling.DIRECT or told.pooling is Pooling.UNKNOWN:
        return False
    return dsn.parameters.get("options", "").lstrip().startswith("-")


CHECKS: Final = (
    Check(
        code="prepared-statements-unsupported",
        severity=Severity.ERROR,
        when="Supavisor's transaction mode without `prepared_statements=false`",
        text="Chatwoot uses prepared statements, which Supavisor does not support in transaction mode: queries"
        " fail with `prepared statement … does not exist` or `already exists`",
        remedy="add prepared_statements=false, or take session mode, port 5432",
        source=Source(Ground.DOCS, "Supabase's docs, Connect to your database"),
        example="postgres://postgres.abcdefghijklmnopqrst:x@aws-1-us-east-1.pooler.supabase.com:6543/postgres"
        "?sslmode=require",
        applies=lambda dsn, told: told.rule in _SUPAVISOR and _prepares(dsn),
    ),
    Check(
        code="prepared-statements",
        severity=Severity.WARNING,
        when="another transaction or statement pooler without `prepared_statements=false`",
        text="Chatwoot uses prepared statements: they fail behind this pooler, unless its "
        "max_prepared_statements is set",
        remedy="add prepared_statements=false",
        source=Source(Ground.SOURCE, "PgBouncer's source: max_prepared_statements"),
        example="postgres://app:x@ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech:5432/chatwoot?sslmode=require",
        applies=lambda dsn, told: _shares(told) and told.rule not in _SUPAVISOR and _prepares(dsn),
    ),
    Check(
        code="advisory-locks",
        severity=Severity.WARNING,
        when="a transaction or statement pooler without `advisory_locks=false`",
        text="a migration through it locks on one server connection and unlocks on another: it fails after it "
        "has run, and the lock that stays keeps the next one out",
        remedy="migrate through {direct}; where there is none, add advisory_locks=false and run one migration "
        "at a time",
        source=_MIGRATOR,
        example="postgres://app:x@ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech:5432/chatwoot?sslmode=require",
        applies=lambda dsn, told: _shares(told) and dsn.parameters.get("advisory_locks") != "false",
    ),
    Check(
        code="session-cap",
        severity=Severity.WARNING,
        when="Supavisor's session mode",
        text="clients are capped at the pool size, 15 unless changed; Chatwoot's defaults open 5 (web) + 10 "
        "(Sidekiq), and a migration is one too many: `max clients reached`",
        remedy="migrate through {direct}; or raise the pool size; or lower RAILS_MAX_THREADS and "
        "SIDEKIQ_CONCURRENCY",
        source=_SUPAVISOR_SOURCE,
        example="postgres://postgres.abcdefghijklmnopqrst:x@aws-1-us-east-1.pooler.supabase.com:5432/postgres"
        "?sslmode=require",
        applies=lambda _, told: (
            told.pooling is Pooling.SESSION and told.provider in ("supabase", "supavisor")
        ),
    ),
    Check(
        code="rds-proxy-pins",
        severity=Severity.WARNING,
        when="RDS Proxy",
        text="Chatwoot begins each session with SET, and uses prepared statements and locks: each pins the "
        "session to one server connection, so the proxy shares none",
        remedy="take the endpoint of the instance or the cluster",
        source=Source(Ground.DOCS, "Amazon's docs, Avoiding pinning an RDS Proxy"),
        example="postgres://app:x@chatwoot.proxy-abcdefghijkl.us-east-1.rds.amazonaws.com:5432/chatwoot"
        "?sslmode=require",
        applies=lambda _, told: told.rule == "rds-proxy",
    ),
    Check(
        code="options-through-pooler",
        severity=Severity.WARNING,
        when="`options=-c …` through a pooler",
        text="PgBouncer answers options with `unsupported startup parameter`, unless it is told to ignore them",
        remedy="take options out; ALTER ROLE … SET keeps such a setting on the server",
        source=Source(Ground.SOURCE, "PgBouncer's source: ignore_startup_parameters"),
        example="postgres://app:x@pgbouncer.example.com:6432/chatwoot?options=-c%20statement_timeout%3D9s"
        "&sslmode=require",
        applies=_sets_by_options,
    ),
    Check(
        code="session-settings",
        severity=Severity.NOTE,
        when="a transaction or statement pooler",
        text="Chatwoot sets statement_timeout once a session: behind this pooler it lands on whichever server "
        "connection is at hand, and others meet it there",
        remedy="set it on the server: ALTER ROLE … SET statement_timeout",
        source=Source(Ground.SOURCE, "Chatwoot's config/database.yml"),
        example="postgres://app:x@pooled.db.prisma.io:5432/postgres?sslmode=require",
        applies=lambda _, told: _shares(told),
    ),
    Check(
        code="one-migration-at-a-time",
        severity=Severity.NOTE,
        when="`advisory_locks=false`",
        text="advisory_locks=false: nothing keeps two migrations from running at once",
        remedy="see that a release has one machine that migrates",
        source=_MIGRATOR,
        example="postgres://app:x@db.example.com:5432/chatwoot?advisory_locks=false&sslmode=require",
        applies=lambda dsn, _: dsn.parameters.get("advisory_locks") == "false",
    ),
    Check(
        code="mode-not-told",
        severity=Severity.NOTE,
        when="a pooler whose mode the DSN cannot tell",
        text="the pooler's mode is set at its own end: if it is transaction, Chatwoot needs "
        "prepared_statements=false, and migrations need another way",
        remedy="look it up there, and migrate through {direct}",
        source=Source(Ground.SOURCE, "PgBouncer's source: pool_mode"),
        example="postgres://app:x@pgbouncer.abcdefgh12345678.flympg.net:5432/chatwoot",
        applies=lambda _, told: told.pooling is Pooling.POOLED and told.rule != "rds-proxy",
    ),
    Check(
        code="pool-name",
        severity=Severity.NOTE,
        when="a pool at DigitalOcean",
        text="{database} is the pool's name; the database's own is known to the pool alone",
        remedy="migrate through the cluster's own URL, port 25060, which names the database",
        source=Source(Ground.DOCS, "DigitalOcean's docs, PostgreSQL connection pools"),
        example="postgres://doadmin:x@db-postgresql-fra1-12345.b.db.ondigitalocean.com:25061/pool?sslmode=require",
        applies=lambda dsn, told: told.rule == "digitalocean-pool" and bool(dsn.database),
    ),
)
