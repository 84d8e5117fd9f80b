"""Machines: made, read, changed, moved from state to state."""

import re
from typing import Any

import pytest

from tests.sandbox.box import Box, web_config

ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def test_a_machine_object_has_everything_that_clients_read(box: Box) -> None:
    app = box.app()
    found = box.machine(app, name="web-1", region="fra").get()

    assert re.fullmatch(r"[0-9a-f]{14}", found["id"])
    assert ULID.fullmatch(found["instance_id"])
    assert (found["name"], found["region"], found["state"]) == ("web-1", "fra", "started")
    assert RFC3339.fullmatch(found["created_at"])
    assert RFC3339.fullmatch(found["updated_at"])
    assert found["host_status"] == "ok"
    assert found["cordoned"] is False
    assert found["private_ip"].startswith("fdaa:")
    ref = found["image_ref"]
    assert (ref["registry"], ref["repository"], ref["tag"]) == (
        "registry-1.docker.io",
        "chatwoot/chatwoot",
        "v4.11.0",
    )
    assert ref["digest"].startswith("sha256:")
    assert found["config"] == web_config()
    assert [(c["name"], c["status"]) for c in found["checks"]] == [("servicecheck-00-http-3000", "passing")]
    assert all(RFC3339.fullmatch(c["updated_at"]) for c in found["checks"])
    assert [e["type"] for e in found["events"]] == ["start", "launch"]
    assert "nonce" not in found


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("redis", ("registry-1.docker.io", "library/redis", "latest")),
        ("registry.fly.io/app:deployment-01", ("registry.fly.io", "app", "deployment-01")),
        ("localhost:5000/a/b:1@sha256:ab", ("localhost:5000", "a/b", "1")),
    ],
)
def test_images_are_taken_apart(box: Box, image: str, parts: tuple[str, str, str]) -> None:
    ref = box.machine(box.app(), {"image": image}).get()["image_ref"]

    assert (ref["registry"], ref["repository"], ref["tag"]) == parts


def test_lists_can_be_narrowed(box: Box) -> None:
    app = box.app()
    web = box.machine(app, web_config("web"), region="ord")
    worker = box.machine(app, web_config("worker"), region="fra")
    stopped = box.machine(app, web_config("worker"), region="ord", skip_launch=True)
    gone = box.machine(app, web_config("web"), region="ord")
    box.ok("DELETE", gone.path, params={"force": "true"})
    gone.wait("destroyed")

    def ids(**query: str) -> set[str]:
        return {m["id"] for m in box.ok("GET", f"/v1/apps/{app}/machines", params=query)}

    assert ids() == {web.id, worker.id, stopped.id}
    assert ids(include_deleted="true") == {web.id, worker.id, stopped.id, gone.id}
    assert ids(region="fra") == {worker.id}
    assert ids(state="stopped,suspended") == {stopped.id}
    assert ids(**{"metadata.fly_process_group": "worker"}) == {worker.id, stopped.id}
    assert ids(**{"metadata.fly_process_group": "worker", "metadata.fly_release_version": "2"}) == set()
    assert ids(state="started", region="ord", **{"metadata.fly_process_group": "web"}) == {web.id}


def test_a_summary_leaves_the_big_parts_out(box: Box) -> None:
    app = box.app()
    box.machine(app)

    (found,) = box.ok("GET", f"/v1/apps/{app}/machines", params={"summary": "true"})

    assert {"id", "name", "state", "instance_id", "image_ref"} <= found.keys()
    assert not {"config", "checks", "events", "host_status", "nonce"} & found.keys()


