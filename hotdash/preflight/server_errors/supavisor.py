"""Supavisor's words, in both generations: its source before and after pull request 841 (March 2026)."""

from __future__ import annotations

from typing import Final

from hotdash.preflight.server_errors.rule import (
    FREE_SLOTS,
    FROM_THE_APP,
    LOOK_AGAIN,
    REFUSED,
    SUPAVISOR,
    UNCLEAR,
    ServerError,
    rule,
)

RULES: Final[tuple[ServerError, ...]] = (
    rule(
        "exhausted",
        SUPAVISOR,
        r"""\(EMAXCONNSESSION\) (?: .*? pool_size:\s* (?P<limit>\d+) )?
          | MaxClientsInSessionMode""",
        "FATAL:  (EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
        "FATAL:  MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
        meaning="the session pool gives each client a connection for as long as it stays, and all are taken",
        verdict=REFUSED,
        next=FREE_SLOTS,
    ),
    rule(
        "exhausted",
        SUPAVISOR,
        r"""\(EMAXCONN\) (?: .*? limit:\s* (?P<limit>\d+) )?
          | max\ client\ connections\ reached""",
        "FATAL:  (EMAXCONN) max client connections reached, limit: 200",
        "FATAL:  Max client connections reached",
        meaning="the pooler takes no more clients",
        verdict=REFUSED,
        next=FREE_SLOTS,
    ),
    rule(
        "exhausted",
        SUPAVISOR,
        r"""\(ECHECKOUTTIMEOUT\)
          | unable\ to\ check\ out\ connection\ from\ the\ pool""",
        "FATAL:  (ECHECKOUTTIMEOUT) unable to check out connection from the pool after 15000ms in Transaction mode",
        "FATAL:  Unable to check out connection from the pool due to timeout",
        meaning="no connection of the pool became free in time",
        verdict=REFUSED,
        next=FREE_SLOTS,
    ),
    rule(
        "exhausted",
        SUPAVISOR,
        r"""\(EMAXPOOLSREACHED\)
          | max\ pools\ count\ reached""",
        "FATAL:  (EMAXPOOLSREACHED) max pools count reached",
        "FATAL:  Max pools count reached",
        meaning="the pooler makes no more pools",
        verdict=REFUSED,
        next=FREE_SLOTS,
    ),
    rule(
        "unknown-tenant",
        SUPAVISOR,
        r"""\(ENOTFOUND\)
          | tenant\ or\ user\ not\ found""",
        "FATAL:  (ENOTFOUND) tenant/user postgres.abcdefghijklmnopqrst not found",
        "FATAL:  Tenant or user not found",
        meaning="the pooler knows no such project and role; the password was not looked at",
        verdict=REFUSED,
        next="copy the pooler's URL anew from the project's dashboard: the host's number (aws-0, aws-1, …) cannot be "
        "guessed, the role is ROLE.PROJECT, and a paused project is not found either",
        source="Supavisor's source; Supabase's docs",
    ),
    rule(
        "unknown-tenant",
        SUPAVISOR,
        r"\(ENOIDENTIFIER\)",
        "FATAL:  (ENOIDENTIFIER) no tenant identifier provided (external_id or sni_hostname required)",
        meaning="the URL's role does not name the project",
        verdict=REFUSED,
        next="write the role as ROLE.PROJECT, such as postgres.abcdefghijklmnopqrst",
    ),
    rule(
        "tls-required",
        SUPAVISOR,
        r"""\(ESSLREQUIRED\)
          | SSL\ connection\ is\ required""",
        "FATAL:  (ESSLREQUIRED) SSL connection is required for user: postgres",
        "FATAL:  SSL connection is required",
        meaning="the server takes encrypted connections alone",
        verdict=REFUSED,
        next="put ?sslmode=require behind the URL",
    ),
    rule(
        "not-admitted",
        SUPAVISOR,
        r"""\(EADDRNOTALLOWED\)
          | address\ not\ in\ tenant\ allow_list""",
        "FATAL:  (EADDRNOTALLOWED) address not in tenant allow_list: {203, 0, 113, 5}",
        "FATAL:  Address not in tenant allow_list: {203, 0, 113, 5}",
        meaning="the project's network restrictions keep this machine out; they may let Fly in",
        verdict=UNCLEAR,
        next=FROM_THE_APP,
    ),
    rule(
        "circuit-breaker",
        SUPAVISOR,
        r"""\(ECIRCUITBREAKER\)
          | circuit\ breaker\ open""",
        "FATAL:  (ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked",
        "FATAL:  Circuit breaker open: auth_error",
        meaning="many logins failed lately, so the pooler takes none for a while: something uses a wrong password",
        verdict=UNCLEAR,
        next="stop what logs in wrongly, wait some minutes, try again; each try prolongs it",
    ),
    rule(
        "banned",
        SUPAVISOR,
        r"\(EBANNED\)",
        "FATAL:  (EBANNED) tenant is banned",
        meaning="the pooler turns this project or address away",
        verdict=UNCLEAR,
        next="see the project's dashboard",
    ),
    rule(
        "pooler-trouble",
        SUPAVISOR,
        r"""\(E[A-Z]+\)
          | DbHandler\ exited""",
        "FATAL:  (EDBHANDLEREXITED) DbHandler exited. Check logs for more information.",
        "FATAL:  (EAUTHQUERY) authentication query failed",
        "FATAL:  DbHandler exited. Check logs for more information.",
        meaning="the pooler itself is in trouble, or cannot reach the database behind it",
        verdict=UNCLEAR,
        next=LOOK_AGAIN,
    ),
)
