"""What is said after the login, and by migrations."""

from __future__ import annotations

from typing import Final

from hotdash.preflight.server_errors.rule import POSTGRES, RAILS, REFUSED, UNCLEAR, ServerError, rule

RULES: Final[tuple[ServerError, ...]] = (
    rule(
        "migration-locked",
        RAILS,
        r"failed\ to\ release\ advisory\ lock | another\ migration\ process\ is\ currently\ running",
        "ActiveRecord::ConcurrentMigrationError: Failed to release advisory lock",
        "Cannot run migrations because another migration process is currently running.",
        meaning="the migration's lock was taken on one connection of a transaction pooler and given back on another",
        verdict=REFUSED,
        next="migrate over the direct URL; a lock that was left ends with its connection (pg_locks has its pid, "
        "pg_terminate_backend ends it)",
        source="Rails' source; rails/rails#32622",
    ),
    rule(
        "prepared-statements",
        POSTGRES,
        r'prepared\ statement\ "[^"]*"\ (?:already\ exists | does\ not\ exist)',
        'ERROR:  prepared statement "a1" already exists',
        'ERROR:  prepared statement "a1" does not exist',
        meaning="prepared statements are on, and a transaction pooler gives each transaction another connection",
        verdict=REFUSED,
        next="put ?prepared_statements=false behind the URL, or use the session pooler's or the direct URL",
    ),
    rule(
        "extension-missing",
        POSTGRES,
        r"""permission\ denied\ to\ create\ extension | extension\ "[^"]*"\ is\ not\ available
          | could\ not\ open\ extension\ control\ file | failed\ to\ enable\ 'vector'\ extension""",
        'ERROR:  permission denied to create extension "pg_stat_statements"',
        'ERROR:  extension "vector" is not available',
        "Failed to enable 'vector' extension",
        meaning="Chatwoot's schema needs an extension that the server has not, or that this role may not make",
        verdict=REFUSED,
        next="let somebody who may do it make it: CREATE EXTENSION IF NOT EXISTS …; pgvector may have to be installed",
        source="Postgres' source; chatwoot/chatwoot#4139",
    ),
    rule(
        "statement-timeout",
        POSTGRES,
        r"canceling\ statement\ due\ to\ (?:statement|lock)\ timeout",
        "ERROR:  canceling statement due to statement timeout",
        meaning="a statement took longer than it may: 14 s, unless POSTGRES_STATEMENT_TIMEOUT says otherwise",
        verdict=UNCLEAR,
        next="for migrations set POSTGRES_STATEMENT_TIMEOUT=600s",
    ),
    rule(
        "read-only",
        POSTGRES,
        r"in\ a\ read-only\ transaction",
        "ERROR:  cannot execute INSERT in a read-only transaction",
        meaning="the server takes no writes: a replica, or a full disk",
        verdict=REFUSED,
        next="use the primary's URL; on Supabase, see whether the disk is full",
    ),
    rule(
        "not-permitted",
        POSTGRES,
        r"permission\ denied\ for\ (?:table|schema|sequence|function|relation)",
        "ERROR:  permission denied for table schema_migrations",
        meaning="the role may not do this",
        verdict=REFUSED,
        next="is it the right role? Chatwoot's owns its tables",
    ),
)
