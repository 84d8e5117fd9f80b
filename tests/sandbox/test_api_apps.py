"""Apps and tokens, as the documentation and the clients have them."""

import uuid

import httpx
import pytest

from tests.sandbox.box import Box


@pytest.mark.parametrize("key", ["name", "app_name"])
def test_an_app_is_created_with_either_key_and_read_back(box: Box, key: str) -> None:
    name = f"app-{uuid.uuid4().hex[:10]}"

    answer = box.call("POST", "/v1/apps", {key: name, "org_slug": "hotdash"})

    assert answer.status_code == 201
    app = box.ok("GET", f"/v1/apps/{name}")
    assert app["id"] == answer.json()["id"]
    assert app["name"] == name
    assert app["organization"]["slug"] == "hotdash"
    assert app["status"] == "pending"
    assert app["machine_count"] == 0


def test_a_taken_name_is_refused_with_its_own_status_word(box: Box) -> None:
    name = box.app()

    answer = box.call("POST", "/v1/apps", {"name": name, "org_slug": "hotdash"})

    assert answer.status_code == 422
    assert answer.json()["status"] == "name_taken"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x"}, 400),
        ({"org_slug": "hotdash"}, 400),
        ({"name": "x", "org_slug": "nobody"}, 404),
        ({"name": "Upper_Case", "org_slug": "hotdash"}, 422),
        ({"name": 7, "org_slug": "hotdash"}, 400),
    ],
)
def test_a_bad_app_is_refused(box: Box, body: dict[str, object], status: int) -> None:
    box.refused(status, "POST", "/v1/apps", body)


def test_apps_are_listed_by_organisation(box: Box) -> None:
    name = box.app()

    listed = box.ok("GET", "/v1/apps", params={"org_slug": "hotdash"})

    assert name in [app["name"] for app in listed["apps"]]
    assert listed["total_apps"] == len(listed["apps"])
    box.refused(400, "GET", "/v1/apps")
    box.refused(403, "GET", "/v1/apps", params={"org_slug": "elsewhere"})
    box.refused(404, "GET", "/v1/apps", params={"org_slug": "nobody"})


def test_an_unknown_app_is_404_and_one_of_another_organisation_403(box: Box) -> None:
    assert box.refused(404, "GET", "/v1/apps/no-such-app") == "app not found"
    for path in ("", "/machines", "/secrets"):
        assert box.refused(403, "GET", f"/v1/apps/elsewhere-app{path}") == "unauthorized"


def test_an_app_becomes_deployed_with_a_machine_and_suspended_without_a_running_one(box: Box) -> None:
    name = box.app()
    machine = box.machine(name)
    assert box.ok("GET", f"/v1/apps/{name}")["status"] == "deployed"

    box.ok("POST", f"{machine.path}/stop")
    machine.wait("stopped")

    app = box.ok("GET", f"/v1/apps/{name}")
    assert (app["status"], app["machine_count"]) == ("suspended", 1)


def test_a_deleted_app_is_gone_with_its_machines_and_its_name_is_free(box: Box) -> None:
    name = box.app()
    machine = box.machine(name)
    version = box.ok("POST", f"/v1/apps/{name}/secrets", {"values": {"A": "1"}})["version"]

    assert box.call("DELETE", f"/v1/apps/{name}").status_code == 202

    box.refused(404, "GET", f"/v1/apps/{name}")
    box.refused(404, "GET", machine.path)
    box.ok("POST", "/v1/apps", {"name": name, "org_slug": "hotdash"})
    # A client that remembers the old app's secrets version must not be told "not yet" for ever.
    assert box.ok("POST", f"/v1/apps/{name}/secrets", {"values": {"A": "1"}})["version"] > version


@pytest.mark.parametrize(
    "header",
    [
        "Bearer {}",
        "bearer {}",
        "FlyV1 {}",
        "Bearer FlyV1 {}",
        "FlyV1 fm2_other,{}",
        "Bearer FlyV1 fm2_x, FlyV1 {}",
    ],
)
def test_every_way_to_present_the_token_is_accepted(box: Box, header: str) -> None:
    answer = box.call("GET", "/v1/tokens/current", headers={"Authorization": header.format(box.token)})

    assert answer.status_code == 200
    assert answer.json()["tokens"][0]["org_slug"] == "hotdash"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic abc", "{}"])
def test_a_missing_or_wrong_token_is_401_everywhere(box: Box, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.format(box.token)}
    with httpx.Client(base_url=box.url, headers=headers, trust_env=False) as http:
        for method, path in (("GET", "/v1/apps/x"), ("POST", "/graphql"), ("GET", "/sandbox/status")):
            answer = http.request(method, path)
            assert answer.status_code == 401
            assert answer.json()["error"].startswith("Authenticate:")
            assert box.token not in answer.text


def test_every_answer_has_a_request_id_of_its_own(box: Box) -> None:
    answers = [
        box.call("GET", "/v1/tokens/current"),
        box.call("GET", "/v1/apps/no-such-app"),
        box.call("GET", "/v1/no/such/route"),
        box.call("GET", "/v1/tokens/current", headers={"Authorization": "Bearer wrong"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 404, 404, 401]
    assert len({answer.headers["fly-request-id"] for answer in answers}) == len(answers)


def test_a_body_that_is_no_json_object_is_400(box: Box) -> None:
    for content in (b"{", b"[]", b'"x"'):
        answer = box.http.post("/v1/apps", content=content)
        assert answer.status_code == 400, content
