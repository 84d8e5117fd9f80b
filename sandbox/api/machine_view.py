"""A machine as the API shows it."""

from typing import Any

from sandbox.host import CheckResult
from sandbox.lifecycle import Lifecycle
from sandbox.machine_config import image_ref
from sandbox.stamps import rfc3339_seconds
from sandbox.state import Machine

EVENTS_SHOWN = 20


def wire(
    lifecycle: Lifecycle, machine: Machine, *, lease: bool = False, summary: bool = False
) -> dict[str, Any]:
    """The whole object; with `summary` without config, checks, events, host_status and nonce."""
    body: dict[str, Any] = {
        "id": machine.id,
        "name": machine.name,
        "state": machine.state,
        "region": machine.region,
        "image_ref": image_ref(machine.config["image"]),
        "instance_id": machine.instance_id,
        "version": machine.instance_id,
        "private_ip": machine.private_ip,
        "created_at": machine.created_at,
        "updated_at": machine.updated_at,
        "cordoned": machine.cordoned,
    }
    if not summary:
        body["config"] = machine.config
        body["events"] = [event.wire() for event in machine.events[:EVENTS_SHOWN]]
        body["checks"] = [_check(result) for result in lifecycle.results(machine)]
        body["host_status"] = "ok"
    if lease and (held := machine.live_lease()) is not None:
        body["lease"] = {
            "owner": held.owner,
            "expires_at": rfc3339_seconds(held.expires_at),
            "description": held.description,
        }
    return body


def _check(result: CheckResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "status": result.status,
        "output": result.output,
        "updated_at": result.updated_at,
    }
