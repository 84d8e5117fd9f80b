"""A database URL, tried on a real Postgres."""

import re
import secrets
from collections.abc import Callable
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from hotdash.preflight import Demand, Verdict
from tests.hotdash.preflight.trying import PATIENCE, database, outcomes
from tests.servers.postgres import RESERVED, SLOTS, Server
from tests.servers.silent import closed, full, silent
from tests.servers.supavisor import answering
from tests.servers.tls import Certificates

PASSWORD = "p@ss %41+w/rd?#&='\"\\ é"
ROLE = "röle.of tests"
DATABASE = "a/b ? ü"


def test_a_good_url_is_proved_and_told_in_clear(server: Server) -> None:
    demand = Demand(web=2, workers=1)
    found = database(server.url(), demand=demand)
    assert found.verdict is Verdict.PROVED, found
    assert found.code == "proved"
    assert found.warnings == ()
    assert found.subject == f"chatwoot@127.0.0.1:{server.port}/chatwoot_production"
    facts = dict(found.facts)
    assert facts.pop("server").startswith("Postgres ")
    assert facts.pop("connections").startswith(
        f"{SLOTS} − {RESERVED} reserved = {SLOTS - RESERVED} for this role"
    )
    assert facts == {
        "host": "127.0.0.1",
        "port": str(server.port),
        "role": "chatwoot",
        "database": "chatwoot_production",
        "tls": "no",
        "pooling": "direct (the process that answers is the one that the login named)",
        "demand": "2 web × 5 + 1 worker × 10 + 1 migration = 21",
        "schema": "Chatwoot's, 5 migrations, the newest 20251119094040",
        "extensions": "installed: pg_stat_statements, pg_trgm, pgcrypto, plpgsql, vector",
    }


def test_nothing_is_left_open_or_locked(server: Server) -> None:
    server.execute("CREATE ROLE tidy LOGIN PASSWORD 'tidy-pw'")
    url = server.url(role="tidy", password="tidy-pw")
    assert database(url).verdict is Verdict.PROVED
    # Each look in a transaction of its own: within one they are all alike.
    with psycopg.connect(url, autocommit=True) as session:
        # The server notices a moment after the client has left.
        for _ in range(400):
            row = session.execute("select count(*) from pg_stat_activity where usename = 'tidy'").fetchone()
            if row == (1,):
                break
            session.execute("select pg_sleep(0.05)")
        assert row == (1,)
        assert session.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone() == (0,)


def test_special_characters_pass_through_and_show_nowhere(server: Server) -> None:
    with psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user="postgres",
        password=server.endpoints.superuser.password,
        dbname="postgres",
        autocommit=True,
    ) as session:
        role = Identifier(ROLE)
        session.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, Literal(PASSWORD)))
        session.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(DATABASE), role))
    query = (
        "?pool=5&prepared_statements=false&application_name=a%20b+c&options=-c%20statement_timeout%3D9s&flag="
    )
    found = database(server.url(role=ROLE, password=PASSWORD, database=DATABASE, query=query))
    assert found.verdict is Verdict.PROVED, found
    assert found.facts["database"] == DATABASE
    assert found.facts["schema"] == "empty"
    assert found.warnings == (
        "the database is empty: Chatwoot answers 500 until `rails db:chatwoot_prepare` has run",
        "pg_stat_statements and vector must be made by a role that may: CREATE EXTENSION IF NOT EXISTS …, before "
        "migrations run (Supabase lets its own roles make them)",
    )
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"password": "s3cr3t-Value"}, "wrong-password"),
        ({"password": ""}, "wrong-password"),
        ({"role": "nobody_of_this_name"}, "wrong-password"),
        ({"database": "no_such_database"}, "no-such-database"),
        ({"query": "?options=-c%20no_such_setting%3D1"}, "unsupported-parameter"),
    ],
)
def test_what_the_server_decides_is_refused(server: Server, wrong: dict[str, Any], code: str) -> None:
    found = database(server.url(**wrong))
    assert (found.verdict, found.code) == (Verdict.REFUSED, code), found
    assert found.next
    assert "s3cr3t-Value" not in str(found)


