"""Findings and explanations: each check finds its own, says what to do, and nothing ever shows a password."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.dsn import Dsn, Explanation, Form, Host, Pooling, Severity, explain, explain_dsn
from hotdash.dsn.checks import CHECKS
from hotdash.dsn.finding import SEVERITY_MEANS, Check
from hotdash.dsn.parameters import LIBPQ, RAILS
from hotdash.dsn.rules import RULES
from tests.hotdash.dsn.strategies import SECRET, dsns, near_known

REF = "abcdefghijklmnopqrst"
SESSION = (
    f"postgres://postgres.{REF}:{SECRET}@aws-1-us-east-1.pooler.supabase.com:5432/postgres?sslmode=require"
)
TRANSACTION = SESSION.replace(":5432", ":6543")
DIRECT = f"postgres://postgres:{SECRET}@db.{REF}.supabase.co:5432/postgres?sslmode=require"
UNKNOWN = f"postgres://app:{SECRET}@db.example.com:5432/chatwoot?sslmode=require"


def codes(text: str) -> list[str]:
    return [finding.code for finding in explain(text).findings]


# The table


@pytest.mark.parametrize("check", CHECKS, ids=[check.code for check in CHECKS])
def test_a_check_finds_what_is_in_its_example(check: Check) -> None:
    found = {finding.code: finding for finding in explain(check.example).findings}
    finding = found[check.code]
    assert (finding.severity, finding.ground) == (check.severity, check.source.ground)
    assert "{" not in finding.text + finding.remedy
    assert check.remedy
    assert check.when


def test_codes_are_unique_and_severities_explained() -> None:
    assert len({check.code for check in CHECKS}) == len(CHECKS)
    assert set(SEVERITY_MEANS) == set(Severity)


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://app:{SECRET}@chatwoot-db.flycast:5432/chatwoot",
        UNKNOWN,
        f"postgres://app:{SECRET}@ep-cool-1.eu.aws.neon.tech:5432/chatwoot?sslmode=require&channel_binding=require",
        f"postgres://fly-user:{SECRET}@direct.abc.flympg.net:5432/fly-db",
    ],
)
def test_a_good_dsn_has_nothing_to_object_to(text: str) -> None:
    assert codes(text) == []
    assert "nothing to object to" in explain(text).as_text()


# What is found, and what not


def test_a_transaction_pooler_wants_rails_told() -> None:
    assert codes(TRANSACTION) == ["prepared-statements-unsupported", "advisory-locks", "session-settings"]
    mended = f"{TRANSACTION}&prepared_statements=false&advisory_locks=false"
    assert codes(mended) == ["session-settings", "one-migration-at-a-time"]
    # Rails takes the very word false.
    assert "prepared-statements-unsupported" in codes(f"{TRANSACTION}&prepared_statements=0")


def test_a_direct_url_wants_nothing_of_that() -> None:
    assert codes(DIRECT) == ["supabase-ipv6"]
    assert not {"prepared-statements", "advisory-locks"} & set(codes(UNKNOWN))


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer", ""])
def test_tls_must_be_required_where_others_can_listen(sslmode: str) -> None:
    assert codes(UNKNOWN.replace("require", sslmode)) == ["tls-not-required"]
    assert codes(UNKNOWN.replace("sslmode=require", "ssl=true")) == ["tls-not-required"]
    for host in ("localhost", "127.0.0.1", "[::1]", "%2Ftmp", "app.flycast", "postgres.railway.internal"):
        assert "tls-not-required" not in codes(f"postgres://a:p@{host}:5432/chatwoot?sslmode={sslmode}")


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_tls_that_is_required_is_enough(sslmode: str) -> None:
    assert codes(UNKNOWN.replace("require", sslmode)) == []


def test_errors_come_first() -> None:
    found = [
        finding.severity for finding in explain("postgres://postgres@h.pooler.supabase.com/postgres").findings
    ]
    assert found == sorted(found, key=list(Severity).index)
    assert found[0] is Severity.ERROR


def test_the_mend_names_the_direct_form() -> None:
    (finding,) = explain(SESSION).findings
    assert f"postgres://postgres:…@db.{REF}.supabase.co:5432/postgres" in finding.remedy
    assert "15" in finding.text


def test_a_keyword_form_is_shown_as_the_url_that_rails_would_take() -> None:
    explanation = explain(
        f"host=db.example.com port=5432 user=app dbname=d password='{SECRET} x' sslmode=require"
    )
    assert explanation.dsn.form is Form.KEYWORDS
    (finding,) = explanation.findings
    assert "postgres://app:…@db.example.com:5432/d?sslmode=require" in finding.remedy


@given(st.sampled_from(sorted((LIBPQ | RAILS) - {"host", "port", "dbname", "user", "password"})))
def test_what_libpq_or_rails_takes_is_no_stranger(name: str) -> None:
    assert "unknown-parameter" not in codes(f"{UNKNOWN}&{name}=x")
    assert "unknown-parameter" in codes(f"{UNKNOWN}&{name}x_=x")


# What to migrate through


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DIRECT, "through this URL"),
        (
            SESSION,
            f"through postgres://postgres:…@db.{REF}.supabase.co:5432/postgres, with the same password",
        ),
        (UNKNOWN, "`hotdash preflight` asks it"),
        ("postgres://u.t:p@supavisor.example.com:5432/d", "while its pool has room"),
        ("postgres://u:p@x.db.ondigitalocean.com:25061/pool", "cannot be told from this one"),
    ],
)
def test_what_to_migrate_through(text: str, said: str) -> None:
    assert said in explain(text).migrations
    assert said in " ".join(explain(text).as_text().split())


# Text and JSON


def test_the_text_begins_with_the_identity_and_fits_its_width() -> None:
    lines = explain(TRANSACTION).as_text(80).splitlines()
    assert lines[0] == f"supabase:{REF}/postgres"
    assert all(len(line) <= 80 or " " not in line.strip() for line in lines)
    assert "1 error, 1 warning, 1 note" in lines
    assert explain(UNKNOWN).as_text().startswith("db.example.com:5432/chatwoot: which database that is")


SHAPE: dict[str, Any] = {
    "url": str,
    "form": str,
    "host": str,
    "port": int,
    "explicit_port": bool,
    "hosts": list,
    "database": str,
    "role": str,
    "has_password": bool,
    "parameters": dict,
    "pooling": str,
    "certainty": str,
    "provider": str,
    "provider_title": str,
    "rule": str,
    "why": str,
    "identity": str | None,
    "direct_form": dict | None,
    "migrations": str,
    "findings": list,
}


@given(dsns() | near_known)
def test_the_json_has_its_shape_and_can_be_written(dsn: Dsn) -> None:
    found = explain_dsn(dsn).as_json()
    assert list(found) == list(SHAPE)
    assert all(isinstance(found[key], kind) for key, kind in SHAPE.items())
    assert json.loads(json.dumps(found)) == found
    for finding in found["findings"]:
        assert list(finding) == ["code", "severity", "text", "remedy", "ground"]


def test_the_json_of_one() -> None:
    found = explain(TRANSACTION).as_json()
    assert found["identity"] == f"supabase:{REF}/postgres"
    assert found["hosts"] == [{"host": "aws-1-us-east-1.pooler.supabase.com", "port": 6543}]
    assert found["direct_form"] == {
        "url": f"postgres://postgres:…@db.{REF}.supabase.co:5432/postgres",
        "host": f"db.{REF}.supabase.co",
        "port": 5432,
        "database": "postgres",
        "role": "postgres",
    }
    assert (found["pooling"], found["rule"]) == ("transaction", "supabase-pooler-transaction")


# Secrecy


def everything(explanation: Explanation) -> str:
    return f"{explanation!r}{explanation.as_text()}{json.dumps(explanation.as_json(), ensure_ascii=False)}"


@given(
    dsns() | near_known,
    st.sampled_from(["password", "sslpassword", "odd", "oauth_client_secret", "options", "api_key"]),
)
def test_no_password_is_in_anything_that_is_shown(dsn: Dsn, name: str) -> None:
    given_twice = replace(dsn, password=SECRET, parameters={**dsn.parameters, name: SECRET})
    assert SECRET not in everything(explain(given_twice.render(password=True)))
    # What stands behind an encoded colon was meant to be one.
    assert SECRET not in everything(explain_dsn(replace(given_twice, username=f"postgres:{SECRET}")))


@pytest.mark.parametrize("text", [*(e for r in RULES for e in r.examples), *(c.example for c in CHECKS)])
def test_no_password_is_in_what_any_rule_or_check_says(text: str) -> None:
    assert SECRET not in everything(explain_dsn(replace(Dsn.parse(text), password=SECRET)))


def test_a_password_in_the_query_is_found_and_kept() -> None:
    explanation = explain(f"postgres://app@db.example.com:5432/chatwoot?password={SECRET}&sslmode=require")
    assert explanation.dsn.password == SECRET
    assert [finding.code for finding in explanation.findings] == ["part-in-query"]
    assert SECRET not in everything(explanation)


def test_one_can_be_explained_that_was_read_already() -> None:
    dsn = Dsn((Host("db.example.com", 5432),), "chatwoot", "app", "p", {"sslmode": "require"})
    assert explain_dsn(dsn).classification.pooling is Pooling.UNKNOWN
