"""What the program shows is read back as it was declared; and whatever else is shown is named, never believed."""

import copy
import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.dsn import Dsn
from hotdash.fly import wire
from hotdash.fly.summary import summarize
from hotdash.stack.databases import Agreement
from hotdash.stack.declared import declared_properties
from hotdash.stack.settings import load
from hotdash.stack.values import declaration
from hotdash.vault import Vault
from policies.judging import judge
from policies.reading import (
    PROCESS_GROUP,
    SECRETS,
    UNKNOWN,
    Reading,
    ResourceShown,
    declared,
    seen,
)
from policies.rules import RULES
from policies.rules.facts import SEEN, Connections, Facts, Group, HealthCheck, MachineSeen, Readiness, Urls
from policies.terms import terms_of
from tests.policies.cases.making import DIRECT, HOTDASH, REF, SESSION

SETTINGS: Mapping[str, Any] = {
    "app": {"name": "hotdash-chatwoot", "organization": "hotdash"},
    "fingerprintKey": "0123456789abcdef",
    "secrets": dict.fromkeys(("DATABASE_URL", "DIRECT_DATABASE_URL", "POSTGRES_PORT", "FORCE_SSL"), "a.env"),
    "migration": {"database": "DIRECT_DATABASE_URL", "image": "chatwoot/chatwoot:v4.12.0"},
    "forbiddenDatabases": {"HotDash": "h.env"},
    "connections": {"webThreads": 3, "limit": 16},
    "processGroups": {
        "web": {
            "count": 2,
            "memoryMb": 2048,
            "image": "chatwoot/chatwoot:v4.11.0",
            "command": ["sh", "-c", "run --token s3cr3t-Value"],
            "check": {
                "port": 3000,
                "path": "/health",
                "gracePeriod": "90s",
                "headers": {"x-forwarded-proto": "https", "X-Other": "s3cr3t-Value"},
            },
        },
        "worker": {"count": 1, "memoryMb": 4096, "cpuKind": "performance", "cpus": 2},
    },
    "urls": {"frontend": "https://a.example", "webhooks": ["https://b.example/c"]},
    "policies": {"memory-floor": {"floorMb": 1024, "reason": "it is enough"}},
    "exceptions": [{"rule": "two-webs", "reason": "until next week", "until": date(2026, 12, 1)}],
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The component's properties as the engine gives them: numbers as floats, nothing that is null."""
    return properties(tmp_path_factory.mktemp("vault"))


def properties(vault: Path) -> dict[str, Any]:
    (vault / "a.env").write_text(
        f"DATABASE_URL={SESSION}\nDIRECT_DATABASE_URL={DIRECT}\nPOSTGRES_PORT=5432\nFORCE_SSL=true\n"
    )
    (vault / "h.env").write_text(f"DATABASE_URL={HOTDASH}\n")
    settings = load(SETTINGS, file="x")
    folder = Vault(vault, "vault")
    made = declared_properties(
        settings, declaration(settings, folder), folder, stack="staging", key_encrypted=True
    )
    as_shown: dict[str, Any] = json.loads(json.dumps(made), parse_int=float)
    return as_shown


BELOW = (
    ResourceShown(
        SECRETS, {"recorded": {"A": "f d - -"}, "live": {"B": "d -"}, "secrets": {"C": "x"}}
    ),
    ResourceShown(
        PROCESS_GROUP,
        {
            "group": "web",
            "machines": [
                summarize(wire.machine({"id": "m1", "config": {"env": {"A": "1", "SMTP_PASSWORD": "s3cr3t-Value"}}}))
            ],
        },
    ),
)  # fmt: skip


def test_what_is_declared_is_read_back(shown: dict[str, Any]) -> None:
    reading = declared(shown)
    facts = reading.facts
    assert reading.unreadable == {}
    assert (facts.stack, facts.migration_database, facts.key_encrypted) == (
        "staging",
        "DIRECT_DATABASE_URL",
        True,
    )
    assert (facts.app.name, facts.app.url, facts.app.delete_on_destroy) == (
        "hotdash-chatwoot",
        "https://hotdash-chatwoot.fly.dev",
        False,
    )
    assert facts.migration_image == "chatwoot/chatwoot:v4.12.0"
    assert facts.secrets["POSTGRES_PORT"] == "a.env#POSTGRES_PORT"
    assert facts.databases["DIRECT_DATABASE_URL"].host == f"db.{REF}.supabase.co"
    assert facts.databases["DATABASE_URL"].port == 5432
    assert set(facts.forbidden_databases) == {"HotDash"}
    assert facts.postgres_variables == {"POSTGRES_PORT": Agreement.EQUAL}
    assert facts.connections == Connections(1, 3, 10, 16)
    assert facts.groups == (
        Group(
            "web", 2, "shared", 1, 2048, HealthCheck("/health", 90.0, False, "https"), "chatwoot/chatwoot:v4.11.0"
        ),
        Group("worker", 1, "performance", 2, 4096),
    )  # fmt: skip
    assert facts.readiness == Readiness("/api", 200)
    assert facts.urls == Urls("https://a.example", ("https://b.example/c",))
    terms = terms_of(shown)
    assert terms.problems == ()
    assert terms.given == {"memory-floor": {"floorMb": 1024}}
    assert [(e.rule, e.until) for e in terms.exceptions] == [("two-webs", date(2026, 12, 1))]


def test_no_value_and_nothing_that_may_hold_one_is_shown(shown: dict[str, Any]) -> None:
    assert "s3cr3t-Value" not in json.dumps(shown)


@pytest.mark.parametrize(("port", "agreement"), [("5432", Agreement.EQUAL), ("6543", Agreement.DIFFERS)])
def test_a_variable_of_its_own_is_compared_with_the_url(
    tmp_path: Path, port: str, agreement: Agreement
) -> None:
    properties(tmp_path)
    (tmp_path / "a.env").write_text(f"DATABASE_URL={SESSION}\nPOSTGRES_PORT={port}\n")
    settings = load(
        {
            **{key: SETTINGS[key] for key in ("app", "fingerprintKey", "processGroups")},
            "secrets": {"DATABASE_URL": "a.env", "POSTGRES_PORT": "a.env"},
        },
        file="x",
    )
    vault = Vault(tmp_path, "vault")
    made = declared_properties(settings, declaration(settings, vault), vault, stack="x", key_encrypted=True)
    assert made["postgresVariables"] == {"POSTGRES_PORT": agreement}


@pytest.mark.parametrize(("url", "agreement"), [(SESSION, Agreement.EQUAL), (DIRECT, Agreement.DIFFERS)])
def test_a_variable_is_compared_with_the_url_that_outranks_the_other(
    tmp_path: Path, url: str, agreement: Agreement
) -> None:
    properties(tmp_path)
    host = Dsn.parse(SESSION).host
    text = f"PRIMARY_DATABASE_URL={url}\nDATABASE_URL={SESSION}\nPOSTGRES_HOST={host}\n"
    (tmp_path / "a.env").write_text(text)
    settings = load(
        {
            **{key: SETTINGS[key] for key in ("app", "fingerprintKey", "processGroups")},
            "secrets": dict.fromkeys(("DATABASE_URL", "PRIMARY_DATABASE_URL", "POSTGRES_HOST"), "a.env"),
        },
        file="x",
    )
    vault = Vault(tmp_path, "vault")
    made = declared_properties(settings, declaration(settings, vault), vault, stack="x", key_encrypted=True)
    assert made["postgresVariables"] == {"POSTGRES_HOST": agreement}
    assert made["migrationDatabase"] == "PRIMARY_DATABASE_URL"


@pytest.mark.parametrize(
    ("migration", "image"),
    [
        (None, ""),
        ({"database": "DATABASE_URL"}, "chatwoot/chatwoot:v4.11.0"),
        ({"database": "DATABASE_URL", "image": "chatwoot/chatwoot:latest"}, "chatwoot/chatwoot:latest"),
    ],
)
def test_the_image_of_migrations_is_among_the_facts(
    tmp_path: Path, migration: Mapping[str, str] | None, image: str
) -> None:
    properties(tmp_path)
    values = {key: SETTINGS[key] for key in ("app", "fingerprintKey", "processGroups")}
    migrating = {"migration": migration} if migration else {}
    settings = load({**values, **migrating, "secrets": {"DATABASE_URL": "a.env"}}, file="x")
    vault = Vault(tmp_path, "vault")
    made = declared_properties(settings, declaration(settings, vault), vault, stack="x", key_encrypted=True)
    assert declared(made).facts.migration_image == image


def test_derived_variables_are_told_so(tmp_path: Path) -> None:
    properties(tmp_path)
    settings = load(
        {
            **{key: SETTINGS[key] for key in ("app", "fingerprintKey", "processGroups")},
            "secrets": {"DATABASE_URL": "a.env"},
            "derivePostgresFrom": "DATABASE_URL",
        },
        file="x",
    )
    vault = Vault(tmp_path, "vault")
    made = declared_properties(settings, declaration(settings, vault), vault, stack="x", key_encrypted=False)
    assert set(made["postgresVariables"].values()) == {Agreement.DERIVED}
    assert len(made["postgresVariables"]) == 5
    assert not declared(made).facts.key_encrypted


def test_what_is_seen_on_fly_is_read(shown: dict[str, Any]) -> None:
    reading = seen(declared(shown), BELOW)
    assert reading.unreadable == {}
    assert reading.waiting == frozenset()
    assert reading.facts.held_secrets == {"A", "B"}
    assert reading.facts.machines == (
        MachineSeen("m1", "web", frozenset({"A", "SMTP_PASSWORD"}), frozenset({"env SMTP_PASSWORD"})),
    )


# What is not as it should be


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in the properties that a rule may look at."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def changed(value: dict[str, Any], path: tuple[str | int, ...], to: Any) -> dict[str, Any]:
    made = copy.deepcopy(value)
    at: Any = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return made


OPTIONAL = {"limit", "image", "check"}
NOT_READ = {"organization", "undeclaredSecrets", "policies", "exceptions"}


@pytest.mark.parametrize("wrong", [UNKNOWN, None, [[]], 1.5], ids=["unknown", "null", "list", "number"])
def test_whatever_is_wrong_is_named_and_its_rules_do_not_pass(shown: dict[str, Any], wrong: object) -> None:
    for path in places(shown):
        if NOT_READ & set(path) or (wrong is None and path[-1] in OPTIONAL):
            continue
        if wrong == 1.5 and path[-1] in ("graceSeconds",):
            continue
        reading = declared(changed(shown, path, wrong))
        assert len(reading.unreadable) == 1, path
        [(fact, why)] = reading.unreadable.items()
        assert why.startswith(str(path[0])), (path, why)
        judgement = judge(RULES, reading, terms_of(shown), date(2026, 11, 24))
        needing = {rule.id for rule in RULES if fact in rule.needs}
        assert needing
        assert {item.rule.id for item in judgement.unjudged} == needing


def test_a_state_of_an_earlier_version_is_told_so() -> None:
    reading = declared({"url": "https://a.example"})
    assert set(reading.unreadable) == set(Facts.__dataclass_fields__) - SEEN
    assert all("of an earlier version" in why for why in reading.unreadable.values())


@pytest.mark.parametrize("gone", [UNKNOWN, None])
def test_what_an_update_hides_is_waited_for(shown: dict[str, Any], gone: object) -> None:
    secrets, group = BELOW
    hidden = (
        ResourceShown(SECRETS, {**secrets.properties, "live": gone}),
        ResourceShown(PROCESS_GROUP, {**group.properties, "machines": gone}),
    )
    reading = seen(declared(shown), hidden)
    assert reading.waiting == SEEN
    judgement = judge(RULES, reading, terms_of(shown), date(2026, 11, 24))
    assert {rule.id for rule in judgement.waiting} == {rule.id for rule in RULES if rule.looks_at_fly}
    assert judgement.unjudged == ()


@pytest.mark.parametrize(
    ("below", "fact", "why"),
    [
        ((), "machines", "no process group"),
        ((), "held_secrets", "no secrets"),
        ((ResourceShown(PROCESS_GROUP, {"group": "web", "machines": [{"id": "m"}]}),), "machines", "earlier version"),
        ((ResourceShown(PROCESS_GROUP, {"group": "web", "machines": "m"}),), "machines", "not a list"),
        ((ResourceShown(PROCESS_GROUP, {"machines": []}),), "machines", "ProcessGroup.group"),
        ((ResourceShown(SECRETS, {"recorded": {}, "live": ["A"]}),), "held_secrets", "Secrets.live"),
    ],
)  # fmt: skip
def test_odd_resources_are_named(
    shown: dict[str, Any], below: tuple[ResourceShown, ...], fact: str, why: str
) -> None:
    assert why in seen(declared(shown), below).unreadable[fact]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
known_keys = st.sampled_from(
    [
        "stack", "app", "secrets", "databases", "forbiddenDatabases", "migrationDatabase", "migrationImage",
        "postgresVariables", "connections", "processGroups", "readiness", "urls", "fingerprintKey", "literals",
        "policies", "exceptions",
    ]
)  # fmt: skip


seen_keys = st.sampled_from(["live", "recorded", "machines", "group"])


@given(st.dictionaries(known_keys, json_values), st.dictionaries(seen_keys, json_values))
def test_nothing_that_is_shown_makes_it_fail(component: dict[str, Any], below: dict[str, Any]) -> None:
    reading = seen(declared(component), [ResourceShown(SECRETS, below), ResourceShown(PROCESS_GROUP, below)])
    judgement = judge(RULES, reading, terms_of(component), date(2026, 11, 24))
    assert all(isinstance(item.why, str) for item in judgement.unjudged)
    assert isinstance(reading, Reading)
