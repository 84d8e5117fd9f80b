"""`fly.App` without an engine: adopted by name, made or deleted only where the stack file says so."""

import uuid
from typing import Any

import pytest

from components.app import AppProvider
from tests.components.conftest import Connect
from tests.sandbox.box import Box


@pytest.fixture
def provider(connect: Connect) -> AppProvider:
    made = AppProvider()
    made._connection = connect()
    return made


def props(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "organization": "hotdash", "create": False, "deleteOnDestroy": False, **changes}


def unknown() -> str:
    return f"none-{uuid.uuid4().hex[:8]}"


def exists(box: Box, name: str) -> bool:
    return box.call("GET", f"/v1/apps/{name}").status_code == 200


def test_an_app_that_is_there_is_adopted_as_it_is(box: Box, provider: AppProvider) -> None:
    name = box.app()
    box.call("POST", "/sandbox/requests/clear")
    assert provider.create(props(name, create=True)).id == name
    entries = box.ok("GET", "/sandbox/requests")["requests"]
    assert {e["method"] for e in entries if name in e["path"]} == {"GET"}


def test_an_app_that_is_not_there_is_made_only_where_it_may_be(box: Box, provider: AppProvider) -> None:
    name = unknown()
    with pytest.raises(Exception, match=f"Fly has no app {name}") as caught:
        provider.create(props(name))
    assert type(caught.value).__name__ == "fly-not-found"
    assert "create: true" in str(caught.value)
    assert not exists(box, name)
    provider.create(props(name, create=True))
    assert exists(box, name)


def test_an_app_of_another_organization_is_refused(box: Box, provider: AppProvider) -> None:
    name = box.app()
    with pytest.raises(Exception, match="belongs to organization hotdash, not other") as caught:
        provider.create(props(name, organization="other"))
    assert type(caught.value).__name__ == "fly-forbidden"
    state = dict(provider.create(props(name)).outs or {})
    assert provider.diff(name, state, props(name, organization="other")).changes
    with pytest.raises(Exception, match="belongs to organization hotdash, not other"):
        provider.update(name, state, props(name, organization="other"))


def test_a_refresh_shows_the_organization_and_what_is_gone(box: Box, provider: AppProvider) -> None:
    name = box.app()
    read = provider.read(name, props(name, organization="other"))
    assert dict(read.inputs or {}) == props(name, organization="hotdash")
    assert provider.read("no-such-app", props("no-such-app")).id == ""


def test_another_name_is_another_app_and_settings_of_ours_are_no_drift(
    box: Box, provider: AppProvider
) -> None:
    assert provider.diff("a", props("a"), props("b")).replaces == ["name"]
    assert not provider.diff("a", props("a"), props("a", create=True)).changes
    assert provider.diff("a", props("a"), props("a", deleteOnDestroy=True)).changes


def test_a_destroy_deletes_only_where_it_may(box: Box, provider: AppProvider) -> None:
    name = box.app()
    provider.delete(name, props(name))
    assert exists(box, name)
    provider.delete(name, props(name, deleteOnDestroy=True))
    assert not exists(box, name)
    provider.delete(name, props(name, deleteOnDestroy=True))  # gone already is as good


def test_a_preview_refuses_what_up_would_refuse(box: Box, provider: AppProvider) -> None:
    name = box.app()
    assert provider.check({}, props(name)).inputs == props(name)
    with pytest.raises(Exception, match="belongs to organization hotdash, not other"):
        provider.check({}, props(name, organization="other"))
    with pytest.raises(Exception, match="belongs to organization hotdash, not other"):
        provider.check(props(name), props(name, organization="other"))
    missing = unknown()
    with pytest.raises(Exception, match=f"Fly has no app {missing}"):
        provider.check({}, props(missing))
    assert provider.check({}, props(missing, create=True)).failures == []
    assert not exists(box, missing)


def test_a_known_app_is_not_asked_for_again(box: Box, provider: AppProvider) -> None:
    name = box.app()
    box.call("POST", "/sandbox/requests/clear")
    provider.check(props(name), props(name))
    assert not [e for e in box.ok("GET", "/sandbox/requests")["requests"] if name in e["path"]]
