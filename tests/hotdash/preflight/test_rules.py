"""What decides without asking anybody: servers' words, demand, slots, identities, which checks there are."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.dsn import Pooling
from hotdash.preflight import SERVER_ERRORS, Demand, ServerError, Verdict, checks_for, explain_error
from hotdash.preflight.postgres import slots
from hotdash.preflight.postgres.identity import LiveIdentity
from hotdash.preflight.postgres.pooling import Seen, shared
from hotdash.preflight.postgres.reading import Itself, Sessions
from tests.hotdash.preflight.trying import outcome

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "words"),
    [(rule, words) for rule in SERVER_ERRORS for words in rule.examples],
    ids=lambda value: value if isinstance(value, str) else value.code,
)
def test_each_rules_examples_are_its_own(rule: ServerError, words: str) -> None:
    found = explain_error(words)
    assert found is not None
    assert found.rule is rule


def test_rules_are_whole() -> None:
    for rule in SERVER_ERRORS:
        assert re.fullmatch(r"[a-z0-9-]+", rule.code)
        assert rule.examples
        assert rule.meaning
        assert rule.next
        assert rule.source
        assert rule.verdict in (Verdict.REFUSED, Verdict.UNCLEAR)


def test_one_code_has_one_verdict() -> None:
    verdicts: dict[str, set[Verdict]] = {}
    for rule in SERVER_ERRORS:
        verdicts.setdefault(rule.code, set()).add(rule.verdict)
    assert {code for code, found in verdicts.items() if len(found) > 1} == set()


def test_the_number_in_an_error_is_read() -> None:
    session = explain_error(
        "FATAL: (EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15"
    )
    assert session is not None
    assert session.limit == 15
    older = explain_error("FATAL: MaxClientsInSessionMode: max clients reached")
    assert older is not None
    assert older.limit is None


@given(st.text())
def test_any_words_are_taken(words: str) -> None:
    explain_error(words)


# Demand


def test_demand_in_words() -> None:
    assert str(Demand(web=2, workers=1)) == "2 web × 5 + 1 worker × 10 + 1 migration = 21"
    assert str(Demand(web=1, workers=2, processes=2, migrations=2)) == (
        "1 web × 2 × 5 + 2 workers × 10 + 2 migrations = 32"
    )


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 9), st.integers(1, 99), st.integers(1, 99))
def test_demand_is_the_documented_sum(
    web: int, workers: int, processes: int, threads: int, concurrency: int
) -> None:
    env = {
        "WEB_CONCURRENCY": str(processes),
        "RAILS_MAX_THREADS": str(threads),
        "SIDEKIQ_CONCURRENCY": f" {concurrency} ",
    }
    demand = Demand.of(web=web, workers=workers, env=env)
    assert demand.total == web * max(1, processes) * threads + workers * concurrency + 1
    assert str(demand).endswith(f"= {demand.total}")


@given(st.dictionaries(st.sampled_from(["WEB_CONCURRENCY", "RAILS_MAX_THREADS"]), st.text(max_size=8)))
def test_demand_takes_what_cannot_be_read_for_not_set(env: dict[str, str]) -> None:
    assert Demand.of(web=1, workers=1, env=env).total >= 12


# Slots


def itself(**instead: object) -> Itself:
    values: dict[str, object] = {
        "database": "d",
        "role": "r",
        "pid": 1,
        "version": "18",
        "replica": False,
        "read_only": False,
        "started": NOW,
        "oid": 1,
        "database_limit": -1,
        "role_limit": -1,
        "superuser": False,
        "most": 60,
        "for_superusers": 3,
        "reserved": 2,
        "may_identify": True,
        "may_create": True,
    }
    return Itself(**{**values, **instead})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instead", "room"),
    [
        ({}, 60 - 5 - 20),
        ({"superuser": True}, 60 - 20),
        ({"superuser": True, "role_limit": 1}, 60 - 20),
        # Of the role's ten, two are in another database; of this database's twelve, one is another role's.
        ({"role_limit": 10}, 8),
        ({"database_limit": 12}, 11),
        ({"role_limit": 10, "database_limit": 5}, 4),
        ({"role_limit": 0}, 0),
    ],
)
def test_the_limit_that_is_reached_first_counts(instead: dict[str, object], room: int) -> None:
    sessions = Sessions(all=25, own=5, of_role=7, of_database=6)
    assert slots.count(itself(**instead), sessions).room == room


def test_demand_is_held_against_what_stands_between() -> None:
    counted = slots.Slots(ceiling=57, by="60 − 3 reserved", taken=0, held=1)
    big, fits = Demand(web=12, workers=1), Demand(web=2, workers=1)
    direct, transaction = Seen(Pooling.DIRECT, ""), Seen(Pooling.TRANSACTION, "")
    assert "71 connections" in slots.impossible(counted, big, direct)
    assert not slots.impossible(counted, fits, direct)
    assert not slots.impossible(counted, big, transaction)
    assert slots.warnings(counted, big, transaction) == []
    known = Seen(Pooling.SESSION, "", "PgBouncer", pool_size=20)
    assert len(slots.warnings(counted, fits, known)) == 1
    # What somebody declared is better than what is supposed, or what PgBouncer has for others.
    assert slots.warnings(counted, Demand(web=2, workers=1, limit=21), known) == []
    supavisor = Seen(Pooling.SESSION, "", "Supavisor")
    assert len(slots.warnings(counted, fits, supavisor)) == 1
    assert slots.warnings(counted, Demand(web=0, workers=1), supavisor) == []


# Identities and pooling


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (LiveIdentity(5, NOW, "s", False), LiveIdentity(5, NOW, "s", False), True),
        (LiveIdentity(5, NOW, "s", False), LiveIdentity(6, NOW, "s", False), False),
        # A role that may not ask for the cluster's identifier.
        (LiveIdentity(5, NOW, None, False), LiveIdentity(5, NOW, "s", False), True),
        (
            LiveIdentity(5, NOW, None, False),
            LiveIdentity(5, NOW + timedelta(microseconds=1), None, False),
            False,
        ),
        # A copy has its original's identifier; a replica too, and is the same database.
        (LiveIdentity(5, NOW, "s", False), LiveIdentity(5, NOW + timedelta(days=1), "s", False), False),
        (LiveIdentity(5, NOW, "s", False), LiveIdentity(5, NOW + timedelta(days=1), "s", True), True),
        (LiveIdentity(5, NOW, "s", False), LiveIdentity(5, NOW + timedelta(days=1), "t", True), False),
    ],
)
def test_what_makes_two_databases_one(one: LiveIdentity, other: LiveIdentity, same: bool) -> None:
    assert one.same_as(other) is same
    assert other.same_as(one) is same


@pytest.mark.parametrize(
    ("first", "second", "again", "hit"), [(1, 2, 1, False), (1, 1, 2, True), (1, 2, 3, True), (1, 1, 1, True)]
)
def test_a_shared_process_is_a_hit(first: int, second: int, again: int, hit: bool) -> None:
    assert shared(first, second, again) is hit


# Which checks there are


def names(values: dict[str, str], **given: object) -> list[str]:
    return [check.name for check in checks_for(values, **given)]  # type: ignore[arg-type]


URL = "postgres://u:p@h:5432/d"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"CHATWOOT_WEBHOOK_SECRET": "x"}, []),
        ({"DATABASE_URL": "  "}, []),
        (
            {"ZZ_URL": URL, "DATABASE_URL": URL, "DIRECT_DATABASE_URL": URL},
            ["DATABASE_URL", "DIRECT_DATABASE_URL", "ZZ_URL"],
        ),
        ({"DATABASE_URL": URL, "PRIMARY_DATABASE_URL": URL}, ["PRIMARY_DATABASE_URL", "DATABASE_URL"]),
        ({"POSTGRES_HOST": "h", "POSTGRES_PASSWORD": "p"}, ["POSTGRES_HOST"]),
        ({"POSTGRES_HOST": "h", "DATABASE_URL": URL}, ["DATABASE_URL"]),
        (
            {
                "SMTP_PASSWORD": "p",
                "REDIS_URL": "redis://h",
                "SECRET_KEY_BASE": "k",
                "STORAGE_BUCKET_NAME": "b",
            },
            ["REDIS_URL", "SECRET_KEY_BASE", "SMTP", "storage"],
        ),
        ({"S3_BUCKET_NAME": "b"}, ["storage"]),
    ],
)
def test_secrets_give_checks(values: dict[str, str], expected: list[str]) -> None:
    assert names(values) == expected


def test_each_check_says_which_secrets_it_uses() -> None:
    values = {
        "DATABASE_URL": URL,
        "POSTGRES_PASSWORD": "p",
        "REDIS_URL": "redis://h",
        "REDIS_PASSWORD": "p",
        "SMTP_USERNAME": "u",
        "OTHER": "x",
    }
    uses = {check.name: check.uses for check in checks_for(values, env={"SMTP_ADDRESS": "h"})}
    assert uses == {
        "DATABASE_URL": {"DATABASE_URL", "POSTGRES_PASSWORD"},
        "REDIS_URL": {"REDIS_URL", "REDIS_PASSWORD"},
        "SMTP": {"SMTP_USERNAME"},
    }


@pytest.mark.parametrize(
    ("values", "subject"),
    [
        ({"DATABASE_URL": URL}, "u@h:5432/d"),
        # Parts that the URL lacks come from POSTGRES_*, else from Chatwoot's own defaults (config/database.yml).
        ({"DATABASE_URL": "postgres://u@h", "POSTGRES_PORT": "6432", "POSTGRES_DATABASE": "x"}, "u@h:6432/x"),
        ({"DATABASE_URL": "postgres://h"}, "chatwoot_prod@h:5432/chatwoot_production"),
        ({"POSTGRES_HOST": "h", "POSTGRES_USERNAME": "u", "POSTGRES_PORT": "1"}, "u@h:1/chatwoot_production"),
    ],
)
def test_a_database_is_the_one_that_rails_makes_of_it(values: dict[str, str], subject: str) -> None:
    assert [check.subject for check in checks_for(values)] == [subject]


@pytest.mark.parametrize(
    "text",
    [
        "s3cr3t-Value",
        "postgres://u:s3cr3t-Value%zz@h/d",
        "redis://:s3cr3t-Value@h",
    ],
)
def test_what_is_no_postgres_url_is_refused_unseen(text: str) -> None:
    found = outcome({"DATABASE_URL": text})
    assert (found.verdict, found.code) == (Verdict.REFUSED, "malformed"), found
    assert found.next
    assert "s3cr3t-Value" not in str(found)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("host=127.0.0.1 port=1 password=s3cr3t-Value dbname=d user=u", "keyword-form"),
        ("postgres://u:s3cr3t-Value@127.0.0.1/d", "no-port"),
        ("postgres://u:s3cr3t-Value@127.0.0.1:1/d?sslmode=required", "sslmode-unknown"),
    ],
)
def test_what_chatwoot_cannot_read_is_refused_wherever_it_leads(text: str, code: str) -> None:
    found = outcome({"DATABASE_URL": text})
    assert (found.verdict, found.code) == (Verdict.REFUSED, code), found
    assert "s3cr3t-Value" not in str(found)


def test_what_the_url_lacks_the_variables_may_name() -> None:
    """Rails takes the rest from POSTGRES_*; the container takes the port from the URL alone."""
    found = outcome(
        {"DATABASE_URL": "postgres://127.0.0.1:1", "POSTGRES_USERNAME": "u", "POSTGRES_DATABASE": "d"}
    )
    assert found.verdict is Verdict.UNCLEAR, found


SUPABASE = "postgres://{user}:s3cr3t-Value@{host}/postgres"
REF = "abcdefghijklmnopqrst"


def test_a_forbidden_database_is_known_by_its_name_before_anybody_is_asked() -> None:
    direct = SUPABASE.format(user="postgres", host=f"db.{REF}.supabase.co:5432")
    pooled = SUPABASE.format(user=f"postgres.{REF}", host="aws-0-eu-west-1.pooler.supabase.com:6543")
    found = outcome({"DATABASE_URL": pooled}, forbidden={"HotDash's": direct}, timeout=1.0)
    assert (found.verdict, found.code) == (Verdict.REFUSED, "forbidden-database"), found
    assert "addresses" not in found.facts