def test_a_role_that_may_not_log_in_is_refused(server: Server) -> None:
    server.execute("CREATE ROLE nologin PASSWORD 'nologin-pw'")
    found = database(server.url(role="nologin", password="nologin-pw"))
    assert (found.verdict, found.code) == (Verdict.REFUSED, "no-such-role"), found


def test_who_is_kept_out_by_address_may_be_let_in_elsewhere(server: Server) -> None:
    found = database(server.url(role="outsider", password="s3cr3t-Value"))
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "not-admitted"), found


@pytest.mark.parametrize(
    ("query", "verdict", "code"),
    [
        ("", Verdict.PROVED, "proved"),
        ("?sslmode=disable", Verdict.PROVED, "proved"),
        ("?sslmode=prefer", Verdict.PROVED, "proved"),
        ("?sslmode=require", Verdict.REFUSED, "tls-required"),
        ("?sslmode=verify-full&sslrootcert={authority}", Verdict.REFUSED, "tls-required"),
    ],
)
def test_a_server_without_tls_is_refused_where_the_url_asks_for_it(
    server: Server, query: str, verdict: Verdict, code: str, certificates: Certificates
) -> None:
    found = database(server.url(query=query.format(authority=certificates.authority)))
    assert (found.verdict, found.code) == (verdict, code), found
    assert found.facts.get("tls") == ("no" if verdict is Verdict.PROVED else None)


def test_ipv6_is_reached_and_told(server: Server) -> None:
    found = outcomes({"REPORTS_URL": server.url(host="[::1]")})["REPORTS_URL"]
    assert found.verdict is Verdict.PROVED, found
    assert found.subject == f"chatwoot@[::1]:{server.port}/chatwoot_production"


def test_a_name_is_told_with_its_addresses(server: Server) -> None:
    found = database(server.url(host="localhost"))
    assert found.verdict is Verdict.PROVED, found
    assert "127.0.0.1 (A)" in found.facts["addresses"]


def test_the_first_host_that_answers_will_do(server: Server) -> None:
    with closed() as port:
        url = server.url().replace(f"127.0.0.1:{server.port}", f"127.0.0.1:{port},127.0.0.1:{server.port}")
        found = database(url)
    assert found.facts["server"].startswith("Postgres ")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda url: url.replace("127.0.0.1", "[::1]"), "ipv6-literal"),
        (lambda url: re.sub(r"@([^/]*)/", r"@\1,\1/", url), "several-hosts"),
    ],
)
def test_what_opens_from_here_and_not_for_chatwoot_is_refused(
    server: Server, change: Callable[[str], str], code: str
) -> None:
    found = database(change(server.url()))
    assert (found.verdict, found.code) == (Verdict.REFUSED, code), found
    assert found.facts["server"].startswith("Postgres ")  # it was tried all the same
    assert found.next


# Slots


def test_taken_slots_are_refused(server: Server) -> None:
    with server.exhausted():
        found = database(server.url())
    assert (found.verdict, found.code) == (Verdict.REFUSED, "exhausted"), found
    assert "remaining connection slots are reserved" in found.said


def test_a_roles_own_limit_is_refused_when_reached_and_counted_before(server: Server) -> None:
    server.execute(
        "CREATE ROLE limited LOGIN CONNECTION LIMIT 2 PASSWORD 'limited-pw'",
        "GRANT ALL ON DATABASE chatwoot_production TO limited",
    )
    url = server.url(role="limited", password="limited-pw")
    found = database(url, demand=Demand(web=1, workers=1))
    assert (found.verdict, found.code) == (Verdict.REFUSED, "too-few-slots"), found
    assert "the role's limit of 2" in found.said
    with psycopg.connect(url), psycopg.connect(url):
        found = database(url)
    assert (found.verdict, found.code) == (Verdict.REFUSED, "exhausted"), found


