"""The admin door under /sandbox: look inside, make faults, switch limits, break machines, begin anew.

Only what nobody could do through Fly's own API; everything else is done through that. Same token."""

import secrets
from dataclasses import asdict
from typing import Any

from sandbox import faults, migration_settings, releases
from sandbox.api import leases
from sandbox.api.calls import Answer, Call, Route
from sandbox.api.machine_view import wire
from sandbox.machine_config import ONE_OFF
from sandbox.refusal import bad_request, not_found
from sandbox.services.pgbouncer import MODES
from sandbox.state import DEFAULT_FOREIGN_OWNER, App, Machine, Organization, Token

POOL_SIZE = 15
"""Supavisor's default for a session pool (its tenants' pool_size)."""
MOST_POOLED = 150
"""Postgres here admits 200."""


async def status(call: Call) -> Answer:
    world = call.world
    return Answer(
        200,
        {
            "url": f"http://127.0.0.1:{call.plant.port}",
            "directory": str(call.plant.store.directory),
            "apps": [_app(call, app) for app in world.apps.values()],
            "faults": [asdict(fault) for fault in world.faults],
            "settings": asdict(world.settings),
            "pooler": _pooler(call),
            "requests": call.plant.requests.counts(),
        },
    )


def _app(call: Call, app: App) -> dict[str, Any]:
    return {
        "name": app.name,
        "org": app.org,
        "url": call.plant.url(app),
        "status": app.status(),
        "secrets": sorted(app.secrets),
        "secrets_version": app.secrets_version,
        "never_healthy": app.never_healthy,
        "machines": [_machine(call, machine) for machine in app.active()],
        "ended_tasks": [_ended(machine) for machine in app.machines.values() if _is_ended_task(machine)],
    }


def _is_ended_task(machine: Machine) -> bool:
    return machine.group == ONE_OFF and machine.state == "destroyed"


def _ended(machine: Machine) -> dict[str, Any]:
    """A one-off machine that is gone, as long as it is remembered."""
    events = ((event.request or {}).get("exit_event") for event in machine.events)
    last: dict[str, Any] = next(filter(None, events), {})
    return {
        "id": machine.id,
        "image": machine.config["image"],
        "ended_at": last.get("exited_at") or machine.updated_at,
        **{key: last.get(key) for key in ("exit_code", "oom_killed", "requested_stop")},
    }


def _machine(call: Call, machine: Machine) -> dict[str, Any]:
    shown = wire(call.plant.lifecycle, machine)
    app = call.world.apps[machine.app]
    live = machine.current.secrets
    return {
        **{
            key: shown[key]
            for key in ("id", "name", "state", "instance_id", "checks", "cordoned", "updated_at")
        },
        "group": machine.group,
        "memory_mb": machine.config["guest"]["memory_mb"],
        "restart_count": machine.restart_count,
        "routable": call.plant.lifecycle.is_routable(machine),
        "port": call.plant.lifecycle.host.port(machine.id),
        "lease": None if (lease := machine.live_lease()) is None else lease.owner,
        # Names of the secrets whose staged value this machine does not have yet.
        "secrets_not_live": sorted(
            {n for n, s in app.secrets.items() if live.get(n) != s.value} | (live.keys() - app.secrets.keys())
        ),
    }


async def list_faults(call: Call) -> Answer:
    return Answer(200, {"faults": [asdict(fault) for fault in call.world.faults]})


async def add_fault(call: Call) -> Answer:
    fault = faults.from_body(call.body(), call.plant.routes)
    call.world.faults.append(fault)
    await call.plant.store.commit()
    return Answer(201, asdict(fault))


async def clear_faults(call: Call) -> Answer:
    call.world.faults.clear()
    await call.plant.store.commit()
    return Answer(200, {"faults": []})


async def remove_fault(call: Call) -> Answer:
    world, wanted = call.world, call.path("fault")
    if not any(fault.id == wanted for fault in world.faults):
        raise not_found("fault not found")
    world.faults[:] = [fault for fault in world.faults if fault.id != wanted]
    await call.plant.store.commit()
    return Answer(204)


async def list_routes(call: Call) -> Answer:
    return Answer(200, {"routes": [f"{method} {template}" for method, template in call.plant.routes]})


async def set_rate_limits(call: Call) -> Answer:
    enabled = call.body().get("enabled")
    if not isinstance(enabled, bool):
        raise bad_request("enabled must be true or false")
    call.world.settings.rate_limits = enabled
    call.plant.limits.clear()
    await call.plant.store.commit()
    return Answer(200, {"enabled": enabled})


async def set_settings(call: Call) -> Answer:
    """How machines behave from their next launch: `boot_seconds`, `memory_need_mb` by process group, `migration`."""
    settings, body = call.world.settings, call.body()
    if (seconds := body.get("boot_seconds")) is not None:
        settings.boot_seconds = float(seconds)
    if (need := body.get("memory_need_mb")) is not None:
        settings.memory_need_mb = {str(group): int(mb) for group, mb in need.items()}
    if "migration" in body:
        settings.migration = migration_settings.accept(body["migration"] or {})
    await call.plant.store.commit()
    return Answer(200, asdict(settings))


def _pooler(call: Call) -> dict[str, Any] | None:
    pooler, services = call.world.pooler, call.plant.services
    if pooler is None:
        return None
    return {**asdict(pooler), "running": services is not None and "pgbouncer" in services.pids()}


