"""The one comparison: nothing differs where nothing does, and what differs is called by its own name and no other."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.drift import (
    BOOT_ALLOWANCE,
    CLOCK_SLACK,
    STUCK,
    DeclaredGroup,
    DeclaredSecret,
    Drift,
    Kind,
    RecordedSecret,
    group_drift,
    in_group,
    live_since,
    secret_drift,
    shown_time,
    told,
)
from hotdash.fly import wire
from hotdash.fly.model import CheckResult, Exit, HttpCheck, Machine, Secret
from tests.hotdash.strategies import (
    NOW,
    STATES,
    declared_groups,
    http_checks,
    machine_json,
    seconds_ago,
    times,
)

BEFORE = NOW - timedelta(hours=1)
CHECK = HttpCheck("/api", 3000, interval=15.0, timeout=10.0, grace_period=60.0)
DECLARED = DeclaredGroup("web", 1, "shared", 1, 2048, CHECK, "chatwoot:v4")


def machine(**changes: Any) -> Machine:
    """A machine as DECLARED, well for an hour."""
    check = {
        "type": "http",
        "path": "/api",
        "interval": "15s",
        "timeout": "10s",
        "grace_period": "1m",
        "method": "get",
    }
    config = {
        "image": "chatwoot:v4",
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 2048},
        "metadata": {"fly_process_group": "web"},
        "services": [{"internal_port": 3000, "checks": [check]}],
    }
    body = {"id": "m1", "state": "started", "updated_at": BEFORE.isoformat(), "config": config}
    return replace(wire.machine(body), results=(result(),), **changes)


def result(status: str = "passing", since: datetime | None = BEFORE, output: str = "ok") -> CheckResult:
    return CheckResult("servicecheck-00-http-3000", status, output, since)


def killed(at: datetime | None) -> Exit:
    return Exit(at, 137, oom_killed=True, requested=False)


def found(there: Machine, declared: DeclaredGroup = DECLARED, **since: datetime) -> tuple[Drift, ...]:
    return group_drift(declared, [there], since, now=NOW)


def kinds(there: Machine, declared: DeclaredGroup = DECLARED, **since: datetime) -> list[Kind]:
    return [item.kind for item in found(there, declared, **since)]


def secret(name: str, digest: str = "d1", since: datetime | None = BEFORE) -> dict[str, Secret]:
    return {name: Secret(name, digest, since)}


def declared(name: str, print_: str = "f1") -> dict[str, DeclaredSecret]:
    return {name: DeclaredSecret(name, f"a.env#{name}", print_)}


def recorded(
    name: str, print_: str = "f1", digest: str = "d1", **dates: datetime | None
) -> dict[str, RecordedSecret]:
    return {name: RecordedSecret(print_, digest, dates.get("since", BEFORE), dates.get("dated"))}


# Secrets

names = st.sampled_from(["A", "B", "C", "D"])
prints = st.sampled_from(["f1", "f2"])
digests = st.sampled_from(["d1", "d2"])
declarations = st.dictionaries(names, prints).map(
    lambda d: {name: DeclaredSecret(name, f"a.env#{name}", print_) for name, print_ in d.items()}
)
records = st.dictionaries(names, st.builds(RecordedSecret, prints, digests | st.just(""), st.none() | times))
lives = st.dictionaries(names, st.tuples(digests, st.none() | times)).map(
    lambda d: {name: Secret(name, digest, since) for name, (digest, since) in d.items()}
)


@given(declarations, records, lives, st.sets(names), st.booleans())
def test_secrets_drift_where_and_only_where_something_differs(
    wanted: Mapping[str, DeclaredSecret],
    known: Mapping[str, RecordedSecret],
    there: Mapping[str, Secret],
    acknowledged: set[str],
    removes: bool,
) -> None:
    drift = secret_drift(wanted, known, there, acknowledged=acknowledged, remove_undeclared=removes)
    of = {name: {item.kind for item in drift if item.subject == name} for name in "ABCD"}
    for name in "ABCD":
        expected = set()
        if name in wanted and name not in there:
            expected = {Kind.SECRET_MISSING}
        elif name in wanted and name not in known:
            expected = {Kind.SECRET_CHANGED_IN_VAULT}
        elif name in wanted:
            if known[name].digest != there[name].digest:
                expected.add(Kind.SECRET_CHANGED_ON_FLY)
            if known[name].fingerprint != wanted[name].fingerprint:
                expected.add(Kind.SECRET_CHANGED_IN_VAULT)
        elif name in there and (removes or name not in acknowledged):
            expected = {Kind.SECRET_UNDECLARED}
        assert of[name] == expected
    assert [item.subject for item in drift] == sorted(
        item.subject for item in drift if item.kind is not Kind.SECRET_UNDECLARED
    ) + sorted(item.subject for item in drift if item.kind is Kind.SECRET_UNDECLARED)


def test_what_is_said_of_a_secret() -> None:
    [missing] = secret_drift(declared("A"), {}, {})
    assert told([missing]) == (
        "A: up sets it from vault a.env#A, then moves the machines\n  secret-missing          not on Fly"
    )
    [changed] = secret_drift(declared("A"), recorded("A"), secret("A", "d2", NOW))
    assert str(changed) == (
        "secret-changed-on-fly   digest d2, not d1 as the last up left it (since 2026-08-01 12:00:00Z)"
    )
    [left] = secret_drift({}, {}, secret("A"))
    [goes] = secret_drift({}, {}, secret("A"), remove_undeclared=True)
    assert "leaves it" in left.remedy
    assert "removes it" in goes.remedy


def test_since_when_a_secret_has_its_value() -> None:
    later = NOW - timedelta(minutes=1)
    # Never set from here, or set by somebody else since: as Fly says.
    assert live_since(["A"], {}, secret("A", "d1", later)) == {"A": later}
    assert live_since(["A"], recorded("A", since=BEFORE), secret("A", "d2", later)) == {"A": later}
    # Set again to the value that it had: since before that. Unless somebody has set it after us.
    same = recorded("A", since=BEFORE, dated=later)
    assert live_since(["A"], same, secret("A", "d1", later)) == {"A": BEFORE}
    assert live_since(["A"], same, secret("A", "d1", NOW)) == {"A": NOW}
    # Removed by an up; removed by hand; unknown.
    assert live_since(["A"], recorded("A", digest="", since=later), {}) == {"A": later}
    assert live_since(["A"], recorded("A"), {}) == {}
    assert live_since(["A", "B"], {}, secret("A", "d1", None)) == {}


# Machines


def test_what_is_as_declared_is_no_drift() -> None:
    assert found(machine(), A=BEFORE) == ()


@given(machine_json(), st.data())
def test_a_group_declared_as_it_is_has_no_drift_of_its_config(
    body: dict[str, Any], data: st.DataObject
) -> None:
    there = wire.machine({**body, "state": "started"})
    alone = [check for check in there.checks if [c.port for c in there.checks].count(check.port) == 1]
    as_it_is = DeclaredGroup(
        "web",
        len(in_group([there], "web")),
        there.guest.cpu_kind,
        there.guest.cpus,
        there.guest.memory_mb,
        data.draw(st.sampled_from(alone)) if alone else None,
        there.image,
    )
    assert set(kinds(there, as_it_is)) <= {Kind.UNHEALTHY}


@given(machine_json(), declared_groups())
def test_what_is_not_declared_is_right_as_it_is(body: dict[str, Any], wanted: DeclaredGroup) -> None:
    there = wire.machine(body)
    left_out = {
        "count": Kind.MACHINE_COUNT,
        "memory_mb": Kind.MACHINE_MEMORY,
        "image": Kind.IMAGE,
    }
    for name, kind in left_out.items():
        undeclared: dict[str, Any] = {name: None}
        assert kind not in kinds(there, replace(wanted, **undeclared))
    assert Kind.MACHINE_CPUS not in kinds(there, replace(wanted, cpus=None, cpu_kind=None))
    assert not {Kind.CHECK_PATH, Kind.CHECK_SETTINGS} & set(kinds(there, replace(wanted, check=None)))


@given(http_checks, http_checks)
def test_checks_drift_where_and_only_where_they_differ(there: HttpCheck, wanted: HttpCheck) -> None:
    drift = {item.kind for item in found(machine(checks=(there,)), replace(DECLARED, check=wanted))}
    elsewhere = there.port != wanted.port
    assert (Kind.CHECK_PATH in drift) == (elsewhere or there.path != wanted.path)
    assert (Kind.CHECK_SETTINGS in drift) == (not elsewhere and replace(there, path=wanted.path) != wanted)


@pytest.mark.parametrize(
    ("wanted", "kind", "said"),
    [
        ({"memory_mb": 1024}, Kind.MACHINE_MEMORY, "2048 MB, not 1024 MB"),
        ({"cpus": 2}, Kind.MACHINE_CPUS, "shared ×1, not shared ×2"),
        ({"cpu_kind": "performance"}, Kind.MACHINE_CPUS, "shared ×1, not performance ×1"),
        ({"image": "chatwoot:v5"}, Kind.IMAGE, "chatwoot:v4, not chatwoot:v5"),
        ({"check": replace(CHECK, path="/health")}, Kind.CHECK_PATH, "/api, not /health"),
        ({"check": replace(CHECK, port=8080)}, Kind.CHECK_PATH, "no http check, not /api"),
        ({"check": replace(CHECK, timeout=5.0)}, Kind.CHECK_SETTINGS, "timeout 10s, not timeout 5s"),
        (
            {"check": replace(CHECK, headers=(("A", "b"),))},
            Kind.CHECK_SETTINGS,
            "headers none, not headers A: b",
        ),
    ],
)
def test_one_difference_is_one_drift(wanted: dict[str, Any], kind: Kind, said: str) -> None:
    [item] = found(machine(), replace(DECLARED, **wanted))
    assert item.kind is kind
    assert said in str(item)
    assert (item.subject, item.machine, item.remedy) == ("web m1", "m1", "updates the machine")


def test_two_checks_of_one_port_are_one_too_many() -> None:
    assert kinds(machine(checks=(CHECK, CHECK))) == [Kind.CHECK_SETTINGS]
    both = (CHECK, replace(CHECK, path="/old"))
    [item] = found(machine(checks=both))
    assert (item.kind, item.was) == (Kind.CHECK_PATH, "/api and /old")


@pytest.mark.parametrize(
    ("count", "said"),
    [(3, "1 machine, not 3"), (0, "1 machine, not 0"), (2, "up makes 1 more"), (0, "up destroys 1")],
)
def test_a_count_is_the_groups_drift(count: int, said: str) -> None:
    [item] = found(machine(), replace(DECLARED, count=count))
    assert (item.kind, item.subject, item.machine) == (Kind.MACHINE_COUNT, "web", "")
    assert said in told([item])


def test_who_belongs_to_a_group() -> None:
    lent = machine(id="lent", group="fly_app_release_command")
    standby = machine(id="standby", standby=True)
    everyone = [
        machine(id="b"),
        lent,
        standby,
        *(machine(id=state, state=state) for state in STATES),
        machine(id="a"),
    ]
    own = [m.id for m in in_group(everyone, "web")]
    assert own == sorted({*STATES, "a", "b"} - {"destroyed", "destroying", "replaced", "migrated"})


# Secrets that are not live


@given(seconds_ago, seconds_ago, st.booleans())
def test_a_version_older_than_a_secrets_value_runs_without_it(made: int, staged: int, just: bool) -> None:
    version_at, since = NOW - timedelta(seconds=made), NOW - timedelta(seconds=staged)
    there = machine(version_at=version_at)
    just_staged = ["A"] if just else []
    drift = group_drift(DECLARED, [there], {"A": since}, just_staged=just_staged, now=NOW)
    slack = timedelta() if just else CLOCK_SLACK
    assert [item.kind for item in drift] == ([Kind.SECRET_NOT_LIVE] if version_at + slack < since else [])


def test_secrets_that_are_not_live_are_told_together_since_the_first() -> None:
    [item] = found(machine(), B=NOW, A=NOW - timedelta(minutes=5), OLD=BEFORE)
    assert (item.was, item.since) == ("A, B staged", NOW - timedelta(minutes=5))
    assert "a restart brings nothing in" in item.why
    assert found(machine(version_at=None), A=NOW) == ()


# States and health


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("autostop", [False, True])
def test_a_machine_that_does_not_run(state: str, autostop: bool) -> None:
    gone = state in ("destroyed", "destroying", "replaced", "migrated")
    rests = autostop and state in ("stopped", "suspended")
    down = state in ("created", "stopped", "suspended", "failed", "launch_failed")
    drift = found(machine(state=state, autostop=autostop, updated_at=NOW), replace(DECLARED, count=None))
    assert [item.kind for item in drift] == ([Kind.MACHINE_STATE] if down and not rests and not gone else [])
    for item in drift:
        starts = state in ("created", "stopped", "suspended")
        assert item.remedy == ("starts the machine" if starts else "updates the machine")
        assert item.was == state


@pytest.mark.parametrize("state", ["starting", "stopping", "replacing", "updating"])
def test_a_machine_that_is_on_its_way_for_long_is_stuck(state: str) -> None:
    assert kinds(machine(state=state, updated_at=NOW - STUCK)) == []
    assert kinds(machine(state=state, updated_at=NOW - STUCK - timedelta(seconds=1))) == [Kind.MACHINE_STATE]


@pytest.mark.parametrize(
    ("status", "minutes", "trouble"),
    [
        ("critical", 0, True),
        ("critical", 9, True),
        ("passing", 9, False),
        ("warning", 1, False),
        ("warning", 9, True),
    ],
)
def test_a_check_that_does_not_pass(status: str, minutes: int, trouble: bool) -> None:
    since = NOW - timedelta(minutes=minutes)
    there = replace(machine(), results=(result(status, since, "<h1>We're sorry</h1>"),))
    drift = found(there)
    assert [item.kind for item in drift] == ([Kind.UNHEALTHY] if trouble else [])
    for item in drift:
        assert str(item).endswith(
            f"servicecheck-00-http-3000 {status}, not passing (since {shown_time(since)}; We're sorry)"
        )


def test_a_machine_without_results_has_time_to_boot() -> None:
    young = replace(machine(), results=(), updated_at=NOW - BOOT_ALLOWANCE)
    assert kinds(young) == []
    old = replace(young, updated_at=NOW - BOOT_ALLOWANCE - timedelta(seconds=1))
    assert [item.was for item in found(old)] == ["no result of its checks"]
    assert kinds(replace(old, expected_results=0)) == []


def test_kills_for_memory_are_told_of_what_has_no_check_or_is_down() -> None:
    worker = replace(DECLARED, check=None)
    bare = replace(machine(), checks=(), results=(), expected_results=0, version_at=BEFORE)
    old = killed(BEFORE - timedelta(seconds=1))
    [item] = found(replace(bare, exits=(killed(NOW), killed(BEFORE), old)), worker)
    assert (item.kind, item.was) == (
        Kind.UNHEALTHY,
        "killed for want of memory 2 times, last 2026-08-01 12:00:00Z",
    )
    assert found(replace(bare, exits=(old,)), worker) == ()
    assert "once, last an unknown time" in found(replace(bare, exits=(killed(None),)), worker)[0].was
    stopped_too = replace(killed(NOW), requested=True)
    assert found(replace(bare, exits=(stopped_too,)), worker) == ()
    down = replace(bare, exits=(killed(NOW),), state="stopped")
    [item] = found(down, worker)
    assert (item.kind, item.why.startswith("killed")) == (Kind.MACHINE_STATE, True)


@given(machine_json(), declared_groups())
def test_of_a_machine_whose_host_is_away_no_more_is_said_than_that(
    body: dict[str, Any], wanted: DeclaredGroup
) -> None:
    there = wire.machine({**body, "state": "started", "host_status": "unreachable", "config": None})
    drift = group_drift(replace(wanted, name=there.group, count=None), [there], {"A": NOW}, now=NOW)
    if in_group([there], there.group):
        [item] = drift
        assert (item.kind, item.was, item.machine) == (Kind.UNHEALTHY, "its host is unreachable", "")
        assert item.remedy.startswith("leaves it")


# How it is told


def test_each_subject_is_told_once_with_each_remedy_once() -> None:
    there = machine(version_at=BEFORE)
    drift = found(there, replace(DECLARED, memory_mb=1024, image="chatwoot:v5", count=2))
    assert told(drift) == (
        "web: up makes 1 more\n"
        "  machine-count           1 machine, not 2\n"
        "web m1: up updates the machine\n"
        "  machine-memory          2048 MB, not 1024 MB (since 2026-08-01 11:00:00Z)\n"
        "  image                   chatwoot:v4, not chatwoot:v5 (since 2026-08-01 11:00:00Z)"
    )
    assert told([]) == ""


def test_an_update_that_starts_a_machine_is_told_as_an_update() -> None:
    stopped = machine(state="stopped")
    assert told(found(stopped)).startswith("web m1: up starts the machine\n")
    assert told(found(stopped, replace(DECLARED, memory_mb=1024))).startswith(
        "web m1: up updates the machine\n"
    )


def test_times_are_shown_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert shown_time(datetime(2026, 8, 1, 14, 0, tzinfo=east)) == "2026-08-01 12:00:00Z"
    assert shown_time(datetime(2026, 8, 1, 12, 0, tzinfo=UTC)) == "2026-08-01 12:00:00Z"
