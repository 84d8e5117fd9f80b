"""Fly's JSON to values and back. What Fly may leave out, send as null or spell in two ways is settled here."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hotdash.fly.model import (
    App,
    CheckResult,
    Exit,
    Guest,
    HttpCheck,
    Lease,
    LeaseHolder,
    Machine,
    Secret,
    SecretsWritten,
    TokenScope,
)
from hotdash.said import shown

ROLLOUT_KEY = "hotdash_rollout"
"""Machine metadata: the id of the rollout that made this version; a write whose answer was lost is known by it."""
_NANOSECONDS = {"h": 3.6e12, "m": 6e10, "s": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "ns": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")
_CROCKFORD = {c: i for i, c in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_SERVICE_DEFAULT_METHOD = "get"


def parse_duration(value: object) -> float:
    """Seconds from a Go duration ("1m30s") or from an integer of nanoseconds, as Fly takes both.

    Raises:
        ValueError: neither of the two.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a duration")
    if isinstance(value, int | float):
        return float(value) / 1e9
    if isinstance(value, str):
        if value in ("", "0"):
            return 0.0
        parts = _DURATION.findall(value)
        if parts and "".join(n + u for n, u in parts) == value:
            return sum(float(number) * _NANOSECONDS[unit] for number, unit in parts) / 1e9
    raise ValueError(f"{value!r} is not a duration such as 15s or 1m30s")


def render_duration(seconds: float) -> str:
    """A Go duration: whole seconds as `15s`, anything finer in milliseconds."""
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"


def parse_time(value: object) -> datetime | None:
    """A time from RFC 3339 text or from milliseconds since 1970; None where there is none."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return datetime.fromtimestamp(value / 1000, UTC)
        # The zero of Go's time is no time.
        if isinstance(value, str) and value and not value.startswith("0001-"):
            parsed = datetime.fromisoformat(value)
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (OSError, OverflowError, ValueError):
        return None
    return None


def ulid_time(text: str) -> datetime | None:
    """The time in a ULID. A machine's instance id is one, new with each version: so it dates the version."""
    if len(text) != 26 or any(c not in _CROCKFORD for c in text):
        return None
    milliseconds = 0
    for character in text[:10]:
        milliseconds = milliseconds * 32 + _CROCKFORD[character]
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def app(body: Mapping[str, Any]) -> App:
    organization = body.get("organization") or {}
    return App(str(body["name"]), str(organization.get("slug", "")), str(body.get("status", "")))


def token_scopes(body: Mapping[str, Any]) -> tuple[TokenScope, ...]:
    return tuple(
        TokenScope(
            str(item.get("org_slug") or ""),
            tuple(
                str(app.get("name") if isinstance(app, Mapping) else app) for app in item.get("apps") or ()
            ),
            str(item.get("user") or ""),
            str(item.get("restricted_to_machine") or ""),
            # Not documented: shown where it is there.
            str(item.get("expires_at") or item.get("expiry") or ""),
        )
        for item in body["tokens"] or ()
    )


def secret(body: Mapping[str, Any]) -> Secret:
    return Secret(
        str(body["name"]),
        str(body.get("digest") or ""),
        parse_time(body.get("updated_at") or body.get("created_at")),
    )


def secrets(body: Mapping[str, Any]) -> tuple[Secret, ...]:
    return tuple(secret(item) for item in body.get("secrets") or ())


def secrets_written(body: Mapping[str, Any]) -> SecretsWritten:
    version = body.get("Version") if body.get("version") is None else body["version"]
    return SecretsWritten(None if version is None else int(version), secrets(body))


def lease(body: Mapping[str, Any]) -> Lease:
    data = body.get("data") or body
    return Lease(str(data["nonce"]), str(data.get("version") or ""), float(data.get("expires_at") or 0))


def lease_holder(body: Mapping[str, Any]) -> LeaseHolder:
    data = body.get("data") or body
    until = data["expires_at"]
    # Seconds since 1970 here, text beside a machine.
    moment = parse_time(until * 1000) if isinstance(until, int | float) else parse_time(until)
    return LeaseHolder(str(data.get("owner") or ""), str(data.get("description") or ""), moment)


def machines(body: Iterable[Mapping[str, Any]] | None) -> tuple[Machine, ...]:
    return tuple(machine(item) for item in body or ())


def machine(body: Mapping[str, Any]) -> Machine:
    config: Mapping[str, Any] = body.get("config") or body.get("incomplete_config") or {}
    metadata = config.get("metadata") or {}
    instance_id = str(body.get("instance_id") or "")
    updated_at = parse_time(body.get("updated_at"))
    configured = [c for service in config.get("services") or () for c in service.get("checks") or ()]
    return Machine(
        id=str(body["id"]),
        name=str(body.get("name") or ""),
        group=str(metadata.get("fly_process_group") or metadata.get("process_group") or "app"),
        state=str(body.get("state") or "unknown"),
        region=str(body.get("region") or ""),
        instance_id=instance_id,
        version_at=_version_time(instance_id, parse_time(body.get("created_at")), updated_at),
        updated_at=updated_at,
        image=str(config.get("image") or ""),
        guest=_guest(config.get("guest") or {}),
        checks=tuple(_http_checks(config)),
        results=tuple(_results(body.get("checks") or ())),
        expected_results=len(configured) + len(config.get("checks") or {}),
        exits=tuple(_exits(body.get("events") or ())),
        standby=bool(config.get("standbys")),
        autostop=any(s.get("autostop") in (True, "stop", "suspend") for s in config.get("services") or ()),
        host_status=str(body.get("host_status") or "ok"),
        config=config,
    )


