"""DSNs: their parts are what libpq takes them for, and what is none is refused without being shown."""

import pickle

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hotdash.dsn import DEFAULT_PORT, PARTS, Dsn, Form, Host, MalformedDsn, Place, is_meant_as_url
from hotdash.dsn.parameters import FOR_CONNECTING, LIBPQ
from tests.hotdash.dsn.strategies import SECRET, dsns, host_names, names, ports, url

# URLs


@given(host_names, ports, names, names, names, st.sampled_from(["postgres", "postgresql"]))
@example("::1", 6543, "a/b", "postgres.ref", "p@ss:w/rd?#%[]", "postgres")
@example("db.example", None, "+", "+", "a+b %41", "postgresql")
def test_a_url_has_the_parts_that_it_was_made_of_and_that_libpq_finds(
    host: str, port: int | None, database: str, username: str, password: str, scheme: str
) -> None:
    text = url(host, port, database, username, password, scheme)
    dsn = Dsn.parse(f"  {text}?sslmode=require\n")

    assert dsn == Dsn((Host(host, port),), database, username, password, {"sslmode": "require"})
    assert dsn.explicit_port == (port is not None)
    assert dsn.unencoded == dsn.in_query == ()
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


@given(dsns())
def test_what_is_rendered_is_read_back(dsn: Dsn) -> None:
    assert Dsn.parse(dsn.render(password=True)) == dsn
    assert pickle.loads(pickle.dumps(dsn)) == dsn


pieces = st.sampled_from(
    [
        *"ab:/@?&=,%#+'",
        "h",
        "[::1]",
        "5432",
        "%20",
        "u:p@",
        "/d?",
        "user=",
        "host=",
        "port=",
        "sslmode=require",
    ]
)


@given(st.lists(pieces, max_size=12).map("".join))
@example("h1:1,h2:2,[::1]/d?user=x&host=y,z,w&port=7")
@example("u:p@/d?host=/tmp")
@example("h,/d")
def test_what_libpq_reads_too_is_read_alike(rest: str) -> None:
    text = f"postgres://{rest}"
    try:
        dsn = Dsn.parse(text)
        found = conninfo_to_dict(text)
    except (MalformedDsn, ProgrammingError):
        assume(False)
        return
    # libpq lets a password end at the first @, and a host begin there; we at the last. It is reported as unencoded.
    assume(not {"username", "password"} & set(dsn.unencoded))
    ours = {name: str(value) for name, value in dsn.for_libpq().items() if value != ""}
    theirs = {
        name: str(value) for name, value in found.items() if value != "" and name in (*FOR_CONNECTING, *ours)
    }
    theirs["port"] = ",".join(port or str(DEFAULT_PORT) for port in theirs.get("port", "").split(","))
    if len(dsn.hosts) > 1 and "," not in theirs["port"]:
        theirs["port"] = ",".join([theirs["port"]] * len(dsn.hosts))
    assert ours == theirs


def test_what_is_left_out_is_empty() -> None:
    assert Dsn.parse("postgres://db.example") == Dsn((Host("db.example", None),), "", "", "")
    assert Dsn.parse("postgres://role@db.example/").username == "role"
    assert Dsn.parse("postgres://db.example?").parameters == {}
    assert Dsn.parse("postgres://db.example:/d").port == DEFAULT_PORT


def test_several_hosts_have_their_own_ports() -> None:
    dsn = Dsn.parse("postgres://u:p@h1:1,[::1],h3:3/d")
    assert dsn.hosts == (Host("h1", 1), Host("::1", None), Host("h3", 3))
    assert (dsn.host, dsn.port, dsn.explicit_port) == ("h1", 1, False)
    assert dsn.for_libpq() == {
        "host": "h1,::1,h3",
        "port": "1,5432,3",
        "dbname": "d",
        "user": "u",
        "password": "p",
    }


def test_parts_in_the_query_win_and_are_no_parameters() -> None:
    dsn = Dsn.parse(f"postgres://a:b@c:1/d?user=e&password={SECRET}&host=f&port=2&dbname=g&pool=3")
    assert dsn == Dsn((Host("f", 2),), "g", "e", SECRET, {"pool": "3"})
    assert set(dsn.in_query) == {"username", "password", "host", "port", "database"}
    assert SECRET not in f"{dsn!r}{dsn}"
    assert Dsn.parse("postgres:///d?host=/tmp").hosts == (Host("/tmp", None),)
    assert Dsn.parse("postgres://h1,h2/d?port=7").hosts == (Host("h1", 7), Host("h2", 7))


