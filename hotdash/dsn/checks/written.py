"""How a DSN is written: what Rails, Ruby's URI and Chatwoot's container do not get along with."""

from __future__ import annotations

from typing import Final

from hotdash.dsn.finding import Check, Severity
from hotdash.dsn.model import Dsn, Form
from hotdash.dsn.parameters import KNOWN
from hotdash.dsn.rule import Ground, Source

_RUBY: Final = Source(Ground.SOURCE, "Ruby's URI, both of its parsers")
_RAILS: Final = Source(Ground.SOURCE, "Rails' ConnectionUrlResolver")
_CONTAINER: Final = Source(Ground.INFERRED, "Chatwoot's docker/entrypoints/rails.sh")
_DATABASE_YML: Final = Source(Ground.SOURCE, "Chatwoot's config/database.yml")


def _names_role_like_database(dsn: Dsn) -> bool:
    return dsn.database not in ("", "postgres") and dsn.database in dsn.username


CHECKS: Final = (
    Check(
        code="keyword-form",
        severity=Severity.ERROR,
        when="libpq's `host=… port=…` form",
        text="it is libpq's keyword=value form: Rails, and so Chatwoot, reads URLs alone",
        remedy="write it as {url}, with the password in it",
        source=_RAILS,
        example="host=db.example.com port=5432 dbname=chatwoot user=app password=x sslmode=require",
        applies=lambda dsn, _: dsn.form is Form.KEYWORDS,
    ),
    Check(
        code="not-encoded",
        severity=Severity.ERROR,
        when="a character that must be percent-encoded and is not",
        text="in the {unencoded} is a character that must be percent-encoded: Ruby refuses the whole URL",
        remedy="write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25; every other than letters, "
        "digits and -._~!$&'()*+,;= likewise",
        source=_RUBY,
        example="postgres://app:p|x@db.example.com:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: bool(dsn.unencoded),
    ),
    Check(
        code="several-hosts",
        severity=Severity.ERROR,
        when="more than one host",
        text="it names several hosts: libpq tries them in turn, Rails reads one host and one port",
        remedy="name one; where the server can move, a host name that moves with it",
        source=_RUBY,
        example="postgres://app:x@db1.example.com:5432,db2.example.com:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: len(dsn.hosts) > 1,
    ),
    Check(
        code="no-port",
        severity=Severity.ERROR,
        when="no port is written",
        text="no port is written: Chatwoot's container passes an empty one to pg_isready, and waits for ever",
        remedy="write :{port} behind the host",
        source=_CONTAINER,
        example="postgres://app:x@db.example.com/chatwoot?sslmode=require",
        applies=lambda dsn, _: not dsn.explicit_port,
    ),
    Check(
        code="ipv6-literal",
        severity=Severity.ERROR,
        when="the host is an IPv6 address",
        text="the host is an IPv6 address: Chatwoot's container passes it to pg_isready with its brackets, "
        "which is no host, and waits for ever",
        remedy="use a host name",
        source=_CONTAINER,
        example="postgres://app:x@[fdaa:0:1::3]:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: dsn.form is Form.URL and ":" in dsn.host,
    ),
    Check(
        code="no-role",
        severity=Severity.ERROR,
        when="no role is named",
        text="no role is named: Rails takes POSTGRES_USERNAME, which Chatwoot's container empties then",
        remedy="write the role before the host: postgres://ROLE:password@…",
        source=_CONTAINER,
        example="postgres://db.example.com:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: not dsn.username,
    ),
    Check(
        code="no-database",
        severity=Severity.ERROR,
        when="no database is named",
        text="no database is named: Rails takes POSTGRES_DATABASE, or else chatwoot_production",
        remedy="write the database behind the port: /DATABASE",
        source=_DATABASE_YML,
        example="postgres://app:x@db.example.com:5432?sslmode=require",
        applies=lambda dsn, _: not dsn.database,
    ),
    Check(
        code="role-with-colon",
        severity=Severity.ERROR,
        when="the role's name holds a colon",
        text="the role's name holds a colon: the one between role and password seems to be percent-encoded",
        remedy="write that colon as it is, and encode only what is special in role and password",
        source=Source(Ground.INFERRED, "no vendor has such roles"),
        example="postgres://app%3Ax@db.example.com:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: ":" in dsn.username,
    ),
    Check(
        code="no-password",
        severity=Severity.WARNING,
        when="no password",
        text="it has no password: Rails takes POSTGRES_PASSWORD, or else chatwoot_prod",
        remedy="write the password behind the role, unless the server asks for none",
        source=_DATABASE_YML,
        example="postgres://app@db.example.com:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: not dsn.password,
    ),
    Check(
        code="part-in-query",
        severity=Severity.WARNING,
        when="host, port, role, password or database stands in the query",
        text="the query holds the {in_query}: Rails and libpq take it from there, Chatwoot's container does "
        "not, and whoever cuts passwords out of URLs looks elsewhere",
        remedy="write it where it belongs: postgres://role:password@host:port/database",
        source=_RAILS,
        example="postgres://app@db.example.com:5432/chatwoot?password=x&sslmode=require",
        applies=lambda dsn, _: bool(dsn.in_query),
    ),
    Check(
        code="pgbouncer-flag",
        severity=Severity.WARNING,
        when="`pgbouncer=true`",
        text="pgbouncer=true is Prisma's: Rails drops it, and psql and pg_dump refuse the whole URL",
        remedy="take it out; for Rails behind a transaction pooler write prepared_statements=false",
        source=_RAILS,
        example="postgres://app:x@db.example.com:5432/chatwoot?pgbouncer=true&sslmode=require",
        applies=lambda dsn, _: "pgbouncer" in dsn.parameters,
    ),
    Check(
        code="scheme-in-capitals",
        severity=Severity.NOTE,
        when="capitals in `postgres://`",
        text="its scheme is written with capitals: Rails makes it lower case, psql and pg_dump refuse the whole URL",
        remedy="write postgres:// in lower case",
        source=_RUBY,
        example="Postgres://app:x@db.example.com:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: dsn.in_capitals,
    ),
    Check(
        code="unknown-parameter",
        severity=Severity.NOTE,
        when="a parameter that neither libpq nor Rails takes",
        text="neither libpq nor Rails takes {strangers}: Rails drops it, psql and pg_dump refuse the whole URL",
        remedy="take it out, or look up its right name",
        source=_RAILS,
        example="postgres://app:x@db.example.com:5432/chatwoot?sslmod=require&sslmode=require",
        applies=lambda dsn, _: not dsn.parameters.keys() <= KNOWN,
    ),
    Check(
        code="pool-parameter",
        severity=Severity.NOTE,
        when="`pool=`",
        text="pool={pool} is for web and worker alike, in the place of RAILS_MAX_THREADS and "
        "SIDEKIQ_CONCURRENCY: threads without a connection wait for one",
        remedy="take it out, unless it is as large as the larger of the two",
        source=Source(Ground.INFERRED, "Rails merges the URL over Chatwoot's config/database.yml"),
        example="postgres://app:x@db.example.com:5432/chatwoot?pool=5&sslmode=require",
        applies=lambda dsn, _: "pool" in dsn.parameters,
    ),
    Check(
        code="role-like-database",
        severity=Severity.NOTE,
        when="the role's name holds the database's",
        text="the database's name is in the role's: Rails takes an error that names it for a missing database,"
        " so a wrong password can look like one, and db:chatwoot_prepare then tries to make it",
        remedy="keep it in mind when the database seems to be missing; another role's name avoids it",
        source=Source(Ground.INFERRED, "Rails 7.1's PostgreSQLAdapter"),
        example="postgres://chatwoot:x@db.example.com:5432/chatwoot?sslmode=require",
        applies=lambda dsn, _: _names_role_like_database(dsn),
    ),
)
