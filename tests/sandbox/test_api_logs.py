"""The log call of Fly's older API."""

import httpx

from tests.sandbox.box import Box
from tests.sandbox.one_off import run
from tests.world import World


def page(sandbox: World, token: str = "", **query: str) -> tuple[list[tuple[str, str]], str]:
    """(machine, line) each, and the next token."""
    params = {"next_token": token, **query}
    found = sandbox.api.call("GET", f"/api/v1/apps/{sandbox.app}/logs", params=params)
    entries = [entry["attributes"] for entry in found["data"]]
    assert [entry["timestamp"] for entry in entries] == sorted(entry["timestamp"] for entry in entries)
    return [(entry["instance"], entry["message"]) for entry in entries], found["meta"]["next_token"]


def test_lines_of_all_machines_or_of_one(sandbox: World) -> None:
    sandbox.reset()
    (web, other), (worker,) = sandbox.machines("web"), sandbox.machines("worker")

    lines, _ = page(sandbox)
    assert {machine for machine, _ in lines} == {web["id"], other["id"], worker["id"]}
    lines, _ = page(sandbox, instance=worker["id"])
    assert lines[0] == (worker["id"], "Booting Sidekiq 7.3.1, Chatwoot 4.11.0")
    lines, _ = page(sandbox, instance=web["id"])
    assert (web["id"], "* Listening on http://0.0.0.0:3000") in lines
    assert page(sandbox, instance="nobody")[0] == page(sandbox, region="fra")[0] == []
    assert page(sandbox, region="ord")[0] != []


def test_a_token_goes_on_where_it_was_and_an_old_one_gives_the_same_again(sandbox: World) -> None:
    sandbox.reset()
    first = run(sandbox, ("sh", "-c", "echo a; echo b"))
    lines, token = page(sandbox)
    assert [text for machine, text in lines if machine == first.machine["id"]] == ["a", "b"]
    assert page(sandbox, token)[0] == []
    second = run(sandbox, ("echo", "c"))

    new, later = page(sandbox, token)

    assert new == [(second.machine["id"], "c")]
    assert page(sandbox, token)[0] == new
    assert page(sandbox, later)[0] == []
    assert set(page(sandbox)[0]) == {*lines, *new}
    ids = [
        entry["id"]
        for _ in range(2)
        for entry in sandbox.api.call("GET", f"/api/v1/apps/{sandbox.app}/logs")["data"]
    ]
    assert len(set(ids)) == len(ids) / 2, "an entry keeps its id"


def test_a_line_without_a_time_has_that_of_the_one_before(sandbox: World) -> None:
    sandbox.reset()
    ended = run(sandbox, ("echo", "first"))
    with (sandbox.dir / "log" / f"{ended.machine['id']}.log").open("a") as log:
        log.write("Traceback (most recent call last):\nhalf a li")
    query = {"instance": ended.machine["id"]}
    found = sandbox.api.call("GET", f"/api/v1/apps/{sandbox.app}/logs", params=query)["data"]
    assert [entry["attributes"]["message"] for entry in found] == [
        "first",
        "Traceback (most recent call last):",
    ]
    assert found[0]["attributes"]["timestamp"] == found[1]["attributes"]["timestamp"]


def test_both_schemes_of_tokens_and_refusals(sandbox: World) -> None:
    url = f"{sandbox.url}/api/v1/apps/{sandbox.app}/logs"
    for header in (f"Bearer {sandbox.token}", f"FlyV1 {sandbox.token}", f"Bearer FlyV1 {sandbox.token}"):
        assert httpx.get(url, headers={"Authorization": header}, trust_env=False).status_code == 200
    assert httpx.get(url, trust_env=False).status_code == 401
    assert sandbox.client.get("/api/v1/apps/nobody-app/logs").status_code == 404
    assert sandbox.client.get("/api/v1/apps/elsewhere-app/logs").status_code == 403
    assert sandbox.client.get(f"/api/v1/apps/{sandbox.app}/logs?next_token=x").status_code == 400


def test_machines_that_are_pretended_say_nothing(box: Box) -> None:
    app = box.app()
    box.machine(app)
    assert box.ok("GET", f"/api/v1/apps/{app}/logs")["data"] == []
