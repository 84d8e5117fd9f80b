"""What the databases hold: for Chatwoot the tables by which one tells that it is Chatwoot's, for HotDash its facts.

`prepare` makes roles, databases and tables where they are missing; `restore` puts everything back as it was."""

from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

from sandbox.chatwoot.migrations import EXTENSIONS, INTERNAL_METADATA, TABLES
from sandbox.services.endpoints import Account, Endpoints
from sandbox.services.redis import client as redis_client

_SEED: LiteralString = """
INSERT INTO ar_internal_metadata VALUES ('environment', 'production', now(), now());
INSERT INTO schema_migrations VALUES
  ('20231211010807'), ('20240129080827'), ('20250104200055'), ('20250523031839'), ('20251119094040');
INSERT INTO installation_configs (name, serialized_value) VALUES
  ('INSTALLATION_NAME', '{"value": "HotDash Support"}'),
  ('ENABLE_ACCOUNT_SIGNUP', '{"value": false}'),
  ('INSTALLATION_IDENTIFIER', '{"value": "e7c5a1f4-2f51-4c55-9a5e-0f1f2f6b0b11"}');
INSERT INTO portals (account_id, name, slug, custom_domain) VALUES
  (1, 'HotDash help', 'hotdash-help', 'help.hotdash.example');
"""

CHATWOOT: LiteralString = ";\n".join((INTERNAL_METADATA, *TABLES.values(), _SEED))
"""Chatwoot's database as 4.11 leaves it."""

HOTDASH = """
CREATE TABLE dashboard_facts (
  id bigserial PRIMARY KEY, shop_domain varchar NOT NULL, fact_type varchar NOT NULL, scope varchar,
  value jsonb NOT NULL DEFAULT '{}', metadata jsonb, recorded_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON dashboard_facts (fact_type, recorded_at);
"""


def prepare(endpoints: Endpoints) -> None:
    """Make what is missing: roles with their passwords, their databases, the tables. Safe to repeat.

    Raises:
        psycopg.Error: Postgres refused.
    """
    with _connect(endpoints, endpoints.superuser) as session:
        roles = {name for (name,) in session.execute("SELECT rolname FROM pg_roles")}
        databases = {name for (name,) in session.execute("SELECT datname FROM pg_database")}
        for account in (endpoints.chatwoot, endpoints.hotdash):
            role, database = Identifier(account.role), Identifier(account.database)
            verb = SQL("ALTER" if account.role in roles else "CREATE")
            session.execute(SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, account.password))
            if account.database not in databases:
                session.execute(SQL("CREATE DATABASE {} OWNER {}").format(database, role))
    # As the superuser: not all of them are for everybody to make, and Chatwoot's own role finds them made. Where a
    # Postgres older than 18 has not all of them, preflight says so.
    with _connect(endpoints, endpoints.superuser, endpoints.chatwoot.database) as session:
        there = {name for (name,) in session.execute("SELECT name FROM pg_available_extensions")}
        for name in EXTENSIONS:
            if name in there:
                session.execute(SQL("CREATE EXTENSION IF NOT EXISTS {}").format(Identifier(name)))
    for account, tables in _contents(endpoints):
        with _connect(endpoints, account) as session, session.transaction():
            if not session.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1").fetchall():
                session.execute(tables)


def restore(endpoints: Endpoints) -> None:
    """Put roles, passwords and tables back as `prepare` made them, and empty Redis.

    Raises:
        psycopg.Error, redis.RedisError: one of them refused, or a session holds a table for over 2 s.
    """
    for account in (endpoints.chatwoot, endpoints.hotdash):
        with _connect(endpoints, endpoints.superuser, account.database) as session, session.transaction():
            session.execute("SET LOCAL lock_timeout = '2s'; DROP SCHEMA IF EXISTS public CASCADE")
            session.execute(SQL("CREATE SCHEMA public AUTHORIZATION {}").format(Identifier(account.role)))
    prepare(endpoints)
    with redis_client(endpoints) as session_of_redis:
        session_of_redis.flushall()


def _contents(endpoints: Endpoints) -> tuple[tuple[Account, LiteralString], ...]:
    return (endpoints.chatwoot, CHATWOOT), (endpoints.hotdash, HOTDASH)


def _connect(endpoints: Endpoints, account: Account, database: str = "") -> psycopg.Connection:
    return psycopg.connect(
        host=endpoints.postgres_host,
        port=endpoints.postgres_port,
        dbname=database or account.database,
        user=account.role,
        password=account.password,
        application_name="sandbox",
        connect_timeout=5,
        autocommit=True,
    )
