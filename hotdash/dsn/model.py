"""A DSN as a value: its parts, decoded, and what they are written as again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from hotdash.dsn import parameters as known
from hotdash.dsn import text as dsn_text
from hotdash.dsn.text import DEFAULT_PORT

PARTS: Final = ("host", "port", "database", "username", "password")
"""The parts of a URL, each in the name of the POSTGRES_* variable that Chatwoot reads it from."""


class Form(StrEnum):
    """How a DSN is written. Rails, and so Chatwoot, reads the first alone."""

    URL = "url"
    KEYWORDS = "keywords"


class Host(NamedTuple):
    """One host; `port` is None where none is written."""

    name: str
    port: int | None

    @property
    def shown_name(self) -> str:
        return f"[{self.name}]" if ":" in self.name else self.name

    def __str__(self) -> str:
        return f"{self.shown_name}:{self.port or DEFAULT_PORT}"


@dataclass(frozen=True)
class Place:
    """Where a database is reached and as whom: a DSN without its password, so it may be shown to anyone."""

    host: str
    port: int
    database: str
    username: str

    def __str__(self) -> str:
        user = f"{quote(self.username, safe='')}:{known.HIDDEN}@" if self.username else ""
        return f"postgres://{user}{Host(self.host, self.port)}/{quote(self.database, safe='')}"


@dataclass(frozen=True, repr=False)
class Dsn:
    """One Postgres DSN.

    Neither its repr nor its str holds the password or the value of a parameter that is not known to be harmless.

    Args:
        hosts: at least one. Rails reads one alone; libpq tries them in turn.
        parameters: those that are no parts, decoded; on repetition the last one counts.
        form: how it was written; no part of what it is.
        unencoded: parts that hold something which Ruby's URI refuses unless it is percent-encoded.
        in_query: parts that stand in the query, where they win over those before it.
        in_capitals: its scheme is written with capitals, which Rails does not mind and libpq does.
    """

    hosts: tuple[Host, ...]
    database: str
    username: str
    password: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    form: Form = field(default=Form.URL, compare=False)
    unencoded: tuple[str, ...] = field(default=(), compare=False)
    in_query: tuple[str, ...] = field(default=(), compare=False)
    in_capitals: bool = field(default=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Read postgres://, postgresql:// or libpq's `keyword=value` form; space around it is ignored.

        Raises:
            MalformedDsn: it is none; never holds the text.
        """
        written = dsn_text.read(text)
        return cls(
            tuple([Host(name, port) for name, port in written.hosts]),
            written.database,
            written.username,
            written.password,
            written.parameters,
            Form.URL if written.is_url else Form.KEYWORDS,
            written.unencoded,
            written.in_query,
            written.in_capitals,
        )

    @property
    def host(self) -> str:
        """The first host, which is the only one that Rails knows."""
        return self.hosts[0].name

    @property
    def port(self) -> int:
        """The first host's port; libpq's default where none is written."""
        return self.hosts[0].port or DEFAULT_PORT

    @property
    def explicit_port(self) -> bool:
        """Tells 5432 written from 5432 meant."""
        return all(host.port is not None for host in self.hosts)

    @property
    def role(self) -> str:
        """The role as it may be shown. A colon in it is mostly one that was percent-encoded by mistake, with the
        password behind it: from there on it is blotted out."""
        before, colon, _ = self.username.partition(":")
        return f"{before}:{known.HIDDEN}" if colon else before

    def part(self, name: str) -> str:
        """One of PARTS, as text."""
        return str(getattr(self, name))

    def at(self, place: Place) -> Dsn:
        """The same password and parameters at another place: a direct form, to be connected to."""
        return replace(
            self,
            hosts=(Host(place.host, place.port),),
            database=place.database,
            username=place.username,
        )

    def shown_parameters(self) -> dict[str, str]:
        """The parameters as anyone may see them."""
        return known.shown(self.parameters)

    def for_libpq(self) -> dict[str, Any]:
        """Keywords for psycopg.connect: those that libpq takes, without a time-out.

        Connect with these and not with the text: what libpq cannot read in a URL it repeats in its error, and that may
        be the password. An empty password is given too, or libpq would look for one in its environment.
        """
        given = {
            name: value for name, value in self.parameters.items() if value and name in known.FOR_CONNECTING
        }
        if self.parameters.get("ssl") == "true":  # JDBC's; in a URL, libpq takes it for sslmode=require
            given.setdefault("sslmode", "require")
        several = len(self.hosts) > 1
        parts = {
            "host": ",".join(host.name for host in self.hosts),
            "port": ",".join(str(host.port or DEFAULT_PORT) for host in self.hosts) if several else self.port,
            "dbname": self.database,
            "user": self.username,
        }
        return {**given, **{name: value for name, value in parts.items() if value}, "password": self.password}

    def render(self, *, password: bool) -> str:
        """The DSN as a URL that `parse` reads back.

        Args:
            password: with the password and all values of parameters. Without, both are blotted out, so that anyone may
                see it; then it is for people, not for connecting.
        """
        role = quote(self.username, safe="") if password else self._shown_role()
        secret = f":{quote(self.password, safe='') if password else known.HIDDEN}" if self.password else ""
        hosts = ",".join(_written(host) for host in self.hosts)
        given = self.parameters if password else self.shown_parameters()
        query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in given.items())
        return "".join(
            (
                f"postgres://{role}{secret}@" if role or secret else "postgres://",
                hosts,
                f"/{quote(self.database, safe='')}" if self.database or query else "",
                f"?{query}" if query else "",
            )
        )

    def _shown_role(self) -> str:
        before, colon, _ = self.username.partition(":")
        return quote(before, safe="") + (f":{known.HIDDEN}" if colon and not self.password else "")

    def __str__(self) -> str:
        return self.render(password=False)

    def __repr__(self) -> str:
        return f"<Dsn {self}>"


def _written(host: Host) -> str:
    name = f"[{quote(host.name, safe=':')}]" if ":" in host.name else quote(host.name, safe="")
    return name if host.port is None else f"{name}:{host.port}"


def _quoted(text: str) -> str:
    return text if text == known.HIDDEN else quote(text, safe="")
