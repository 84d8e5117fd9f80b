"""The admin door: what is not in Fly's API."""

from typing import Any

import httpx

from tests.sandbox.box import Box, web_config


def test_the_status_shows_apps_machines_and_names_of_secrets_only(box: Box) -> None:
    app = box.app()
    box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "a-value-to-look-for"}})
    machine = box.machine(app)
    machine.lease()

    answer = box.call("GET", "/sandbox/status")

    (found,) = [a for a in answer.json()["apps"] if a["name"] == app]
    assert found["url"].startswith("http://127.0.0.1:")
    assert found["secrets"] == ["A"]
    (shown,) = found["machines"]
    assert (shown["id"], shown["state"], shown["group"], shown["memory_mb"]) == (
        machine.id,
        "started",
        "web",
        1024,
    )
    assert [c["status"] for c in shown["checks"]] == ["passing"]
    assert shown["lease"] == "oncall@hotdash.example"
    assert shown["routable"] is True
    assert "a-value-to-look-for" not in answer.text
    assert box.token not in answer.text


def test_a_cordoned_machine_is_not_routable(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)

    box.ok("POST", f"{machine.path}/cordon")

    assert box.status(app)["machines"][0]["routable"] is False


def test_a_token_of_another_organisation_sees_the_other_side(box: Box) -> None:
    app = box.app()
    token = box.ok("POST", "/sandbox/tokens", {"orgs": ["elsewhere"], "user": "them@example.org"})["token"]

    with httpx.Client(
        base_url=box.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as them:
        assert them.get("/v1/apps/elsewhere-app").status_code == 200
        assert them.get(f"/v1/apps/{app}").status_code == 403
        assert them.get("/v1/tokens/current").json()["tokens"][0]["user"] == "them@example.org"


def test_an_organisation_can_be_added(own_box: Box) -> None:
    own_box.ok("POST", "/sandbox/organizations", {"slug": "seen"})
    own_box.ok("POST", "/sandbox/organizations", {"slug": "unseen", "visible": False})

    own_box.ok("POST", "/v1/apps", {"name": "one", "org_slug": "seen"})
    own_box.refused(404, "POST", "/v1/apps", {"name": "two", "org_slug": "unseen"})


def test_settings_are_kept(own_box: Box) -> None:
    sent = {
        "boot_seconds": 0.25,
        "memory_need_mb": {"web": 300},
        "migration": {"slow": 2, "fail_at": "20260112090000"},
    }

    own_box.ok("PUT", "/sandbox/settings", sent)
    own_box.kill()
    own_box.start()

    settings = own_box.ok("GET", "/sandbox/status")["settings"]
    assert settings == {**sent, "rate_limits": False, "fill_pools": False}


def test_what_migrations_are_told_is_looked_at(box: Box) -> None:
    def refused(**migration: Any) -> str:
        return box.refused(400, "PUT", "/sandbox/settings", {"migration": migration})

    assert "there is no migration '1'; the stand-in has 2023" in refused(fail_at="1")
    assert "migration.slow must be a number" in refused(slow=-1)
    assert "migration.memory_mb must be a number" in refused(memory_mb="much")
    assert "must be an object of slow, fail_at" in refused(fast=1)
    told = box.ok("PUT", "/sandbox/settings", {"migration": {"slow": 0, "statement": 1.5}})
    assert told["migration"] == {"statement": 1.5}
    assert box.ok("PUT", "/sandbox/settings", {"migration": {}})["migration"] == {}


def test_a_release_can_be_noted_as_if_it_had_been_deployed(box: Box) -> None:
    app = box.app()

    made = box.ok("POST", f"/sandbox/apps/{app}/releases", {"image": "a:1", "definition": {"app": app}})

    assert made["version"] == 1
    assert box.ok("GET", f"/api/v1/apps/{app}/releases/current")["status"] == "complete"


def test_the_never_healthy_flag_reaches_running_machines_and_stays(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)
    last = machine.events()[0]["id"]

    box.ok("PUT", f"/sandbox/apps/{app}/flags", {"never_healthy": True})

    machine.wait("started", from_event_id=last)
    assert box.status(app)["never_healthy"] is True
    box.refused(400, "PUT", f"/sandbox/apps/{app}/flags", {"never_healthy": "yes"})


def test_a_kill_for_memory_needs_a_running_machine(box: Box) -> None:
    app = box.app()
    machine = box.machine(app, web_config(), skip_launch=True)

    box.refused(412, "POST", f"/sandbox/apps/{app}/machines/{machine.id}/oom")
