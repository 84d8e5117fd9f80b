"""App secrets. Setting one only stages it: a machine gets it with its next version, never before."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox import stamps
from sandbox.api.calls import Answer, Call, Route
from sandbox.refusal import bad_request, not_found
from sandbox.state import App, Secret, World

_PATH = "/v1/apps/{app}/secrets"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def write(world: World, app: App, values: Mapping[str, str | None]) -> int:
    """Set, or with None unset, secrets; returns the app's new secrets version, one more with every write.

    Also where nothing changed: removing a name that is not there is how flyctl asks for the version."""
    for name in values:
        if not _NAME.match(name):
            raise bad_request(f'"{name}" is not a valid secret name')
    now = stamps.rfc3339()
    for name, value in values.items():
        known = app.secrets.get(name)
        if value is None:
            app.secrets.pop(name, None)
        elif known is None:
            app.secrets[name] = Secret(name, value, world.digest(value), now, now)
        elif known.value != value:
            known.value, known.digest, known.updated_at = value, world.digest(value), now
    app.secrets_version += 1
    return app.secrets_version


def wire(secret: Secret) -> dict[str, Any]:
    """Never the value: whether `show_secrets` gives it to anyone is not documented, so it does not."""
    return {
        "name": secret.name,
        "digest": secret.digest,
        "created_at": secret.created_at,
        "updated_at": secret.updated_at,
    }


def _versions(version: int) -> dict[str, int]:
    return {"version": version, "Version": version}


def _listed(app: App) -> list[dict[str, Any]]:
    return [wire(app.secrets[name]) for name in sorted(app.secrets)]


async def list_all(call: Call) -> Answer:
    return Answer(200, {"secrets": _listed(call.app())})


async def show(call: Call) -> Answer:
    secret = call.app().secrets.get(call.path("name"))
    if secret is None:
        raise not_found("secret not found")
    return Answer(200, wire(secret))


async def set_one(call: Call) -> Answer:
    app, name, value = call.app(), call.path("name"), call.body().get("value")
    if not isinstance(value, str):
        raise bad_request("invalid_argument: value must be a string")
    version = write(call.world, app, {name: value})
    await call.plant.store.commit()
    return Answer(201, {**wire(app.secrets[name]), **_versions(version)})


async def delete_one(call: Call) -> Answer:
    version = write(call.world, call.app(), {call.path("name"): None})
    await call.plant.store.commit()
    return Answer(200, _versions(version))


async def write_many(call: Call) -> Answer:
    """Merge: names that are not mentioned stay; null removes, also what is not there."""
    app, values = call.app(), call.body().get("values")
    if not isinstance(values, dict) or not all(v is None or isinstance(v, str) for v in values.values()):
        raise bad_request("invalid_argument: values must map names to strings or null")
    version = write(call.world, app, values)
    await call.plant.store.commit()
    return Answer(200, {"secrets": _listed(app), **_versions(version)})


ROUTES = (
    Route("GET", _PATH, list_all, "app_secrets_list"),
    Route("POST", _PATH, write_many, "app_secrets_update"),
    Route("GET", f"{_PATH}/{{name}}", show, "app_secret_get"),
    Route("POST", f"{_PATH}/{{name}}", set_one, "app_secret_set"),
    Route("DELETE", f"{_PATH}/{{name}}", delete_one, "app_secret_delete"),
)