def test_what_ruby_refuses_is_read_and_noted() -> None:
    dsn = Dsn.parse('postgres://r"le:p@ss|@h:1/d{}?application_name=<x>')
    assert (dsn.username, dsn.password, dsn.database) == ('r"le', "p@ss|", "d{}")
    assert dsn.unencoded == ("username", "password", "database", "parameters")
    assert Dsn.parse("postgres://u:!$&'()*+,;=:~._-@h:1/d").unencoded == ()


@pytest.mark.parametrize("scheme", ["Postgres", "POSTGRES", "postgreSQL"])
def test_a_scheme_in_capitals_is_read_and_noted_as_rails_takes_it_and_libpq_does_not(scheme: str) -> None:
    text = f"{scheme}://u:{SECRET}@h:1/d?sslmode=require"
    dsn = Dsn.parse(text)
    assert dsn == Dsn.parse(text.replace(scheme, "postgres"))
    assert dsn.in_capitals
    assert not Dsn.parse("postgresql://h/d").in_capitals
    assert is_meant_as_url(f" {text}")
    # The parts are what it is connected with, never the text: libpq would not take that, and repeat it.
    assert conninfo_to_dict(make_conninfo("", **dsn.for_libpq()))["host"] == "h"
    with pytest.raises(ProgrammingError):
        conninfo_to_dict(text)


# Keywords


@given(dsns())
def test_libpqs_own_form_is_read_as_libpq_writes_it(dsn: Dsn) -> None:
    assume(all("," not in host.name for host in dsn.hosts))
    given_to_libpq = {name: value for name, value in dsn.for_libpq().items() if value != ""}
    text = make_conninfo("", **given_to_libpq)
    read = Dsn.parse(text)
    assert read.form is Form.KEYWORDS
    assert read.for_libpq() == dsn.for_libpq()
    assert SECRET not in repr(read)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"host=h password={SECRET} {SECRET}", "keyword in it that libpq does not know"),
        (f"host=h password=x {SECRET}=y", "keyword in it that libpq does not know"),
        (f"host=h password='{SECRET}", "quote in it is not closed"),
        (f"password={SECRET}", "names no host"),
        (f"host=h port=x{SECRET}", "port is no port number"),
        (f"host=a,b,c port=1,2 password={SECRET}", "another number of ports"),
        (f"secret={SECRET}", "does not begin with postgres://"),
    ],
)
def test_what_is_no_keyword_form(text: str, said: str) -> None:
    with pytest.raises(MalformedDsn, match=said) as caught:
        Dsn.parse(text)
    assert SECRET not in f"{caught.value}{caught.value.remedy}"


# What is none


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with postgres://"),
        (SECRET, "does not begin with postgres://"),
        (f"mysql://u:{SECRET}@h/d", "MySQL"),
        (f"rediss://u:{SECRET}@h:25061", "Redis"),
        (f"prisma+postgres://x/?api_key={SECRET}", "Prisma"),
        (f"prisma://x/?api_key={SECRET}", "Prisma"),
        (f"http://{SECRET}", "does not begin with postgres://"),
        (f"'postgres://u:{SECRET}@h/d'", "begins with a quote"),
        (f"postgres:u:{SECRET}@h/d", "does not begin with postgres://"),
        ("postgres:///chatwoot", "names no host"),
        ("postgres://", "names no host"),
        ("postgres://h/d?host=", "names no host"),
        (f"postgres://u:{SECRET}/x@h/d", "an @ behind its host"),
        (f"postgres://u:{SECRET}?x@h/d", "an @ behind its host"),
        (f"postgres://u:{SECRET}#x@h/d", "an @ behind its host"),
        (f"postgres://u:5432/{SECRET}@h/d", "an @ behind its host"),
        (f"postgres://u:5432?{SECRET}@h/d", "an @ behind its host"),
        (f"postgres://u:5432?a={SECRET}@h/d", "an @ behind its host"),
        (f"postgres://u:p@5432/{SECRET}@h/d", "an @ behind its host"),
        (f"postgres://u:p@h/d#{SECRET}", "a # in it"),
        (f"postgres://u:{SECRET}/d", "port is no port number"),
        ("postgres://u:p@h:99999/d", "port is no port number"),
        ("postgres://u:p@h:0/d", "port is no port number"),
        ("postgres://u:p@h:٤٢/d", "port is no port number"),
        ("postgres://u:p@h:5_4/d", "port is no port number"),
        (f"postgres://u:{SECRET}:5432/d", "host is malformed"),
        ("postgres://u:p@h,i/d?port=1,2,3", "another number of ports"),
        (f"postgres://u:{SECRET}%zz@h/d", "a % in it begins no escape"),
        (f"postgres://u:100%{SECRET}@h/d", "a % in it begins no escape"),
        (f"postgres://u:{SECRET}%00@h/d", "a % in it begins no escape"),
        (f"postgres://u:{SECRET}%E4@h/d", "not UTF-8"),
        (f"postgres://u:{SECRET}@[::1/d", "host is malformed"),
        (f"postgres://u:{SECRET}@[]/d", "host is malformed"),
        (f"postgres://u:{SECRET}@[::1]5432/d", "host is malformed"),
        (f"postgres://u:{SECRET}@::1:5432/d", "host is malformed"),
        (f"postgres://u:{SECRET} x@h/d", "a space or a line break"),
        (f"postgres://u:{SECRET}\nOTHER=x@h/d", "a space or a line break"),
        (f"postgres://u:p@h/d?=x{SECRET}", "has no name"),
    ],
)
def test_what_is_no_postgres_dsn(text: str, said: str) -> None:
    with pytest.raises(MalformedDsn, match=said) as caught:
        Dsn.parse(text)
    assert caught.value.remedy
    assert SECRET not in f"{caught.value}{caught.value.remedy}"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.remedy) == (str(caught.value), caught.value.remedy)


