"""Apps: made, read, listed by organisation, deleted; and who the caller's token stands for."""

import re
from typing import Any

from sandbox import regions
from sandbox.api.calls import Answer, Call, Route, text_of
from sandbox.refusal import Refusal, bad_request, not_found
from sandbox.state import App, World

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")


def wire(world: World, app: App) -> dict[str, Any]:
    org = world.orgs[app.org]
    return {
        "id": app.id,
        "name": app.name,
        "internal_numeric_id": app.number,
        "network": app.network,
        "network_cidr": "fdaa:0:1::/48",
        "status": app.status(),
        "machine_count": sum(1 for _ in app.active()),
        "volume_count": 0,
        "cname_target": f"{app.name}.fly.dev",
        "app_role": "",
        "organization": {"name": org.name, "slug": org.slug, "internal_numeric_id": org.number},
    }


async def create(call: Call) -> Answer:
    """Documentation and client disagree on `app_name` and `name`; either will do."""
    body = call.body()
    name = text_of(body, "name") or text_of(body, "app_name")
    org = text_of(body, "org_slug")
    if not name or not org:
        raise bad_request("invalid_argument: name and org_slug are required")
    if org not in call.world.orgs or org not in call.token.orgs:
        raise not_found("organization not found")
    if not _NAME.match(name):
        raise Refusal(422, "Validation failed: Name may only contain numbers, lowercase letters and dashes")
    if name in call.world.apps:
        raise Refusal(422, "Validation failed: Name has already been taken", "name_taken")
    app = await call.plant.open_app(name, org, text_of(body, "network") or "default")
    await call.plant.store.commit()
    # Documented are id and created_at alone; flyctl reads the name from the answer, so it must be a whole app.
    return Answer(201, {**wire(call.world, app), "created_at": app.created_at})


async def show(call: Call) -> Answer:
    return Answer(200, wire(call.world, call.app()))


async def list_all(call: Call) -> Answer:
    org = call.query.get("org_slug")
    if not org:
        raise bad_request("invalid_argument: org_slug is required")
    if org not in call.world.orgs:
        raise not_found("organization not found")
    if org not in call.token.orgs:
        raise Refusal(403, "unauthorized")
    apps = [wire(call.world, app) for app in call.world.apps.values() if app.org == org]
    if role := call.query.get("app_role"):
        apps = [app for app in apps if app["app_role"] == role]
    return Answer(200, {"total_apps": len(apps), "apps": apps})


async def delete(call: Call) -> Answer:
    await call.plant.close_app(call.app())
    await call.plant.store.commit()
    return Answer(202)


async def current_tokens(call: Call) -> Answer:
    """What the token may do: the cheapest question that proves it good."""
    tokens = [
        {
            "token_id": call.token.id,
            "org_slug": org,
            "organization": call.world.orgs[org].name,
            "apps": [],
            "user": call.token.user,
            "restricted_to_machine": "",
        }
        for org in call.token.orgs
    ]
    return Answer(200, {"tokens": tokens})


async def list_regions(call: Call) -> Answer:
    return Answer(200, {"Regions": [regions.wire(r) for r in regions.ALL], "Nearest": regions.DEFAULT})


async def list_volumes(call: Call) -> Answer:
    """There are none here, but flyctl asks for them before it scales."""
    call.app()
    return Answer(200, [])


ROUTES = (
    Route("GET", "/v1/apps", list_all, "app_list"),
    Route("POST", "/v1/apps", create, "app_create"),
    Route("GET", "/v1/apps/{app}", show, "app_get"),
    Route("DELETE", "/v1/apps/{app}", delete, "app_delete"),
    Route("GET", "/v1/apps/{app}/volumes", list_volumes),
    Route("GET", "/v1/tokens/current", current_tokens),
    Route("GET", "/v1/platform/regions", list_regions),
)
