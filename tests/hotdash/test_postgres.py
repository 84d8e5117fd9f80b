"""Trying a database URL, on a real Postgres: what is proved, what is refused, what cannot be told from here."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from hotdash.postgres import Trial, Verdict, try_connection
from sandbox.services import Endpoints, Services

PASSWORD = "p@ss %41+w/rd?#&='\"\\ é"
ROLE = "röle.of tests"
DATABASE = "a/b ? ü"


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    services = Services(tmp_path_factory.mktemp("services"))
    found = asyncio.run(services.start())
    try:
        with psycopg.connect(
            found.superuser.dsn(found.postgres_host, found.postgres_port), autocommit=True
        ) as connection:
            role = sql.Identifier(ROLE)
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(PASSWORD))
            )
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), role))
        yield found
    finally:
        asyncio.run(services.stop())


def url(endpoints: Endpoints, *, password: str = PASSWORD, database: str = DATABASE, query: str = "") -> str:
    role, word, name = (quote(text, safe="") for text in (ROLE, password, database))
    return f"postgres://{role}:{word}@{endpoints.postgres_host}:{endpoints.postgres_port}/{name}{query}"


def test_a_good_url_is_proved_and_names_database_and_role(endpoints: Endpoints) -> None:
    assert try_connection(url(endpoints)) == Trial(Verdict.PROVED, f"database {DATABASE} as {ROLE}")
    assert try_connection(endpoints.database_url).verdict is Verdict.PROVED


def test_parameters_for_libpq_are_taken_as_they_stand_and_those_for_rails_left_out(
    endpoints: Endpoints,
) -> None:
    # A + in a URL's parameter is a + to libpq, where a form's reader would see a space.
    query = (
        "?pool=5&prepared_statements=false&application_name=a%20b+c&options=-c%20statement_timeout%3D9s&flag"
    )
    assert try_connection(url(endpoints, query=query)).verdict is Verdict.PROVED
    broken = try_connection(url(endpoints, query="?options=-c%20no_such_setting%3D1"))
    assert broken.verdict is Verdict.UNCLEAR
    assert "no_such_setting" in broken.said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": "s3cr3t-Value"}, "password authentication failed"),
        ({"database": "no_such_database"}, 'database "no_such_database" does not exist'),
    ],
)
def test_what_the_server_refuses_is_refused(endpoints: Endpoints, wrong: dict[str, str], said: str) -> None:
    trial = try_connection(url(endpoints, **wrong))
    assert trial.verdict is Verdict.REFUSED
    assert said in trial.said
    assert "s3cr3t-Value" not in trial.said
    assert PASSWORD not in trial.said


@pytest.mark.parametrize(
    "text", ["s3cr3t-Value", "postgres://u:s3cr3t-Value%zz@h/d", "redis://:s3cr3t-Value@h"]
)
def test_what_is_no_postgres_url_is_refused_unseen(text: str) -> None:
    trial = try_connection(text)
    assert trial.verdict is Verdict.REFUSED
    assert trial.said.startswith("it is no Postgres URL: ")
    assert "s3cr3t-Value" not in trial.said


def test_a_server_that_is_not_there_tells_nothing(endpoints: Endpoints) -> None:
    with socket.socket() as bound:  # not listening: refused at once, and nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        trial = try_connection(f"postgres://u:s3cr3t-Value@127.0.0.1:{bound.getsockname()[1]}/d")
    assert trial.verdict is Verdict.UNCLEAR
    assert "refused" in trial.said
    assert "s3cr3t-Value" not in trial.said


def test_what_lies_with_the_asker_tells_nothing_of_the_url(endpoints: Endpoints) -> None:
    # This machine has no such certificate; the one that runs Chatwoot may.
    trial = try_connection(url(endpoints, query="?sslmode=verify-full&sslrootcert=/no/such.crt"))
    assert trial.verdict is Verdict.UNCLEAR, trial


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ('FATAL: password authentication failed for user "postgres"', Verdict.REFUSED),
        ("FATAL: Tenant or user not found", Verdict.REFUSED),
        ("FATAL: (ENOTFOUND) tenant/user postgres.abc not found", Verdict.REFUSED),
        ('FATAL: role "nobody" does not exist', Verdict.REFUSED),
        (
            'FATAL: no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption',
            Verdict.UNCLEAR,
        ),
        ("FATAL: (EADDRNOTALLOWED) Address not in tenant allow_list: {10, 0, 0, 1}", Verdict.UNCLEAR),
        ("FATAL: (EMAXCONNSESSION) max clients reached in session mode", Verdict.UNCLEAR),
        ("FATAL: sorry, too many clients already", Verdict.UNCLEAR),
    ],
)
def test_what_servers_and_poolers_say(said: str, verdict: Verdict) -> None:
    with OneAnswer(said) as server:
        trial = try_connection(f"postgres://u:s3cr3t-Value@127.0.0.1:{server.port}/d?sslmode=disable")
    assert trial.verdict is verdict
    assert said.removeprefix("FATAL: ") in trial.said


def test_a_server_that_repeats_the_password_is_not_quoted_with_it() -> None:
    with OneAnswer("FATAL: no such user:s3cr3t-Value  here") as server:
        trial = try_connection(f"postgres://u:s3cr3t-Value@127.0.0.1:{server.port}/d?sslmode=disable")
    assert trial.said.endswith("no such user:… here")


class OneAnswer:
    """A server that answers every start of a Postgres session with one error."""

    def __init__(self, said: str) -> None:
        self._said = said
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> "OneAnswer":
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(4096)
            fields = {"S": "FATAL", "V": "FATAL", "C": "XX000", "M": self._said.removeprefix("FATAL: ")}
            body = b"".join(f"{name}{text}\0".encode() for name, text in fields.items()) + b"\0"
            connection.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()
