"""flyctl's second REST API, from which it has releases and organisations: `FLY_UIEX_BASE_URL`."""

from typing import Any

from sandbox import releases
from sandbox.api.calls import Answer, Call, Route, text_of
from sandbox.refusal import bad_request, not_found
from sandbox.state import Organization, Release


def wire(release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "version": release.version,
        "stable": releases.is_stable(release),
        "in_progress": releases.is_in_progress(release),
        "status": release.status,
        "strategy": release.strategy,
        "user": release.user,
        "created_at": release.created_at,
        "image_ref": release.image_ref,
    }


async def list_all(call: Call) -> Answer:
    asked = call.query.get("limit", "")
    found = call.app().releases
    return Answer(200, {"releases": [wire(r) for r in found[: int(asked) if asked.isdigit() else None]]})


async def current(call: Call) -> Answer:
    found = call.app().releases
    if not found:
        raise not_found("no release yet")
    return Answer(200, wire(found[0]))


async def current_of_all(call: Call) -> Answer:
    apps = (app for app in call.world.apps.values() if app.org in call.token.orgs and app.releases)
    return Answer(200, {app.name: app.releases[0].created_at for app in apps})


async def create(call: Call) -> Answer:
    body = call.body()
    app = call.app_named(text_of(body, "app_name") or "")
    definition = body.get("definition")
    if definition is not None and not isinstance(definition, dict):
        raise bad_request("definition must be an object")
    release = releases.add(
        app,
        user=call.token.user,
        image=text_of(body, "image") or "",
        definition=definition,
        strategy=text_of(body, "strategy") or "ROLLING",
    )
    await call.plant.store.commit()
    return Answer(201, {"release": wire(release)})


async def update(call: Call) -> Answer:
    status = text_of(call.body(), "status")
    for app in call.world.apps.values():
        for release in app.releases:
            if release.id == call.path("release") and app.org in call.token.orgs:
                release.status = status or release.status
                await call.plant.store.commit()
                return Answer(200, wire(release))
    raise not_found("release not found")


def _organization(org: Organization) -> dict[str, Any]:
    return {
        "id": org.id,
        "internal_numeric_id": org.number,
        "slug": org.slug,
        "raw_slug": org.slug,
        "name": org.name,
        "paid_plan": True,
        "personal": False,
        "billable": True,
        "billing_status": "CURRENT",
        "provisions_beta_extensions": False,
        "remote_builder_image": "",
    }


async def organizations(call: Call) -> Answer:
    return Answer(200, {"organizations": [_organization(call.world.orgs[slug]) for slug in call.token.orgs]})


async def organization(call: Call) -> Answer:
    slug = call.path("org")
    if slug not in call.token.orgs:
        raise not_found("organization not found")
    return Answer(200, {"organization": _organization(call.world.orgs[slug])})


ROUTES = (
    Route("GET", "/api/v1/apps/{app}/releases", list_all),
    Route("GET", "/api/v1/apps/{app}/releases/current", current),
    Route("GET", "/api/v1/releases/all_current", current_of_all),
    Route("POST", "/api/v1/releases", create),
    Route("PATCH", "/api/v1/releases/{release}", update),
    Route("GET", "/api/v1/organizations", organizations),
    Route("GET", "/api/v1/organizations/{org}", organization),
)
