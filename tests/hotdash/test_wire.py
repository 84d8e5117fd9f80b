"""Fly's JSON to values and back: its spellings, its gaps, and a config of which only the declared parts change."""

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.drift import DeclaredGroup, Kind, group_drift
from hotdash.fly import wire
from hotdash.fly.model import Guest, HttpCheck
from tests.hotdash.strategies import (
    NOW,
    SECRET,
    config_json,
    filled,
    guests,
    http_checks,
    machine_json,
    milliseconds,
    ports,
    rfc3339,
    ulid,
    without_nulls,
)

CONFIGS = frozenset(
    {Kind.MACHINE_MEMORY, Kind.MACHINE_CPUS, Kind.CHECK_PATH, Kind.CHECK_SETTINGS, Kind.IMAGE}
)


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15), ("1m30s", 90), ("1h2m3s", 3723), ("1.5s", 1.5), ("500ms", 0.5), ("250us", 0.00025),
        ("250µs", 0.00025), ("5ns", 5e-9), ("1h0m0.5s", 3600.5), ("0", 0), ("", 0), ("0s", 0),
        (15_000_000_000, 15), (0, 0), (1_500_000_000.0, 1.5),
    ],
)  # fmt: skip
def test_durations_as_go_writes_them(text: object, seconds: float) -> None:
    assert wire.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["5", "s", "5 s", "-5s", "5x", "1m 30s", "5sx", "x5s", True, None, [], "ms", "1.s"]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        wire.parse_duration(text)


@given(milliseconds)
def test_a_duration_is_read_as_it_is_written(ms: int) -> None:
    assert wire.parse_duration(wire.render_duration(ms / 1000)) == ms / 1000
    assert wire.render_duration(ms / 1000).endswith("s")


@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["h", "m", "s", "ms"])), min_size=1, max_size=4)
)
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert wire.parse_duration(text) == pytest.approx(sum(number * units[unit] for number, unit in parts))


# Times


@given(st.datetimes(datetime(2015, 1, 1), datetime(2090, 1, 1)))
def test_a_time_is_the_same_from_text_and_from_milliseconds(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    assert wire.parse_time(rfc3339(moment)) == moment
    assert wire.parse_time(f"{naive.isoformat(timespec='microseconds')}999Z") == moment  # Go's nanoseconds
    east = moment.astimezone(tz=None) if naive.year < 2037 else moment
    assert wire.parse_time(east.isoformat()) == moment
    whole = moment.replace(microsecond=naive.microsecond // 1000 * 1000)
    assert wire.parse_time(round(whole.timestamp() * 1000)) == whole
    assert wire.ulid_time(ulid(whole)) == whole


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        0,
        -1,
        True,
        "soon",
        "0001-01-01T00:00:00Z",
        [],
        {},
        10**20,
        10**15,
        float("inf"),
        float("nan"),
    ],
)
def test_what_is_no_time(value: object) -> None:
    assert wire.parse_time(value) is None


@given(st.text(max_size=30) | st.integers() | st.floats() | st.none())
def test_any_value_is_a_time_or_none(value: object) -> None:
    found = wire.parse_time(value)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "U" * 26, "0" * 25 + "-", "Z" * 26])
def test_what_is_no_ulid_or_of_no_time(text: str) -> None:
    assert wire.ulid_time(text) is None


# Machines


def minimal(**fields: Any) -> dict[str, Any]:
    return {"id": "m1", "config": {}, **fields}


def service(*checks: dict[str, Any], port: int = 3000, **fields: Any) -> dict[str, Any]:
    return {"internal_port": port, "checks": list(checks), **fields}


@given(machine_json())
def test_missing_null_and_empty_are_the_same(body: dict[str, Any]) -> None:
    lists = ("services", "checks", "events", "standbys", "headers")
    machine = wire.machine(body)
    bare = wire.machine(without_nulls(body))
    full = wire.machine(filled(body, {name: [] for name in lists}))
    for other in (bare, full):
        assert {**vars(other), "config": None} == {**vars(machine), "config": None}


def test_a_version_dates_from_its_ulid_and_not_from_the_last_change_of_state() -> None:
    made, changed = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    stamped = minimal(instance_id=ulid(made), updated_at=rfc3339(changed), created_at=rfc3339(made))
    assert wire.machine(stamped).version_at == made
    assert wire.machine({**stamped, "instance_id": "no ulid"}).version_at == changed
    # Before the machine was: then it is no date.
    assert wire.machine({**stamped, "instance_id": ulid(made - timedelta(days=1))}).version_at == changed