def test_machines_of_an_organisation_come_page_by_page(box: Box) -> None:
    app = box.app()
    mine = {box.machine(app).id for _ in range(3)}

    found, cursor = [], ""
    while True:
        page = box.ok("GET", "/v1/orgs/hotdash/machines", params={"limit": 2, "cursor": cursor})
        found += [m["id"] for m in page["machines"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert mine <= set(found)
    assert len(found) == len(set(found))
    box.refused(404, "GET", "/v1/orgs/elsewhere/machines")


def test_an_update_replaces_the_whole_config_and_makes_a_new_version(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)
    before = machine.get()

    answer = machine.update({"image": "chatwoot/chatwoot:v4.12.0", "guest": {"memory_mb": 512}})

    assert answer["instance_id"] > before["instance_id"]
    assert answer["state"] == "replacing"
    assert answer["checks"] == []
    machine.wait("started", version=answer["instance_id"])
    after = machine.get()
    assert after["config"] == {
        "image": "chatwoot/chatwoot:v4.12.0",
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512},
        "init": {},
    }
    assert after["checks"] == []
    assert [e["type"] for e in after["events"][:4]] == ["start", "launch", "exit", "update"]
    assert after["events"][2]["request"]["exit_event"]["requested_stop"] is True
    versions = box.ok("GET", f"{machine.path}/versions")
    assert [v["version"] for v in versions] == [after["instance_id"], before["instance_id"]]
    assert versions[1]["user_config"] == before["config"]


def test_region_and_name_stay(box: Box) -> None:
    machine = box.machine(box.app(), name="one", region="ord")
    config = machine.get()["config"]

    box.refused(400, "POST", machine.path, {"config": config, "region": "fra"})
    box.refused(400, "POST", machine.path, {"config": config, "name": "two"})
    machine.update(region="ord", name="one")


def test_a_stale_current_version_is_refused(box: Box) -> None:
    machine = box.machine(box.app())
    first = machine.get()["instance_id"]
    second = machine.update(current_version=first)["instance_id"]

    box.refused(409, "POST", machine.path, {"config": machine.get()["config"], "current_version": first})

    machine.wait("started", version=second)
    assert machine.get()["instance_id"] == second


def test_a_stopped_machine_stays_stopped_with_skip_launch_and_starts_without(box: Box) -> None:
    machine = box.machine(box.app())
    box.ok("POST", f"{machine.path}/stop")
    machine.wait("stopped")

    quiet = machine.update(skip_launch=True)
    assert quiet["state"] == "stopped"
    machine.wait("settled", version=quiet["instance_id"])
    assert machine.state() == "stopped"

    machine.update()
    machine.wait("started")


def test_a_machine_made_with_skip_launch_is_created_then_stopped(box: Box) -> None:
    app = box.app()

    answer = box.ok("POST", f"/v1/apps/{app}/machines", {"config": web_config(), "skip_launch": True})

    assert answer["state"] == "created"
    box.ok("GET", f"/v1/apps/{app}/machines/{answer['id']}/wait", params={"state": "stopped", "timeout": 5})
    assert not [e for e in answer["events"] if e["type"] == "start"]


def test_the_way_from_state_to_state(box: Box) -> None:
    machine = box.machine(box.app())
    instance = machine.get()["instance_id"]

    assert box.ok("POST", f"{machine.path}/stop", {"signal": "SIGTERM", "timeout": "10s"}) == {"ok": True}
    machine.wait("stopped", instance_id=instance)
    assert box.ok("POST", f"{machine.path}/start")["previous_state"] == "stopped"
    machine.wait("started")
    assert box.ok("POST", f"{machine.path}/start")["previous_state"] == "started"
    box.ok("POST", f"{machine.path}/suspend")
    machine.wait("suspended")
    assert box.ok("POST", f"{machine.path}/start")["previous_state"] == "suspended"
    machine.wait("started")
    box.ok("POST", f"{machine.path}/restart?force_stop=false&timeout=10s&signal=SIGTERM")
    machine.wait("started")
    assert machine.get()["instance_id"] == instance
    assert [e["type"] for e in machine.events()[:3]] == ["start", "exit", "restart"]

    box.refused(412, "DELETE", machine.path)
    box.ok("DELETE", f"{machine.path}?kill=true")
    machine.wait("destroyed")
    assert machine.state() == "destroyed"
    assert "destroyed" in box.refused(412, "POST", f"{machine.path}/start")
    box.refused(412, "POST", machine.path, {"config": web_config()})


def test_a_start_that_comes_too_early_is_412_with_the_state(box: Box) -> None:
    app = box.app()
    created = box.ok("POST", f"/v1/apps/{app}/machines", {"config": web_config("web", image="a:missing")})
    path = f"/v1/apps/{app}/machines/{created['id']}"
    box.ok("GET", f"{path}/wait", params={"state": "failed", "timeout": 5})

    machine = box.machine(app)
    machine.update(web_config("web", image="a:missing"))

    text = box.refused(412, "POST", f"{machine.path}/start")
    assert text == "failed_precondition: machine getting replaced, refusing to start"


@pytest.mark.parametrize("body", [[], "x", {"signal": 99}, {"timeout": ["10s"]}, {"signal": "SIGNOTHING"}])
def test_a_stop_of_a_wrong_type_is_400_and_nothing_stops(box: Box, body: object) -> None:
    machine = box.machine(box.app())

    box.refused(400, "POST", f"{machine.path}/stop", body)

    assert machine.state() == "started"


def test_cordon_and_signal(box: Box) -> None:
    machine = box.machine(box.app())

    box.ok("POST", f"{machine.path}/cordon")
    assert machine.get()["cordoned"] is True
    box.ok("POST", f"{machine.path}/uncordon")
    assert machine.get()["cordoned"] is False
    box.ok("POST", f"{machine.path}/signal", {"signal": "SIGHUP"})
    box.ok("POST", f"{machine.path}/signal", {"signal": 1})
    box.refused(400, "POST", f"{machine.path}/signal", {"signal": "LOUD"})
    assert box.machine(box.app(), skip_service_registration=True).get()["cordoned"] is True


def test_exec_takes_words_or_a_line(box: Box) -> None:
    machine = box.machine(box.app())

    for body in ({"command": ["ls", "-l"]}, {"cmd": "ls -l", "timeout": 5}):
        answer = box.ok("POST", f"{machine.path}/exec", body)
        assert {"stdout", "stderr", "exit_code", "exit_signal"} <= answer.keys()
    box.refused(400, "POST", f"{machine.path}/exec", {})
    box.ok("POST", f"{machine.path}/stop")
    machine.wait("stopped")
    box.refused(412, "POST", f"{machine.path}/exec", {"command": ["ls"]})


def test_waiting_ends_at_the_state_or_with_408(box: Box) -> None:
    machine = box.machine(box.app())
    instance = machine.get()["instance_id"]

    assert box.ok("GET", f"{machine.path}/wait") == {"ok": True, "state": "started"}
    both = {"state": "stopped,started", "timeout": "1"}
    assert box.ok("GET", f"{machine.path}/wait", params=both)["state"] == "started"
    assert box.ok("GET", f"{machine.path}/wait?state=stopped&state=started&timeout=1")["state"] == "started"
    text = box.refused(408, "GET", f"{machine.path}/wait", params={"state": "stopped", "timeout": 1})
    assert text == ("deadline_exceeded: machine failed to reach desired state, stopped, currently started")
    box.refused(408, "GET", f"{machine.path}/wait", params={"version": "01OTHER", "timeout": 1})
    box.refused(400, "GET", f"{machine.path}/wait", params={"state": "sleeping"})
    box.refused(400, "GET", f"{machine.path}/wait", params={"timeout": 61})
    new = machine.update()["instance_id"]
    machine.wait("started", version=new)
    machine.wait("stopped", instance_id=instance)


def test_a_wait_from_an_event_wants_a_newer_one(box: Box) -> None:
    machine = box.machine(box.app())
    newest = machine.events()[0]["id"]

    box.refused(408, "GET", f"{machine.path}/wait", params={"from_event_id": newest, "timeout": 1})
    box.ok("POST", f"{machine.path}/restart")
    machine.wait("started", from_event_id=newest)


def test_events_are_newest_first_and_limited(box: Box) -> None:
    machine = box.machine(box.app())
    for _ in range(8):
        box.ok("POST", f"{machine.path}/restart")
        machine.wait("started")

    events = machine.events()

    assert len(events) == 26
    assert events == sorted(events, key=lambda e: e["id"], reverse=True)
    assert len(box.ok("GET", f"{machine.path}/events")) == 20
    assert len(box.ok("GET", f"{machine.path}/events?limit=3")) == 3


@pytest.mark.parametrize(
    ("guest", "word"),
    [
        ({"memory_mb": 300}, "increment"),
        ({"memory_mb": 0}, "minimum required 256 MiB"),
        ({"memory_mb": 4096}, "cannot exceed 2048 MiB"),
        ({"cpus": 3, "memory_mb": 1024}, "cpus"),
        ({"cpu_kind": "performance", "memory_mb": 1024}, "minimum required 2048 MiB"),
        ({"cpu_kind": "huge"}, "cpu_kind"),
        ({"memory_mb": "1gb"}, "integers"),
    ],
)
def test_impossible_sizes_are_refused(box: Box, guest: dict[str, Any], word: str) -> None:
    app = box.app()

    assert word in box.refused(
        400, "POST", f"/v1/apps/{app}/machines", {"config": {"image": "a:1", "guest": guest}}
    )


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        [],
        {"image": ""},
        {"image": "a:1", "env": {"A": 1}},
        {"image": "a:1", "metadata": ["a"]},
        {"image": "a:1", "guest": "shared-cpu-1x"},
        {"image": "a:1", "init": {"cmd": "rails server"}},
        {"image": "a:1", "processes": ["web"]},
        {"image": "a:1", "services": {"internal_port": 3000}},
        {"image": "a:1", "services": [{"checks": {"type": "http"}}]},
        {"image": "a:1", "services": [{"checks": ["http"]}]},
        {"image": "a:1", "services": [{"checks": [{"type": "http", "interval": "soon"}]}]},
        {"image": "a:1", "checks": {"one": {"timeout": "5"}}},
        {"image": "a:1", "stop_config": {"signal": "LOUD"}},
    ],
)
def test_a_bad_config_is_refused(box: Box, config: object) -> None:
    app = box.app()

    box.refused(400, "POST", f"/v1/apps/{app}/machines", {"config": config})

    assert box.ok("GET", f"/v1/apps/{app}/machines") == []


