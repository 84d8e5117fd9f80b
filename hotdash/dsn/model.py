"""A Postgres URL and its parts, as Rails, libpq and Chatwoot's POSTGRES_* variables each read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

DEFAULT_PORT: Final = 5432
PARTS: Final = ("host", "port", "database", "username", "password")
"""The parts of a URL, each in the name of the POSTGRES_* variable that Chatwoot reads it from."""
_LIBPQ_KEYS: Final = frozenset(
    {"application_name", "options", "sslmode", "sslrootcert", "target_session_attrs"}
)
_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
"""Rails refuses the first, libpq both."""


class MalformedDsn(ValueError):
    """The text is no Postgres URL. The message says why and never holds the text."""


class Host(NamedTuple):
    """One host of a URL; `port` is None where none is written."""

    name: str
    port: int | None


@dataclass(frozen=True)
class Dsn:
    """Parts of one Postgres URL, percent-decoded. `explicit_port` tells 5432 written from 5432 meant."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    explicit_port: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def hosts(self) -> tuple[Host, ...]:
        return (Host(self.host, self.port if self.explicit_port else None),)

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Raises MalformedDsn."""
        url = _split(text)
        if url.scheme not in ("postgres", "postgresql"):
            raise MalformedDsn("it does not begin with postgres:// or postgresql://")
        if _NO_ESCAPE.search(text):
            raise MalformedDsn("a % in it begins no escape (is one in the password not written as %25?)")
        try:
            host, port = url.hostname, url.port
        except ValueError:
            raise MalformedDsn(
                "its port is no port number (is a /, ? or # in the password not percent-encoded?)"
            ) from None
        if not host:
            raise MalformedDsn("it names no host")
        return cls(
            host=unquote(host),
            port=port or DEFAULT_PORT,
            database=unquote(url.path.removeprefix("/")),
            username=unquote(url.username or ""),
            password=unquote(url.password or ""),
            explicit_port=port is not None,
            parameters={
                unquote(name): unquote(value)
                for name, _, value in (pair.partition("=") for pair in url.query.split("&") if pair)
            },
        )

    def for_libpq(self) -> dict[str, Any]:
        """Keywords for psycopg.connect: what libpq takes of it, without a time-out."""
        parts = {"host": self.host, "port": self.port, "dbname": self.database, "user": self.username}
        return {
            **{name: value for name, value in self.parameters.items() if name in _LIBPQ_KEYS},
            **{name: value for name, value in parts.items() if value},
            "password": self.password,
        }

    def render(self, *, password: bool) -> str:
        """The URL again; without its password, as a person may see it, unless told."""
        secret = f":{quote(self.password, safe='') if password else '…'}" if self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.explicit_port else ""
        return (
            f"postgres://{quote(self.username, safe='')}{secret}@{host}{port}/{quote(self.database, safe='')}"
        )

    def __str__(self) -> str:
        return self.render(password=False)

    def part(self, name: str) -> str:
        """One of PARTS, as text."""
        return str(getattr(self, name))


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text.strip())
    except ValueError:
        raise MalformedDsn("its host is malformed") from None
