"""Is a database URL good? It is tried from here before Fly gets it: a wrong one must not reach a machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hotdash.dsn import Dsn, MalformedDsn

CONNECT_TIMEOUT: Final = 5
"""Seconds."""
_LIBPQ_KEYS: Final = frozenset(
    {
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "gssencmode",
        "keepalives",
        "options",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)
"""Parameters of a URL that libpq takes. Rails takes others (pool=, prepared_statements=) that libpq refuses."""
_SAYS_NO: Final = re.compile(
    r"""password\ authentication\ failed
    | (role|database)\ "[^"]*"\ does\ not\ exist
    | tenant\ or\ user\ not\ found | \(enotfound\)  # Supavisor's, older and newer""",
    re.IGNORECASE | re.VERBOSE,
)
"""The server has decided, and would decide so wherever it is asked from. What depends on the asker is not here: a
missing pg_hba.conf entry, an allow-list, a certificate that this machine lacks."""


class Verdict(StrEnum):
    PROVED = "proved"
    REFUSED = "refused"
    UNCLEAR = "could not tell from here"


@dataclass(frozen=True)
class Trial:
    """The outcome of one try; `said` holds the server's words, never the password."""

    verdict: Verdict
    said: str


def try_connection(url: str) -> Trial:
    """Log in, ask which database and role it is, and leave. One connection, always closed."""
    import psycopg  # here: costly to load, and needed only before a write

    try:
        dsn = Dsn.parse(url)
    except MalformedDsn as error:
        return Trial(Verdict.REFUSED, f"it is no Postgres URL: {error}")
    try:
        with psycopg.connect(**_for_libpq(url, dsn)) as connection:
            row = connection.execute("select current_database(), current_user").fetchone()
    except psycopg.Error as error:
        said = _without(str(error), dsn)
        return Trial(Verdict.REFUSED if _SAYS_NO.search(said) else Verdict.UNCLEAR, said)
    database, role = row if row else ("?", "?")
    return Trial(Verdict.PROVED, f"database {database} as {role}")


def _for_libpq(url: str, dsn: Dsn) -> dict[str, Any]:
    """The URL as keywords: what libpq cannot read in a URL it repeats in its error, and that may be the password."""
    pairs = [pair.partition("=") for pair in urlsplit(url.strip()).query.split("&")]
    given = {unquote(name): unquote(value) for name, _, value in pairs}
    parts = {"host": dsn.host, "port": dsn.port, "dbname": dsn.database, "user": dsn.username}
    return {
        **{name: value for name, value in given.items() if name in _LIBPQ_KEYS},
        **{name: value for name, value in parts.items() if value},
        "password": dsn.password,
        "connect_timeout": CONNECT_TIMEOUT,
        "autocommit": True,
    }


def _without(text: str, dsn: Dsn) -> str:
    text = text.replace(dsn.password, "…") if dsn.password else text
    return " ".join(text.split())[:300]