def test_autostop_reads_back_in_the_old_words(box: Box) -> None:
    app = box.app()
    for sent, read in (("off", False), ("stop", True), ("suspend", "suspend"), (True, True)):
        services = [{"protocol": "tcp", "internal_port": 3000, "autostop": sent}]
        machine = box.machine(app, {"image": "a:1", "services": services})
        assert machine.get()["config"]["services"][0]["autostop"] == read


def test_names_of_machines_are_unique_in_an_app(box: Box) -> None:
    app = box.app()
    box.machine(app, name="one")

    text = box.refused(409, "POST", f"/v1/apps/{app}/machines", {"config": web_config(), "name": "one"})

    assert "unique machine name violation" in text
    box.machine(box.app(), name="one")


def test_a_kill_for_memory_is_an_exit_event_and_a_restart(box: Box) -> None:
    app = box.app()
    machine = box.machine(app)
    last = machine.events()[0]["id"]

    box.ok("POST", f"/sandbox/apps/{app}/machines/{machine.id}/oom")

    machine.wait("started", from_event_id=last)
    (exit_event,) = machine.events("exit")
    assert exit_event["request"]["exit_event"]["oom_killed"] is True
    assert exit_event["request"]["exit_event"]["exit_code"] == 137
    assert exit_event["request"]["exit_event"]["requested_stop"] is False
    assert exit_event["request"]["exit_event"]["restarting"] is True
    assert exit_event["request"]["restart_count"] == 1


