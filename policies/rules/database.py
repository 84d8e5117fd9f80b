"""The database: that it is Chatwoot's own, how it is reached, and that it has room for all who come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from hotdash.chatwoot import main_database
from hotdash.dsn import Pooling, same_database
from hotdash.stack.databases import Agreement, Database
from hotdash.stack.refusals import (
    MIGRATIONS_DIRECT,
    TRANSACTION_PREPARED,
    pooled_migrations,
    prepared_through_pooler,
)
from policies.rules.facts import Facts
from policies.rules.image import version_of
from policies.rules.rule import Config, Enforcement, Finding, Rule, Setting, Severity

if TYPE_CHECKING:
    from hotdash.preflight.demand import Demand

SUPAVISOR_LIMIT: Final = 15
"""Connections that a Supabase pooler gives unless it was changed (Supavisor's source: pool_size)."""
_POOL_SIZE_RULES: Final = ("supabase-", "supavisor-")
_RAILS_7_1: Final = (4, 3, 0)
"""Chatwoot's first version on Rails 7.1; before it a migration opens a second connection for its lock."""
_MAIN: Final = "`DATABASE_URL`, or `PRIMARY_DATABASE_URL` where that is declared"
_HOSTS: Final = {"type": "array", "items": {"type": "string"}, "description": "a list of hosts"}


def _migrations_direct(facts: Facts, config: Config) -> Iterator[Finding]:
    name = facts.migration_database
    if name not in facts.databases:
        what = "is no postgres:// URL" if name in facts.secrets else "is not among hotdash:secrets"
        yield Finding(
            name,
            f"migrations would take {name}, which {what}: nobody can tell where they would go",
            "hotdash:migration.database",
            "declare the direct URL as a secret, and name it there",
        )
    for refusal in pooled_migrations(name, facts.databases, config["directHosts"]):
        yield Finding.of(refusal)


def _connection_budget(facts: Facts, _config: Config) -> Iterator[Finding]:
    name = main_database(facts.databases)
    database = facts.databases.get(name)
    limit, whose = _limit(facts, database)
    if limit is None:
        return
    demand = _demand(facts, database)
    if demand.total > limit:
        yield Finding(
            name,
            f"Chatwoot opens up to {demand.total} connections, and there are {limit} ({whose}): {demand}",
            "hotdash:connections",
            "migrate through the direct URL (hotdash:migration.database); lower the counts or the threads "
            "(RAILS_MAX_THREADS, SIDEKIQ_CONCURRENCY) and declare them under hotdash:connections; or raise the pool "
            "size and declare it as hotdash:connections.limit"
            if demand.migrations
            else "lower the counts or the threads (RAILS_MAX_THREADS, SIDEKIQ_CONCURRENCY) and declare them under "
            "hotdash:connections; or raise the pool size and declare it as hotdash:connections.limit",
        )


def _limit(facts: Facts, database: Database | None) -> tuple[int | None, str]:
    if facts.connections.limit is not None:
        return facts.connections.limit, "hotdash:connections.limit"
    if database is not None and _is_pool_of_supabase(database):
        return (
            SUPAVISOR_LIMIT,
            f"what a Supabase pooler gives in {database.pooling} mode, unless it was changed",
        )
    return None, ""


def _is_pool_of_supabase(database: Database) -> bool:
    return database.rule.startswith(_POOL_SIZE_RULES) and database.pooling in (
        Pooling.SESSION,
        Pooling.TRANSACTION,
    )


def _demand(facts: Facts, database: Database | None) -> Demand:
    from hotdash.preflight.demand import Demand  # here: its package brings all of preflight along

    migrates = facts.databases.get(facts.migration_database)
    same_door = (
        database is None
        or migrates is None
        or (database.host.lower(), database.port) == (migrates.host.lower(), migrates.port)
    )
    versions = [version for group in facts.groups if (version := version_of(group.image))]
    each = 2 if versions and min(versions) < _RAILS_7_1 else 1
    return Demand(
        web=sum(group.count for group in facts.groups if group.is_web),
        workers=sum(group.count for group in facts.groups if not group.is_web),
        processes=max(1, facts.connections.web_processes),
        threads=facts.connections.web_threads,
        concurrency=facts.connections.worker_threads,
        migrations=each if same_door else 0,
    )


def _transaction_prepared(facts: Facts, _config: Config) -> Iterator[Finding]:
    for refusal in prepared_through_pooler(facts.databases):
        yield Finding.of(refusal)


def _own_database(facts: Facts, config: Config) -> Iterator[Finding]:
    if not facts.forbidden_databases and config["required"]:
        yield Finding(
            "forbiddenDatabases",
            "no database is named that Chatwoot must not use, so HotDash's own cannot be told from Chatwoot's",
            "hotdash:forbiddenDatabases",
            "name HotDash's own there: `HotDash: occ/supabase/database_url_staging.env`",
        )
    for name, database in facts.databases.items():
        for label, other in facts.forbidden_databases.items():
            if same_database(database.dsn, other.dsn):
                yield Finding(
                    name,
                    f"{name} leads to {label}'s database, which Chatwoot must not use: {database}",
                    f"hotdash:secrets.{name}",
                )
    migrates, name = facts.databases.get(facts.migration_database), facts.migration_database
    main = main_database(facts.databases)
    used = facts.databases.get(main)
    if migrates and used and same_database(migrates.dsn, used.dsn) is False:
        yield Finding(
            name,
            f"migrations would change another database than the one that Chatwoot uses: {name} leads to {migrates}, "
            f"{main} to {used}",
            "hotdash:migration.database",
            f"name the direct URL of {main}'s own database there",
        )


def _postgres_agrees(facts: Facts, _config: Config) -> Iterator[Finding]:
    main = main_database(facts.secrets)
    for name, agreement in facts.postgres_variables.items():
        if agreement is Agreement.DIFFERS:
            found = f"{name} does not say what {main} says"
        elif agreement is Agreement.UNKNOWN and main in facts.secrets:
            found = f"{name} cannot be compared with {main}, which is no postgres:// URL"
        else:
            continue
        yield Finding(
            name,
            found,
            f"hotdash:secrets.{name}",
            f"set hotdash:derivePostgresFrom: {main} and take POSTGRES_* out of hotdash:secrets",
        )


def _tls_required(facts: Facts, config: Config) -> Iterator[Finding]:
    for name, database in facts.databases.items():
        if database.host in config["withoutTls"]:
            continue
        if not {"tls-not-required", "sslmode-unknown"}.isdisjoint(database.findings):
            mode = f"sslmode={database.sslmode}" if database.sslmode else "no sslmode"
            yield Finding(
                name,
                f"{name} does not require TLS ({mode}): {database}",
                f"hotdash:secrets.{name}",
            )


RULES: Final = (
    Rule(
        id=MIGRATIONS_DIRECT,
        title="Migrations go to Postgres itself, never through a pooler",
        severity=Severity.CRITICAL,
        enforcement=Enforcement.MANDATORY,
        why="a session pooler gives 15 connections and web and worker hold them all: the migration is the 16th and "
        "fails with `max clients reached`. A transaction pooler loses the lock that a migration holds (Active Record's "
        "migrator; rails/rails#32622)",
        mend="declare the direct URL as a secret of its own, and name it under hotdash:migration.database",
        subjects="the secret that migrations take",
        example="DATABASE_URL",
        needs=frozenset({"databases", "migration_database", "secrets"}),
        check=_migrations_direct,
        settings={
            "directHosts": Setting(
                _HOSTS,
                [],
                "hosts that are Postgres itself, though no rule knows them (`hotdash dsn explain` tells what is known)",
                ["18.213.155.45"],
            )
        },
    ),
    Rule(
        id="connection-budget",
        title="Chatwoot opens no more connections than there are",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="every thread of web and Sidekiq takes a connection once it is busy; the one too many is refused with "
        "`max clients reached`, and it may be a migration's (Supavisor's source)",
        mend="open fewer, or have more",
        subjects=_MAIN,
        example="DATABASE_URL",
        needs=frozenset({"databases", "migration_database", "connections", "groups"}),
        check=_connection_budget,
    ),
    Rule(
        id=TRANSACTION_PREPARED,
        title="Behind a transaction pooler, prepared statements are off",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="Chatwoot uses prepared statements: on another server connection they do not exist, and queries fail under "
        "load with `prepared statement … does not exist` (Supabase's docs, PgBouncer's docs)",
        mend="add prepared_statements=false to the URL in the vault",
        subjects=_MAIN,
        example="DATABASE_URL",
        needs=frozenset({"databases"}),
        check=_transaction_prepared,
    ),
    Rule(
        id="own-database",
        title="Chatwoot's database is its own, and migrations change that one",
        severity=Severity.CRITICAL,
        enforcement=Enforcement.MANDATORY,
        why="an outage began with HotDash's URL in the place of Chatwoot's; `db:chatwoot_prepare` on a database that "
        "is not Chatwoot's drops and makes tables there (Chatwoot's lib/tasks/db_enhancements.rake)",
        mend="put the URL of Chatwoot's own database into the vault",
        subjects="the secret; `forbiddenDatabases` where none is named",
        example="DATABASE_URL",
        needs=frozenset({"databases", "forbidden_databases", "migration_database"}),
        check=_own_database,
        settings={
            "required": Setting(
                {"type": "boolean", "description": "true or false"},
                True,
                "whether a stack must name a database that Chatwoot must not use",
                False,
            )
        },
    ),
    Rule(
        id="postgres-agrees",
        title="POSTGRES_* say what DATABASE_URL says",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="Rails takes the URL and fills what it lacks from POSTGRES_*, and Chatwoot's container waits for the host "
        "that they name: where they disagree, one process talks to one database and the next to another",
        mend="set hotdash:derivePostgresFrom: DATABASE_URL and take POSTGRES_* out of hotdash:secrets",
        subjects="the POSTGRES_* secret",
        example="POSTGRES_HOST",
        needs=frozenset({"postgres_variables", "secrets"}),
        check=_postgres_agrees,
    ),
    Rule(
        id="tls-required",
        title="Database URLs require TLS",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="without sslmode=require libpq talks in clear to a server that offers no TLS, or to whoever is between, "
        "password and customers' messages with it (libpq's docs, SSL support)",
        mend="add sslmode=require to the URL in the vault",
        subjects="the secret",
        example="DATABASE_URL",
        needs=frozenset({"databases"}),
        check=_tls_required,
        settings={
            "withoutTls": Setting(_HOSTS, [], "hosts without TLS, in a network of our own", ["10.0.0.5"])
        },
    ),
)
