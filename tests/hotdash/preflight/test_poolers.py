"""Poolers before a real Postgres: a real PgBouncer in each mode, and Supavisor as its source has it on the wire."""

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pytest

from hotdash.dsn import Dsn
from hotdash.preflight import SERVER_ERRORS, Demand, Outcome, Verdict, checks_for, run
from hotdash.preflight.postgres import trying
from hotdash.preflight.postgres.identity import Identities
from hotdash.preflight.postgres.login import Login, prepare
from hotdash.preflight.server_errors import SUPAVISOR
from hotdash.preflight.trial import Deadline, Ended, Notes
from tests.hotdash.preflight.trying import PATIENCE, database, outcomes
from tests.servers.pgbouncer import POOL_SIZE, pgbouncer
from tests.servers.postgres import Server
from tests.servers.silent import silent
from tests.servers.supavisor import refusing, session_pooler
from tests.servers.tls import Certificates

TENANT = "abcdefghijklmnopqrst"
DEMAND = Demand(web=2, workers=1)


def pooler(server: Server, mode: str, **given: object) -> AbstractContextManager[int]:
    account = server.endpoints.chatwoot
    return pgbouncer(server.port, mode, {account.role: account.password}, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def transaction(server: Server) -> Iterator[int]:
    with pooler(server, "transaction") as port:
        yield port


@pytest.fixture(scope="session")
def session(server: Server) -> Iterator[int]:
    with pooler(server, "session") as port:
        yield port


def test_transaction_pooling_is_seen_on_the_wire(server: Server, transaction: int) -> None:
    found = database(server.url(port=transaction), demand=DEMAND)
    assert found.verdict is Verdict.PROVED, found
    assert found.facts["pooling"] == "transaction (two connections were served by one process)"
    assert found.facts["pooler"] == "PgBouncer"
    assert any("prepared_statements=false" in text for text in found.warnings)
    # Clients are no connections here.
    assert not any("Chatwoot opens" in text for text in found.warnings)


def test_prepared_statements_that_are_off_are_no_matter(server: Server, transaction: int) -> None:
    found = database(server.url(port=transaction, query="?prepared_statements=false"))
    assert found.warnings == ()


def test_transaction_pooling_is_seen_though_others_use_the_pool(server: Server, transaction: int) -> None:
    url = server.url(port=transaction)
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        one.execute("select 1")
        other.execute("select 1")
        found = database(url)
    assert found.facts["pooling"].startswith("transaction "), found


def test_migrations_over_a_transaction_pooler_are_warned_of(server: Server, transaction: int) -> None:
    values = {"DATABASE_URL": server.url(), "DIRECT_DATABASE_URL": server.url(port=transaction)}
    found = outcomes(values)["DIRECT_DATABASE_URL"]
    assert found.verdict is Verdict.PROVED, found
    assert any("advisory lock" in text for text in found.warnings)


def test_session_pooling_is_told_from_a_direct_connection(server: Server, session: int) -> None:
    found = database(server.url(port=session), demand=DEMAND)
    assert found.verdict is Verdict.PROVED, found
    assert found.facts["pooling"] == "session (PgBouncer answers, and two connections had a process each)"
    assert found.facts["pooler"] == "PgBouncer"


def test_a_pooler_that_answers_for_itself_tells_its_mode_and_size(server: Server) -> None:
    with pooler(server, "session", stats="chatwoot") as port:
        found = database(server.url(port=port), demand=DEMAND)
    assert found.facts["pooling"].startswith("session "), found
    assert any(f"the pool has {POOL_SIZE}" in text for text in found.warnings)
    with pooler(server, "session", stats="chatwoot") as port:
        small = Demand(web=1, workers=0, threads=POOL_SIZE - 1)
        assert database(server.url(port=port), demand=small).warnings == ()


def test_statement_pooling_is_refused(server: Server) -> None:
    with pooler(server, "statement") as port:
        found = database(server.url(port=port))
    assert (found.verdict, found.code) == (Verdict.REFUSED, "statement-pooling"), found
    assert found.facts["database"] == "chatwoot_production"


def test_a_poolers_refusals_are_told_apart(server: Server, transaction: int) -> None:
    def code(**wrong: str) -> str:
        found = database(server.url(port=transaction, **wrong))
        assert found.verdict is Verdict.REFUSED, found
        return found.code

    assert code(password="s3cr3t-Value") == "wrong-password"
    assert code(role="nobody_of_this_name") == "wrong-password"
    assert code(database="no_such_database") == "no-such-database"
    assert code(query="?options=-c%20geqo%3Doff") == "unsupported-parameter"


def test_a_full_pooler_is_refused(server: Server) -> None:
    with pooler(server, "session", clients=2) as port:
        url = server.url(port=port)
        with psycopg.connect(url), psycopg.connect(url):
            found = database(url)
    assert (found.verdict, found.code) == (Verdict.REFUSED, "exhausted"), found
    assert "no more connections allowed" in found.said


def test_a_pooler_whose_postgres_is_gone_tells_nothing(server: Server) -> None:
    with pgbouncer(1, "transaction", {"chatwoot": "s3cr3t-Value"}) as port:
        found = database(server.url(port=port, password="s3cr3t-Value"), timeout=2.0)
    assert found.verdict is Verdict.UNCLEAR, found


def test_one_database_behind_two_ports_is_one(server: Server, transaction: int, session: int) -> None:
    for port in (transaction, session):
        found = database(server.url(port=port), forbidden={"HotDash's": server.url()})
        assert (found.verdict, found.code) == (Verdict.REFUSED, "forbidden-database"), found
    pooled = outcomes({"DATABASE_URL": server.url(port=transaction), "DIRECT_DATABASE_URL": server.url()})
    assert {found.verdict for found in pooled.values()} == {Verdict.PROVED}


@pytest.fixture
def most_open(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections were open whenever one was opened. Each stays for a while, so that others have the time to
    come."""
    counts: list[int] = []
    numbers = threading.Lock()
    opened = 0
    original = Login.open

    @contextlib.contextmanager
    def counted(self: Login, **instead: Any) -> Iterator[Any]:
        nonlocal opened
        with original(self, **instead) as connection:
            with numbers:
                opened += 1
                counts.append(opened)
            try:
                time.sleep(0.2)
                yield connection
            finally:
                with numbers:
                    opened -= 1

    monkeypatch.setattr(Login, "open", counted)
    return counts


def test_no_more_than_two_connections_are_open_to_one_database(
    server: Server, transaction: int, session: int, most_open: list[int]
) -> None:
    direct = {"DIRECT_DATABASE_URL": server.url()}
    forbidden = {"HotDash's": server.hotdash_url}
    for values in (
        {"DATABASE_URL": server.url(port=transaction), **direct},
        {
            "DATABASE_URL": server.url(port=session),
            "PRIMARY_DATABASE_URL": server.url(port=session),
            **direct,
        },
        {"DATABASE_URL": server.url(port=session), "REPORTS_URL": server.url(port=session)},
    ):
        most_open.clear()
        found = outcomes(values, forbidden=forbidden if direct.keys() <= values.keys() else {})
        assert {outcome.verdict for outcome in found.values()} == {Verdict.PROVED}, found
        assert max(most_open) == 2


def test_databases_that_differ_are_tried_at_the_same_time(
    server: Server, transaction: int, session: int, most_open: list[int]
) -> None:
    outcomes(
        {"A_URL": server.url(port=transaction), "B_URL": server.url(port=session), "C_URL": server.url()}
    )
    assert max(most_open) > 2


def test_a_slow_one_takes_nothing_of_the_others_time(server: Server) -> None:
    with silent() as port:
        values = {"DATABASE_URL": server.url(port=port), "DIRECT_DATABASE_URL": server.url()}
        checks = checks_for(values, timeout=3.0)
        slow, direct = run(checks, timeout=60.0)
    assert (slow.check, slow.verdict) == ("DATABASE_URL", Verdict.UNCLEAR), slow
    assert direct.verdict is Verdict.PROVED, direct


def test_a_check_whose_database_is_asked_by_another_has_its_whole_time_afterwards(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = Dsn.parse(server.url())
    identities = Identities({"A": dsn}, {"A": "A"})
    deadlines: list[Deadline] = []
    asked, let_go = threading.Event(), threading.Event()

    def ask() -> None:
        with identities.held("A", PATIENCE):
            asked.set()
            let_go.wait(PATIENCE)

    def noted(dsn: Dsn, deadline: Deadline, notes: Notes) -> Login:
        deadlines.append(deadline)
        return prepare(dsn, deadline, notes)

    monkeypatch.setattr(trying, "prepare", noted)
    threading.Thread(target=ask, daemon=True).start()
    assert asked.wait(PATIENCE)
    with pytest.raises(Ended) as caught:
        trying.try_database(trying.Target("A", dsn, identities), 0.2, Notes())
    assert (caught.value.code, deadlines) == ("timeout", [])  # nothing was opened beside it

    now: list[float] = []

    def let_go_later() -> None:
        time.sleep(0.5)
        now.append(time.monotonic())
        let_go.set()

    threading.Thread(target=let_go_later, daemon=True).start()
    assert trying.try_database(trying.Target("A", dsn, identities), PATIENCE, Notes()).startswith("database ")
    assert deadlines[0].at >= now[0] + PATIENCE


@pytest.mark.parametrize(
    ("mode", "query", "verdict", "code", "tls"),
    [
        ("prefer", "", Verdict.PROVED, "proved", "yes"),
        ("prefer", "?sslmode=disable", Verdict.PROVED, "proved", "no"),
        ("prefer", "?sslmode=allow", Verdict.PROVED, "proved", "no"),
        ("prefer", "?sslmode=prefer", Verdict.PROVED, "proved", "yes"),
        ("prefer", "?sslmode=require", Verdict.PROVED, "proved", "yes"),
        ("prefer", "?sslmode=verify-ca&sslrootcert={authority}", Verdict.PROVED, "proved", "yes"),
        ("prefer", "?sslmode=verify-full&sslrootcert={authority}", Verdict.PROVED, "proved", "yes"),
        # This machine has no such file; the one that runs Chatwoot may.
        ("prefer", "?sslmode=verify-full&sslrootcert=/no/such.pem", Verdict.UNCLEAR, "certificate", None),
        ("prefer", "?sslmode=verify-ca&sslrootcert={other}", Verdict.UNCLEAR, "certificate", None),
        ("require", "?sslmode=disable", Verdict.REFUSED, "tls-required", None),
        ("require", "?sslmode=require", Verdict.PROVED, "proved", "yes"),
    ],
)
def test_tls_is_as_the_url_asks(
    encrypted: dict[str, int],
    server: Server,
    certificates: Certificates,
    mode: str,
    query: str,
    verdict: Verdict,
    code: str,
    tls: str | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # An authority that did not sign the server's certificate.
    other = Certificates(tmp_path_factory.mktemp("other")).authority if "{other}" in query else ""
    asked = query.format(authority=certificates.authority, other=other)
    found = database(server.url(port=encrypted[mode], query=asked))
    assert (found.verdict, found.code) == (verdict, code), found
    assert found.facts.get("tls") == tls


@pytest.fixture(scope="session")
def encrypted(server: Server, certificates: Certificates) -> Iterator[dict[str, int]]:
    """PgBouncers that offer TLS, by what they make of clients without."""
    with contextlib.ExitStack() as running:
        yield {
            mode: running.enter_context(pooler(server, "session", tls=mode, certificates=certificates))
            for mode in ("prefer", "require")
        }


# Supavisor


def _refused_with(said: str) -> Outcome:
    with refusing(said.removeprefix("FATAL:").strip()) as port:
        return database(f"postgres://u:s3cr3t-Value@127.0.0.1:{port}/d?sslmode=disable")


@pytest.mark.parametrize(
    ("said", "code", "verdict"),
    [
        (said, rule.code, rule.verdict)
        for rule in SERVER_ERRORS
        if rule.origin == SUPAVISOR
        for said in rule.examples
    ],
)
def test_both_generations_of_its_words_are_understood(said: str, code: str, verdict: Verdict) -> None:
    found = _refused_with(said)
    assert (found.code, found.verdict) == (code, verdict), found
    assert found.said.startswith(f"FATAL: {said.removeprefix('FATAL:').strip()}")
    assert found.next


def test_words_that_no_rule_knows_are_quoted_and_decide_nothing() -> None:
    found = _refused_with("the moon is in the wrong phase")
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "unknown-error")
    assert "the moon is in the wrong phase" in found.said


def test_a_server_that_repeats_the_password_is_not_quoted_with_it() -> None:
    found = _refused_with("no such user:s3cr3t-Value  here")
    assert "s3cr3t-Value" not in str(found)
    assert "no such user:… here" in found.said


def test_its_session_pool_is_known_by_its_marks_and_its_size_is_warned_of(server: Server) -> None:
    with session_pooler(server.port, TENANT) as port:
        url = server.url(role=f"chatwoot.{TENANT}", port=port)
        found = database(url, demand=DEMAND)
        fits = database(url, demand=Demand(web=2, workers=1, limit=30))
        small = database(url, demand=Demand(web=1, workers=0))
        unknown = database(server.url(role="chatwoot.tsrqponmlkjihgfedcba", port=port))
    assert found.verdict is Verdict.PROVED, found
    assert found.facts["pooling"] == "session (Supavisor answers, and two connections had a process each)"
    assert found.facts["pooler"] == "Supavisor"
    assert any("session pool has 15 unless" in text for text in found.warnings)
    assert small.warnings == ()
    assert fits.warnings == ()
    assert (unknown.verdict, unknown.code) == (Verdict.REFUSED, "unknown-tenant"), unknown


def test_the_last_connection_of_a_pool_is_enough_to_prove_the_url(server: Server) -> None:
    server.execute(
        "CREATE ROLE single LOGIN CONNECTION LIMIT 1 PASSWORD 'single-pw'",
        "GRANT ALL ON DATABASE chatwoot_production TO single",
    )
    with session_pooler(server.port, TENANT) as port:
        found = database(server.url(role=f"single.{TENANT}", password="single-pw", port=port))
    assert found.verdict is Verdict.PROVED, found
    assert any("was the last that there was" in text for text in found.warnings)


def test_one_database_behind_supavisor_is_the_same(server: Server) -> None:
    with session_pooler(server.port, TENANT) as port:
        found = database(
            server.url(role=f"chatwoot.{TENANT}", port=port), forbidden={"HotDash's": server.url()}
        )
    assert (found.verdict, found.code) == (Verdict.REFUSED, "forbidden-database"), found
