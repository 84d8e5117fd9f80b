"""A Postgres URL and its parts, as Rails, libpq and Chatwoot's POSTGRES_* variables each read them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_PORT: Final = 5432
PARTS: Final = ("host", "port", "database", "username", "password")
"""The parts of a URL, each in the name of the POSTGRES_* variable that Chatwoot reads it from."""
_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
"""Rails refuses the first, libpq both."""


class MalformedDsn(ValueError):
    """The text is no Postgres URL. The message says why and never holds the text."""


@dataclass(frozen=True)
class Dsn:
    """Parts of one Postgres URL, percent-decoded. `explicit_port` tells 5432 written from 5432 meant."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    explicit_port: bool = True

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
        )

    def part(self, name: str) -> str:
        """One of PARTS, as text."""
        return str(getattr(self, name))


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text.strip())
    except ValueError:
        raise MalformedDsn("its host is malformed") from None