@given(
    st.text(),
    st.sampled_from(["", "postgres://", "postgres://u:", "host=h password="]),
    st.sampled_from(["", "@h/d", "@h:5432/d", "@h:5432/d?a=b", " user=u"]),
)
def test_any_text_is_read_or_refused(text: str, head: str, tail: str) -> None:
    try:
        Dsn.parse(f"{head}{text}{tail}")
    except MalformedDsn:
        return


@given(
    st.text(max_size=6),
    st.text(max_size=6),
    st.sampled_from(
        ["postgres://u:", "postgres://:", "postgres://", "postgres://u:5432/", "postgres://u:5432?a="]
    ),
    st.sampled_from(["@h/d", "@h:5432/d", "@[::1]:5/d?a=b"]),
)
def test_a_password_is_never_shown_however_little_of_it_is_encoded(
    before: str, behind: str, head: str, tail: str
) -> None:
    try:
        dsn = Dsn.parse(f"{head}{before}{SECRET}{behind}{tail}")
    except MalformedDsn as error:
        shown = f"{error}{error.remedy}"
    else:
        # Without a role before it, it is itself a role, which is shown.
        assume(SECRET not in dsn.username)
        shown = f"{dsn}{dsn!r}{dsn.shown_parameters()}"
    assert SECRET not in shown


# What is shown


def test_a_password_is_not_in_what_people_see() -> None:
    dsn = Dsn.parse(f"postgres://u:{SECRET}@h:1/d?sslpassword={SECRET}&sslmode=require&odd={SECRET}")
    assert str(dsn) == "postgres://u:…@h:1/d?sslpassword=…&sslmode=require&odd=…"
    assert SECRET not in repr(dsn)
    assert str(Dsn.parse("postgres://u@h/d")) == "postgres://u@h/d"


def test_a_password_behind_an_encoded_colon_is_not_shown() -> None:
    dsn = Dsn.parse(f"postgres://u%3A{SECRET}@h:1/d")
    assert dsn.username == f"u:{SECRET}"
    assert dsn.role == "u:…"
    assert str(dsn) == "postgres://u:…@h:1/d"
    assert SECRET not in repr(dsn)


def test_options_are_shown_where_they_only_name_a_tenant() -> None:
    def shown(options: str) -> str:
        return Dsn.parse(f"postgres://h/d?options={options}").shown_parameters()["options"]

    assert shown("reference%3Dabc") == "reference=abc"
    assert shown(f"-c%20my.key%3D{SECRET}") == "…"
    assert shown(f"endpoint%3Dep-x%3B{SECRET}") == "…"


# For libpq


def test_libpq_is_given_what_it_takes() -> None:
    dsn = Dsn.parse(
        "postgres://u@h/d?pool=5&sslmode=require&connect_timeout=9&pgbouncer=true&options=-c%20a%3Db&service=s"
    )
    assert dsn.for_libpq() == {
        "host": "h",
        "port": 5432,
        "dbname": "d",
        "user": "u",
        "password": "",
        "sslmode": "require",
        "options": "-c a=b",
    }
    assert Dsn.parse("postgres://h/d?ssl=true").for_libpq()["sslmode"] == "require"


def test_the_keywords_are_libpqs_own() -> None:
    assert {option.keyword.decode() for option in pq.Conninfo.get_defaults()} == LIBPQ


def test_a_dsn_can_be_moved_to_a_place() -> None:
    dsn = Dsn.parse(f"postgres://a.b:{SECRET}@h:1/d?sslmode=require")
    place = Place("direct.example", 5432, "d", "a")
    assert dsn.at(place) == Dsn((Host("direct.example", 5432),), "d", "a", SECRET, {"sslmode": "require"})
    assert str(place) == "postgres://a:…@direct.example:5432/d"