@pytest.mark.parametrize(
    ("web", "verdict", "warned"),
    [(1, Verdict.PROVED, False), (9, Verdict.PROVED, True), (12, Verdict.REFUSED, False)],
)
def test_what_chatwoot_will_open_is_held_against_what_there_is(
    server: Server, web: int, verdict: Verdict, warned: bool
) -> None:
    # 60 − 3; nine webs and a worker open 56, twelve 71; two connections are another's.
    other = server.hotdash_url
    with psycopg.connect(other), psycopg.connect(other):
        found = database(server.url(), demand=Demand(web=web, workers=1))
    assert found.verdict is verdict, found
    assert found.code == ("proved" if verdict is Verdict.PROVED else "too-few-slots")
    assert ("2 that others hold" in found.facts["connections"]) is True
    assert any("there is room for" in text for text in found.warnings) is warned


# Whose database it is


def test_hotdashs_own_database_is_refused(server: Server) -> None:
    found = database(server.hotdash_url)
    assert (found.verdict, found.code) == (Verdict.REFUSED, "hotdash-database"), found
    assert found.facts["schema"] == "HotDash's own"


_CHATWOOTS = "CREATE TABLE installation_configs (id int); CREATE TABLE contact_inboxes (id int)"
_RAILS = (
    "CREATE TABLE ar_internal_metadata (key varchar); CREATE TABLE schema_migrations (version varchar);"
    "INSERT INTO schema_migrations VALUES ('20200101000000')"
)


@pytest.mark.parametrize(
    ("tables", "verdict", "code"),
    [
        ("SELECT 1", Verdict.PROVED, "proved"),
        # `rails db:create` and a migration that never began.
        ("CREATE TABLE ar_internal_metadata (key varchar)", Verdict.PROVED, "proved"),
        (_CHATWOOTS, Verdict.REFUSED, "half-loaded"),
        ("CREATE TABLE agent_bot_inboxes (id int);" + _RAILS, Verdict.REFUSED, "half-loaded"),
        (_CHATWOOTS + ";" + _RAILS, Verdict.PROVED, "proved"),
        (
            _CHATWOOTS + ";" + _RAILS + "; CREATE TABLE dashboard_facts (id int)",
            Verdict.REFUSED,
            "hotdash-database",
        ),
        (
            "CREATE SCHEMA facts; CREATE TABLE facts.dashboard_facts (id int)",
            Verdict.REFUSED,
            "hotdash-database",
        ),
        ("CREATE TABLE orders (id int);" + _RAILS, Verdict.REFUSED, "another-app"),
        ("CREATE TABLE users (id int); CREATE TABLE orders (id int)", Verdict.REFUSED, "another-app"),
        # As on Supabase: its own users are not in the path.
        ("CREATE SCHEMA auth; CREATE TABLE auth.users (id int)", Verdict.PROVED, "proved"),
        ("CREATE TABLE spatial_ref_sys (id int)", Verdict.PROVED, "proved"),
    ],
)
def test_whose_tables_they_are(server: Server, tables: LiteralString, verdict: Verdict, code: str) -> None:
    name = f"case {secrets.token_hex(4)}"
    server.make_database(name, tables)
    found = database(server.url(database=name))
    assert (found.verdict, found.code) == (verdict, code), found


def test_an_empty_database_on_a_server_without_an_extension_is_refused(server: Server) -> None:
    server.make_database("bare")
    server.execute("ALTER DATABASE bare SET extension_control_path = '$system'")
    found = database(server.url(database="bare"))
    assert (found.verdict, found.code) == (Verdict.REFUSED, "extension-missing"), found
    assert "pg_stat_statements, pg_trgm and pgcrypto" in found.said
    assert "missing: pg_stat_statements, pg_trgm, pgcrypto" in found.facts["extensions"]


def test_a_loaded_schema_lives_on_without_an_extension(server: Server) -> None:
    server.make_database("lost", _CHATWOOTS, _RAILS)
    server.execute("ALTER DATABASE lost SET extension_control_path = '$system'")
    found = database(server.url(database="lost"))
    assert found.verdict is Verdict.PROVED, found
    # 2020: a Chatwoot that old needs no vector.
    assert "vector" not in found.facts["extensions"]
    assert any("the server has no pg_stat_statements" in text for text in found.warnings)


