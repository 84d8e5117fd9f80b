"""Where a DSN leads: roles and ports that a vendor wants, networks that reach it or not, and who can listen."""

from __future__ import annotations

from typing import Final

from hotdash.dsn.classification import Classification
from hotdash.dsn.finding import Check, Severity
from hotdash.dsn.model import Dsn
from hotdash.dsn.rule import Ground, Source, Target
from hotdash.dsn.rules.anywhere import is_this_machine
from hotdash.dsn.rules.supabase import tenant

_SUPABASE: Final = Source(Ground.DOCS, "Supabase's docs, Connect to your database")
_LIBPQ: Final = Source(Ground.DOCS, "libpq's docs, SSL support")
_IN_CLEAR: Final = frozenset({"", "disable", "allow", "prefer"})
_SSLMODES: Final = _IN_CLEAR | {"require", "verify-ca", "verify-full"}
_PRIVATE: Final = (".flycast", ".internal", ".flympg.net")
"""Fly's and Railway's private networks are WireGuard; Fly's managed Postgres has TLS on without being told."""
_PROJECT_HOSTS: Final = frozenset({"supabase-direct", "supabase-dedicated"})


def _may_be_in_clear(dsn: Dsn) -> bool:
    # JDBC's ssl=true does not count: Rails drops it.
    if dsn.parameters.get("sslmode", "") not in _IN_CLEAR:
        return False
    host = dsn.host.lower()
    return not is_this_machine(host) and not host.endswith(_PRIVATE)


def _has_project_in_role(dsn: Dsn, told: Classification) -> bool:
    return told.rule in _PROJECT_HOSTS and dsn.username.endswith(f".{dsn.host.lower().split('.')[1]}")


CHECKS: Final = (
    Check(
        code="supabase-role-without-project",
        severity=Severity.ERROR,
        when="Supabase's shared pooler, and a role without `.REF`",
        text="the pooler serves every project, and nothing tells it which: it answers `Tenant or user not "
        "found`",
        remedy="write the project's ref behind the role: {role}.REF; the dashboard shows it under Connect",
        source=_SUPABASE,
        example="postgres://postgres:x@aws-1-us-east-1.pooler.supabase.com:5432/postgres?sslmode=require",
        applies=lambda dsn, told: told.rule.startswith("supabase-pooler") and not tenant(Target.of(dsn)),
    ),
    Check(
        code="supabase-role-with-project",
        severity=Severity.ERROR,
        when="a Supabase project's own host, and a role with `.REF`",
        text="the role is written as the shared pooler wants it; Postgres itself has no role {role}",
        remedy="leave out the dot and the project's ref behind it",
        source=Source(Ground.INFERRED, "Supabase's docs give this host with the plain role"),
        example="postgres://postgres.abcdefghijklmnopqrst:x@db.abcdefghijklmnopqrst.supabase.co:5432/postgres"
        "?sslmode=require",
        applies=_has_project_in_role,
    ),
    Check(
        code="sslmode-unknown",
        severity=Severity.ERROR,
        when="an `sslmode` that is none",
        text="sslmode={sslmode} is none: libpq refuses the connection",
        remedy="write sslmode=require, or verify-full with a root certificate",
        source=_LIBPQ,
        example="postgres://app:x@db.example.com:5432/chatwoot?sslmode=required",
        applies=lambda dsn, _: dsn.parameters.get("sslmode", "") not in _SSLMODES,
    ),
    Check(
        code="supabase-pooler-port",
        severity=Severity.WARNING,
        when="Supabase's shared pooler at a port that it does not have",
        text="Supabase's shared pooler has the ports 5432 (session) and 6543 (transaction), not {port}",
        remedy="write 5432; Chatwoot wants session mode",
        source=_SUPABASE,
        example="postgres://postgres.abcdefghijklmnopqrst:x@aws-1-us-east-1.pooler.supabase.com:5433/postgres"
        "?sslmode=require",
        applies=lambda _, told: told.rule == "supabase-pooler-other-port",
    ),
    Check(
        code="tls-not-required",
        severity=Severity.WARNING,
        when="`sslmode` is absent, `disable`, `allow` or `prefer`, off this machine and private networks",
        text="sslmode is {sslmode}: a server that offers no TLS gets the password and all data in clear",
        remedy="add sslmode=require; verify-full with a root certificate proves the server too",
        source=_LIBPQ,
        example="postgres://app:x@db.example.com:5432/chatwoot",
        applies=lambda dsn, _: _may_be_in_clear(dsn),
    ),
    Check(
        code="fly-member",
        severity=Severity.WARNING,
        when="port 5433 of a Fly Postgres app",
        text="port 5433 is one member's own, which may be a replica: those refuse every write",
        remedy="write 5432, which leads to the member that takes writes",
        source=Source(Ground.DOCS, "Fly's docs, Fly Postgres"),
        example="postgres://app:x@chatwoot-db.internal:5433/chatwoot",
        applies=lambda _, told: told.rule == "fly-postgres-member",
    ),
    Check(
        code="supabase-ipv6",
        severity=Severity.NOTE,
        when="a Supabase project's own host",
        text="the host has an IPv6 address alone, unless the project has the IPv4 add-on: Fly's machines reach"
        " it, many CI runners and home networks do not",
        remedy="where IPv6 is missing, take the shared pooler's URL from the dashboard",
        source=_SUPABASE,
        example="postgres://postgres:x@db.abcdefghijklmnopqrst.supabase.co:5432/postgres?sslmode=require",
        applies=lambda _, told: told.rule in _PROJECT_HOSTS,
    ),
    Check(
        code="digitalocean-redis-port",
        severity=Severity.NOTE,
        when="port 25061 at DigitalOcean",
        text="DigitalOcean's Redis and Valkey have port 25061 too",
        remedy="see that the host is the Postgres cluster's",
        source=Source(Ground.DOCS, "DigitalOcean's docs, Connect to Valkey"),
        example="postgres://doadmin:x@db-postgresql-fra1-12345.b.db.ondigitalocean.com:25061/pool?sslmode=require",
        applies=lambda _, told: told.rule == "digitalocean-pool",
    ),
    Check(
        code="this-machine",
        severity=Severity.NOTE,
        when="a loopback address or a socket",
        text="the host is whatever machine reads it: on Fly the machine itself, where no Postgres runs",
        remedy="for an app on Fly name the database's own host",
        source=Source(Ground.INFERRED, "libpq's docs, Connection control functions"),
        example="postgres://app:x@localhost:5432/chatwoot",
        applies=lambda dsn, _: is_this_machine(dsn.host.lower()),
    ),
)
