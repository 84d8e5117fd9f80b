"""A stack's settings: what they become, and that all that is wrong is told at once, without a value."""

import copy
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.connection import decoded
from hotdash import dsn
from hotdash.errors import SettingsError
from hotdash.plan import RolloutSettings
from hotdash.stack.settings import SecretSource, Settings, UrlSettings, load
from hotdash.vault import Reference
from tests.world import CHECKOUT

VALUE = "s3cr3t-Value"
GOOD: Mapping[str, Any] = {
    "app": {"name": "hotdash-chatwoot", "organization": "hotdash"},
    "fingerprintKey": "0123456789abcdef",
    "secrets": {"DATABASE_URL": "occ/chatwoot/database_url.env", "SMTP": "occ/smtp.env#SMTP_PASSWORD"},
    "processGroups": {
        "worker": {"count": 1, "memoryMb": 1024},
        "web": {"count": 2, "memoryMb": 2048, "check": {"port": 3000, "path": "/api"}},
    },
}


def good(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(dict(GOOD)), **changes}


def group(**changes: Any) -> dict[str, Any]:
    return good(processGroups={"web": {"count": 1, "memoryMb": 1024, **changes}})


def refusal(values: Mapping[str, Any]) -> SettingsError | None:
    try:
        assert isinstance(load(values, file="x"), Settings)
    except SettingsError as error:
        return error
    return None


def problems(values: Mapping[str, Any]) -> list[str]:
    """The problems, in their order, each without its bullet."""
    with pytest.raises(SettingsError) as caught:
        load(values, file="stacks/Pulumi.test.yaml")
    error = caught.value
    assert error.where == "stacks/Pulumi.test.yaml"
    assert error.meaning == "nothing was changed"
    head, *listed = error.summary.splitlines()
    count = "1 problem" if len(listed) == 1 else f"{len(listed)} problems"
    assert head == f"the stack's settings have {count}:"
    return [line.removeprefix("  - ") for line in listed]


def the_problem(values: Mapping[str, Any]) -> str:
    [found] = problems(values)
    return found


# What they become


def test_the_least_that_must_be_said_and_what_it_means() -> None:
    settings = load(good(), file="x")
    assert settings.app.url == "https://hotdash-chatwoot.fly.dev"
    assert not settings.app.create
    assert not settings.app.delete_on_destroy
    assert settings.vault == "vault"
    assert settings.token is None
    assert settings.fingerprint_key == b"0123456789abcdef"
    assert not settings.remove_undeclared
    assert (settings.readiness.path, settings.readiness.status, settings.readiness.timeout) == (
        "/api",
        200,
        60.0,
    )
    assert settings.rollout == RolloutSettings()
    assert settings.secrets == {
        "DATABASE_URL": SecretSource(Reference("occ/chatwoot/database_url.env", "DATABASE_URL")),
        "SMTP": SecretSource(Reference("occ/smtp.env", "SMTP_PASSWORD")),
    }


def test_what_serves_people_comes_before_what_does_not() -> None:
    settings = load(good(), file="x")
    assert [g.declared.name for g in settings.groups] == ["web", "worker"]


def test_a_group_as_it_is_declared() -> None:
    check = {"port": 3000, "path": "/health", "interval": "1m30s", "headers": {"B": "2", "A": "1"}}
    [found] = load(
        group(
            cpuKind="performance", cpus=2, memoryMb=4096.0, image="chatwoot:v4", command=["a"], check=check
        ),
        file="x",
    ).groups
    declared = found.declared
    assert (declared.cpu_kind, declared.cpus, declared.memory_mb) == ("performance", 2, 4096)
    assert isinstance(declared.memory_mb, int)  # as it is sent to Fly
    assert declared.image == "chatwoot:v4"
    assert found.command == ("a",)
    assert declared.check is not None
    assert (declared.check.interval, declared.check.method) == (90.0, "get")
    assert declared.check.headers == (("A", "1"), ("B", "2"))


