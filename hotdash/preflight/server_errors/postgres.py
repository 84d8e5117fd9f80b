"""Postgres' words at a login, and libpq's before the server has said anything."""

from __future__ import annotations

from typing import Final

from hotdash.preflight.server_errors.rule import (
    CORRECT_IT,
    FREE_SLOTS,
    FROM_THE_APP,
    LIBPQ,
    LOOK_AGAIN,
    POSTGRES,
    REFUSED,
    UNCLEAR,
    ServerError,
    rule,
)

RULES: Final[tuple[ServerError, ...]] = (
    rule(
        "wrong-password",
        POSTGRES,
        r"password\ authentication\ failed | no\ password\ supplied | empty\ password\ returned",
        'FATAL:  password authentication failed for user "chatwoot"',
        "fe_sendauth: no password supplied",
        meaning="wrong password, or no such role: the server does not say which",
        verdict=REFUSED,
        next=CORRECT_IT,
    ),
    rule(
        "no-such-role",
        POSTGRES,
        r'role\ "[^"]*"\ (?:does\ not\ exist | is\ not\ permitted\ to\ log\ in)',
        'FATAL:  role "chatwoot" does not exist',
        'FATAL:  role "chatwoot" is not permitted to log in',
        meaning="the server has no such role that may log in",
        verdict=REFUSED,
        next="correct the role in the URL, or make it (CREATE ROLE … LOGIN PASSWORD …)",
    ),
    rule(
        "no-such-database",
        POSTGRES,
        r'database\ "[^"]*"\ (?:does\ not\ exist | is\ not\ currently\ accepting\ connections)',
        'FATAL:  database "chatwoot_production" does not exist',
        'FATAL:  database "chatwoot_production" is not currently accepting connections',
        meaning="the server has no such database that takes connections",
        verdict=REFUSED,
        next="correct the database's name in the URL, or make it (CREATE DATABASE … OWNER …)",
    ),
    rule(
        "not-permitted",
        POSTGRES,
        r"permission\ denied\ for\ database",
        'FATAL:  permission denied for database "chatwoot_production"',
        meaning="the role may not connect to this database",
        verdict=REFUSED,
        next="is it the right database? If it is: GRANT CONNECT ON DATABASE … TO …",
    ),
    rule(
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
        verdict=REFUSED,
        next=FREE_SLOTS,
    ),
    rule(
        "not-admitted",
        POSTGRES,
        r"no\ pg_hba\.conf\ entry | pg_hba\.conf\ rejects",
        'FATAL:  no pg_hba.conf entry for host "203.0.113.5", user "chatwoot", database "chatwoot", no encryption',
        'FATAL:  pg_hba.conf rejects connection for host "203.0.113.5", user "chatwoot", database "chatwoot"',
        meaning="the server lets no one in from this address, or not without encryption; it may let Fly in",
        verdict=UNCLEAR,
        next=f"if it ends in `no encryption`, put ?sslmode=require behind the URL; else {FROM_THE_APP}",
    ),
    rule(
        "passing",
        POSTGRES,
        r"""the\ database\ system\ is\ (?:starting\ up | shutting\ down | in\ recovery\ mode | not\ yet\ accepting)
          | not\ accepting\ connections | terminating\ connection\ due\ to\ administrator\ command""",
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is shutting down",
        "FATAL:  the database system is in recovery mode",
        "FATAL:  terminating connection due to administrator command",
        meaning="the server is on its way up or down",
        verdict=UNCLEAR,
        next=LOOK_AGAIN,
    ),
    rule(
        "unsupported-parameter",
        POSTGRES,
        r"""unrecognized\ configuration\ parameter | invalid\ value\ for\ parameter
          | invalid\ command-line\ argument | permission\ denied\ to\ set\ parameter""",
        'FATAL:  unrecognized configuration parameter "no_such_setting"',
        'FATAL:  invalid value for parameter "statement_timeout": "soon"',
        meaning="the URL's options= set something that this server does not take, and Chatwoot would send it too",
        verdict=REFUSED,
        next="correct the options= in the URL, or take them out",
    ),
    rule(
        "tls-required",
        LIBPQ,
        r"server\ does\ not\ support\ SSL,\ but\ SSL\ was\ required",
        "server does not support SSL, but SSL was required",
        meaning="the URL's sslmode asks for encryption, and the server has none",
        verdict=REFUSED,
        next="is it the right server? On a private network sslmode=prefer or disable will do",
    ),
    rule(
        "certificate",
        LIBPQ,
        r"""certificate\ verify\ failed | root\ certificate\ file | server\ certificate\ for\ "
          | sslrootcert | could\ not\ (?:read|load)\ [^:]*certificate | certificate\ file\ "[^"]*"\ does\ not""",
        "SSL error: certificate verify failed",
        'root certificate file "/app/.postgresql/root.crt" does not exist',
        'server certificate for "db.example.com" does not match host name "db.example.org"',
        meaning="the server's certificate is not trusted by what this machine has; the app's machines may differ",
        verdict=UNCLEAR,
        next="is it the right host? sslmode=verify-full needs sslrootcert=, with a path that exists in the container",
    ),
    rule(
        "not-postgres",
        LIBPQ,
        r"invalid\ response\ to\ SSL\ negotiation | expected\ authentication\ request\ from\ server",
        "received invalid response to SSL negotiation: H",
        "expected authentication request from server, but received H",
        meaning="something answers there, and it is no Postgres",
        verdict=REFUSED,
        next="correct host and port in the URL",
    ),
    rule(
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
        verdict=UNCLEAR,
        next=f"a proxy or a firewall between here and there? Else {FROM_THE_APP}",
    ),
)
