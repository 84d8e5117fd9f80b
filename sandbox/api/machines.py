"""Machines: reading them, making and changing them, and waiting for them."""

import shlex

from sandbox import machine_config
from sandbox.api import leases
from sandbox.api.calls import Answer, Call, Route, flag_of, number_of, text_of
from sandbox.api.machine_view import wire
from sandbox.lifecycle import Order
from sandbox.refusal import bad_request, not_found
from sandbox.state import Machine
from sandbox.waiting import parse_states

MACHINES = "/v1/apps/{app}/machines"
MACHINE = MACHINES + "/{machine}"
_MOST_SECONDS_TO_WAIT = 60
_OK = {"ok": True}


async def list_all(call: Call) -> Answer:
    app, query = call.app(), call.query
    states = {s for s in query.get("state", "").split(",") if s}
    regions = {r for r in query.get("region", "").split(",") if r}
    metadata = [(k.removeprefix("metadata."), v) for k, v in query.multi_items() if k.startswith("metadata.")]
    deleted = call.flag("include_deleted") or "destroyed" in states

    def wanted(machine: Machine) -> bool:
        has = machine.config.get("metadata") or {}
        return (
            (deleted or machine.state != "destroyed")
            and (not states or machine.state in states)
            and (not regions or machine.region in regions)
            and all(has.get(key) == value for key, value in metadata)
        )

    lease, summary = call.flag("include_leases"), call.flag("summary")
    lifecycle = call.plant.lifecycle
    return Answer(
        200, [wire(lifecycle, m, lease=lease, summary=summary) for m in app.machines.values() if wanted(m)]
    )


async def create(call: Call) -> Answer:
    app, body = call.app(), call.body()
    ttl = number_of(body, "lease_ttl")
    machine = await call.plant.lifecycle.create(app, _order(call))
    answer = wire(call.plant.lifecycle, machine)
    if ttl:
        answer["nonce"] = leases.grant(machine, call.token.user, ttl).nonce
        await call.plant.lifecycle.changed(machine)
    return Answer(200, answer)


async def show(call: Call) -> Answer:
    return Answer(200, wire(call.plant.lifecycle, call.machine(), lease=call.flag("include_leases")))


async def update(call: Call) -> Answer:
    app, machine = call.app(), call.machine()
    leases.guard(call, machine)
    order = _order(call)
    if order.region and order.region != machine.region:
        raise bad_request("invalid_argument: region of a machine cannot be changed")
    if order.name and order.name != machine.name:
        raise bad_request("invalid_argument: name of a machine cannot be changed")
    await call.plant.lifecycle.update(app, machine, order)
    return Answer(200, wire(call.plant.lifecycle, machine))


def _order(call: Call) -> Order:
    body = call.body()
    return Order(
        config=machine_config.accept(body.get("config")),
        name=text_of(body, "name"),
        region=text_of(body, "region"),
        skip_launch=flag_of(body, "skip_launch"),
        skip_service_registration=flag_of(body, "skip_service_registration"),
        skip_secrets=flag_of(body, "skip_secrets"),
        min_secrets_version=number_of(body, "min_secrets_version"),
        current_version=text_of(body, "current_version"),
    )


async def destroy(call: Call) -> Answer:
    machine = call.machine()
    leases.guard(call, machine)
    await call.plant.lifecycle.destroy(machine, force=call.flag("force") or call.flag("kill"))
    return Answer(200, _OK)


async def start(call: Call) -> Answer:
    machine = call.machine()
    leases.guard(call, machine)
    previous = await call.plant.lifecycle.start(machine)
    return Answer(200, {"previous_state": previous, "migrated": False, "new_host": ""})


async def stop(call: Call) -> Answer:
    machine = call.machine()
    leases.guard(call, machine)
    body = call.body()
    signal = machine_config.signal_of(body["signal"]) if body.get("signal") else None
    timeout = machine_config.duration_seconds(body["timeout"]) if body.get("timeout") else None
    await call.plant.lifecycle.stop(machine, signal, timeout)
    return Answer(200, _OK)


async def suspend(call: Call) -> Answer:
    machine = call.machine()
    leases.guard(call, machine)
    await call.plant.lifecycle.stop(machine, None, None, suspend=True)
    return Answer(200, _OK)


async def restart(call: Call) -> Answer:
    machine = call.machine()
    leases.guard(call, machine)
    signal = machine_config.signal_of(s) if (s := call.query.get("signal")) else None
    timeout = None
    if asked := call.query.get("timeout"):
        timeout = float(asked) if asked.isdigit() else machine_config.duration_seconds(asked)
    if call.flag("force_stop"):
        signal, timeout = 9, 0.0
    await call.plant.lifecycle.restart(machine, signal, timeout)
    return Answer(200, _OK)