def test_postgres_variables_are_parts_of_the_url_that_they_are_derived_from() -> None:
    settings = load(good(derivePostgresFrom="DATABASE_URL"), file="x")
    for part in dsn.PARTS:
        source = settings.secrets[f"POSTGRES_{part.upper()}"]
        assert source == SecretSource(settings.secrets["DATABASE_URL"].reference, part)
    assert list(settings.secrets) == sorted(settings.secrets)


def test_durations_of_a_rollout_are_seconds() -> None:
    rollout = load(
        good(rollout={"maxUnavailable": 2, "healthTimeout": "2m", "settle": "500ms", "leaseWait": "1m"}),
        file="x",
    ).rollout
    assert (rollout.max_unavailable, rollout.health_timeout, rollout.settle) == (2.0, 120.0, 0.5)
    assert (rollout.lease_wait, rollout.start_timeout) == (60.0, RolloutSettings().start_timeout)


def test_settings_show_no_key() -> None:
    assert "0123456789abcdef" not in repr(load(good(), file="x"))


@pytest.mark.parametrize(
    "file", sorted((CHECKOUT / "stacks").glob("Pulumi.*.yaml")), ids=lambda path: path.name
)
def test_the_stacks_of_the_project_are_right(file: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(file.read_text())["config"]
    values = {key.removeprefix("hotdash:"): value for key, value in config.items()}
    load({**values, "fingerprintKey": "x" * 32}, file=file.name)


# All at once


def test_every_problem_is_told_in_one_go_whatever_checks_it() -> None:
    values = {
        "apps": 1,
        "app": {"name": "Upper", "create": "yes"},
        "secrets": {"A": 5, "B": "/absolute.env", "9": "occ/a.env", "URL": "redis://h"},
        "derivePostgresFrom": "NONE",
        "undeclaredSecrets": "maybe",
        "processGroups": {
            "web": {"count": -1, "memoryMb": 1000, "check": {"port": 0}},
            "worker": {"count": 1, "memoryMb": 1000},
            "Bad": {"count": 1, "memoryMb": 1024},
        },
        "readiness": {"path": "api"},
        "rollout": {"settle": "5", "maxUnavailable": 0},
    }
    told = problems(values)
    assert {line.partition(": ")[0] for line in told} == {
        "hotdash:apps",
        "hotdash:app.name",
        "hotdash:app.create",
        "hotdash:app.organization",
        "hotdash:fingerprintKey",
        "hotdash:secrets.A",
        "hotdash:secrets.B",
        "hotdash:secrets.9",
        "hotdash:secrets.URL",
        "hotdash:derivePostgresFrom",
        "hotdash:undeclaredSecrets",
        "hotdash:processGroups.web.count",
        "hotdash:processGroups.web.check.port",
        "hotdash:processGroups.web.check.path",
        "hotdash:processGroups.worker.memoryMb",
        "hotdash:processGroups.Bad",
        "hotdash:readiness.path",
        "hotdash:rollout.settle",
        "hotdash:rollout.maxUnavailable",
    }
    assert len(told) == 19  # each once


def test_nothing_at_all_lacks_four_things() -> None:
    assert [line.partition(": ")[0] for line in problems({})] == [
        f"hotdash:{key}" for key in ("app", "fingerprintKey", "secrets", "processGroups")
    ]
    assert "pulumi config set --secret hotdash:fingerprintKey" in problems({})[1]


def test_a_secret_of_the_wrong_form_is_still_one_to_derive_from() -> None:
    told = the_problem(good(secrets={"DATABASE_URL": 5}, derivePostgresFrom="DATABASE_URL"))
    assert told.startswith("hotdash:secrets.DATABASE_URL: must be a string")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
known_keys = [
    "app", "vault", "fly", "fingerprintKey", "secrets", "derivePostgresFrom", "undeclaredSecrets", "processGroups",
    "readiness", "rollout", "migration", "urls", "policies", "exceptions",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(known_keys), json_values))
