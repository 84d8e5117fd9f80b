"""What may never pass: decided from what is declared, told with its key and mend, let through by an exception alone."""

from datetime import date
from typing import Any

import pytest

from hotdash.errors import SettingsError
from hotdash.stack.databases import Database
from hotdash.stack.policy import PolicyException
from hotdash.stack.refusals import (
    Refusal,
    Terms,
    dropped_keys,
    literal_credentials,
    of_secrets,
    pooled_migrations,
    prepared_through_pooler,
    refuse,
    terms_of,
    today,
)
from hotdash.stack.values import databases_in

TODAY = date(2026, 11, 24)
VALUE = "s3cr3t-Value"
POOLER = "aws-1-us-east-1.pooler.supabase.com"
SESSION = f"postgres://postgres.abcdefghijklmnopqrst:{VALUE}@{POOLER}:5432/postgres?sslmode=require"
TRANSACTION = SESSION.replace(":5432", ":6543")
DIRECT = f"postgres://postgres:{VALUE}@db.abcdefghijklmnopqrst.supabase.co:5432/postgres?sslmode=require"
UNKNOWN = f"postgres://chatwoot:{VALUE}@18.213.155.45:5432/chatwoot?sslmode=require"
KEY = "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"


def known(**urls: str) -> dict[str, Database]:
    return {name: Database.of(found) for name, found in databases_in(urls).items()}


def test_a_direct_url_is_what_migrations_want() -> None:
    assert list(pooled_migrations("A", known(A=DIRECT, DATABASE_URL=SESSION))) == []


@pytest.mark.parametrize("url", [SESSION, TRANSACTION, UNKNOWN])
def test_others_are_refused_without_their_password(url: str) -> None:
    [refusal] = pooled_migrations("A", known(A=url))
    assert (refusal.rule, refusal.subject, refusal.where) == (
        "migrations-direct",
        "A",
        "hotdash:migration.database",
    )
    assert VALUE not in str(refusal)
    assert "hotdash:migration.database" in refusal.mend
    direct = "postgres://postgres:…@db.abcdefghijklmnopqrst.supabase.co:5432/postgres"
    assert (direct in refusal.mend) == (url != UNKNOWN)  # where it can be known


def test_a_host_is_vouched_for_where_nobody_knows_it_and_nowhere_else() -> None:
    assert list(pooled_migrations("A", known(A=UNKNOWN), ["18.213.155.45"])) == []
    assert len(list(pooled_migrations("A", known(A=UNKNOWN), ["18.213.155.4"]))) == 1
    assert len(list(pooled_migrations("A", known(A=SESSION), [POOLER]))) == 1


def test_a_guess_of_directness_is_none() -> None:
    guessed = {**databases_in({"A": DIRECT})["A"], "certainty": "guess"}
    assert len(list(pooled_migrations("A", {"A": Database.of(guessed)}))) == 1


def test_nothing_is_said_of_a_secret_that_is_no_database() -> None:
    assert list(pooled_migrations("A", {})) == list(prepared_through_pooler({})) == []


def test_prepared_statements_through_a_transaction_pooler() -> None:
    [refusal] = prepared_through_pooler(known(DATABASE_URL=TRANSACTION))
    assert (refusal.rule, refusal.subject) == ("transaction-prepared", "DATABASE_URL")
    assert list(prepared_through_pooler(known(DATABASE_URL=f"{TRANSACTION}&prepared_statements=false"))) == []
    assert list(prepared_through_pooler(known(DATABASE_URL=SESSION))) == []
    assert list(prepared_through_pooler(known(OTHER=TRANSACTION))) == []  # Chatwoot does not use it


def test_the_url_that_outranks_the_other_is_the_one_that_counts() -> None:
    [refusal] = prepared_through_pooler(known(PRIMARY_DATABASE_URL=TRANSACTION, DATABASE_URL=DIRECT))
    assert (refusal.subject, refusal.where) == (
        "PRIMARY_DATABASE_URL",
        "hotdash:secrets.PRIMARY_DATABASE_URL",
    )
    assert list(prepared_through_pooler(known(PRIMARY_DATABASE_URL=DIRECT, DATABASE_URL=TRANSACTION))) == []
    # Whoever migrates by hand takes it too.
    secrets = {"secrets": {"DATABASE_URL": "a.env", "PRIMARY_DATABASE_URL": "a.env"}}
    terms = terms_of(lambda key: secrets.get(key))
    assert terms.migration_database == "PRIMARY_DATABASE_URL"
    databases = databases_in({"PRIMARY_DATABASE_URL": TRANSACTION, "DATABASE_URL": DIRECT})
    assert [(item.rule, item.subject) for item in of_secrets(databases, terms)] == [
        ("migrations-direct", "PRIMARY_DATABASE_URL"),
        ("transaction-prepared", "PRIMARY_DATABASE_URL"),
    ]


