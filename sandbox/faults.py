"""Troubles that the API makes on purpose, by route and count: `hotdash sandbox fault`.

latency        answer `ms` later
NNN            answer with this status (400 to 599) and do nothing; 429 with `retry_after` seconds if given
reset-before   reset the connection, nothing was done
reset-after    do it, then reset the connection: the caller cannot know
lease          somebody else takes the machine's lease for `ttl` seconds just before the call is handled

A fault lets the first `skip` matching calls pass, then strikes `count` times (None: until removed). `route` is `*`, a
method, a template (`/v1/apps/{app}/secrets`), its end (`secrets`), or a method and one of these."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.refusal import Refusal, bad_request
from sandbox.state import Fault

NAMED_KINDS = ("latency", "reset-before", "reset-after", "lease")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_TEXTS = {
    429: "rate limit exceeded",
    500: "internal server error",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
}


@dataclass(frozen=True)
class Strike:
    """What the faults do to one call: wait `ms`, then perhaps `fault`. `spent`: the world's faults changed."""

    ms: int = 0
    fault: Fault | None = None
    spent: bool = False


def matches(route: str, method: str, template: str) -> bool:
    """Whether a fault's route means this operation."""
    words = route.split()
    if words and words[0].upper() in _METHODS:
        if words[0].upper() != method:
            return False
        words = words[1:]
    rest = words[0] if words else "*"
    return rest == "*" or rest == template or (not rest.startswith("/") and template.endswith("/" + rest))


def strike(faults: list[Fault], method: str, template: str) -> Strike:
    """Find what strikes this call, and count it: every latency, and the first of the others."""
    ms, chosen, spent = 0, None, False
    for fault in list(faults):
        if (fault.kind != "latency" and chosen is not None) or not matches(fault.route, method, template):
            continue
        if fault.skip > 0:
            fault.skip -= 1
            spent = True
            continue
        if fault.kind == "latency":
            ms += fault.ms
        else:
            chosen = fault
        if fault.count is not None:
            fault.count -= 1
            spent = True
            if fault.count <= 0:
                faults.remove(fault)
    return Strike(ms, chosen, spent)


def refusal(fault: Fault) -> Refusal | None:
    """The answer of a fault that is a status."""
    if not fault.kind.isdigit():
        return None
    status = int(fault.kind)
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    return Refusal(status, _TEXTS.get(status, f"status {status} by a fault of the sandbox"), headers=headers)


def from_body(body: Mapping[str, Any], routes: Iterable[tuple[str, str]]) -> Fault:
    """A fault as posted to the admin door. Refusal 400 for an unknown kind, a bad number or a route that means
    no operation."""
    kind, route = str(body.get("kind", "")), body.get("route", "*")
    if kind not in NAMED_KINDS and not (kind.isdigit() and 400 <= int(kind) <= 599):
        raise bad_request(f"kind must be one of {', '.join(NAMED_KINDS)} or a status from 400 to 599")
    if not isinstance(route, str) or not any(matches(route, method, template) for method, template in routes):
        raise bad_request(
            f"route {route!r} means no operation of the API; use `*` or one of GET /sandbox/routes"
        )
    fault = Fault(id=secrets.token_hex(4), route=route, kind=kind)
    fault.count = _number(body, "count", 1, allow_none=True)
    fault.skip = _number(body, "skip", 0) or 0
    fault.ms = _number(body, "ms", 50 if kind == "latency" else 0) or 0
    fault.ttl = float(body.get("ttl") or fault.ttl)
    fault.owner = str(body.get("owner") or fault.owner)
    if body.get("retry_after") is not None:
        fault.retry_after = float(body["retry_after"])
    return fault


def _number(body: Mapping[str, Any], name: str, default: int, allow_none: bool = False) -> int | None:
    value = body.get(name, default)
    if value is None and allow_none:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise bad_request(f"{name} must be a number, not negative")
    return value