def test_settings_are_taken_or_refused_and_never_crash(changes: dict[str, Any]) -> None:
    refused = refusal(good(**changes))
    assert refused is None or "hotdash:" in refused.summary


@given(st.sampled_from(["web", "worker"]), st.dictionaries(
    st.sampled_from(["count", "memoryMb", "cpuKind", "cpus", "image", "command", "check"]), json_values, min_size=1
))  # fmt: skip
def test_groups_are_taken_or_refused_and_never_crash(name: str, changes: dict[str, Any]) -> None:
    values = good()
    values["processGroups"][name].update(changes)
    refused = refusal(values)
    assert refused is None or "hotdash:processGroups" in refused.summary


# No value is shown


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://chatwoot:{VALUE}@db.example:5432/chatwoot",
        f"redis://:{VALUE}@h",
        f"/{VALUE}",
        f"fm2_{VALUE}",
        f"FlyV1 fm2_{VALUE}",
        f"{VALUE}\\",
        f"..{VALUE}",
        f"../{VALUE}",
        f"{VALUE}#{VALUE}",
        VALUE,
    ],
)
def test_a_value_where_its_reference_belongs_is_not_repeated(text: str) -> None:
    for values in (good(secrets={"A": text}), good(fly={"token": text})):
        told = the_problem(values)
        assert VALUE not in told
        assert told.startswith(("hotdash:secrets.A: ", "hotdash:fly.token: "))
        if "://" in text:
            assert "looks like the value itself" in told


@given(
    st.sampled_from([
        ("fingerprintKey",), ("derivePostgresFrom",), ("vault",), ("app", "url"), ("app", "name"),
        ("fly", "token"), ("secrets", "A"), ("undeclaredSecrets",), ("processGroups", "web", "image"),
        ("processGroups", "web", "check", "path"), ("rollout", "settle"),
    ]),
    st.sampled_from([VALUE, [VALUE], {"x": VALUE}, f"http://u:{VALUE}@h", f"{VALUE}\n", f" {VALUE}:"]),
)  # fmt: skip
def test_no_text_of_the_stack_file_is_repeated(path: tuple[str, ...], wrong: Any) -> None:
    values = good()
    place = values
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = wrong
    assert VALUE not in str(refusal(values))  # some of these are right


# Single rules


def test_an_unknown_key_is_named_with_the_one_that_was_meant() -> None:
    assert the_problem(good(apps={})) == "hotdash:apps: unknown key; did you mean app?"
    told = the_problem(group(memory=2048))
    assert told.startswith("hotdash:processGroups.web.memory: unknown key; did you mean memoryMb?")


@pytest.mark.parametrize(
    ("kind", "cpus", "memory"),
    [
        ("shared", 1, 256), ("shared", 1, 2048), ("shared", 8, 2048), ("shared", 8, 16384),
        ("performance", 1, 2048), ("performance", 1, 8192), ("performance", 16, 131072),
    ],
)  # fmt: skip
def test_sizes_that_fly_has(kind: str, cpus: int, memory: int) -> None:
    load(group(cpuKind=kind, cpus=cpus, memoryMb=memory), file="x")


@pytest.mark.parametrize(
    ("kind", "cpus", "memory", "said"),
    [
        (
            "shared",
            1,
            1000,
            "memoryMb: 1000 is not a multiple of 256, as Fly wants it for shared cpus; 1024 would do",
        ),
        ("shared", 1, 2304, "memoryMb: 2304 MB is out of Fly's range for shared ×1: 256 to 2048"),
        ("shared", 2, 256, "memoryMb: 256 MB is out of Fly's range for shared ×2: 512 to 4096"),
        (
            "shared",
            1,
            99999,
            "memoryMb: 99999 is not a multiple of 256, as Fly wants it for shared cpus; 2048 would do",
        ),
        ("shared", 3, 1024, "cpus: Fly has no shared machine of 3 cpus; it has 1, 2, 4, 6, 8"),
        ("performance", 1, 1024, "memoryMb: 1024 MB is out of Fly's range for performance ×1: 2048 to 8192"),
        ("performance", 1, 2304, "memoryMb: 2304 is not a multiple of 1024"),
        ("performance", 3, 8192, "cpus: Fly has no performance machine of 3 cpus"),
    ],
)
def test_sizes_that_fly_has_not(kind: str, cpus: int, memory: int, said: str) -> None:
    told = the_problem(group(cpuKind=kind, cpus=cpus, memoryMb=memory))
    assert told.startswith(f"hotdash:processGroups.web.{said}")


