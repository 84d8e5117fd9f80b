"""Leases: one caller's exclusive hold on a machine, proved by a nonce, ended by time."""

import time
from typing import Any

from sandbox import stamps
from sandbox.api.calls import Answer, Call, Route, number_of, text_of
from sandbox.refusal import Refusal, bad_request, conflict, not_found
from sandbox.state import Lease, Machine

DEFAULT_TTL_SECONDS = 30
_PATH = "/v1/apps/{app}/machines/{machine}/lease"


def held_by(machine: Machine, lease: Lease) -> Refusal:
    return conflict(
        f"machine ID {machine.id} lease currently held by {lease.owner}, "
        f"expires at {stamps.rfc3339_seconds(lease.expires_at)}"
    )


def guard(call: Call, machine: Machine) -> None:
    """Refuse with 409 a call that does not prove to hold the machine's lease.

    A nonce for a machine that nobody holds is refused too. Fly's answer to that is not documented; a client whose
    lease ran out must not go on as if it still held it, so the strict reading is the safer one to test against."""
    lease = machine.live_lease()
    if lease is not None and call.nonce != lease.nonce:
        raise held_by(machine, lease)
    if lease is None and call.nonce is not None:
        raise conflict(f"lease_not_found: no lease with this nonce is held on machine ID {machine.id}")


def grant(machine: Machine, owner: str, ttl: float, description: str = "") -> Lease:
    lease = Lease(stamps.nonce(), owner, description, time.time() + ttl, machine.instance_id)
    machine.lease = lease
    return lease


def envelope(lease: Lease) -> dict[str, Any]:
    return {
        "status": "success",
        "data": {
            "nonce": lease.nonce,
            "expires_at": int(lease.expires_at),
            "owner": lease.owner,
            "description": lease.description,
            "version": lease.version,
        },
    }


async def show(call: Call) -> Answer:
    lease = call.machine().live_lease()
    if lease is None:
        raise not_found("lease not found")
    return Answer(200, envelope(lease))


async def acquire(call: Call) -> Answer:
    """Take it, or with the nonce of the one that is held, make it last longer."""
    machine = call.machine()
    body = call.body()
    ttl = number_of(body, "ttl")
    if (asked := call.query.get("ttl")) is not None:
        if not asked.isdigit():
            raise bad_request("invalid_argument: ttl must be a number of seconds")
        ttl = int(asked)
    ttl = ttl or DEFAULT_TTL_SECONDS
    lease = machine.live_lease()
    if lease is None:
        lease = grant(machine, call.token.user, ttl, text_of(body, "description") or "")
    elif call.nonce == lease.nonce:
        lease.expires_at = time.time() + ttl
        lease.version = machine.instance_id
    else:
        raise held_by(machine, lease)
    await call.plant.lifecycle.changed(machine)
    return Answer(201, envelope(lease))


async def release(call: Call) -> Answer:
    machine = call.machine()
    lease = machine.live_lease()
    if lease is None:
        raise not_found("lease not found")
    if call.nonce != lease.nonce:
        raise bad_request("invalid_argument: lease nonce does not match")
    machine.lease = None
    await call.plant.lifecycle.changed(machine)
    return Answer(200, {"status": "success"})


ROUTES = (
    Route("GET", _PATH, show, "lease_get"),
    Route("POST", _PATH, acquire, "lease_acquire"),
    Route("DELETE", _PATH, release, "lease_release"),
)
