"""What Postgres and the poolers before it say when they refuse, and what that means; no I/O.

One table of rules over the servers' own words: libpq hands over the text of a failed login, and no SQLSTATE. Both
generations of Supavisor's errors are known (its source, before and after pull request 841, March 2026); never is one
taken by its SQLSTATE alone, because Supavisor has XX000 for nearly all of them. The first rule that fits counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hotdash.preflight.outcome import Verdict

POSTGRES: Final = "Postgres"
PGBOUNCER: Final = "PgBouncer"
SUPAVISOR: Final = "Supavisor"
LIBPQ: Final = "libpq"
RAILS: Final = "Rails"


@dataclass(frozen=True)
class ServerError:
    """One rule.

    Args:
        code: stable; several rules may share one.
        origin: whose words these are.
        pattern: searched for in the whole text, whatever the case. A group `limit` is the number that is exceeded.
        examples: the words themselves; each is matched by this rule first.
        meaning: one line.
        verdict: Refused, or unclear where it depends on who asks, or passes by itself.
        next: what to do.
        source: where the words are from.
    """

    code: str
    origin: str
    pattern: re.Pattern[str]
    examples: tuple[str, ...]
    meaning: str
    verdict: Verdict
    next: str
    source: str


@dataclass(frozen=True)
class Explained:
    """A server's words, explained. `limit` is the number in them, where there is one."""

    rule: ServerError
    limit: int | None = None


def explain_error(text: str) -> Explained | None:
    """The rule that fits the words of a server, or None where none does."""
    for rule in SERVER_ERRORS:
        if found := rule.pattern.search(text):
            number = found.groupdict().get("limit")
            return Explained(rule, int(number) if number else None)
    return None


def _rule(
    code: str,
    origin: str,
    pattern: str,
    *examples: str,
    meaning: str,
    verdict: Verdict,
    next: str,
    source: str = "",
) -> ServerError:
    compiled = re.compile(pattern, re.IGNORECASE | re.VERBOSE)
    return ServerError(
        code, origin, compiled, examples, meaning, verdict, next, source or f"{origin}'s source"
    )


_REFUSED, _UNCLEAR = Verdict.REFUSED, Verdict.UNCLEAR
_CORRECT_IT: Final = "put the right password into the vault, its special characters percent-encoded"
_FREE_SLOTS: Final = (
    "free connections (stop a worker or an old machine), raise the limit, or lower WEB_CONCURRENCY, RAILS_MAX_THREADS "
    "and SIDEKIQ_CONCURRENCY; migrations go over the direct URL"
)
_LOOK_AGAIN: Final = "wait a minute and try again; if it lasts, see the provider's status page"
_FROM_THE_APP: Final = "try it from a machine of the app (`fly ssh console`), or let this address in"

