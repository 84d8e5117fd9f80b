"""Machines as Fly's JSON tells them, with everything that it may leave out, send as null or spell in two ways; and
groups as a stack file may declare them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from hotdash.drift import DeclaredGroup
from hotdash.fly.model import HttpCheck

SECRET = "s3cr3t-Value"
NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
STATES = (
    *("created", "started", "stopped", "suspended", "failed", "launch_failed", "destroyed"),
    *("starting", "stopping", "restarting", "replacing", "destroying", "replaced", "migrated"),
)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

seconds_ago = st.integers(0, 3 * 3600)
times = seconds_ago.map(lambda seconds: NOW - timedelta(seconds=seconds))
milliseconds = st.integers(0, 300_000)
ports = st.sampled_from([3000, 8080])
paths = st.sampled_from(["/api", "/hc", "/health"])
headers = st.dictionaries(
    st.sampled_from(["Host", "X-Forwarded-Proto"]), st.sampled_from(["https", "a b", ""])
)
machine_ids = st.text("0123456789abcdef", min_size=6, max_size=6)


def ulid(moment: datetime) -> str:
    """A ULID made at this time, as a machine's instance id is one."""
    number, digits = round(moment.timestamp() * 1000), ""
    for _ in range(10):
        number, digit = divmod(number, 32)
        digits = _CROCKFORD[digit] + digits
    return digits + "0" * 16


def duration(ms: int) -> st.SearchStrategy[Any]:
    """The spellings of a duration that Fly gives and takes."""
    whole = [f"{ms}ms", ms * 1_000_000, f"{ms / 1000:.3f}s"]
    return st.sampled_from([*whole, f"{ms // 60_000}m{ms % 60_000}ms"])


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def sparse(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object of which any key may be missing or null."""
    return st.fixed_dictionaries({}, optional={name: value | st.none() for name, value in fields.items()})


guests = st.sampled_from(
    [("shared", 1, 256), ("shared", 1, 2048), ("shared", 2, 2048), ("performance", 1, 2048)]
)


@st.composite
def check_json(draw: st.DrawFn) -> dict[str, Any]:
    check = draw(
        sparse(
            port=ports,
            path=paths,
            method=st.sampled_from(["get", "GET", "head"]),
            interval=milliseconds.flatmap(duration),
            timeout=milliseconds.flatmap(duration),
            grace_period=milliseconds.flatmap(duration),
            protocol=st.just("https"),
            tls_skip_verify=st.booleans(),
            headers=headers.map(lambda h: [{"name": name, "values": [value]} for name, value in h.items()]),
        )
    )
    return {"type": draw(st.sampled_from(["http", "http", "tcp"])), **check}


services = st.fixed_dictionaries(
    {"internal_port": ports, "protocol": st.just("tcp")},
    optional={
        "checks": st.lists(check_json(), max_size=3) | st.none(),
        "autostop": st.sampled_from([True, False, "stop", "suspend", "off"]),
        "force_instance_key": st.none(),
    },
)


@st.composite
def config_json(draw: st.DrawFn, group: str = "web", serves: bool = False) -> dict[str, Any]:
    kind, cpus, memory = draw(guests)
    guest = {"cpu_kind": kind, "cpus": cpus, "memory_mb": memory, "kernel_args": ["quiet"]}
    config = draw(
        sparse(
            services=st.lists(services, max_size=2),
            checks=st.just({"alive": {"type": "tcp", "port": 3000}}),
            env=st.just({"DATABASE_URL": SECRET}),
            init=st.just({"cmd": ["run", SECRET]}),
            files=st.just([{"guest_path": "/a", "raw_value": SECRET}]),
            processes=st.just([{"env": {"A": SECRET}}]),
            mounts=st.just([{"volume": "vol_1", "path": "/data"}]),
            restart=st.just({"policy": "always"}),
            standbys=st.lists(machine_ids, max_size=1),
        )
    )
    if serves:
        config["services"] = draw(st.lists(services, min_size=1, max_size=2))
    metadata = {"fly_process_group": group, "fly_platform_version": "v2"}
    return {
        "image": draw(st.sampled_from(["chatwoot:v4", "chatwoot:v5"])),
        "guest": guest,
        "metadata": metadata,
        **config,
    }


results = sparse(
    name=st.sampled_from(["servicecheck-00-http-3000", "servicecheck-01-http-8080", "bg_deployments_compat"]),
    status=st.sampled_from(["passing", "warning", "critical"]),
    output=st.sampled_from(["", "ok", f"postgres://u:{SECRET}@h/d is away", "<h1>500</h1>"]),
    updated_at=times.map(rfc3339),
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    exit_event = draw(
        sparse(
            exit_code=st.sampled_from([0, 1, 137]),
            oom_killed=st.booleans(),
            requested_stop=st.booleans(),
            exited_at=times.map(rfc3339),
        )
    )
    stamp = draw(times.map(lambda moment: int(moment.timestamp() * 1000)) | st.none())
    kind = draw(st.sampled_from(["exit", "exit", "start"]))
    return {
        "type": kind,
        "timestamp": stamp,
        "request": draw(st.sampled_from([{"exit_event": exit_event}, {}, None])),
    }


@st.composite
def machine_json(draw: st.DrawFn, group: str = "web") -> dict[str, Any]:
    """A machine. Its version is of its instance id; the host of one in ten or so does not answer."""
    machine = draw(
        sparse(
            name=st.just("old-fire-1"),
            region=st.just("fra"),
            updated_at=times.map(rfc3339),
            checks=st.lists(results, max_size=3),
            events=st.lists(events(), max_size=3),
            host_status=st.sampled_from(["ok", "ok", "ok", "unreachable", "unknown"]),
            lease=st.just({"owner": "somebody"}),
        )
    )
    config = draw(config_json(group))
    away = machine.get("host_status") in ("unreachable", "unknown")
    shown = (
        {"config": None, "incomplete_config": {"metadata": config["metadata"]}}
        if away
        else {"config": config}
    )
    instance_id = draw(times.map(ulid))
    return {
        "id": draw(machine_ids),
        "state": draw(st.sampled_from(STATES)),
        "instance_id": instance_id,
        **machine,
        **shown,
    }


http_checks = st.builds(
    HttpCheck,
    path=paths,
    port=ports,
    method=st.sampled_from(["get", "head"]),
    interval=milliseconds.map(lambda ms: ms / 1000),
    timeout=milliseconds.map(lambda ms: ms / 1000),
    grace_period=milliseconds.map(lambda ms: ms / 1000),
    headers=headers.map(lambda h: tuple(sorted(h.items()))),
)


@st.composite
def declared_groups(draw: st.DrawFn, name: str = "web") -> DeclaredGroup:
    kind, cpus, memory = draw(guests)
    return DeclaredGroup(
        name=name,
        count=draw(st.none() | st.integers(0, 4)),
        cpu_kind=draw(st.none() | st.just(kind)),
        cpus=draw(st.none() | st.just(cpus)),
        memory_mb=draw(st.none() | st.just(memory)),
        check=draw(st.none() | http_checks),
        image=draw(st.none() | st.sampled_from(["chatwoot:v4", "chatwoot:v5"])),
    )


def filled(value: Any, empty: Mapping[str, Any]) -> Any:
    """The JSON with every null of these names replaced by its empty value."""
    if isinstance(value, list):
        return [filled(item, empty) for item in value]
    if isinstance(value, dict):
        return {k: filled(empty.get(k) if v is None and k in empty else v, empty) for k, v in value.items()}
    return value


def without_nulls(value: Any) -> Any:
    """The JSON with every key that is null left out."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return value
