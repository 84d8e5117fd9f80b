"""PgBouncer's words."""

from __future__ import annotations

from typing import Final

from hotdash.preflight.server_errors.rule import (
    CORRECT_IT,
    FREE_SLOTS,
    PGBOUNCER,
    REFUSED,
    UNCLEAR,
    ServerError,
    rule,
)

RULES: Final[tuple[ServerError, ...]] = (
    rule(
        "exhausted",
        PGBOUNCER,
        r"no\ more\ connections\ allowed",
        "FATAL:  no more connections allowed (max_client_conn)",
        "FATAL:  no more connections allowed",
        meaning="the pooler takes no more clients",
        verdict=REFUSED,
        next=FREE_SLOTS,
    ),
    rule(
        "exhausted",
        PGBOUNCER,
        r"query_wait_timeout",
        "FATAL:  query_wait_timeout",
        meaning="no connection of the pool became free in time",
        verdict=REFUSED,
        next=FREE_SLOTS,
    ),
    rule(
        "tls-required",
        PGBOUNCER,
        r"FATAL:\s+ SSL\ required",
        "FATAL:  SSL required",
        meaning="the server takes encrypted connections alone",
        verdict=REFUSED,
        next="put ?sslmode=require behind the URL",
    ),
    rule(
        "unsupported-parameter",
        PGBOUNCER,
        r"unsupported\ startup\ parameter",
        "FATAL:  unsupported startup parameter: options",
        "FATAL:  unsupported startup parameter in options: geqo",
        meaning="PgBouncer takes no such parameter, and Chatwoot would send it too",
        verdict=REFUSED,
        next="take that parameter out of the URL, or let PgBouncer ignore it (ignore_startup_parameters)",
    ),
    rule(
        "statement-pooling",
        PGBOUNCER,
        r"transaction\ blocks\ not\ allowed\ in\ statement\ pooling\ mode",
        "ERROR:  transaction blocks not allowed in statement pooling mode",
        meaning="the pooler takes no transactions, and Rails cannot do without",
        verdict=REFUSED,
        next="use a pool in transaction or session mode, or the direct URL",
    ),
    rule(
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
        verdict=UNCLEAR,
        next="see PgBouncer's own log: its address or its password for Postgres is wrong, or Postgres is down",
    ),
    rule(
        "wrong-password",
        PGBOUNCER,
        r"SASL\ authentication\ failed | FATAL:\s+ (?:auth\ failed | no\ such\ user)",
        "FATAL:  SASL authentication failed",
        "FATAL:  auth failed",
        "FATAL:  no such user: chatwoot",
        meaning="wrong password, or no such role: the server does not say which",
        verdict=REFUSED,
        next=CORRECT_IT,
    ),
    rule(
        "no-such-database",
        PGBOUNCER,
        r"no\ such\ database | database\ does\ not\ allow\ connections",
        "FATAL:  no such database: chatwoot_production",
        meaning="the pooler knows no database of this name",
        verdict=REFUSED,
        next="correct the database's name in the URL",
    ),
)