@pytest.mark.parametrize("path", ["/rails/health", "/up", "/hc"])
def test_a_path_that_is_known_to_be_404_is_refused_unless_the_image_serves_it(path: str) -> None:
    told = the_problem(group(check={"port": 3000, "path": path}))
    assert told.startswith(f"hotdash:processGroups.web.check.path: {path}: ")
    assert "404" in told
    assert "use /api" in told
    load(group(check={"port": 3000, "path": path, "pathIsServed": True}), file="x")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            group(count=-1),
            "hotdash:processGroups.web.count: -1 will not do; it must be how many machines, 0 to 100",
        ),
        (group(count="2"), "hotdash:processGroups.web.count: must be a whole number"),
        (group(count=True), "hotdash:processGroups.web.count: must be a whole number"),
        (
            group(check={"port": 3000, "path": "api"}),
            "hotdash:processGroups.web.check.path: must be a path that starts",
        ),
        (
            group(check={"port": 3000, "path": "/a", "timeout": "5"}),
            "hotdash:processGroups.web.check.timeout: must be a",
        ),
        (good(secrets={}), "hotdash:secrets: names nothing"),
        (good(secrets={"A-B": "a.env#K"}), "hotdash:secrets.A-B: must be a secret's name"),
        (good(derivePostgresFrom="X"), "hotdash:derivePostgresFrom: X is not among hotdash:secrets"),
        (
            good(app={"name": "a-b", "organization": "o", "url": "https://h/path"}),
            "hotdash:app.url: must be where",
        ),
        (
            good(app={"name": "a-b", "organization": "o", "url": "https://u:p@h"}),
            "hotdash:app.url: must be where",
        ),
        (good(fingerprintKey="short"), "hotdash:fingerprintKey: must be at least 16 random characters"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_what_would_be_right(
    values: dict[str, Any], said: str
) -> None:
    assert the_problem(values).startswith(said)


def test_a_derived_variable_may_not_be_declared_too() -> None:
    values = good(derivePostgresFrom="DATABASE_URL")
    values["secrets"]["POSTGRES_HOST"] = "occ/host.env"
    assert "POSTGRES_HOST: is derived from DATABASE_URL already" in the_problem(values)


# What is said to the policy pack


EXCEPTION = {
    "rule": "nobody-at-zero",
    "subject": "worker",
    "reason": "until the migration",
    "until": "2026-12-31",
}


def test_what_is_said_to_the_policies() -> None:
    settings = load(
        good(
            migration={"database": "SMTP"},
            urls={"frontend": "https://a.example", "webhooks": ["https://b.example/hook?a=1"]},
            policies={"memory-floor": {"floorMb": 1024, "reason": "it is enough"}},
            exceptions=[EXCEPTION, {**EXCEPTION, "subject": "web"}],
        ),
        file="x",
    )
    assert settings.migration_database == "SMTP"
    assert settings.urls == UrlSettings("https://a.example", ("https://b.example/hook?a=1",))
    assert settings.policies == {"memory-floor": {"floorMb": 1024, "reason": "it is enough"}}
    assert [(e.rule, e.subject, e.until) for e in settings.exceptions] == [
        ("nobody-at-zero", "worker", date(2026, 12, 31)),
        ("nobody-at-zero", "web", date(2026, 12, 31)),
    ]
    least = load(good(), file="x")
    assert (least.migration_database, least.urls, least.exceptions) == ("DATABASE_URL", UrlSettings(), ())


@pytest.mark.parametrize("until", [date(2026, 12, 31), "2026-12-31 00:00:00 +0000 UTC"])
def test_a_day_without_quotes_is_one_too(until: object) -> None:
    # As PyYAML and the engine give it.
    [exception] = load(good(exceptions=[{**EXCEPTION, "until": until}]), file="x").exceptions
    assert exception.until == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            good(migration={"database": "NONE"}),
            "hotdash:migration.database: NONE is not among hotdash:secrets",
        ),
        (good(urls={"frontend": "a.example"}), "hotdash:urls.frontend: must be a URL"),
        (good(urls={"webhooks": ["https://u:p@h/"]}), "hotdash:urls.webhooks.0: must be a URL"),
        (good(policies={"memory-floor": {"floorMb": 1}}), "hotdash:policies.memory-floor.reason: is missing"),
        (
            good(policies={"Memory": {"reason": "it is enough"}}),
            "hotdash:policies.Memory: must be the id of a rule",
        ),
        (
            good(exceptions=[{**EXCEPTION, "reason": "why"}]),
            "hotdash:exceptions.0.reason: must be why, in a few words",
        ),
        (
            good(exceptions=[{**EXCEPTION, "until": "2026-02-30"}]),
            "hotdash:exceptions.0.until: there is no such day",
        ),
        (
            good(exceptions=[{**EXCEPTION, "until": "soon"}]),
            "hotdash:exceptions.0.until: must be the last day",
        ),
        (good(exceptions=[{**EXCEPTION, "when": 1}]), "hotdash:exceptions.0.when: unknown key"),
        (good(exceptions=[{"rule": "a", "reason": "b" * 9}]), "hotdash:exceptions.0.until: is missing"),
    ],
)
def test_what_is_said_wrongly_to_the_policies(values: dict[str, Any], said: str) -> None:
    assert the_problem(values).startswith(said)


