"""What the fields of schema.graphql give: the viewer, apps with releases and secrets, organisations, and the old way of
setting secrets.

An object is a mapping by field; a function among its values is called with graphql-core's info and the field's
arguments. A field that is not in the mapping is null."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox import regions, releases
from sandbox.api import secrets
from sandbox.api.machine_view import wire as machine_wire
from sandbox.refusal import Refusal, not_found
from sandbox.state import App, Machine, Organization, Release, Token

if TYPE_CHECKING:
    from sandbox.plant import Plant

Node = Mapping[str, Any]


class Resolvers:
    """What one caller can reach; Refusals become errors of the query."""

    def __init__(self, plant: "Plant", token: Token) -> None:
        self._plant = plant
        self._world = plant.store.world
        self._token = token

    def roots(self) -> Node:
        """The fields of Queries and Mutations."""
        return {
            "viewer": self._viewer(),
            "app": lambda _, name=None: self._app(self._app_named(name)),
            "apps": self._apps,
            "organization": self._organization_by_slug,
            "organizations": lambda *_, **given: _nodes(
                [self._organization(self._world.orgs[slug]) for slug in self._token.orgs]
            ),
            "machine": self._machine_by_id,
            "platform": {
                "requestRegion": regions.DEFAULT,
                "regions": [regions.graphql(region) for region in regions.ALL],
            },
            "latestImageDetails": _unknown_repository,
            "latestImageTag": _unknown_repository,
            "deleteApp": self._delete_app,
            "setSecrets": self._set_secrets,
            "unsetSecrets": self._unset_secrets,
        }

    def _viewer(self) -> Node:
        return {
            "__typename": "User",  # of the two kinds of Principal
            "id": self._token.id,
            "email": self._token.user,
            "name": self._token.user.partition("@")[0],
            "enablePaidHobby": True,
            "personalOrganization": self._organization(self._world.orgs[self._token.orgs[0]]),
        }

    # Apps

    def _app_named(self, name: Any) -> App:
        app = self._world.apps.get(str(name))
        # Fly does not tell here whether an app of somebody else exists.
        if app is None or app.org not in self._token.orgs:
            raise not_found(f'Could not find App "{name}"')
        return app

    def _apps(self, _: Any, **given: Any) -> Node:
        org = given.get("organizationId")
        found = [
            self._app(app)
            for app in self._world.apps.values()
            if app.org in self._token.orgs and org in (None, "", self._world.orgs[app.org].id)
        ]
        return _nodes(found)

    def _app(self, app: App) -> Node:
        latest = app.releases[0] if app.releases else None
        status = app.status()
        return {
            "id": app.name,
            "internalNumericId": app.number,
            "name": app.name,
            "hostname": f"{app.name}.fly.dev",
            "cnameTarget": f"{app.name}.fly.dev",
            "appUrl": self._plant.url(app),
            "deployed": status != "pending",
            "status": status,
            "state": "DEPLOYED",
            "network": app.network,
            "platformVersion": "machines",
            "version": latest.version if latest else 0,
            "createdAt": app.created_at,
            "organization": self._organization(self._world.orgs[app.org]),
            "currentRelease": latest and _release(latest),
            "currentReleaseUnprocessed": latest and _release(latest),
            "releases": lambda _, first=None: _nodes([_release(r) for r in app.releases[:first]]),
            "releasesUnprocessed": lambda _, first=None: _nodes([_release(r) for r in app.releases[:first]]),
            "config": {"definition": latest and latest.definition, "services": [], "valid": True},
            "secrets": [_secret(app, name) for name in sorted(app.secrets)],
            "machines": lambda *_: _nodes([self._machine(m) for m in app.active()]),
            "ipAddresses": _nodes([]),
            "services": [],
            "addOns": _nodes([]),
            "limitedAccessTokens": _nodes([]),
        }

    def _machine_by_id(self, _: Any, **given: Any) -> Node:
        machine = self._world.find_machine(given["machineId"])
        if machine is None or self._world.apps[machine.app].org not in self._token.orgs:
            raise not_found("Could not find Machine")
        return self._machine(machine)

    def _machine(self, machine: Machine) -> Node:
        shown = machine_wire(self._plant.lifecycle, machine)
        return {
            "id": machine.id,
            "name": machine.name,
            "state": machine.state,
            "region": machine.region,
            "instanceId": machine.instance_id,
            "createdAt": machine.created_at,
            "updatedAt": machine.updated_at,
            "config": shown["config"],
            "ips": _nodes([]),
            "host": {"id": "host"},
            "app": lambda *_: self._app(self._world.apps[machine.app]),
        }

    async def _delete_app(self, _: Any, **given: Any) -> Node:
        app = self._app_named(given["appId"])
        organization = self._organization(self._world.orgs[app.org])
        await self._plant.close_app(app)
        await self._plant.store.commit()
        return {"organization": organization}

    # Organisations

    def _organization_by_slug(self, _: Any, slug: str | None = None) -> Node:
        if slug not in self._token.orgs:
            raise not_found(f'Could not find Organization "{slug}"')
        return self._organization(self._world.orgs[slug])

    def _organization(self, org: Organization) -> Node:
        return {
            "id": org.id,
            "internalNumericId": str(org.number),
            "slug": org.slug,
            "rawSlug": org.slug,
            "name": org.name,
            "type": "SHARED",
            "viewerRole": "admin",
            "billable": True,
            "paidPlan": True,
            "addOns": _nodes([]),
            "remoteBuilderImage": "",
            "settings": {},
            "limitedAccessTokens": _nodes([]),
        }

    # Secrets, as flyctl did it before the Machines API could

    async def _set_secrets(self, _: Any, **given: Any) -> Node:
        asked = given["input"]
        app = self._app_named(asked["appId"])
        wanted = {entry["key"]: entry["value"] for entry in asked["secrets"]}
        absent = app.secrets.keys() - wanted.keys() if asked.get("replaceAll") else set()
        unchanged = all(
            name in app.secrets and app.secrets[name].value == value for name, value in wanted.items()
        )
        if unchanged and not absent:
            raise Refusal(422, "No change detected to secrets")
        return await self._write_secrets(app, {**dict.fromkeys(absent), **wanted})

    async def _unset_secrets(self, _: Any, **given: Any) -> Node:
        asked = given["input"]
        return await self._write_secrets(self._app_named(asked["appId"]), dict.fromkeys(asked["keys"]))

    async def _write_secrets(self, app: App, values: Mapping[str, str | None]) -> Node:
        secrets.write(self._world, app, values)
        await self._plant.store.commit()
        return {"app": self._app(app)}


def _nodes(nodes: list[Any]) -> Node:
    return {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": ""}}


def _release(release: Release) -> Node:
    return {
        "id": release.id,
        "version": release.version,
        "status": release.status,
        "description": release.description,
        "reason": release.description,
        "imageRef": release.image_ref,
        "stable": releases.is_stable(release),
        "inProgress": releases.is_in_progress(release),
        "evaluationId": "",
        "deploymentStrategy": release.strategy,
        "configDefinition": release.definition,
        "createdAt": release.created_at,
        "user": {"id": release.user, "email": release.user, "name": release.user},
    }


def _secret(app: App, name: str) -> Node:
    secret = app.secrets[name]
    return {
        "id": f"{app.name}:{name}",
        "name": name,
        "digest": secret.digest,
        "createdAt": secret.updated_at,
    }


def _unknown_repository(_: Any, **given: Any) -> Node:
    """Fly knows versions of its own images only, and says so of all others."""
    raise not_found(f"Unknown repository {given.get('image') or given.get('repository')}")
