"""The text of a DSN taken apart into what is written in it: a URL, or libpq's `keyword=value` form.

Who reads a DSN disagrees on details: libpq lets through what Ruby's URI refuses, and the reverse. What only one of them
refuses is let through here and noted, so that it can be explained; what would be read as something else than was meant
is refused. In particular an @ behind the host: it shows that the password ended somewhere else, and that a piece of it
would be taken for a database or a parameter, and shown.

The scheme is one of those details: Ruby's URI makes it lower case, so Rails takes `Postgres://` and hands on its parts;
libpq itself compares it as it stands. Rails is who reads Chatwoot's, so its word counts.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from hotdash.dsn.parameters import LIBPQ

DEFAULT_PORT: Final = 5432

_URL: Final = re.compile(
    r"(?P<scheme>(?i:postgres(?:ql)?))://(?:(?P<user>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?:/(?P<database>[^?#]*))?"
    r"(?:\?(?P<query>[^#]*))?"
)
_MEANT: Final = re.compile(r"\s*postgres(?:ql)?://", re.IGNORECASE)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_KEYWORD: Final = re.compile(r"([a-z_]+)\s*=")
_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
"""Rails refuses the first, libpq both."""
_BLANK: Final = re.compile(r"[\x00-\x20\x7f]")
_BAD_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:%]")
"""What Ruby's URI refuses in user, password and host; tried with Ruby's own parsers, of RFC 2396 and RFC 3986."""
_BAD_BEHIND: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:%@/?]")
"""The same, in the path and the query."""
_PARTS_IN_QUERY: Final = {
    "host": "host",
    "port": "port",
    "user": "username",
    "username": "username",
    "password": "password",
    "dbname": "database",
    "database": "database",
}
"""Parts that libpq or Rails takes from the query too, where they win over those before it (libpq's conninfo_uri_parse
stores them last; Rails' ConnectionUrlResolver merges so)."""
_OTHERS: Final = {
    "prisma": (
        "it is Prisma's own protocol, not Postgres'",
        "take the postgres:// URL of the same database (Prisma calls it the direct one)",
    ),
    "redis": ("it is a Redis URL", "it belongs into REDIS_URL; DATABASE_URL wants postgres://…"),
    "mysql": ("it is a MySQL URL", "Chatwoot wants Postgres"),
}
_FORM: Final = "write postgres://user:password@host:port/database, special characters percent-encoded"


class MalformedDsn(ValueError):
    """The text is no Postgres DSN. The message says why, `remedy` what to do; neither ever holds the text."""

    def __init__(self, reason: str, remedy: str = _FORM) -> None:
        super().__init__(reason)
        self.remedy = remedy


class Written(NamedTuple):
    """What is written in a DSN, decoded. `unencoded` names the parts that hold something Ruby's URI refuses,
    `in_query` those that stand in the query; both in the names of the fields. `in_capitals`: its scheme is written with
    capitals."""

    hosts: tuple[tuple[str, int | None], ...]
    database: str
    username: str
    password: str
    parameters: dict[str, str]
    is_url: bool
    unencoded: tuple[str, ...] = ()
    in_query: tuple[str, ...] = ()
    in_capitals: bool = False


def is_meant_as_url(text: str) -> bool:
    """Whether it begins as the URL of a Postgres does, whatever comes behind."""
    return _MEANT.match(text) is not None


def read(text: str) -> Written:
    """Raises MalformedDsn."""
    text = text.strip()
    if match := _URL.match(text):
        return _read_url(text, match)
    if (keyword := _KEYWORD.match(text)) and keyword[1] in LIBPQ:
        return _read_keywords(text)
    if text.startswith(("'", '"')):
        raise MalformedDsn(
            "it begins with a quote", "take the quotes off: they belong to the file or the shell"
        )
    if scheme := _SCHEME.match(text):
        # prisma+postgres:// and rediss:// are kin of the first and the second.
        for name, (reason, remedy) in _OTHERS.items():
            if scheme[1].lower().startswith(name):
                raise MalformedDsn(reason, remedy)
    raise MalformedDsn("it does not begin with postgres:// or postgresql://")


# URLs


def _read_url(text: str, match: re.Match[str]) -> Written:
    scheme, user, authority, database, query = match.groups(default="")
    rest = text[match.end() :]
    if (database or query or rest) and "@" in text[match.end("hosts") :]:
        raise MalformedDsn(
            "there is an @ behind its host: a /, ? or # in the password is not percent-encoded",
            "write / as %2F, ? as %3F, # as %23 (and an @ behind the host as %40)",
        )
    if rest:
        raise MalformedDsn("a # in it is not percent-encoded", "write # as %23")
    if _BLANK.search(text):
        raise MalformedDsn("there is a space or a line break in it", "write a space as %20; it is one line")
    if "%" in text and _NO_ESCAPE.search(text):
        raise MalformedDsn(
            "a % in it begins no escape (is one in the password not written as %25?)", "write % as %25"
        )
    username, _, password = user.partition(":")
    unencoded = _unencoded(username, password, authority, database, query)
    parts = {"username": _decoded(username), "password": _decoded(password), "database": _decoded(database)}
    hosts = _hosts(authority)
    in_query: tuple[str, ...] = ()
    parameters: dict[str, str] = {}
    if query:
        parameters = _parameters(query)
        if not _PARTS_IN_QUERY.keys().isdisjoint(parameters):
            in_query, hosts = _take_parts(parameters, parts, hosts)
    if not any(name for name, _ in hosts):
        raise MalformedDsn("it names no host")
    return Written(
        hosts,
        **parts,
        parameters=parameters,
        is_url=True,
        unencoded=unencoded,
        in_query=in_query,
        in_capitals=not scheme.islower(),
    )


def _unencoded(username: str, password: str, authority: str, database: str, query: str) -> tuple[str, ...]:
    # Nearly always there is nothing: two searches instead of five.
    plain = authority.replace("[", "").replace("]", "") if "[" in authority else authority
    if not _BAD_IN_NAMES.search(f"{username}{password}{plain}") and not _BAD_BEHIND.search(database + query):
        return ()
    named = {"username": username, "password": password, "host": plain}
    return (
        *(name for name, written in named.items() if _BAD_IN_NAMES.search(written)),
        *(("database",) if _BAD_BEHIND.search(database) else ()),
        *(("parameters",) if _BAD_BEHIND.search(query) else ()),
    )


def _decoded(written: str) -> str:
    if "%" not in written:
        return written
    try:
        return unquote(written, errors="strict")
    except UnicodeDecodeError:
        raise MalformedDsn(
            "an escape in it is not UTF-8", "percent-encode the bytes of UTF-8: ä is %C3%A4"
        ) from None


def _hosts(authority: str) -> tuple[tuple[str, int | None], ...]:
    if "," in authority:
        return tuple(_host(one) for one in authority.split(","))
    return (_host(authority),)


def _host(written: str) -> tuple[str, int | None]:
    if written.startswith("["):
        name, bracket, port = written[1:].partition("]")
        if not bracket or not name or (port and not port.startswith(":")) or "[" in name:
            raise MalformedDsn("its host is malformed: a bracket of an IPv6 address is missing")
        return _decoded(name), _port(port[1:])
    name, _, port = written.partition(":")
    if ":" in port or "[" in written or "]" in written:
        raise MalformedDsn(
            "its host is malformed (is the @ before it missing? is an IPv6 address not in brackets?)"
        )
    return _decoded(name), _port(port)


def _port(written: str) -> int | None:
    if not written:
        return None
    if not (written.isascii() and written.isdigit() and len(written) <= 5 and 0 < int(written) < 65536):
        raise MalformedDsn("its port is no port number (is a /, ? or # in the password not percent-encoded?)")
    return int(written)


def _parameters(query: str) -> dict[str, str]:
    parameters = {}
    for pair in query.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if not name:
            raise MalformedDsn("a parameter behind its ? has no name (is a ? not percent-encoded?)")
        parameters[_decoded(name)] = _decoded(value)
    return parameters


def _take_parts(
    parameters: dict[str, str], parts: dict[str, str], hosts: tuple[tuple[str, int | None], ...]
) -> tuple[tuple[str, ...], tuple[tuple[str, int | None], ...]]:
    """Move the parts that stand among the parameters to where they belong."""
    given = {
        _PARTS_IN_QUERY[name]: parameters.pop(name) for name in list(parameters) if name in _PARTS_IN_QUERY
    }
    names = given["host"].split(",") if "host" in given else [name for name, _ in hosts]
    ports = [_port(one) for one in given["port"].split(",")] if "port" in given else [p for _, p in hosts]
    parts.update({name: value for name, value in given.items() if name in parts})
    return tuple(given), _paired(names, ports)


def _paired(names: list[str], ports: list[int | None]) -> tuple[tuple[str, int | None], ...]:
    if len(ports) == 1:
        ports = ports * len(names)
    if len(ports) != len(names):
        raise MalformedDsn("it names another number of ports than of hosts")
    return tuple(zip(names, ports, strict=True))


# Keywords


def _read_keywords(text: str) -> Written:
    values: dict[str, str] = {}
    at = 0
    while at < len(text):
        keyword = _KEYWORD.match(text, at)
        # Its name is not told: it may be a piece of a password with a space in it.
        if not keyword or keyword[1] not in LIBPQ:
            raise MalformedDsn(
                "there is a keyword in it that libpq does not know (is a value with a space not quoted?)"
            )
        values[keyword[1]], at = _value(text, keyword.end())
    hosts = values.pop("host", "") or values.get("hostaddr", "")
    ports = [_port(one) for one in values.pop("port", "").split(",")]
    if not hosts:
        raise MalformedDsn("it names no host")
    return Written(
        _paired(hosts.split(","), ports),
        database=values.pop("dbname", ""),
        username=values.pop("user", ""),
        password=values.pop("password", ""),
        parameters=values,
        is_url=False,
    )


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins behind the =, as libpq reads it, and where the next keyword begins."""
    while at < len(text) and text[at].isspace():
        at += 1
    quoted = text.startswith("'", at)
    at += quoted
    value = []
    while at < len(text) and (quoted or not text[at].isspace()):
        if quoted and text[at] == "'":
            break
        at += text[at] == "\\"
        value.append(text[at : at + 1])
        at += 1
    if quoted:
        if at >= len(text):
            raise MalformedDsn("a quote in it is not closed")
        at += 1
    while at < len(text) and text[at].isspace():
        at += 1
    return "".join(value), at