def test_a_credential_in_the_stack_file_is_refused_with_its_key_and_without_it() -> None:
    values = group(command=["sh", "-c", f"REDIS_URL=redis://:{VALUE}@h:6379 run"])
    told = the_problem(values)
    assert told.startswith(
        "hotdash:processGroups.web.command.2: seems to be a credential: it holds a URL with"
    )
    assert "hotdash:secrets" in told
    assert VALUE not in told


def test_a_credential_that_is_excepted_is_let_pass_for_its_time() -> None:
    values = group(check={"port": 3000, "path": "/api", "headers": {"Authorization": f"Bearer {VALUE}"}})
    key = "processGroups.web.check.headers.Authorization"
    values["exceptions"] = [{**EXCEPTION, "rule": "secrets-from-vault", "subject": key}]
    settings = load(values, file="x", on=date(2026, 12, 31))
    assert list(settings.literals) == [key]
    assert VALUE not in str(settings.literals)
    with pytest.raises(SettingsError, match="seems to be a credential"):
        load(values, file="x", on=date(2027, 1, 1))


# Sources and config values as text


@given(st.sampled_from(["", *dsn.PARTS]))
def test_a_source_is_read_as_it_is_written(part: str) -> None:
    source = SecretSource(Reference("occ/a.env", "KEY"), part)
    assert SecretSource.parse(str(source)) == source


@pytest.mark.parametrize("text", ["occ/a.env#KEY:nothing", "occ/a.env", "secret-undeclared since 2026-08-01"])
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(ValueError, match=r"must name|no part"):
        SecretSource.parse(text)


@given(json_values)
def test_a_config_value_is_what_its_json_says(value: Any) -> None:
    assert decoded(json.dumps(value)) == (value if isinstance(value, dict | list) else json.dumps(value))
    assert decoded(value) == value or isinstance(value, str)


@pytest.mark.parametrize("text", ["{not json", "[", "plain", "", "12"])
def test_a_text_that_only_begins_as_json_is_a_text(text: str) -> None:
    assert decoded(text) == text
