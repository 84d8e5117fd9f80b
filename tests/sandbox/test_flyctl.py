"""The real flyctl against the sandbox: what it is told, and what is then true."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import one_off
from tests.sandbox.box import Box, web_config
from tests.world import World

Fly = Callable[..., str]


@pytest.fixture
def fly(flyctl: Path, box: Box, tmp_path: Path) -> Fly:
    """Run flyctl; its standard output. A failure of the command is one of the test, with all that it said."""
    return runner(flyctl, box, tmp_path)


def runner(flyctl: Path, box: Box | World, tmp_path: Path) -> Fly:
    home = tmp_path / "fly"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "FLY_CONFIG_DIR": str(home),
        "FLY_API_BASE_URL": box.url,
        "FLY_FLAPS_BASE_URL": box.url,
        "FLY_UIEX_BASE_URL": box.url,
        "FLY_API_TOKEN": box.token,
        "FLY_SEND_METRICS": "0",
        "FLY_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
    }

    def run(*words: str, input: str = "", fails: bool = False) -> str:
        done = subprocess.run(
            [str(flyctl), *words],
            cwd=home,
            env=environment,
            input=input,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = f"flyctl {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) is fails, said
        assert fails or "WARN" not in done.stderr.upper(), said
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def app(box: Box) -> str:
    """An app as `fly deploy` leaves it: a release with a definition, secrets, a web machine and a worker."""
    name = box.app()
    definition = {
        "app": name,
        "primary_region": "ord",
        "processes": {"web": "bundle exec rails server", "worker": "bundle exec sidekiq"},
        "http_service": {
            "internal_port": 3000,
            "processes": ["web"],
            "checks": [{"path": "/api", "interval": "2s"}],
        },
    }
    box.ok("POST", f"/v1/apps/{name}/secrets", {"values": {"KEPT": "1", "OLD": "2"}})
    box.ok(
        "POST",
        f"/sandbox/apps/{name}/releases",
        {"image": "chatwoot/chatwoot:v4.11.0", "definition": definition},
    )
    box.machine(name, web_config("web"))
    box.machine(name, web_config("worker"))
    return name


def machines(box: Box, app: str, group: str | None = None) -> list[dict[str, Any]]:
    found = box.ok("GET", f"/v1/apps/{app}/machines")
    return [m for m in found if group in (None, m["config"]["metadata"]["fly_process_group"])]


def secrets(box: Box, app: str) -> set[str]:
    return {s["name"] for s in box.ok("GET", f"/v1/apps/{app}/secrets")["secrets"]}


def not_live(box: Box, app: str) -> list[str]:
    return sorted({name for m in box.status(app)["machines"] for name in m["secrets_not_live"]})


def no_leases(box: Box, app: str) -> bool:
    return all(m["lease"] is None for m in box.status(app)["machines"])


def test_who_and_which_apps(fly: Fly, app: str) -> None:
    assert fly("auth", "whoami").strip() == "oncall@hotdash.example"
    assert app in [a["Name"] for a in json.loads(fly("apps", "list", "--json"))]
    assert app in fly("apps", "list", "-o", "hotdash")
    assert "hotdash" in fly("orgs", "list")


def test_apps_are_created_and_destroyed(fly: Fly, box: Box, app: str) -> None:
    fly("apps", "create", f"{app}-new", "-o", "hotdash")
    assert box.ok("GET", f"/v1/apps/{app}-new")["status"] == "pending"
    assert "taken" in fly("apps", "create", f"{app}-new", "-o", "hotdash", fails=True)

    fly("apps", "destroy", f"{app}-new", "--yes")
    box.refused(404, "GET", f"/v1/apps/{app}-new")


def test_secrets_are_listed_staged_and_synced(fly: Fly, box: Box, app: str) -> None:
    def listed() -> dict[str, str]:
        return {s["name"]: s["status"] for s in json.loads(fly("secrets", "list", "-a", app, "--json"))}

    assert listed() == {"KEPT": "Deployed", "OLD": "Deployed"}
    before = [m["instance_id"] for m in machines(box, app)]

    fly("secrets", "set", "--stage", "NEW=3", "-a", app)
    fly("secrets", "unset", "--stage", "OLD", "-a", app)
    fly("secrets", "import", "--stage", "-a", app, input='ONE=1\nTWO="two words"\n')
    fly("secrets", "sync", "-a", app)

    assert listed() == {"KEPT": "Deployed", "NEW": "Staged", "ONE": "Staged", "TWO": "Staged"}
    assert secrets(box, app) == {"KEPT", "NEW", "ONE", "TWO"}
    assert not_live(box, app) == ["NEW", "OLD", "ONE", "TWO"]
    assert [m["instance_id"] for m in machines(box, app)] == before
    assert "is not a valid secret name" in fly(
        "secrets", "set", "--stage", "BAD-NAME=1", "-a", app, fails=True
    )


@pytest.mark.parametrize("how", ["set", "unset", "import", "deploy"])
def test_secrets_are_deployed_to_every_machine(fly: Fly, box: Box, app: str, how: str) -> None:
    """Each takes the 10 s for which flyctl watches a new machine."""
    before = {m["id"]: m["instance_id"] for m in machines(box, app)}
    offline = ("-a", app, "--dns-checks=false")

    if how == "set":
        fly("secrets", "set", "NEW=3", "KEPT=changed", *offline)
    elif how == "unset":
        fly("secrets", "unset", "OLD", *offline)
    elif how == "import":
        fly("secrets", "import", *offline, input="NEW=3\n")
    else:
        fly("secrets", "set", "--stage", "NEW=3", "-a", app)
        fly("secrets", "deploy", *offline)

    assert secrets(box, app) == ({"KEPT"} if how == "unset" else {"KEPT", "OLD", "NEW"})
    assert not_live(box, app) == []
    after = machines(box, app)
    assert {m["id"] for m in after} == before.keys()
    assert all(m["state"] == "started" and m["instance_id"] != before[m["id"]] for m in after)
    assert all(m["config"]["metadata"]["fly_release_version"] == "2" for m in after)
    assert no_leases(box, app)
    latest = box.ok("GET", f"/api/v1/apps/{app}/releases")["releases"][0]
    assert (latest["version"], latest["status"]) == (2, "complete")
    statuses = {s["status"] for s in json.loads(fly("secrets", "list", "-a", app, "--json"))}
    assert statuses == {"Deployed"}


def test_machines_and_checks_are_shown(fly: Fly, box: Box, app: str) -> None:
    web, worker = machines(box, app, "web")[0], machines(box, app, "worker")[0]

    listed = json.loads(fly("machine", "list", "-a", app, "--json"))
    assert {m["id"] for m in listed} == {web["id"], worker["id"]}
    status = fly("machine", "status", web["id"], "-a", app)
    assert web["instance_id"] in status
    assert re.search(r"servicecheck-00-http-3000\s*│\s*passing", status)
    checks = json.loads(fly("checks", "list", "-a", app, "--json"))
    assert [(c["name"], c["status"]) for c in checks[web["id"]]] == [("servicecheck-00-http-3000", "passing")]


def test_a_machine_is_restarted_stopped_started_and_resized(fly: Fly, box: Box, app: str) -> None:
    (web,) = machines(box, app, "web")

    def now() -> dict[str, Any]:
        (found,) = machines(box, app, "web")
        return found

    fly("machine", "restart", web["id"], "-a", app)
    assert now()["instance_id"] == web["instance_id"]
    assert [e["type"] for e in now()["events"][:3]] == ["start", "exit", "restart"]
    fly("machine", "update", web["id"], "-a", app, "--vm-memory", "512", "--yes")
    assert now()["config"]["guest"]["memory_mb"] == 512
    assert now()["instance_id"] != web["instance_id"]
    assert now()["config"]["services"][0]["checks"] == web["config"]["services"][0]["checks"]
    fly("machine", "stop", web["id"], "-a", app, "--wait-timeout", "10s")
    assert now()["state"] == "stopped"
    fly("machine", "start", web["id"], "-a", app)
    box.ok("GET", f"/v1/apps/{app}/machines/{web['id']}/wait", params={"timeout": 5})
    fly("machine", "cordon", web["id"], "-a", app)
    assert now()["cordoned"] is True
    fly("machine", "uncordon", web["id"], "-a", app)
    assert now()["cordoned"] is False
    assert no_leases(box, app)
    fly("machine", "destroy", web["id"], "--force", "-a", app)
    assert machines(box, app, "web") == []


def test_memory_is_scaled_by_group(fly: Fly, box: Box, app: str) -> None:
    rows = {row["Process"]: row for row in json.loads(fly("scale", "show", "-a", app, "--json"))}
    assert (rows["web"]["Count"], rows["worker"]["Memory"]) == (1, 1024)

    fly("scale", "memory", "768", "-g", "worker", "-a", app)

    assert [m["config"]["guest"]["memory_mb"] for m in machines(box, app, "worker")] == [768]
    assert [m["config"]["guest"]["memory_mb"] for m in machines(box, app, "web")] == [1024]
    assert no_leases(box, app)


def test_machines_are_added_and_removed_by_count(fly: Fly, box: Box, app: str) -> None:
    fly("scale", "count", "web=3", "--yes", "-a", app)
    assert len(machines(box, app, "web")) == 3
    assert not_live(box, app) == []

    fly("scale", "count", "web=1", "worker=0", "--yes", "-a", app)
    for machine in machines(box, app):
        if machine["state"] == "destroying":
            box.ok("GET", f"/v1/apps/{app}/machines/{machine['id']}/wait", params={"state": "destroyed"})
    assert len(machines(box, app, "web")) == 1
    assert machines(box, app, "worker") == []


def test_the_config_is_the_last_releases(fly: Fly, app: str) -> None:
    config = json.loads(fly("config", "show", "-a", app))

    assert config["processes"] == {"web": "bundle exec rails server", "worker": "bundle exec sidekiq"}
    assert config["http_service"]["checks"][0]["path"] == "/api"


def test_the_config_is_put_together_from_machines_where_no_release_has_one(fly: Fly, box: Box) -> None:
    app = box.app()
    box.machine(app, web_config())

    shown = fly("config", "show", "-a", app)

    config = json.loads(shown[shown.index("{") :])
    assert config["services"][0]["internal_port"] == 3000


def test_status_and_releases(fly: Fly, box: Box, app: str) -> None:
    assert re.search(r"web\s*│.*started.*1 total, 1 passing", fly("status", "-a", app))
    status = json.loads(fly("status", "-a", app, "--json"))
    assert (status["Name"], status["Deployed"], status["Status"], status["Version"]) == (
        app,
        True,
        "deployed",
        1,
    )
    assert {m["id"] for m in status["Machines"]} == {m["id"] for m in machines(box, app)}
    (release,) = json.loads(fly("releases", "-a", app, "--json"))
    assert (release["Version"], release["Status"]) == (1, "complete")


def test_refusals_reach_the_person_with_the_request_id(fly: Fly, box: Box, app: str) -> None:
    (web,) = machines(box, app, "web")
    box.ok("POST", f"/sandbox/apps/{app}/machines/{web['id']}/lease", {"owner": "ci@example.org", "ttl": 2})

    said = fly("machine", "cordon", web["id"], "-a", app)
    assert machines(box, app, "web")[0]["cordoned"] is True, said
    box.ok("POST", f"/v1/apps/{app}/machines/{web['id']}/stop")
    box.ok("GET", f"/v1/apps/{app}/machines/{web['id']}/wait", params={"state": "stopped"})
    said = fly("machine", "exec", web["id"], "ls", "-a", app, fails=True)
    assert "unable to exec in machine in current state: 'stopped'" in said
    assert re.search(r"Request ID: \w{26}-ord", said)
    assert 'Could not find App "elsewhere-app"' in fly("status", "-a", "elsewhere-app", fails=True)


def test_a_real_machine_passes_its_checks_after_a_change_of_memory(
    flyctl: Path, real_box: Box, tmp_path: Path
) -> None:
    box = real_box
    app = box.app()
    box.ok("PUT", "/sandbox/settings", {"boot_seconds": 0.1})
    config = web_config(
        "web", init={"cmd": ["bundle", "exec", "rails", "server", "-p", "3000", "-b", "0.0.0.0"]}
    )
    config["services"][0]["checks"][0].update(path="/health", interval="1s", grace_period="0s")
    config["env"]["SECRET_KEY_BASE"] = "0" * 128
    machine = box.machine(app, config)
    fly = runner(flyctl, box, tmp_path)

    fly("scale", "memory", "2048", "-g", "web", "-a", app)
    fly("machine", "restart", machine.id, "-a", app)

    assert machine.get()["config"]["guest"]["memory_mb"] == 2048
    checks = json.loads(fly("checks", "list", "-a", app, "--json"))[machine.id]
    assert [(c["name"], c["status"]) for c in checks] == [("servicecheck-00-http-3000", "passing")]


def test_the_seeded_app_is_one_that_flyctl_can_scale(flyctl: Path, sandbox: World, tmp_path: Path) -> None:
    fly = runner(flyctl, sandbox, tmp_path)
    named = ("-a", sandbox.app)
    (before,) = sandbox.machines("worker")

    config = json.loads(fly("config", "show", *named))
    assert config["processes"].keys() == {"web", "worker"}
    assert config["services"][0]["http_checks"][0]["path"] == sandbox.design.check_path
    assert "valid" in fly("config", "validate", *named)

    fly("scale", "count", "worker=0", "--yes", *named)
    gone = [m["state"] for m in sandbox.machines("worker")]
    assert set(gone) <= {"destroying", "destroyed"}
    assert len(sandbox.machines("web")) == sandbox.design.webs

    fly("scale", "count", "worker=1", "web=3", "--yes", *named)
    webs, workers = sandbox.machines("web"), sandbox.machines("worker")
    for old, new in ((before, workers[-1]), (webs[0], webs[-1])):
        assert new["id"] != old["id"]
        for part in ("guest", "init", "env", "restart", "services"):
            assert new["config"].get(part) == old["config"].get(part)


def test_logs_of_an_app_and_of_a_task_that_is_gone(flyctl: Path, sandbox: World, tmp_path: Path) -> None:
    sandbox.reset()
    fly = runner(flyctl, sandbox, tmp_path)
    (worker,) = sandbox.machines("worker")
    ended = one_off.run(sandbox)

    said = fly("logs", "--no-tail", "-a", sandbox.app, "-i", ended.machine["id"])

    shown = said.splitlines()
    assert all(text.endswith(line) for line, text in zip(ended.lines, shown, strict=True)), said
    everything = fly("logs", "--no-tail", "-a", sandbox.app)
    assert "Booting Sidekiq" in everything
    assert "-- create_table(:hotdash_notes)" in everything
    records = fly("logs", "--no-tail", "--json", "-a", sandbox.app, "--machine", worker["id"])
    assert '"instance": "' + worker["id"] in records
