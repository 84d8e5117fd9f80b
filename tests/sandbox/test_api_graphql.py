"""GraphQL as flyctl speaks it, and its second REST API."""

from typing import Any

import pytest

from tests.sandbox.box import Box


def ask(box: Box, query: str, **variables: Any) -> dict[str, Any]:
    answer: dict[str, Any] = box.ok("POST", "/graphql", {"query": query, "variables": variables})
    return answer


def data(box: Box, query: str, **variables: Any) -> Any:
    answer = ask(box, query, **variables)
    assert "errors" not in answer, answer
    return answer["data"]


def error(box: Box, query: str, **variables: Any) -> str:
    answer = ask(box, query, **variables)
    assert answer["errors"][0]["extensions"]["code"]
    return str(answer["errors"][0]["message"])


def test_the_viewer_is_the_tokens_user(box: Box) -> None:
    query = "query { viewer { ... on User { id email enablePaidHobby } ... on Macaroon { email } } }"

    viewer = data(box, query)["viewer"]

    assert viewer["email"] == "oncall@hotdash.example"
    assert viewer.keys() == {"id", "email", "enablePaidHobby"}


def test_an_app_answers_under_its_alias(box: Box) -> None:
    app = box.app()
    query = (
        "query ($appName: String!) { appcompact:app(name: $appName) { id name hostname deployed status appUrl network"
        " platformVersion organization { id slug paidPlan } postgresAppRole: role { name } } }"
    )

    found = data(box, query, appName=app)["appcompact"]

    assert (found["name"], found["deployed"], found["platformVersion"]) == (app, False, "machines")
    assert found["appUrl"].startswith("http://127.0.0.1:")
    assert found["postgresAppRole"] is None
    box.machine(app)
    assert data(box, query, appName=app)["appcompact"]["deployed"] is True


def test_unknown_and_foreign_apps_cannot_be_told_apart(box: Box) -> None:
    query = "query ($n: String!) { app(name: $n) { id } }"

    assert error(box, query, n="no-such-app") == 'Could not find App "no-such-app"'
    assert error(box, query, n="elsewhere-app") == 'Could not find App "elsewhere-app"'


def test_a_query_is_answered_with_all_its_parts(box: Box) -> None:
    app = box.app()
    box.machine(app)
    query = """
        # genqlient writes comments
        query One($name: String!, $limit: Int = 1, $with: Boolean!) {
          found: app(name: $name) {
            ...Part, releases(first: $limit) { nodes { version } }
            secrets @include(if: $with) { name }
          }
        }
        fragment Part on App { name machines { nodes { app { name } host { id } } } ... on App { role { name } } }
    """

    found = data(box, query, name=app, **{"with": False})["found"]

    machines = {"nodes": [{"app": {"name": app}, "host": {"id": "host"}}]}
    assert found == {"name": app, "machines": machines, "role": None, "releases": {"nodes": []}}
    assert box.ok("GET", "/sandbox/requests")["requests"][-1]["operation"] == "found"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("{ viewer { ... on User { shoeSize } } }", "Cannot query field 'shoeSize' on type 'User'."),
        ("{ viewer {", "Syntax Error: Expected Name, found <EOF>."),
        ("", "Syntax Error: Unexpected <EOF>."),
        ("subscription { viewer { email } }", "subscription operation is not supported"),
        (
            "query ($n: String!) { app(name: $n) { id } }",
            "Variable '$n' has invalid value",
        ),
    ],
)
def test_what_cannot_be_answered_is_named(box: Box, query: str, says: str) -> None:
    assert says in error(box, query)


