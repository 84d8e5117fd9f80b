"""REDIS_URL, tried on a real Redis."""

from collections.abc import Iterator

import pytest

from hotdash.preflight import Outcome, Verdict
from hotdash.preflight.redis import warnings
from tests.hotdash.preflight.trying import outcome
from tests.servers.redis import redis_server
from tests.servers.silent import closed, silent
from tests.servers.tls import Certificates, before

PASSWORD = "R3dis/pass word-7c"
IN_URL = "R3dis%2Fpass%20word-7c"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with redis_server(password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def protected(port: int, certificates: Certificates) -> Iterator[int]:
    """The same behind TLS."""
    with before(port, certificates) as running:
        yield running


def tried(url: str, **values: str) -> Outcome:
    found = outcome({"REDIS_URL": url, **values})
    assert PASSWORD not in str(found)
    assert IN_URL not in str(found)
    return found


def test_the_right_password_is_proved(port: int) -> None:
    found = tried(f"redis://:{IN_URL}@127.0.0.1:{port}/0")
    assert found.verdict is Verdict.PROVED, found
    assert found.subject == f"redis://127.0.0.1:{port}/0"
    assert found.facts["server"].startswith("Redis ")
    assert found.facts["tls"] == "no"
    assert tried(f"redis://default:{IN_URL}@127.0.0.1:{port}").verdict is Verdict.PROVED


def test_the_password_beside_the_url_wins(port: int) -> None:
    url = f"redis://127.0.0.1:{port}"
    assert tried(url, REDIS_PASSWORD=PASSWORD).verdict is Verdict.PROVED
    assert tried(f"redis://:{IN_URL}@127.0.0.1:{port}", REDIS_PASSWORD="another-one").code == "wrong-password"
    assert tried(f"redis://:{IN_URL}@127.0.0.1:{port}", REDIS_PASSWORD=" ").verdict is Verdict.PROVED


@pytest.mark.parametrize("credentials", ["", ":wrong-password@", "somebody:wrong-password@"])
def test_a_wrong_password_or_none_is_refused(port: int, credentials: str) -> None:
    found = tried(f"redis://{credentials}127.0.0.1:{port}")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "wrong-password"), found


def test_no_password_where_none_is_wanted() -> None:
    with redis_server() as open_port:
        assert tried(f"redis://127.0.0.1:{open_port}").verdict is Verdict.PROVED
        # Redis itself takes it for a mistake, and so does Chatwoot's client.
        assert tried(f"redis://:some-password@127.0.0.1:{open_port}").code == "wrong-password"


def test_a_database_that_there_is_not_is_refused(port: int) -> None:
    found = tried(f"redis://:{IN_URL}@127.0.0.1:{port}/99")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "no-such-database"), found


def test_tls_with_a_trusted_certificate_is_proved(protected: int, trusted: None) -> None:
    found = tried(f"rediss://:{IN_URL}@localhost:{protected}")
    assert found.verdict is Verdict.PROVED, found
    assert found.facts["tls"] == "yes"


def test_a_certificate_that_is_not_trusted_here_decides_nothing(protected: int) -> None:
    url = f"rediss://:{IN_URL}@localhost:{protected}"
    found = tried(url)
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "certificate"), found
    assert tried(url, REDIS_OPENSSL_VERIFY_MODE="none").verdict is Verdict.PROVED
    assert tried(url, REDIS_OPENSSL_VERIFY_MODE="peer").code == "certificate"


def test_tls_to_a_server_without_is_told(port: int) -> None:
    # Redis waits for the end of what it takes for a command.
    found = outcome({"REDIS_URL": f"rediss://:{IN_URL}@127.0.0.1:{port}"}, timeout=1.0)
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "timeout"), found
    assert "redis://" in found.next


def test_no_tls_to_a_server_that_wants_it_is_told(protected: int) -> None:
    found = tried(f"redis://:{IN_URL}@127.0.0.1:{protected}")
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "broken"), found
    assert "rediss://" in found.next


def test_a_replica_is_refused(port: int) -> None:
    with redis_server(f"replicaof 127.0.0.1 {port}", password="replica-password") as replica:
        found = tried(f"redis://:replica-password@127.0.0.1:{replica}")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "read-only"), found


def test_a_server_that_throws_jobs_away_is_warned_of() -> None:
    with redis_server("maxmemory 50mb", "maxmemory-policy allkeys-lru") as small:
        found = tried(f"redis://127.0.0.1:{small}")
    assert found.verdict is Verdict.PROVED
    assert any("allkeys-lru" in text for text in found.warnings)


def test_a_role_that_may_not_ask_for_information_is_still_proved() -> None:
    with redis_server('user modest on ">modest-password" ~* +@all -info') as port:
        found = tried(f"redis://modest:modest-password@127.0.0.1:{port}")
    assert found.verdict is Verdict.PROVED, found
    assert "server" not in found.facts


@pytest.mark.parametrize(
    ("information", "count"),
    [
        ({}, 0),
        ({"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "maxmemory": 0}, 0),
        # Without a limit nothing is thrown away.
        ({"redis_version": "8.0", "maxmemory_policy": "allkeys-lru", "maxmemory": 0}, 0),
        ({"redis_version": "8.0", "maxmemory_policy": "volatile-ttl", "maxmemory": 1}, 1),
        ({"redis_version": "6.2.14"}, 1),
        ({"redis_version": "10.0.1"}, 0),
    ],
)
def test_what_is_warned_of(information: dict[str, object], count: int) -> None:
    assert len(warnings(information)) == count


@pytest.mark.parametrize(
    "url",
    [
        "s3cr3t-Value",
        "http://:s3cr3t-Value@h",
        "redis://:s3cr3t-Value@h:port",
        "redis://u:1?s3cr3t-Value@h",
        "redis://",
    ],
)
def test_what_is_no_redis_url_is_refused_unseen(url: str) -> None:
    found = outcome({"REDIS_URL": url})
    assert (found.verdict, found.code) == (Verdict.REFUSED, "malformed"), found
    assert "s3cr3t-Value" not in str(found)


def test_sentinels_are_not_asked() -> None:
    found = outcome({"REDIS_URL": "redis://mymaster", "REDIS_SENTINELS": "10.0.0.1:26379"})
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "sentinels")


def test_what_does_not_answer_tells_nothing() -> None:
    with closed() as port:
        assert outcome({"REDIS_URL": f"redis://127.0.0.1:{port}"}).code == "nothing-listens"
    with silent() as port:
        found = outcome({"REDIS_URL": f"redis://127.0.0.1:{port}"}, timeout=0.5)
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "timeout"), found
