"""A machine's metadata: changed in place, without a new version and without a lease."""

from typing import Any

from sandbox.api.calls import Answer, Call, Route
from sandbox.api.machines import MACHINE
from sandbox.refusal import bad_request, failed_precondition, not_found
from sandbox.state import Machine

_PATH = f"{MACHINE}/metadata"


def _of(machine: Machine) -> dict[str, Any]:
    metadata = machine.config.get("metadata")
    if metadata is None:
        metadata = machine.config["metadata"] = {}
    return metadata


async def show_all(call: Call) -> Answer:
    return Answer(200, call.machine().config.get("metadata") or {})


async def show(call: Call) -> Answer:
    value = (call.machine().config.get("metadata") or {}).get(call.path("key"))
    if value is None:
        raise not_found("metadata key not found")
    return Answer(200, {"value": value})


async def set_one(call: Call) -> Answer:
    value = call.body().get("value")
    if not isinstance(value, str):
        raise bad_request("invalid_argument: value must be a string")
    machine = call.machine()
    _of(machine)[call.path("key")] = value
    await call.plant.lifecycle.changed(machine)
    return Answer(204)


async def delete_one(call: Call) -> Answer:
    machine = call.machine()
    _of(machine).pop(call.path("key"), None)
    await call.plant.lifecycle.changed(machine)
    return Answer(204)


async def merge(call: Call) -> Answer:
    return await _write(call, replace=False)


async def replace(call: Call) -> Answer:
    return await _write(call, replace=True)


async def _write(call: Call, replace: bool) -> Answer:
    """null or an empty string removes a key; a stale `machine_version` is refused with 412."""
    machine, body = call.machine(), call.body()
    wanted = body.get("metadata")
    if not isinstance(wanted, dict) or not all(v is None or isinstance(v, str) for v in wanted.values()):
        raise bad_request("invalid_argument: metadata must map names to strings or null")
    version = body.get("machine_version")
    if version and version != machine.instance_id:
        raise failed_precondition(f"machine_version {version} is not the latest, {machine.instance_id} is")
    metadata = _of(machine)
    if replace:
        metadata.clear()
    for key, value in wanted.items():
        if value:
            metadata[key] = value
        else:
            metadata.pop(key, None)
    await call.plant.lifecycle.changed(machine)
    return Answer(204)


ROUTES = (
    Route("GET", _PATH, show_all, "metadata_get"),
    Route("PATCH", _PATH, merge, "metadata_update"),
    Route("PUT", _PATH, replace, "metadata_update"),
    Route("GET", f"{_PATH}/{{key}}", show, "metadata_get"),
    Route("POST", f"{_PATH}/{{key}}", set_one, "metadata_set"),
    Route("DELETE", f"{_PATH}/{{key}}", delete_one, "metadata_delete"),
)