def test_secrets_are_set_and_unset_the_old_way_and_are_only_staged(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)
    instance = machine.get()["instance_id"]
    setting = "mutation($input: SetSecretsInput!) { setSecrets(input: $input) { release { id version } } }"
    unsetting = (
        "mutation($input: UnsetSecretsInput!) { unsetSecrets(input: $input) { release { id } app { name } } }"
    )
    secrets = [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}]

    assert data(box, setting, input={"appId": app, "secrets": secrets}) == {"setSecrets": {"release": None}}

    listed = data(box, "query ($n: String!) { app(name: $n) { secrets { name digest createdAt } } }", n=app)
    assert [s["name"] for s in listed["app"]["secrets"]] == ["A", "B"]
    assert listed["app"]["secrets"][0]["digest"] == box.ok("GET", f"/v1/apps/{app}/secrets/A")["digest"]
    assert box.status(app)["machines"][0]["secrets_not_live"] == ["A", "B"]
    assert machine.get()["instance_id"] == instance
    assert error(box, setting, input={"appId": app, "secrets": secrets}) == "No change detected to secrets"

    data(box, unsetting, input={"appId": app, "keys": ["A", "NOT_THERE"]})
    data(box, setting, input={"appId": app, "secrets": [{"key": "C", "value": "3"}], "replaceAll": True})
    assert [s["name"] for s in box.ok("GET", f"/v1/apps/{app}/secrets")["secrets"]] == ["C"]
    bad = [{"key": "not a name", "value": "x"}]
    assert "is not a valid secret name" in error(box, setting, input={"appId": app, "secrets": bad})


def test_releases_made_through_one_api_show_in_both(box: Box) -> None:
    app = box.app()
    assert box.call("GET", f"/api/v1/apps/{app}/releases/current").status_code == 404
    definition = {"app": app, "processes": {"web": "rails server"}}
    body = {"app_name": app, "definition": definition, "image": "chatwoot/chatwoot:v4", "strategy": "ROLLING"}

    first = box.ok("POST", "/api/v1/releases", body)["release"]
    second = box.ok("POST", "/api/v1/releases", body)["release"]
    box.ok("PATCH", f"/api/v1/releases/{first['id']}", {"status": "complete", "metadata": {}})
    box.ok("PATCH", f"/api/v1/releases/{second['id']}", {"status": "running"})

    assert (first["version"], second["version"]) == (1, 2)
    listed = box.ok("GET", f"/api/v1/apps/{app}/releases", params={"limit": 20})["releases"]
    assert [(r["version"], r["status"], r["in_progress"]) for r in listed] == [
        (2, "running", True),
        (1, "complete", False),
    ]
    assert len(box.ok("GET", f"/api/v1/apps/{app}/releases?limit=1")["releases"]) == 1
    assert box.ok("GET", f"/api/v1/apps/{app}/releases/current")["id"] == second["id"]
    assert box.ok("GET", "/api/v1/releases/all_current")[app] == second["created_at"]
    query = (
        "query($n: String!, $limit: Int!) { app(name: $n) {"
        " releases: releasesUnprocessed(first: $limit) { nodes { version status imageRef stable user { email } } }"
        " currentReleaseUnprocessed { configDefinition version } } }"
    )
    found = data(box, query, n=app, limit=1)["app"]
    assert [r["version"] for r in found["releases"]["nodes"]] == [2]
    assert found["currentReleaseUnprocessed"] == {"configDefinition": definition, "version": 2}


def test_organisations_are_those_of_the_token(box: Box) -> None:
    app = box.app()
    assert [o["slug"] for o in box.ok("GET", "/api/v1/organizations")["organizations"]] == ["hotdash"]
    assert box.ok("GET", "/api/v1/organizations/hotdash")["organization"]["name"] == "HotDash"
    box.refused(404, "GET", "/api/v1/organizations/elsewhere")
    org = data(box, 'query { organization(slug: "hotdash") { id internalNumericId } }')["organization"]
    query = "query($org: ID) { apps(first: 200, organizationId: $org) { nodes { name } pageInfo { hasNextPage } } }"
    names = [a["name"] for a in data(box, query, org=org["id"])["apps"]["nodes"]]
    assert app in names
    assert "elsewhere-app" not in names
    assert data(box, query, org="another")["apps"]["nodes"] == []


def test_an_app_is_deleted(box: Box) -> None:
    app = box.app()

    data(box, "mutation($appId: ID!) { deleteApp(appId: $appId) { organization { id } } }", appId=app)

    box.refused(404, "GET", f"/v1/apps/{app}")
