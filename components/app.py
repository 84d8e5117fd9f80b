"""`fly.App`: the app, in its organization. Adopted by name; made or deleted only where the stack file says so."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from components.connection import plain, speaks_plainly, tell
from components.provider import Provider, deletes_otherwise
from hotdash.errors import Forbidden, NotFound

INPUTS = ("name", "organization", "create", "deleteOnDestroy")


class AppProvider(Provider):
    """Inputs: name, organization (slug), create, deleteOnDestroy."""

    @speaks_plainly
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what `up` would refuse, so that a preview refuses it too."""
        if olds.get("name") == news["name"]:
            _refuse_foreign(news["name"], news["organization"], olds["organization"])
        else:
            try:
                there = self._connection.snapshot(news["name"]).app()
            except NotFound as missing:
                if not news["create"]:
                    raise _unknown(news["name"], missing) from None
            else:
                _refuse_foreign(news["name"], news["organization"], there.organization)
        return CheckResult(news, [])

    @speaks_plainly
    def create(self, props: dict[str, Any]) -> CreateResult:
        name, organization = props["name"], props["organization"]
        fly = self._connection.fly
        try:
            there = fly.app(name)
        except NotFound as missing:
            if not props["create"]:
                raise _unknown(name, missing) from None
            fly.create_app(name, organization)
            tell(f"{name}: made in organization {organization}")
        else:
            _refuse_foreign(name, organization, there.organization)
        return CreateResult(name, dict(props))

    @speaks_plainly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            there = self._connection.snapshot(id_).app()
        except NotFound:
            return ReadResult("", {})
        live = {**plain(props, *INPUTS), "organization": there.organization or props["organization"]}
        return ReadResult(id_, dict(live), live)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        # Another name is another app.
        replaced = [] if olds["name"] == news["name"] else ["name"]
        changed = bool(replaced) or olds["organization"] != news["organization"]
        return DiffResult(changes=changed or deletes_otherwise(olds, news), replaces=replaced)

    @speaks_plainly
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        _refuse_foreign(news["name"], news["organization"], olds["organization"])
        return UpdateResult(dict(news))

    @speaks_plainly
    def delete(self, id_: str, props: dict[str, Any]) -> None:
        if props.get("deleteOnDestroy"):
            self._connection.fly.delete_app(id_)
        else:
            tell(f"{id_}: left on Fly as it is (hotdash:app, deleteOnDestroy, would delete it)")


def _unknown(name: str, missing: NotFound) -> NotFound:
    return NotFound(
        f"Fly has no app {name}",
        where=missing.where,
        meaning="the stack file does not allow making it, so nothing was changed",
        remedy="see `fly apps list` for the right name, or set hotdash:app, create: true",
        status=missing.status,
    )


def _refuse_foreign(name: str, declared: str, actual: str) -> None:
    if actual and actual != declared:
        raise Forbidden(
            f"the app {name} belongs to organization {actual}, not {declared}",
            where=f"app {name}",
            meaning="nothing was changed",
            remedy="correct hotdash:app, organization, in the stack file, or the app's name",
        )


class App(Resource, module="fly", name="App"):
    """The app on Fly."""

    name: pulumi.Output[str]
    organization: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: str,
        organization: str,
        create: bool,
        delete_on_destroy: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "organization": organization,
            "create": create,
            "deleteOnDestroy": delete_on_destroy,
        }
        super().__init__(AppProvider(), resource_name, props, opts)
