"""What was tried from here, judged for a migration; and what is hidden from everything that it shows."""

import pytest

from hotdash.fly.logs import FlyLogs, NoLogs
from hotdash.fly.token import Token
from hotdash.http import httpx
from hotdash.migration.assembling import hidden_values
from hotdash.migration.failure import UNKNOWN, last_words, reason_in
from hotdash.migration.trying import judge, needed
from hotdash.preflight.outcome import Check, Outcome, Verdict
from hotdash.stack.settings import SecretSource
from hotdash.vault import Reference

NAME = "DIRECT_DATABASE_URL"


def outcome(
    name: str = NAME, verdict: Verdict = Verdict.PROVED, pooling: str = "direct (by itself)"
) -> Outcome:
    return Outcome(
        name, "chatwoot@db/x", verdict, "c", "what it said", {"pooling": pooling}, ("a warning",), "mend it"
    )


def check(name: str, *uses: str) -> Check:
    return Check(name, name, frozenset(uses or (name,)), lambda: outcome(name))


CHECKS = (check(NAME), check("REDIS_URL", "REDIS_URL", "REDIS_PASSWORD"), check("SMTP_ADDRESS"))


def test_only_what_a_migration_needs_is_tried() -> None:
    assert [item.name for item in needed(CHECKS, NAME)] == [NAME, "REDIS_URL"]


@pytest.mark.parametrize(
    ("found", "strict", "said"),
    [
        (outcome(), True, ""),
        (outcome(verdict=Verdict.REFUSED), False, "refused: what it said"),
        (outcome(verdict=Verdict.UNCLEAR), False, ""),
        (outcome(verdict=Verdict.UNCLEAR), True, "could not tell from here"),
        (outcome(pooling="session (PgBouncer says so)"), False, "leads through a pooler: session"),
        (outcome(pooling="transaction (two clients, one pid)"), False, "leads through a pooler: transaction"),
        (outcome(pooling="pooled (a proxy)"), False, "leads through a pooler"),
        (outcome("REDIS_URL", pooling="session (no)"), False, ""),
        (outcome("REDIS_URL", Verdict.REFUSED), False, "REDIS_URL"),
    ],
)
def test_what_an_outcome_means(found: Outcome, strict: bool, said: str) -> None:
    tried = judge([found], CHECKS, database=NAME, strict=strict, places=lambda _: "vault/x.env")
    assert (said in tried.refused) if said else tried.refused == ""
    assert tried.told[1] == "  a warning"
    if said:
        assert tried.where == "vault/x.env"
        assert "pulumi up" in tried.next


def test_values_are_hidden_and_what_only_says_where_something_is_is_not() -> None:
    at = Reference.parse("a.env#A")
    sources = {
        "URL": SecretSource(at),
        "POSTGRES_HOST": SecretSource(at, "host"),
        "POSTGRES_PASSWORD": SecretSource(at, "password"),
    }
    values = {"URL": "postgres://u:p%40ss-word@db/x", "POSTGRES_HOST": "db", "POSTGRES_PASSWORD": "p@ss-word"}
    hidden = hidden_values(values, sources)
    assert {"postgres://u:p%40ss-word@db/x", "p@ss-word", "p%40ss-word"} == hidden


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("Cannot run migrations because another migration process is currently running.", "migration-locked"),
        (
            "ActiveRecord::ConcurrentMigrationError: Failed to release advisory lock",
            "migration-through-pooler",
        ),
        ("PG::QueryCanceled: ERROR:  canceling statement due to statement timeout", "statement-timeout"),
        ("FATAL:  query_wait_timeout", "exhausted"),
        ("FATAL:  (EMAXCONNSESSION) max clients reached in session mode", "exhausted"),
        ("Failed to enable 'vector' extension", "extension-missing"),
        ("You have 1 pending migration:", "still-pending"),
        ("NoMemoryError: failed to allocate memory", "out-of-memory"),
        ("Redis::CannotConnectError: Connection refused - connect(2) for 127.0.0.1:6379", "redis"),
        ("rails aborted!", "unknown"),
        ("-- add_column(:a, :out_of_memory, :string)", "unknown"),
        ("== 1 RedisClient::ConnectionError: migrating ==", "unknown"),
    ],
)
def test_what_its_words_mean(line: str, code: str) -> None:
    reason = reason_in(["noise", line, "rails aborted!"])
    assert reason.code == code
    assert reason.next


def test_no_words_have_no_meaning() -> None:
    assert reason_in([]) is UNKNOWN
    assert last_words([]) == ""
    assert last_words(["a", "", "b"]) == "  | a\n  | b"


def logs(answer: httpx.Response | Exception) -> tuple[FlyLogs, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def give(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    token = Token("fm2_secret", "a test")
    return FlyLogs(token, base_url="http://api.test", transport=httpx.MockTransport(give)), asked


def test_logs_are_asked_for_as_flys_own_client_does() -> None:
    body = {
        "data": [{"id": "1", "attributes": {"timestamp": "t", "message": "hello", "level": "info"}}],
        "meta": {"next_token": "17"},
    }
    source, asked = logs(httpx.Response(200, json=body))
    page = source.page("a", "m1", "16")
    assert [line.message for line in page.lines] == ["hello"]
    assert page.next_token == "17"
    assert str(asked[0].url) == "http://api.test/api/v1/apps/a/logs?next_token=16&instance=m1"
    assert asked[0].headers["authorization"] == "FlyV1 fm2_secret"


@pytest.mark.parametrize(
    ("answer", "lasting", "said"),
    [
        (httpx.Response(403, text="no fm2_secret here"), True, "answers 403 no … here"),
        (httpx.Response(404, text=""), True, "answers 404"),
        (httpx.Response(503, text=""), False, "answers 503"),
        (httpx.Response(429, text=""), False, "answers 429"),
        (httpx.Response(200, text="<html>"), True, "something else than logs"),
        (httpx.ConnectError("refused"), False, "does not answer"),
    ],
)
def test_logs_that_cannot_be_had_say_why(
    answer: httpx.Response | Exception, lasting: bool, said: str
) -> None:
    source, _ = logs(answer)
    with pytest.raises(NoLogs) as caught:
        source.page("a", "m1")
    assert said in str(caught.value)
    assert "fm2_secret" not in str(caught.value)
    assert caught.value.lasting is lasting