def test_a_database_that_takes_no_writes_is_refused(server: Server) -> None:
    server.make_database("frozen", _CHATWOOTS, _RAILS)
    server.execute("ALTER DATABASE frozen SET default_transaction_read_only = on")
    found = database(server.url(database="frozen"))
    assert (found.verdict, found.code) == (Verdict.REFUSED, "read-only"), found


# Forbidden databases, and whether two URLs lead to one


def test_a_forbidden_database_is_known_by_what_it_is(server: Server) -> None:
    # Other host, other role: the texts do not tell.
    superuser = server.endpoints.superuser
    forbidden = server.url(role=superuser.role, password=superuser.password, host="[::1]")
    found = database(server.url(), forbidden={"HotDash's": forbidden})
    assert (found.verdict, found.code) == (Verdict.REFUSED, "forbidden-database"), found
    assert "HotDash's" in found.said
    for secret in (superuser.password, server.endpoints.chatwoot.password):
        assert secret not in str(found)


def test_another_database_of_the_same_server_is_no_forbidden_one(server: Server) -> None:
    found = database(server.url(), forbidden={"HotDash's": server.hotdash_url})
    assert found.verdict is Verdict.PROVED, found
    assert found.warnings == ()


def test_a_forbidden_database_that_does_not_answer_is_said_to_be_uncompared(server: Server) -> None:
    with closed() as port:
        found = database(server.url(), forbidden={"HotDash's": server.url(port=port)})
    assert found.verdict is Verdict.PROVED, found
    assert any("whether this is HotDash's cannot be told" in text for text in found.warnings)


def test_migrations_must_reach_the_database_that_chatwoot_uses(server: Server) -> None:
    server.make_database("elsewhere")
    right = {"DATABASE_URL": server.url(), "DIRECT_DATABASE_URL": server.url(host="localhost")}
    assert {o.verdict for o in outcomes(right).values()} == {Verdict.PROVED}
    wrong = {**right, "DIRECT_DATABASE_URL": server.url(host="localhost", database="elsewhere")}
    found = outcomes(wrong)
    assert found["DATABASE_URL"].verdict is Verdict.PROVED
    direct = found["DIRECT_DATABASE_URL"]
    assert (direct.verdict, direct.code) == (Verdict.REFUSED, "another-database"), direct


def test_other_urls_need_not_be_chatwoots(server: Server) -> None:
    found = outcomes({"FACTS_URL": server.hotdash_url}, forbidden={"HotDash's": server.hotdash_url})
    assert found["FACTS_URL"].verdict is Verdict.PROVED, found


# Servers that are not there


@pytest.mark.parametrize(
    ("place", "code"), [(closed, "nothing-listens"), (silent, "no-answer"), (full, "timeout")]
)
def test_what_does_not_answer_tells_nothing_of_the_url(server: Server, place: object, code: str) -> None:
    with place() as port:  # type: ignore[operator]
        found = database(server.url(port=port), timeout=PATIENCE if place is closed else 2.0)
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, code), found
    assert server.endpoints.chatwoot.password not in str(found)
    assert found.seconds < 30


def test_a_name_that_does_not_resolve_tells_nothing(server: Server) -> None:
    found = database(server.url(host="no-such-host.invalid"))
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "dns-not-found"), found


def test_what_is_no_postgres_is_refused(server: Server) -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        found = database(server.url(port=port))
    assert (found.verdict, found.code) == (Verdict.REFUSED, "not-postgres"), found


def test_a_server_that_stops_answering_is_left_at_the_deadline(server: Server) -> None:
    with psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user="postgres",
        password=server.endpoints.superuser.password,
        dbname="chatwoot_production",
    ) as holder:
        # Reading the tables' list now waits.
        holder.execute("lock table pg_catalog.pg_class in access exclusive mode")
        found = database(server.url(), timeout=1.0)
        holder.rollback()
    assert found.verdict is Verdict.UNCLEAR, found
    assert found.seconds < 20
