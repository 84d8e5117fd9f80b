"""The project's own stacks keep the rules, given a vault that is in order; production needs what it declares for it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from hotdash.stack.declared import declared_properties
from hotdash.stack.settings import Settings, load
from hotdash.stack.values import declaration
from hotdash.vault import Vault
from policies.judging import Judgement, judge
from policies.reading import declared
from policies.rules import RULES
from policies.rules.rule import Enforcement
from policies.terms import terms_of
from tests.policies.cases.making import DIRECT, HOTDASH, LOOPBACK, SESSION, UNKNOWN_HOST
from tests.world import CHECKOUT

TODAY = date(2026, 11, 24)
EXAMPLE = CHECKOUT / "vault.example"
STACKS = {file.name.split(".")[1]: file for file in sorted((CHECKOUT / "stacks").glob("Pulumi.*.yaml"))}
URLS: Mapping[str, Mapping[str, str]] = {
    "occ/chatwoot/database_url.env": {"DATABASE_URL": SESSION},
    "occ/chatwoot/direct_database_url.env": {"DIRECT_DATABASE_URL": DIRECT},
    "occ/supabase/database_url_staging.env": {"DATABASE_URL": HOTDASH},
}


def values_of(name: str) -> dict[str, Any]:
    config: Mapping[str, Any] = yaml.safe_load(STACKS[name].read_text(encoding="utf-8"))["config"]
    values = {key.removeprefix("hotdash:"): value for key, value in config.items()}
    return {**values, "fingerprintKey": "x" * 32}


def vault_for(settings: Settings, folder: Path, urls: Mapping[str, Mapping[str, str]]) -> Vault:
    """A vault with these URLs, and of the rest what the example has."""
    example = Vault(EXAMPLE, "vault.example", placeholders=True)
    references = [source.reference for source in settings.secrets.values()]
    for reference in (*references, *settings.forbidden_databases.values()):
        content = {**example.values(reference.file), **urls.get(reference.file, {})}
        path = folder / reference.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{key}='{value}'\n" for key, value in content.items()))
    return Vault(folder, "vault", placeholders=True)


def judged(
    name: str, values: Mapping[str, Any], folder: Path, urls: Mapping[str, Mapping[str, str]]
) -> Judgement:
    settings = load(values, file=STACKS[name].name, on=TODAY)
    vault = vault_for(settings, folder, urls)
    shown = declared_properties(settings, declaration(settings, vault), vault, stack=name, key_encrypted=True)
    terms = terms_of(shown)
    assert terms.problems == ()
    return judge([rule for rule in RULES if not rule.looks_at_fly], declared(shown), terms, TODAY)


def violated(judgement: Judgement, enforcement: Enforcement = Enforcement.MANDATORY) -> set[str]:
    assert judgement.unjudged == ()
    return {item.rule.id for item in judgement.violations if item.rule.enforcement is enforcement}


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_keeps_every_mandatory_rule(name: str, tmp_path: Path) -> None:
    values = values_of(name)
    urls: Mapping[str, Mapping[str, str]] = URLS
    if name == "sandbox":
        urls = {"occ/chatwoot/database_url.env": {"DATABASE_URL": LOOPBACK}}
    elif values.get("placeholders"):
        urls = {}  # it has the example for a vault
    assert violated(judged(name, values, tmp_path, urls)) == set()


def test_production_takes_advice_of_one_web_alone(tmp_path: Path) -> None:
    judgement = judged("production", values_of("production"), tmp_path, URLS)
    assert violated(judgement, Enforcement.ADVISORY) == {"two-webs"}


def test_production_may_have_its_database_at_a_host_that_nobody_knows(tmp_path: Path) -> None:
    urls = {**URLS, "occ/chatwoot/database_url.env": {"DATABASE_URL": UNKNOWN_HOST}}
    assert violated(judged("production", values_of("production"), tmp_path, urls)) == set()
    elsewhere = {**urls, "occ/chatwoot/direct_database_url.env": {"DIRECT_DATABASE_URL": UNKNOWN_HOST}}
    assert violated(judged("production", values_of("production"), tmp_path / "b", elsewhere)) == {
        "migrations-direct"
    }


@pytest.mark.parametrize(
    ("without", "broken"),
    [
        ("migration", {"migrations-direct", "connection-budget"}),
        ("forbiddenDatabases", {"own-database"}),
    ],
)
def test_production_would_not_keep_them_without_what_it_declares(
    without: str, broken: set[str], tmp_path: Path
) -> None:
    values = values_of("production")
    del values[without]
    assert violated(judged("production", values, tmp_path, URLS)) == broken


def test_the_example_is_no_way_around_tls(tmp_path: Path) -> None:
    values = values_of("production")
    assert "tls-required" not in violated(judged("production", values, tmp_path, {}))