@pytest.mark.parametrize("policy", [{"policy": "no"}, {"policy": "on-failure", "max_retries": 1}])
def test_the_restart_policy_ends_in_stopped(box: Box, policy: dict[str, Any]) -> None:
    app = box.app()
    machine = box.machine(app, web_config(restart=policy))
    for retry in range(policy.get("max_retries", 0) + 1):
        if retry:
            machine.wait("started", from_event_id=machine.events("exit")[0]["id"])
        box.ok("POST", f"/sandbox/apps/{app}/machines/{machine.id}/oom")

    machine.wait("stopped")

    assert machine.events("exit")[0]["request"]["exit_event"]["restarting"] is False
    assert box.status(app)["machines"][0]["routable"] is False


def test_auto_destroy_ends_a_machine_that_exits(box: Box) -> None:
    app = box.app()
    machine = box.machine(app, web_config(restart={"policy": "no"}, auto_destroy=True))

    box.ok("POST", f"/sandbox/apps/{app}/machines/{machine.id}/oom")

    machine.wait("destroyed")


def test_an_image_that_cannot_be_pulled_is_reverted_while_the_old_version_goes_on(box: Box) -> None:
    machine = box.machine(box.app())
    old = machine.get()

    new = machine.update(web_config(image="chatwoot/chatwoot:missing"))

    assert new["instance_id"] != old["instance_id"]
    assert new["image_ref"]["tag"] == "missing"
    box.refused(408, "GET", f"{machine.path}/wait", params={"version": new["instance_id"], "timeout": 1})
    machine.wait("started")
    after = machine.get()
    assert after["instance_id"] == old["instance_id"]
    assert after["image_ref"] == old["image_ref"]
    assert after["config"] == old["config"]
    assert [c["status"] for c in after["checks"]] == ["passing"]


def test_updates_that_overtake_each_other_end_with_the_last(box: Box) -> None:
    machine = box.machine(box.app())
    for memory in (512, 768, 1024):
        last = machine.update(web_config(guest={"cpu_kind": "shared", "cpus": 1, "memory_mb": memory}))
    machine.update(web_config(image="a:missing"))

    machine.wait("started", version=last["instance_id"])

    assert machine.get()["config"]["guest"]["memory_mb"] == 1024
    assert [c["status"] for c in machine.get()["checks"]] == ["passing"]


def test_unknown_machines_are_404(box: Box) -> None:
    app = box.app()
    for method, end in (("GET", ""), ("POST", ""), ("POST", "/stop"), ("GET", "/wait"), ("POST", "/lease")):
        assert box.refused(404, method, f"/v1/apps/{app}/machines/0123456789abcd{end}") == "machine not found"