async def set_pooler(call: Call) -> Answer:
    """`mode`: session, transaction or off; `size` of its pool; `fill`: machines hold all the connections that they may,
    which those that run learn by a restart."""
    body, settings = call.body(), call.world.settings
    mode, size, fill = body.get("mode"), body.get("size", POOL_SIZE), body.get("fill", settings.fill_pools)
    if mode not in (*MODES, "off"):
        raise bad_request(f"mode must be one of {', '.join(MODES)}, off")
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_POOLED:
        raise bad_request(f"size must be a number from 1 to {MOST_POOLED}")
    if not isinstance(fill, bool):
        raise bad_request("fill must be true or false")
    await call.plant.set_pooler(mode, size)
    if fill != settings.fill_pools:
        settings.fill_pools = fill
        await call.plant.store.commit()
        for app in call.world.apps.values():
            await call.plant.lifecycle.spread(app)
    return Answer(200, {"pooler": _pooler(call), "fill": fill})


async def reset(call: Call) -> Answer:
    await call.plant.reset_world()
    return Answer(200, {"ok": True})


async def show_requests(call: Call) -> Answer:
    return Answer(200, call.plant.requests.to_json())


async def clear_requests(call: Call) -> Answer:
    call.plant.requests.clear()
    return Answer(200, {"ok": True})


async def kill_for_memory(call: Call) -> Answer:
    await call.plant.lifecycle.kill_for_memory(call.machine())
    return Answer(200, {"ok": True})


async def take_lease(call: Call) -> Answer:
    """A lease for somebody else, at once: `owner`, `ttl` in seconds."""
    machine, body = call.machine(), call.body()
    owner, ttl = str(body.get("owner") or DEFAULT_FOREIGN_OWNER), float(body.get("ttl") or 30)
    lease = leases.grant(machine, owner, ttl)
    await call.plant.lifecycle.changed(machine)
    return Answer(201, {"owner": lease.owner, "expires_at": int(lease.expires_at)})


async def set_flags(call: Call) -> Answer:
    """`never_healthy`: the app's machines answer every check with an error, those that run at once."""
    app, body = call.app(), call.body()
    never = body.get("never_healthy")
    if not isinstance(never, bool):
        raise bad_request("never_healthy must be true or false")
    app.never_healthy = never
    await call.plant.store.commit()
    await call.plant.lifecycle.spread(app)
    return Answer(200, {"never_healthy": never})


async def add_release(call: Call) -> Answer:
    """Note a release that nobody made, for a seeded app that looks as `fly deploy` would have left it."""
    app, body = call.app(), call.body()
    release = releases.add(
        app,
        user=call.token.user,
        image=str(body.get("image") or ""),
        definition=body.get("definition"),
        status=str(body.get("status") or "complete"),
        description=str(body.get("description") or ""),
    )
    await call.plant.store.commit()
    return Answer(201, {"id": release.id, "version": release.version})


async def add_organization(call: Call) -> Answer:
    """An organisation, `visible` to the caller's token or not."""
    body = call.body()
    slug = str(body.get("slug") or "")
    if not slug:
        raise bad_request("slug is required")
    number = call.world.next_number()
    call.world.orgs[slug] = Organization(f"org{number}", slug, str(body.get("name") or slug), number)
    if body.get("visible", True) and slug not in call.token.orgs:
        call.token.orgs.append(slug)
    await call.plant.store.commit()
    return Answer(201, {"slug": slug})


async def add_token(call: Call) -> Answer:
    """A further token, for `orgs` (slugs) and `user`."""
    body = call.body()
    token = f"fo1_{secrets.token_urlsafe(32)}"
    orgs = [str(org) for org in body.get("orgs") or call.token.orgs]
    call.world.tokens[token] = Token(
        f"tok_{secrets.token_hex(4)}", str(body.get("user") or "ci@hotdash.example"), orgs
    )
    await call.plant.store.commit()
    return Answer(201, {"token": token})


_MACHINE = "/sandbox/apps/{app}/machines/{machine}"

ROUTES = (
    Route("GET", "/sandbox/status", status),
    Route("GET", "/sandbox/faults", list_faults),
    Route("POST", "/sandbox/faults", add_fault),
    Route("DELETE", "/sandbox/faults", clear_faults),
    Route("DELETE", "/sandbox/faults/{fault}", remove_fault),
    Route("GET", "/sandbox/routes", list_routes),
    Route("POST", "/sandbox/rate-limits", set_rate_limits),
    Route("PUT", "/sandbox/settings", set_settings),
    Route("PUT", "/sandbox/pooler", set_pooler),
    Route("POST", "/sandbox/reset", reset),
    Route("GET", "/sandbox/requests", show_requests),
    Route("POST", "/sandbox/requests/clear", clear_requests),
    Route("POST", "/sandbox/organizations", add_organization),
    Route("POST", "/sandbox/tokens", add_token),
    Route("PUT", "/sandbox/apps/{app}/flags", set_flags),
    Route("POST", "/sandbox/apps/{app}/releases", add_release),
    Route("POST", f"{_MACHINE}/oom", kill_for_memory),
    Route("POST", f"{_MACHINE}/lease", take_lease),
)
