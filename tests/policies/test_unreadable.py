"""A database URL that cannot be read is told by its name and passes no rule; one that Rails reads is judged."""

import json
from datetime import date
from pathlib import Path

import pytest

from hotdash.stack.declared import declared_properties
from hotdash.stack.settings import load
from hotdash.stack.values import Declaration, databases_of, values_of
from hotdash.vault import Vault
from policies import telling
from policies.judging import Judgement, judge
from policies.reading import declared
from policies.rules import RULES
from policies.terms import terms_of
from tests.policies.cases.making import DIRECT, HOTDASH, SESSION
from tests.policies.test_reading import SETTINGS

TRANSACTION_UNPREPARED = HOTDASH.replace(":5432", ":6543").replace("?sslmode=require", "")
"""HotDash's own database, through a transaction pooler, without TLS: as wrong as a URL can be."""
FORBIDDEN = {"own-database", "tls-required", "transaction-prepared", "connection-budget"}


def judged_with(folder: Path, url: str, name: str = "DATABASE_URL", hotdash: str = HOTDASH) -> Judgement:
    """With this main database, and migrations that go elsewhere."""
    (folder / "a.env").write_text(f"{name}='{url}'\nDIRECT_DATABASE_URL={DIRECT}\n")
    (folder / "h.env").write_text(f"DATABASE_URL='{hotdash}'\n")
    values = {key: SETTINGS[key] for key in ("app", "fingerprintKey", "processGroups", "migration")}
    secrets = {name: "a.env", "DIRECT_DATABASE_URL": "a.env"}
    settings = load({**values, "secrets": secrets, "forbiddenDatabases": {"HotDash": "h.env"}}, file="x")
    vault = Vault(folder, "vault")
    # Without what the program refuses by itself, so that the pack is alone with it.
    fingerprints = dict.fromkeys(settings.secrets, "0a")
    read = values_of(settings.secrets, vault)
    found = Declaration(fingerprints, *databases_of(read))
    made = declared_properties(settings, found, vault, stack="x", key_encrypted=True)
    assert "s3cr3t-Value" not in json.dumps(made)
    return judge([r for r in RULES if not r.looks_at_fly], declared(made), terms_of(made), date(2026, 11, 24))


@pytest.mark.parametrize("scheme", ["postgres", "Postgres", "POSTGRESQL"])
def test_a_url_is_judged_however_its_scheme_is_written(tmp_path: Path, scheme: str) -> None:
    judgement = judged_with(tmp_path, TRANSACTION_UNPREPARED.replace("postgres://", f"{scheme}://"))
    assert {
        item.rule.id for item in judgement.violations if item.finding.subject == "DATABASE_URL"
    } == FORBIDDEN
    assert judgement.unjudged == ()


@pytest.mark.parametrize(
    ("url", "why", "mend"),
    [
        (
            TRANSACTION_UNPREPARED.replace("s3cr3t", "%ws3cr3t"),
            "a % in it begins no escape",
            "write % as %25",
        ),
        (TRANSACTION_UNPREPARED.replace("s3cr3t", "s3cr3t#"), "not percent-encoded", "write / as %2F"),
        ("s3cr3t-Value", "does not begin with postgres://", "write postgres://user:password@host"),
        ("mysql://u:s3cr3t-Value@h/d", "it is a MySQL URL", "Chatwoot wants Postgres"),
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "PRIMARY_DATABASE_URL"])
def test_a_main_database_that_cannot_be_read_is_never_taken_as_nothing(
    tmp_path: Path, name: str, url: str, why: str, mend: str
) -> None:
    judgement = judged_with(tmp_path, url, name)
    needing = {rule.id for rule in RULES if "databases" in rule.needs}
    assert {item.rule.id for item in judgement.unjudged} == needing >= FORBIDDEN
    [message] = telling.unjudged(judgement.unjudged)
    assert f": hotdash:secrets.{name} cannot be read as a database's URL: " in message
    assert why in message
    assert f"  next    {name}: {mend}" in message
    assert "program of this version" not in message
    assert "s3cr3t-Value" not in message


def test_another_url_that_cannot_be_read_is_not_passed_over_either(tmp_path: Path) -> None:
    url = TRANSACTION_UNPREPARED.replace("s3cr3t", "%ws3cr3t")
    judgement = judged_with(tmp_path, url, "REPORTS_DATABASE_URL")
    assert {item.rule.id for item in judgement.unjudged} == {r.id for r in RULES if "databases" in r.needs}
    # What is no URL at all under a name of its own is somebody else's secret.
    assert judged_with(tmp_path, "s3cr3t-Value", "REPORTS_TOKEN").unjudged == ()


@pytest.mark.parametrize("hotdash", [HOTDASH.replace("s3cr3t", "%ws3cr3t"), "s3cr3t-Value"])
def test_a_forbidden_database_that_cannot_be_read_forbids_still(tmp_path: Path, hotdash: str) -> None:
    judgement = judged_with(tmp_path, SESSION, hotdash=hotdash)
    assert [item.rule.id for item in judgement.unjudged] == ["own-database"]
    assert "hotdash:forbiddenDatabases.HotDash cannot be read" in judgement.unjudged[0].why