async def cordon(call: Call) -> Answer:
    machine = call.machine()
    leases.guard(call, machine)
    await call.plant.lifecycle.set_cordoned(machine, True)
    return Answer(200, _OK)


async def uncordon(call: Call) -> Answer:
    machine = call.machine()
    leases.guard(call, machine)
    await call.plant.lifecycle.set_cordoned(machine, False)
    return Answer(200, _OK)


async def signal(call: Call) -> Answer:
    number = machine_config.signal_of(call.body().get("signal"))
    await call.plant.lifecycle.signal(call.machine(), number)
    return Answer(200, _OK)


async def execute(call: Call) -> Answer:
    app, machine, body = call.app(), call.machine(), call.body()
    command = body.get("command") or shlex.split(text_of(body, "cmd") or "")
    if not command or not isinstance(command, list) or not all(isinstance(w, str) for w in command):
        raise bad_request("invalid_argument: command must be a list of words")
    timeout = float(number_of(body, "timeout") or 60)
    code, out, err = await call.plant.lifecycle.execute(app, machine, command, timeout)
    texts = {"stdout": out.decode(errors="replace"), "stderr": err.decode(errors="replace")}
    return Answer(200, {**texts, "exit_code": code, "exit_signal": -code if code < 0 else 0})


async def processes(call: Call) -> Answer:
    machine = call.machine()
    return Answer(200, call.plant.lifecycle.host.processes(machine.id) if machine.state == "started" else [])


async def events(call: Call) -> Answer:
    machine, asked = call.machine(), call.query.get("limit", "20")
    limit = min(int(asked), 50) if asked.isdigit() else 20
    return Answer(200, [event.wire() for event in machine.events[:limit]])


async def versions(call: Call) -> Answer:
    machine = call.machine()
    return Answer(200, [{"version": v.instance_id, "user_config": v.config} for v in machine.versions])


async def wait(call: Call) -> Answer:
    machine, query = call.machine(), call.query
    asked = query.get("timeout", str(_MOST_SECONDS_TO_WAIT)).removesuffix("s")
    if not asked.isdigit() or int(asked) > _MOST_SECONDS_TO_WAIT:
        raise bad_request(f"invalid_argument: timeout must be between 1 and {_MOST_SECONDS_TO_WAIT} seconds")
    state = await call.plant.lifecycle.waiters.wait(
        machine,
        parse_states(query.getlist("state")),
        query.get("version") or query.get("instance_id") or None,
        query.get("from_event_id") or None,
        max(int(asked), 1),
    )
    return Answer(200, {"ok": True, "state": state})


async def list_of_org(call: Call) -> Answer:
    """Every machine of an organisation, page by page."""
    org = call.path("org")
    if org not in call.world.orgs or org not in call.token.orgs:
        raise not_found("organization not found")
    machines = sorted(
        (m for a in call.world.apps.values() if a.org == org for m in a.active()), key=lambda m: m.id
    )
    asked, cursor = call.query.get("limit", "1000"), call.query.get("cursor", "")
    limit = min(int(asked), 1000) if asked.isdigit() and int(asked) else 1000
    page = [m for m in machines if m.id > cursor][:limit]
    more = bool(page) and page[-1] is not machines[-1]
    body = [{**wire(call.plant.lifecycle, m, summary=True), "app_name": m.app} for m in page]
    return Answer(200, {"machines": body, "next_cursor": page[-1].id if more else "", "error_regions": []})


ROUTES = (
    Route("GET", MACHINES, list_all, "machine_list"),
    Route("POST", MACHINES, create, "machine_create"),
    Route("GET", MACHINE, show, "machine_get"),
    Route("POST", MACHINE, update, "machine_update"),
    Route("DELETE", MACHINE, destroy, "machine_destroy"),
    Route("POST", f"{MACHINE}/start", start, "machine_start"),
    Route("POST", f"{MACHINE}/stop", stop, "machine_stop"),
    Route("POST", f"{MACHINE}/suspend", suspend, "machine_suspend"),
    Route("POST", f"{MACHINE}/restart", restart, "machine_restart"),
    Route("POST", f"{MACHINE}/cordon", cordon, "machine_cordon"),
    Route("POST", f"{MACHINE}/uncordon", uncordon, "machine_uncordon"),
    Route("POST", f"{MACHINE}/signal", signal, "machine_signal"),
    Route("POST", f"{MACHINE}/exec", execute, "machine_exec"),
    Route("GET", f"{MACHINE}/ps", processes, "machine_ps"),
    Route("GET", f"{MACHINE}/events", events, "machine_events"),
    Route("GET", f"{MACHINE}/versions", versions, "machine_versions"),
    Route("GET", f"{MACHINE}/wait", wait, "machine_wait"),
    Route("GET", "/v1/orgs/{org}/machines", list_of_org, "org_machines_list"),
)