@pytest.mark.parametrize(
    ("metadata", "group"),
    [({"fly_process_group": "web"}, "web"), ({"process_group": "old"}, "old"), ({}, "app"), (None, "app")],
)
def test_the_group_of_a_machine(metadata: Any, group: str) -> None:
    assert wire.machine(minimal(config={"metadata": metadata})).group == group


def test_checks_of_services_become_http_checks() -> None:
    check = {"type": "http", "path": "/api", "interval": "30s", "timeout": 5_000_000_000, "method": "GET"}
    config = {
        "services": [service(check, {"type": "tcp"}), service({"type": "http", "port": 9090}, port=8080)]
    }
    machine = wire.machine(minimal(config={**config, "checks": {"alive": {"type": "tcp", "port": 1}}}))
    assert machine.checks == (
        HttpCheck("/api", 3000, "get", 30.0, 5.0, 0.0),
        HttpCheck("/", 9090, "get", 15.0, 10.0, 0.0),
    )
    assert machine.expected_results == 4


def test_results_that_fly_puts_in_by_itself_do_not_count() -> None:
    checks = [{"name": "bg_deployments_compat_x", "status": "critical"}, {"name": "a", "status": "passing"}]
    config = {"services": [service({"type": "http"})]}
    machine = wire.machine(minimal(checks=checks, config=config))
    assert [result.name for result in machine.results] == ["a"]
    assert machine.passing


def test_no_results_pass_only_where_none_are_expected() -> None:
    assert wire.machine(minimal()).passing
    assert not wire.machine(minimal(config={"services": [service({"type": "http"})]})).passing


@pytest.mark.parametrize(
    ("autostop", "stops"), [(True, True), ("stop", True), ("suspend", True), (False, False), ("off", False)]
)
def test_autostop_as_it_reads_back(autostop: Any, stops: bool) -> None:
    assert wire.machine(minimal(config={"services": [service(autostop=autostop)]})).autostop is stops


def test_exits_are_read_from_events() -> None:
    stamp = int(NOW.timestamp() * 1000)
    events = [
        {
            "type": "exit",
            "timestamp": stamp,
            "request": {"exit_event": {"exit_code": 137, "oom_killed": True}},
        },
        {
            "type": "exit",
            "timestamp": stamp,
            "request": {"exit_event": {"guest_exit_code": 2, "requested_stop": True}},
        },
        {"type": "start", "timestamp": stamp, "request": None},
        {"type": "exit", "timestamp": stamp, "request": None},
    ]
    found = wire.machine(minimal(events=events)).exits
    assert [(e.at, e.exit_code, e.oom_killed, e.requested) for e in found] == [
        (NOW, 137, True, False),
        (NOW, 2, False, True),
    ]


def test_what_a_check_was_answered_is_kept_without_credentials() -> None:
    checks = [
        {"name": "a", "status": "critical", "output": f"<p>connect postgres://u:{SECRET}@h/d failed</p>"}
    ]
    [result] = wire.machine(minimal(checks=checks)).results
    assert result.output == "connect postgres://…@h/d failed"


def test_a_host_that_does_not_answer_makes_a_machine_that_is_not_known() -> None:
    body = {"id": "m1", "config": None, "incomplete_config": {"metadata": {"fly_process_group": "web"}}}
    machine = wire.machine({**body, "host_status": "unreachable"})
    assert machine.group == "web"
    assert not machine.known
    assert wire.machine(minimal()).known


def test_secrets_and_leases() -> None:
    listed = wire.secrets(
        {"secrets": [{"name": "A", "digest": "d1", "created_at": rfc3339(NOW)}, {"name": "B"}]}
    )
    assert [(s.name, s.digest, s.updated_at) for s in listed] == [("A", "d1", NOW), ("B", "", None)]
    assert wire.secrets_written({"version": 5}).version == 5
    assert wire.secrets_written({"Version": 6}).version == 6
    assert wire.secrets_written({}).version is None
    # As clients see it, and as the specification has it.
    for body in (
        {"data": {"nonce": "n", "version": "v", "expires_at": 5}},
        {"nonce": "n", "version": "v", "expires_at": 5},
    ):
        lease = wire.lease(body)
        assert (lease.nonce, lease.version, lease.expires_at) == ("n", "v", 5.0)