SERVER_ERRORS: Final[tuple[ServerError, ...]] = (
    # Supavisor says who it is by a code in brackets, so its rules come first.
    _rule(
        "exhausted",
        SUPAVISOR,
        r"""\(EMAXCONNSESSION\) (?: .*? pool_size:\s* (?P<limit>\d+) )?
          | MaxClientsInSessionMode""",
        "FATAL:  (EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
        "FATAL:  MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
        meaning="the session pool gives each client a connection for as long as it stays, and all are taken",
        verdict=_REFUSED,
        next=_FREE_SLOTS,
    ),
    _rule(
        "exhausted",
        SUPAVISOR,
        r"""\(EMAXCONN\) (?: .*? limit:\s* (?P<limit>\d+) )?
          | max\ client\ connections\ reached""",
        "FATAL:  (EMAXCONN) max client connections reached, limit: 200",
        "FATAL:  Max client connections reached",
        meaning="the pooler takes no more clients",
        verdict=_REFUSED,
        next=_FREE_SLOTS,
    ),
    _rule(
        "exhausted",
        SUPAVISOR,
        r"""\(ECHECKOUTTIMEOUT\)
          | unable\ to\ check\ out\ connection\ from\ the\ pool""",
        "FATAL:  (ECHECKOUTTIMEOUT) unable to check out connection from the pool after 15000ms in Transaction mode",
        "FATAL:  Unable to check out connection from the pool due to timeout",
        meaning="no connection of the pool became free in time",
        verdict=_REFUSED,
        next=_FREE_SLOTS,
    ),
    _rule(
        "exhausted",
        SUPAVISOR,
        r"""\(EMAXPOOLSREACHED\)
          | max\ pools\ count\ reached""",
        "FATAL:  (EMAXPOOLSREACHED) max pools count reached",
        "FATAL:  Max pools count reached",
        meaning="the pooler makes no more pools",
        verdict=_REFUSED,
        next=_FREE_SLOTS,
    ),
    _rule(
        "unknown-tenant",
        SUPAVISOR,
        r"""\(ENOTFOUND\)
          | tenant\ or\ user\ not\ found""",
        "FATAL:  (ENOTFOUND) tenant/user postgres.abcdefghijklmnopqrst not found",
        "FATAL:  Tenant or user not found",
        meaning="the pooler knows no such project and role; the password was not looked at",
        verdict=_REFUSED,
        next="copy the pooler's URL anew from the project's dashboard: the host's number (aws-0, aws-1, …) cannot be "
        "guessed, the role is ROLE.PROJECT, and a paused project is not found either",
        source="Supavisor's source; Supabase's docs",
    ),
    _rule(
        "unknown-tenant",
        SUPAVISOR,
        r"\(ENOIDENTIFIER\)",
        "FATAL:  (ENOIDENTIFIER) no tenant identifier provided (external_id or sni_hostname required)",
        meaning="the URL's role does not name the project",
        verdict=_REFUSED,
        next="write the role as ROLE.PROJECT, such as postgres.abcdefghijklmnopqrst",
    ),
    _rule(
        "tls-required",
        SUPAVISOR,
        r"""\(ESSLREQUIRED\)
          | SSL\ connection\ is\ required""",
        "FATAL:  (ESSLREQUIRED) SSL connection is required for user: postgres",
        "FATAL:  SSL connection is required",
        meaning="the server takes encrypted connections alone",
        verdict=_REFUSED,
        next="put ?sslmode=require behind the URL",
    ),
    _rule(
        "not-admitted",
        SUPAVISOR,
        r"""\(EADDRNOTALLOWED\)
          | address\ not\ in\ tenant\ allow_list""",
        "FATAL:  (EADDRNOTALLOWED) address not in tenant allow_list: {203, 0, 113, 5}",
        "FATAL:  Address not in tenant allow_list: {203, 0, 113, 5}",
        meaning="the project's network restrictions keep this machine out; they may let Fly in",
        verdict=_UNCLEAR,
        next=_FROM_THE_APP,
    ),
    _rule(
        "circuit-breaker",
        SUPAVISOR,
        r"""\(ECIRCUITBREAKER\)
          | circuit\ breaker\ open""",
        "FATAL:  (ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked",
        "FATAL:  Circuit breaker open: auth_error",
        meaning="many logins failed lately, so the pooler takes none for a while: something uses a wrong password",
        verdict=_UNCLEAR,
        next="stop what logs in wrongly, wait some minutes, try again; each try prolongs it",
    ),
    _rule(
        "banned",
        SUPAVISOR,
        r"\(EBANNED\)",
        "FATAL:  (EBANNED) tenant is banned",
        meaning="the pooler turns this project or address away",
        verdict=_UNCLEAR,
        next="see the project's dashboard",
    ),
    _rule(
        "pooler-trouble",
        SUPAVISOR,
        r"""\(E[A-Z]+\)
          | DbHandler\ exited""",
        "FATAL:  (EDBHANDLEREXITED) DbHandler exited. Check logs for more information.",
        "FATAL:  (EAUTHQUERY) authentication query failed",
        "FATAL:  DbHandler exited. Check logs for more information.",
        meaning="the pooler itself is in trouble, or cannot reach the database behind it",
        verdict=_UNCLEAR,
        next=_LOOK_AGAIN,
    ),
    # PgBouncer
    _rule(
        "exhausted",
        PGBOUNCER,
        r"no\ more\ connections\ allowed",
        "FATAL:  no more connections allowed (max_client_conn)",
        "FATAL:  no more connections allowed",
        meaning="the pooler takes no more clients",
        verdict=_REFUSED,
        next=_FREE_SLOTS,
    ),
    _rule(
        "exhausted",
        PGBOUNCER,
        r"query_wait_timeout",
        "FATAL:  query_wait_timeout",
        meaning="no connection of the pool became free in time",
        verdict=_REFUSED,
        next=_FREE_SLOTS,
    ),
    _rule(
        "tls-required",
        PGBOUNCER,
        r"FATAL:\s+ SSL\ required",
        "FATAL:  SSL required",
        meaning="the server takes encrypted connections alone",
        verdict=_REFUSED,
        next="put ?sslmode=require behind the URL",
    ),
    _rule(
        "unsupported-parameter",
        PGBOUNCER,
        r"unsupported\ startup\ parameter",
        "FATAL:  unsupported startup parameter: options",
        "FATAL:  unsupported startup parameter in options: geqo",
        meaning="PgBouncer takes no such parameter, and Chatwoot would send it too",
        verdict=_REFUSED,
        next="take that parameter out of the URL, or let PgBouncer ignore it (ignore_startup_parameters)",
    ),
    _rule(
        "statement-pooling",
        PGBOUNCER,
        r"transaction\ blocks\ not\ allowed\ in\ statement\ pooling\ mode",
        "ERROR:  transaction blocks not allowed in statement pooling mode",
        meaning="the pooler takes no transactions, and Rails cannot do without",
        verdict=_REFUSED,
        next="use a pool in transaction or session mode, or the direct URL",
    ),
    _rule(
        "pooler-trouble",
        PGBOUNCER,
        r"""server_login_retry | server\ login\ (?:has\ been\ failing|failed) | client_login_timeout
          | cannot\ connect\ to\ server | bouncer\ config\ error | pgbouncer\ is\ shutting\ down
          | server\ conn\ crashed | no\ working\ server\ connection""",
        "FATAL:  server login has been failing, try again later (server_login_retry)",
        'FATAL:  server login failed: FATAL password authentication failed for user "chatwoot"',
        "FATAL:  client_login_timeout (server down)",
        "FATAL:  bouncer config error",
        meaning="the pooler answers, and cannot log in to the Postgres behind it",
        verdict=_UNCLEAR,
        next="see PgBouncer's own log: its address or its password for Postgres is wrong, or Postgres is down",
    ),
    _rule(
        "wrong-password",
        PGBOUNCER,
        r"SASL\ authentication\ failed | FATAL:\s+ (?:auth\ failed | no\ such\ user)",
        "FATAL:  SASL authentication failed",
        "FATAL:  auth failed",
        "FATAL:  no such user: chatwoot",
        meaning="wrong password, or no such role: the server does not say which",
        verdict=_REFUSED,
        next=_CORRECT_IT,
    ),
    _rule(
        "no-such-database",
        PGBOUNCER,
        r"no\ such\ database | database\ does\ not\ allow\ connections",
        "FATAL:  no such database: chatwoot_production",
        meaning="the pooler knows no database of this name",
        verdict=_REFUSED,
        next="correct the database's name in the URL",
    ),
    # Postgres
    _rule(
        "wrong-password",
        POSTGRES,
        r"password\ authentication\ failed | no\ password\ supplied | empty\ password\ returned",
        'FATAL:  password authentication failed for user "chatwoot"',
        "fe_sendauth: no password supplied",
        meaning="wrong password, or no such role: the server does not say which",
        verdict=_REFUSED,
        next=_CORRECT_IT,
    ),
    _rule(
        "no-such-role",
        POSTGRES,
        r'role\ "[^"]*"\ (?:does\ not\ exist | is\ not\ permitted\ to\ log\ in)',
        'FATAL:  role "chatwoot" does not exist',
        'FATAL:  role "chatwoot" is not permitted to log in',
        meaning="the server has no such role that may log in",
        verdict=_REFUSED,
        next="correct the role in the URL, or make it (CREATE ROLE … LOGIN PASSWORD …)",
    ),
    _rule(
        "no-such-database",
        POSTGRES,
        r'database\ "[^"]*"\ (?:does\ not\ exist | is\ not\ currently\ accepting\ connections)',
        'FATAL:  database "chatwoot_production" does not exist',
        'FATAL:  database "chatwoot_production" is not currently accepting connections',
        meaning="the server has no such database that takes connections",
        verdict=_REFUSED,
        next="correct the database's name in the URL, or make it (CREATE DATABASE … OWNER …)",
    ),
    _rule(
        "not-permitted",
        POSTGRES,
        r"permission\ denied\ for\ database",
        'FATAL:  permission denied for database "chatwoot_production"',
        meaning="the role may not connect to this database",
        verdict=_REFUSED,
        next="is it the right database? If it is: GRANT CONNECT ON DATABASE … TO …",
    ),
    _rule(
        "exhausted",
        POSTGRES,
        r"""too\ many\ clients\ already
          | remaining\ connection\ slots\ are\ reserved
          | too\ many\ connections\ for\ (?:role|database)""",
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
        'FATAL:  too many connections for role "chatwoot"',
        'FATAL:  too many connections for database "chatwoot_production"',
        meaning="all connections that this role may have are taken",
        verdict=_REFUSED,
        next=_FREE_SLOTS,
    ),
    _rule(
        "not-admitted",
        POSTGRES,
        r"no\ pg_hba\.conf\ entry | pg_hba\.conf\ rejects",
        'FATAL:  no pg_hba.conf entry for host "203.0.113.5", user "chatwoot", database "chatwoot", no encryption',
        'FATAL:  pg_hba.conf rejects connection for host "203.0.113.5", user "chatwoot", database "chatwoot"',
        meaning="the server lets no one in from this address, or not without encryption; it may let Fly in",
        verdict=_UNCLEAR,
        next=f"if it ends in `no encryption`, put ?sslmode=require behind the URL; else {_FROM_THE_APP}",
    ),
    _rule(
        "passing",
        POSTGRES,
        r"""the\ database\ system\ is\ (?:starting\ up | shutting\ down | in\ recovery\ mode | not\ yet\ accepting)
          | not\ accepting\ connections | terminating\ connection\ due\ to\ administrator\ command""",
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is shutting down",
        "FATAL:  the database system is in recovery mode",
        "FATAL:  terminating connection due to administrator command",
        meaning="the server is on its way up or down",
        verdict=_UNCLEAR,
        next=_LOOK_AGAIN,
    ),
    _rule(
        "unsupported-parameter",
        POSTGRES,
        r"""unrecognized\ configuration\ parameter | invalid\ value\ for\ parameter
          | invalid\ command-line\ argument | permission\ denied\ to\ set\ parameter""",
        'FATAL:  unrecognized configuration parameter "no_such_setting"',
        'FATAL:  invalid value for parameter "statement_timeout": "soon"',
        meaning="the URL's options= set something that this server does not take, and Chatwoot would send it too",
        verdict=_REFUSED,
        next="correct the options= in the URL, or take them out",
    ),
    # libpq, before the server has said anything
    _rule(
        "tls-required",
        LIBPQ,
        r"server\ does\ not\ support\ SSL,\ but\ SSL\ was\ required",
        "server does not support SSL, but SSL was required",
        meaning="the URL's sslmode asks for encryption, and the server has none",
        verdict=_REFUSED,
        next="is it the right server? On a private network sslmode=prefer or disable will do",
    ),
    _rule(
        "certificate",
        LIBPQ,
        r"""certificate\ verify\ failed | root\ certificate\ file | server\ certificate\ for\ "
          | sslrootcert | could\ not\ (?:read|load)\ [^:]*certificate | certificate\ file\ "[^"]*"\ does\ not""",
        "SSL error: certificate verify failed",
        'root certificate file "/root/.postgresql/root.crt" does not exist',
        'server certificate for "db.example.com" does not match host name "db.example.org"',
        meaning="the server's certificate is not trusted by what this machine has; the app's machines may differ",
        verdict=_UNCLEAR,
        next="is it the right host? sslmode=verify-full needs sslrootcert=, with a path that exists in the container",
    ),
    _rule(
        "not-postgres",
        LIBPQ,
        r"invalid\ response\ to\ SSL\ negotiation | expected\ authentication\ request\ from\ server",
        "received invalid response to SSL negotiation: H",
        "expected authentication request from server, but received H",
        meaning="something answers there, and it is no Postgres",
        verdict=_REFUSED,
        next="correct host and port in the URL",
    ),
    _rule(
        "no-answer",
        LIBPQ,
        r"""timeout\ expired | connection\ timeout | server\ closed\ the\ connection\ unexpectedly
          | SSL\ SYSCALL\ error | connection\ (?:reset|refused|timed\ out) | no\ route\ to\ host
          | network\ is\ unreachable | could\ not\ (?:translate|receive|send) | consuming\ input\ failed""",
        "connection timeout expired",
        "server closed the connection unexpectedly",
        "SSL SYSCALL error: EOF detected",
        'could not translate host name "db.example.com" to address: Name or service not known',
        meaning="the connection was made and broke, or nothing came back over it",
        verdict=_UNCLEAR,
        next=f"a proxy or a firewall between here and there? Else {_FROM_THE_APP}",
    ),
    # What is said after the login, and by migrations
    _rule(
        "migration-locked",
        RAILS,
        r"failed\ to\ release\ advisory\ lock | another\ migration\ process\ is\ currently\ running",
        "ActiveRecord::ConcurrentMigrationError: Failed to release advisory lock",
        "Cannot run migrations because another migration process is currently running.",
        meaning="the migration's lock was taken on one connection of a transaction pooler and given back on another",
        verdict=_REFUSED,
        next="migrate over the direct URL; a lock that was left ends with its connection (pg_locks has its pid, "
        "pg_terminate_backend ends it)",
        source="Rails' source; rails/rails#32622",
    ),
    _rule(
        "prepared-statements",
        POSTGRES,
        r'prepared\ statement\ "[^"]*"\ (?:already\ exists | does\ not\ exist)',
        'ERROR:  prepared statement "a1" already exists',
        'ERROR:  prepared statement "a1" does not exist',
        meaning="prepared statements are on, and a transaction pooler gives each transaction another connection",
        verdict=_REFUSED,
        next="put ?prepared_statements=false behind the URL, or use the session pooler's or the direct URL",
    ),
    _rule(
        "extension-missing",
        POSTGRES,
        r"""permission\ denied\ to\ create\ extension | extension\ "[^"]*"\ is\ not\ available
          | could\ not\ open\ extension\ control\ file | failed\ to\ enable\ 'vector'\ extension""",
        'ERROR:  permission denied to create extension "pg_stat_statements"',
        'ERROR:  extension "vector" is not available',
        "Failed to enable 'vector' extension",
        meaning="Chatwoot's schema needs an extension that the server has not, or that this role may not make",
        verdict=_REFUSED,
        next="let somebody who may do it make it: CREATE EXTENSION IF NOT EXISTS …; pgvector may have to be installed",
        source="Postgres' source; chatwoot/chatwoot#4139",
    ),
    _rule(
        "statement-timeout",
        POSTGRES,
        r"canceling\ statement\ due\ to\ (?:statement|lock)\ timeout",
        "ERROR:  canceling statement due to statement timeout",
        meaning="a statement took longer than it may: 14 s, unless POSTGRES_STATEMENT_TIMEOUT says otherwise",
        verdict=_UNCLEAR,
        next="for migrations set POSTGRES_STATEMENT_TIMEOUT=600s",
    ),
    _rule(
        "read-only",
        POSTGRES,
        r"in\ a\ read-only\ transaction",
        "ERROR:  cannot execute INSERT in a read-only transaction",
        meaning="the server takes no writes: a replica, or a full disk",
        verdict=_REFUSED,
        next="use the primary's URL; on Supabase, see whether the disk is full",
    ),
    _rule(
        "not-permitted",
        POSTGRES,
        r"permission\ denied\ for\ (?:table|schema|sequence|function|relation)",
        "ERROR:  permission denied for table schema_migrations",
        meaning="the role may not do this",
        verdict=_REFUSED,
        next="is it the right role? Chatwoot's owns its tables",
    ),
)
"""In the order in which they are tried."""