def _version_time(
    instance_id: str, created_at: datetime | None, updated_at: datetime | None
) -> datetime | None:
    made = ulid_time(instance_id)
    if made is None or (created_at and made < created_at.replace(microsecond=0)):
        return updated_at
    return made


def _guest(body: Mapping[str, Any]) -> Guest:
    return Guest(
        str(body.get("cpu_kind") or "shared"), int(body.get("cpus") or 1), int(body.get("memory_mb") or 256)
    )


def _http_checks(config: Mapping[str, Any]) -> Iterable[HttpCheck]:
    for service in config.get("services") or ():
        for check in service.get("checks") or ():
            if check.get("type") == "http":
                yield HttpCheck(
                    path=str(check.get("path") or "/"),
                    port=_port(check, service),
                    method=str(check.get("method") or _SERVICE_DEFAULT_METHOD).lower(),
                    interval=parse_duration(check.get("interval") or "15s"),
                    timeout=parse_duration(check.get("timeout") or "10s"),
                    grace_period=parse_duration(check.get("grace_period") or "0s"),
                    headers=tuple(
                        sorted(
                            (str(h["name"]), ", ".join(h.get("values") or ()))
                            for h in check.get("headers") or ()
                        )
                    ),
                )


def _results(body: Iterable[Mapping[str, Any]]) -> Iterable[CheckResult]:
    for item in body:
        name = str(item.get("name") or "")
        if not name.startswith("bg_deployments_compat"):  # put in by Fly's proxy; nobody configured it
            yield CheckResult(
                name,
                str(item.get("status") or "critical"),
                shown(str(item.get("output") or "")),
                parse_time(item.get("updated_at")),
            )


def _exits(events: Iterable[Mapping[str, Any]]) -> Iterable[Exit]:
    for event in events:
        exit_event = (event.get("request") or {}).get("exit_event")
        if event.get("type") == "exit" and exit_event is not None:
            yield Exit(
                at=parse_time(event.get("timestamp")) or parse_time(exit_event.get("exited_at")),
                exit_code=int(exit_event.get("exit_code") or exit_event.get("guest_exit_code") or 0),
                oom_killed=bool(exit_event.get("oom_killed")),
                requested=bool(exit_event.get("requested_stop")),
                # -1 is none (fly-go's source).
                signal=max(0, int(exit_event.get("guest_signal") or 0), int(exit_event.get("signal") or 0)),
            )


def with_changes(
    config: Mapping[str, Any],
    *,
    guest: Guest | None = None,
    check: HttpCheck | None = None,
    image: str | None = None,
    rollout: str = "",
) -> dict[str, Any]:
    """A whole machine config with the declared parts put in and everything else left as it is.

    An update replaces the config whole, so what is not carried over is lost: mounts, env, other services.
    """
    changed = copy.deepcopy(dict(config))
    if guest is not None:
        changed["guest"] = {
            **(changed.get("guest") or {}),
            "cpu_kind": guest.cpu_kind,
            "cpus": guest.cpus,
            "memory_mb": guest.memory_mb,
        }
    if check is not None:
        _put_check(changed.get("services") or (), check)
    if image is not None:
        changed["image"] = image
    if rollout:
        changed["metadata"] = {**(changed.get("metadata") or {}), ROLLOUT_KEY: rollout}
    return changed


def _put_check(services: Sequence[dict[str, Any]], check: HttpCheck) -> None:
    """Make it the one http check of its port, in the place of the first that is there."""
    rendered = render_check(check)
    placed = False
    for service in services:
        kept = []
        for there in service.get("checks") or ():
            if there.get("type") != "http" or _port(there, service) != check.port:
                kept.append(there)
            elif not placed:
                placed = True
                # What cannot be declared stays: TLS, protocol. Headers can, so that none is none.
                kept.append({**{k: v for k, v in there.items() if k != "headers"}, **rendered})
        if service.get("checks"):
            service["checks"] = kept
    for service in services:
        if not placed and _port({}, service) == check.port:
            placed = True
            service["checks"] = [*(service.get("checks") or ()), rendered]


def checkable_ports(config: Mapping[str, Any]) -> set[int]:
    """The ports that `with_changes` can put a check on: those of services, and those that a check of theirs names."""
    return {
        _port(check, service)
        for service in config.get("services") or ()
        for check in ({}, *(service.get("checks") or ()))
    }


def _port(check: Mapping[str, Any], service: Mapping[str, Any]) -> int:
    return int(check.get("port") or service.get("internal_port") or 0)


def render_check(check: HttpCheck) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "http",
        "port": check.port,
        "method": check.method,
        "path": check.path,
        "interval": render_duration(check.interval),
        "timeout": render_duration(check.timeout),
        "grace_period": render_duration(check.grace_period),
    }
    if check.headers:
        body["headers"] = [{"name": name, "values": [value]} for name, value in check.headers]
    return body


def render_service(port: int) -> dict[str, Any]:
    """A public http service on 80 and 443, as Fly's own tool writes it for `[http_service]`."""
    return {
        "protocol": "tcp",
        "internal_port": port,
        "autostart": True,
        "autostop": False,
        "ports": [
            {"port": 80, "handlers": ["http"], "force_https": True},
            {"port": 443, "handlers": ["http", "tls"]},
        ],
        "checks": [],
    }