# Changing a config


def port_of(check: dict[str, Any], service: dict[str, Any]) -> int:
    return int(check.get("port") or service["internal_port"])


def undeclared(config: dict[str, Any], port: int) -> dict[str, Any]:
    """A config without what can be declared: size, image, the http checks of the port, the rollout's mark."""
    rest = copy.deepcopy(config)
    rest.pop("image", None)
    for key in ("cpu_kind", "cpus", "memory_mb"):
        rest["guest"].pop(key)
    rest["metadata"].pop(wire.ROLLOUT_KEY, None)
    for there in rest.get("services") or ():
        if there.get("checks") is not None:
            there["checks"] = [c for c in there["checks"] if c["type"] != "http" or port_of(c, there) != port]
        if not there.get("checks"):
            there.pop("checks", None)
    return rest


@given(config_json(), http_checks, st.sampled_from([Guest("shared", 2, 4096), Guest("performance", 1, 2048)]))
def test_only_what_is_declared_changes(config: dict[str, Any], check: HttpCheck, guest: Guest) -> None:
    before = copy.deepcopy(config)
    changed = wire.with_changes(config, guest=guest, check=check, image="chatwoot:v6", rollout="r1")

    assert config == before  # the machine that was read stays as it was read
    assert undeclared(changed, check.port) == undeclared(before, check.port)
    assert changed["image"] == "chatwoot:v6"
    assert changed["metadata"][wire.ROLLOUT_KEY] == "r1"
    assert wire.with_changes(changed, guest=guest, check=check, image="chatwoot:v6", rollout="r1") == changed


@given(config_json())
def test_nothing_declared_changes_nothing(config: dict[str, Any]) -> None:
    assert wire.with_changes(config) == config


@given(config_json(serves=True), http_checks, guests, st.data())
def test_what_was_changed_is_no_drift_any_more(
    config: dict[str, Any], check: HttpCheck, guest: tuple[str, int, int], data: st.DataObject
) -> None:
    check = replace(check, port=data.draw(st.sampled_from(sorted(wire.checkable_ports(config)))))
    changed = wire.with_changes(config, guest=Guest(*guest), check=check, image="chatwoot:v6")
    machine = wire.machine({"id": "m1", "state": "started", "config": {**changed, "standbys": None}})
    declared = DeclaredGroup("web", 1, *guest, check, "chatwoot:v6")
    assert not CONFIGS & {item.kind for item in group_drift(declared, [machine], {}, now=NOW)}


@given(config_json(), ports)
def test_a_check_is_put_where_a_port_is_and_nowhere_else(config: dict[str, Any], port: int) -> None:
    changed = wire.with_changes(config, check=HttpCheck("/new", port))
    there = [
        check
        for service_ in changed.get("services") or ()
        for check in service_.get("checks") or ()
        if check["type"] == "http" and port_of(check, service_) == port
    ]
    assert len(there) == (1 if port in wire.checkable_ports(config) else 0)
    assert all(check["path"] == "/new" for check in there)


def test_a_check_keeps_its_place_and_what_cannot_be_declared() -> None:
    old = {
        "type": "http",
        "path": "/old",
        "protocol": "https",
        "tls_skip_verify": True,
        "headers": [{"name": "A"}],
    }
    first, last = {"type": "tcp", "port": 3000}, {"type": "http", "port": 9090, "path": "/metrics"}
    config = {"services": [service(first, old, last), service({"type": "http", "path": "/twice"})]}
    [one, two] = wire.with_changes(config, check=HttpCheck("/api", 3000))["services"]
    assert [one["checks"][0], one["checks"][2]] == [first, last]
    assert one["checks"][1]["path"] == "/api"
    assert (one["checks"][1]["protocol"], one["checks"][1]["tls_skip_verify"]) == ("https", True)
    assert "headers" not in one["checks"][1]
    assert two["checks"] == []


def test_headers_of_a_check_are_written_as_fly_has_them() -> None:
    check = HttpCheck("/api", 3000, headers=(("X-Forwarded-Proto", "https"),))
    config = wire.with_changes({"services": [{"internal_port": 3000}]}, check=check)
    assert config["services"][0]["checks"][0]["headers"] == [
        {"name": "X-Forwarded-Proto", "values": ["https"]}
    ]
    assert wire.machine(minimal(config=config)).checks[0].headers == check.headers
