"""The parameters of a DSN: who takes them, and which may be shown.

A value is shown only where its name is known and harmless: an unknown one may hold anything, a credential too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "…"

LIBPQ: Final = frozenset(
    {
        *("application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname"),
        *("fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "host", "hostaddr"),
        *("keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname"),
        *("load_balance_hosts", "max_protocol_version", "min_protocol_version", "oauth_client_id"),
        *("oauth_client_secret", "oauth_issuer", "oauth_scope", "options", "passfile", "password"),
        *("port", "replication", "require_auth", "requirepeer", "scram_client_key", "scram_server_key"),
        *("service", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode"),
        *("sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslmode"),
        *("sslnegotiation", "sslpassword", "sslrootcert", "sslsni", "target_session_attrs"),
        *("tcp_user_timeout", "user"),
    }
)
"""Every keyword that libpq 18 knows (PQconndefaults). Older ones know fewer."""

FOR_CONNECTING: Final = LIBPQ - {
    *("host", "port", "dbname", "user", "password"),  # parts, not parameters
    "connect_timeout",  # whoever connects decides how long to wait
    *("service", "passfile", "sslkeylogfile"),  # files of this machine
    "replication",  # another protocol
}
"""What is handed on to libpq from the parameters."""

RAILS: Final = frozenset(
    {
        *("advisory_locks", "checkout_timeout", "connect_timeout", "encoding", "idle_timeout"),
        *("insert_returning", "keepalive", "min_messages", "pool", "prepared_statements"),
        *("reaping_frequency", "schema_search_path", "statement_limit", "statement_timeout"),
        *("variables",),
    }
)
"""Keys of Rails' own in a database's configuration; a URL's parameters become such keys."""

POOLER_FLAGS: Final = frozenset({"pgbouncer", "connection_limit", "pool_timeout", "schema", "socket_timeout"})
"""Prisma's: dropped by Rails, refused by libpq."""

KNOWN: Final = LIBPQ | RAILS | POOLER_FLAGS | {"ssl"}
"""JDBC's `ssl` among them: in a URL, libpq takes ssl=true for sslmode=require. Rails drops it."""

_SECRET: Final = frozenset(
    {"sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key", "password", "options"}
)
"""`options` can set anything, so it is shown in part; see `shown`."""
SHOWN: Final = KNOWN - _SECRET
_HARMLESS_OPTION: Final = ("reference=", "endpoint=", "project=")
"""How a tenant is named in `options`: to Supavisor by the first, to Neon by the others."""


def shown(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters as anyone may see them: values that are not known to be harmless are blotted out."""
    return {_name(name): _value(name, value) for name, value in parameters.items()}


def _name(name: str) -> str:
    # An odd name is nobody's parameter: more likely a piece of something else.
    return name if name.isascii() and name.isidentifier() and len(name) <= 40 else HIDDEN


def _value(name: str, value: str) -> str:
    if name in SHOWN or not value:
        return value
    if name == "options" and value.startswith(_HARMLESS_OPTION) and not any(c in value for c in " ;&"):
        return value
    return HIDDEN