@pytest.mark.parametrize(
    ("before", "removes", "refused"),
    [
        ({KEY: "occ/keys.env#A 0a1b"}, False, True),
        ({KEY: "secret-changed-on-fly since 2026"}, False, True),
        ({KEY: "secret-undeclared since 2026"}, False, False),
        ({KEY: "secret-undeclared since 2026"}, True, True),
        ({"SMTP_PASSWORD": "occ/smtp.env#A 0a1b"}, True, False),
    ],
)
def test_encryption_keys_are_not_dropped(before: dict[str, str], removes: bool, refused: bool) -> None:
    found = list(dropped_keys(before, ["DATABASE_URL"], removes=removes))
    assert [item.subject for item in found] == ([KEY] if refused else [])
    assert list(dropped_keys(before, [KEY], removes=removes)) == []


# The stack file's own texts


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"processGroups": {"web": {"command": ["sh", "-c", f"X=redis://:{VALUE}@h run"]}}},
         "processGroups.web.command.2"),
        ({"processGroups": {"web": {"check": {"headers": {"Authorization": f"Bearer {VALUE}"}}}}},
         "processGroups.web.check.headers.Authorization"),
        ({"urls": {"webhooks": ["https://h/a", f"https://h/?token={VALUE}"]}}, "urls.webhooks.1"),
        ({"exceptions": [{"rule": "a", "reason": f"the password is postgres://u:{VALUE}@h/d"}]}, "exceptions.0.reason"),
        ({"policies": {"a": {"reason": f"fo1_{VALUE}"}}}, "policies.a.reason"),
    ],
)  # fmt: skip
def test_a_credential_in_the_stack_file_is_found_by_its_key(values: dict[str, Any], key: str) -> None:
    [refusal] = literal_credentials(values)
    assert (refusal.rule, refusal.subject, refusal.where) == ("secrets-from-vault", key, f"hotdash:{key}")
    assert VALUE not in str(refusal)


def test_references_and_what_is_encrypted_are_no_texts() -> None:
    values = {
        "secrets": {"SMTP_PASSWORD": "occ/chatwoot/smtp.env"},
        "forbiddenDatabases": {"SECRET": "occ/a.env"},
        "fly": {"token": "occ/fly/api_token.env"},
        "fingerprintKey": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        "vault": "vault",
    }
    assert list(literal_credentials(values)) == []


# Refusing


REFUSALS = (
    Refusal("a-rule", "web", "web is wrong", "hotdash:web", "mend web"),
    Refusal("b-rule", "worker", "worker is wrong", "hotdash:worker", "mend worker"),
)


def test_all_of_it_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        refuse(REFUSALS, (), on=TODAY)
    said = str(caught.value)
    for word in (
        "2 things",
        "web is wrong; mend web",
        "worker is wrong; mend worker",
        "hotdash:web, hotdash:worker",
    ):
        assert word in said
    assert "a-rule, b-rule; docs/policies.md" in said
    assert "nothing was changed" in said


def test_one_thing_is_told_shortly() -> None:
    with pytest.raises(SettingsError) as caught:
        refuse(REFUSALS[:1], (), on=TODAY)
    assert caught.value.summary == "web is wrong"
    assert caught.value.remedy == "mend web; until then, an exception under hotdash:exceptions lets it pass"


def test_an_exception_lets_its_own_pass_for_its_time() -> None:
    def excepting(rule: str, subject: str, until: date) -> PolicyException:
        return PolicyException(rule, subject, "for now", until)

    refuse(REFUSALS[:1], [excepting("a-rule", "web", TODAY)], on=TODAY)
    refuse(REFUSALS[:1], [excepting("a-rule", "", TODAY)], on=TODAY)
    for exception in (
        excepting("a-rule", "web", date(2026, 11, 23)),
        excepting("b-rule", "web", TODAY),
        excepting("a-rule", "worker", TODAY),
    ):
        with pytest.raises(SettingsError):
            refuse(REFUSALS[:1], [exception], on=TODAY)
    refuse((), (), on=TODAY)


def test_the_terms_of_a_stack_file() -> None:
    values: dict[str, Any] = {
        "migration": {"database": "DIRECT_DATABASE_URL"},
        "exceptions": [{"rule": "a", "reason": "b", "until": "2026-12-31 00:00:00 +0000 UTC"}],
    }
    assert terms_of(lambda key: values.get(key)) == Terms(
        "DIRECT_DATABASE_URL", (PolicyException("a", "", "b", date(2026, 12, 31)),)
    )
    assert terms_of(lambda _: None) == Terms()


def test_all_that_may_not_be_among_secrets() -> None:
    databases = databases_in({"DATABASE_URL": TRANSACTION})
    found = list(of_secrets(databases, Terms(), before={KEY: "a.env#A 0a"}, now=["DATABASE_URL"]))
    assert [item.rule for item in found] == [
        "migrations-direct",
        "transaction-prepared",
        "encryption-keys-kept",
    ]
    assert list(of_secrets(databases_in({"DATABASE_URL": DIRECT}), Terms())) == []
    direct = {**databases_in({"DATABASE_URL": SESSION}), **databases_in({"DIRECT": DIRECT})}
    assert list(of_secrets(direct, Terms("DIRECT"))) == []


def test_a_host_that_nobody_knows_is_left_to_the_policies() -> None:
    assert list(of_secrets(databases_in({"DATABASE_URL": UNKNOWN}), Terms())) == []
    assert len(list(pooled_migrations("DATABASE_URL", known(DATABASE_URL=UNKNOWN)))) == 1


def test_today_is_a_day() -> None:
    assert today() >= TODAY.replace(year=2025)
