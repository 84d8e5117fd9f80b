"""The database: own, reached rightly, with room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hotdash.stack.databases import Agreement
from policies.rules.facts import Connections, Facts
from tests.policies.cases.making import (
    DIRECT,
    LOOPBACK,
    OTHER_DIRECT,
    POOLER,
    SESSION,
    SOUND,
    TRANSACTION,
    UNKNOWN_HOST,
    WEB,
    WORKER,
    Case,
    databases,
    like,
)

DB, DIRECT_DB, PRIMARY = "DATABASE_URL", "DIRECT_DATABASE_URL", "PRIMARY_DATABASE_URL"
UNPREPARED = TRANSACTION.replace("&prepared_statements=false", "")


def migrating(url: str) -> Facts:
    return like(databases=databases(DATABASE_URL=url), migration_database=DB)


def outranked(primary: str, url: str = DIRECT, **changes: Any) -> Facts:
    """With a URL that Rails takes before DATABASE_URL's."""
    urls = {PRIMARY: primary, DB: url, DIRECT_DB: DIRECT}
    return like(databases=databases(**urls), secrets={**SOUND.secrets, PRIMARY: "occ/primary.env"}, **changes)


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
    Case(
        "connection-budget",
        "the pooler that outranks the direct URL",
        outranked(SESSION, connections=Connections()),
        (PRIMARY,),
        ("2 web × 5 + 1 worker × 10 + 0 migrations = 20", "15"),
    ),
    Case(
        "connection-budget",
        "the pooler that is outranked",
        outranked(DIRECT, SESSION, connections=Connections()),
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
        like(databases=databases(DATABASE_URL=UNPREPARED)),
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
    Case(
        "transaction-prepared",
        "the pooler that outranks the direct URL",
        outranked(UNPREPARED),
        (PRIMARY,),
        (f"{PRIMARY} leads to a pooler",),
    ),
    Case("transaction-prepared", "the pooler that is outranked", outranked(DIRECT, UNPREPARED)),
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
        "migrations change the one that is outranked",
        outranked(OTHER_DIRECT, forbidden_databases=databases(HotDash=UNKNOWN_HOST)),
        (DIRECT_DB,),
        (f"{PRIMARY} to",),
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
    Case(
        "postgres-agrees", "equal", like(postgres_variables={"POSTGRES_PORT": Agreement.EQUAL}), boundary=True
    ),
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
        "different from the one that outranks",
        outranked(DIRECT, postgres_variables={"POSTGRES_PORT": Agreement.DIFFERS}),
        ("POSTGRES_PORT",),
        (f"does not say what {PRIMARY} says",),
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
        like(
            secrets={"POSTGRES_PORT": "occ/pg.env#PORT"},
            postgres_variables={"POSTGRES_PORT": Agreement.UNKNOWN},
        ),
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
)
