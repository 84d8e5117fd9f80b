"""Postgres URLs: their parts are what libpq takes them for, and what is none is refused without being shown."""

import string
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from hotdash.dsn import DEFAULT_PORT, PARTS, Dsn, MalformedDsn

VALUE = "s3cr3t-Value"
labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
# Whatever a role, a password or a database can be called; no URL can hold NUL.
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
ports = st.none() | st.integers(1, 65535)


def url(
    host: str, port: int | None, database: str, username: str, password: str, scheme: str = "postgres"
) -> str:
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    return (
        f"{scheme}://{quote(username, safe='')}:{quote(password, safe='')}@{place}/{quote(database, safe='')}"
    )


@given(hosts, ports, names, names, names, st.sampled_from(["postgres", "postgresql"]))
@example("::1", 6543, "a/b", "postgres.ref", "p@ss:w/rd?#%[]", "postgres")
@example("db.example", None, "+", "+", "a+b %41", "postgresql")
def test_a_url_has_the_parts_that_it_was_made_of_and_that_libpq_finds(
    host: str, port: int | None, database: str, username: str, password: str, scheme: str
) -> None:
    text = url(host, port, database, username, password, scheme)
    dsn = Dsn.parse(f"  {text}?sslmode=require\n")

    assert dsn == Dsn(
        host, port or DEFAULT_PORT, database, username, password, explicit_port=port is not None
    )
    assert {name: dsn.part(name) for name in PARTS} == {
        "host": host,
        "port": str(port or DEFAULT_PORT),
        "database": database,
        "username": username,
        "password": password,
    }
    found = conninfo_to_dict(text)
    assert (found["host"], found["dbname"], found["user"], found["password"]) == (
        host,
        database,
        username,
        password,
    )
    assert found.get("port", str(DEFAULT_PORT)) == dsn.part("port")


def test_what_is_left_out_is_empty() -> None:
    assert Dsn.parse("postgres://db.example") == Dsn("db.example", 5432, "", "", "", explicit_port=False)
    assert Dsn.parse("postgres://role@db.example/").username == "role"


def test_a_password_is_not_in_its_repr() -> None:
    assert VALUE not in repr(Dsn.parse(f"postgres://u:{VALUE}@h/d"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with postgres://"),
        (VALUE, "does not begin with postgres://"),
        (f"mysql://u:{VALUE}@h/d", "does not begin with postgres://"),
        (f"postgres:u:{VALUE}@h/d", "names no host"),
        ("postgres:///chatwoot", "names no host"),
        (f"postgres://u:{VALUE}/x@h/d", "port is no port number"),
        (f"postgres://u:{VALUE}?x@h/d", "port is no port number"),
        (f"postgres://u:{VALUE}#x@h/d", "port is no port number"),
        ("postgres://u:p@h:99999/d", "port is no port number"),
        ("postgres://u:p@h1:5432,h2:5432/d", "port is no port number"),
        (f"postgres://u:{VALUE}%zz@h/d", "a % in it begins no escape"),
        (f"postgres://u:100%{VALUE}@h/d", "a % in it begins no escape"),
        (f"postgres://u:{VALUE}%00@h/d", "a % in it begins no escape"),
        (f"postgres://u:{VALUE}@[::1/d", "host is malformed"),
    ],
)
def test_what_is_no_postgres_url(text: str, said: str) -> None:
    with pytest.raises(MalformedDsn, match=said) as caught:
        Dsn.parse(text)
    assert VALUE not in str(caught.value)


@given(
    st.text(),
    st.sampled_from(["", "postgres://", "postgres://u:"]),
    st.sampled_from(["", "@h/d", "@h:5432/d"]),
)
def test_any_text_is_read_or_refused(text: str, head: str, tail: str) -> None:
    try:
        Dsn.parse(f"{head}{text}{tail}")
    except MalformedDsn:
        return
