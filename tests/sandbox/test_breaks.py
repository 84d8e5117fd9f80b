"""Every trouble of the outage: made, seen where a person would see it, and put back by hand."""

import json
from typing import Any

import pytest

from sandbox import breaks
from sandbox.client import SandboxError
from tests.world import World

NAMES = tuple(entry.name for entry in breaks.explain())
# The machines answer through these.
HARMLESS = {
    "secret-missing",
    "secret-tampered",
    "secret-staged",
    "worker-oom",
    "worker-stopped",
    "machine-stopped",
}


def digests(sandbox: World) -> dict[str, str]:
    found = sandbox.client.get(f"/v1/apps/{sandbox.app}/secrets").json()["secrets"]
    return {secret["name"]: secret["digest"] for secret in found}


def instances(sandbox: World, group: str | None = None) -> list[str]:
    return [machine["instance_id"] for machine in sandbox.machines(group)]


def path(machine: dict[str, Any]) -> str:
    found: str = machine["config"]["services"][0]["checks"][0]["path"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_made_and_put_back(sandbox: World, name: str) -> None:
    sandbox.reset()
    before = digests(sandbox)
    seen = sandbox.break_(name)
    assert all(seen.evidence)
    assert sandbox.answer() == (200 if name in HARMLESS else 503)
    assert breaks.active(sandbox.dir) == seen.names

    assert sandbox.mend(name) == seen.names
    assert breaks.active(sandbox.dir) == ()
    assert sandbox.answer() == 200
    assert digests(sandbox) == before
    assert [m["config"]["guest"]["memory_mb"] for m in sandbox.machines()] == [2048, 2048, 2048]
    assert [path(m) for m in sandbox.machines("web")] == ["/api", "/api"]
    assert not [m for m in sandbox.status()["machines"] if m["secrets_not_live"] or m["state"] != "started"]


def test_wrong_password_is_on_fly_and_in_every_machine_not_in_the_vault(sandbox: World) -> None:
    sandbox.reset()
    before, machines = digests(sandbox), instances(sandbox)
    vault = (sandbox.vault / "occ/chatwoot/database_url.env").read_text()
    sandbox.break_("wrong-password")
    changed = {name for name, digest in digests(sandbox).items() if digest != before[name]}
    assert changed == {"DATABASE_URL", "POSTGRES_PASSWORD"}
    assert (sandbox.vault / "occ/chatwoot/database_url.env").read_text() == vault
    assert not set(instances(sandbox)) & set(machines)
    assert not [m for m in sandbox.status()["machines"] if m["secrets_not_live"]]
    # The shallow probe says that all is well, as it does in Chatwoot.
    (web, *_) = sandbox.machines("web")
    command = ["curl", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost:3000/health"]
    answer = sandbox.client.post(
        f"/v1/apps/{sandbox.app}/machines/{web['id']}/exec", json={"command": command, "timeout": 5}
    )
    assert answer.json()["stdout"] == "200"
    # As flyctl does it: a release, which the machines name.
    assert {m["config"]["metadata"]["fly_release_version"] for m in sandbox.machines()} == {"2"}


def test_secrets_missing_tampered_and_staged(sandbox: World) -> None:
    sandbox.reset()
    before, machines = digests(sandbox), instances(sandbox)
    sandbox.break_("secret-staged")
    assert digests(sandbox)["SMTP_PASSWORD"] != before["SMTP_PASSWORD"]
    assert instances(sandbox) == machines
    sandbox.mend()
    sandbox.break_("secret-missing", "secret-tampered")
    after = digests(sandbox)
    assert "CHATWOOT_WEBHOOK_SECRET" not in after
    assert after["SMTP_PASSWORD"] != before["SMTP_PASSWORD"]
    assert not set(instances(sandbox)) & set(machines)
    assert not [m for m in sandbox.status()["machines"] if m["secrets_not_live"]]


def test_another_secret_can_be_named(sandbox: World) -> None:
    sandbox.reset()
    (evidence,) = sandbox.break_("secret-missing", secret="SMTP_USERNAME").evidence
    assert "SMTP_USERNAME" in evidence
    assert "SMTP_USERNAME" not in digests(sandbox)
    sandbox.mend()
    assert "SMTP_USERNAME" in digests(sandbox)
    with pytest.raises(SandboxError, match="NO_SUCH is not among the secrets of hotdash-chatwoot"):
        sandbox.break_("secret-tampered", secret="NO_SUCH")
    assert breaks.active(sandbox.dir) == ()


def test_the_worker_runs_out_of_memory_again_and_again(sandbox: World) -> None:
    sandbox.reset()
    sandbox.break_("worker-oom")
    (worker,) = sandbox.machines("worker")
    assert worker["config"]["guest"]["memory_mb"] == 512
    exits = [e["request"]["exit_event"] for e in worker["events"] if e["type"] == "exit"]
    assert exits[0]["oom_killed"]
    assert exits[0]["exit_code"] == 137
    assert exits[0]["restarting"]
    assert sandbox.machines("web")[0]["config"]["guest"]["memory_mb"] == 2048


def test_only_what_is_concerned_moves(sandbox: World) -> None:
    sandbox.reset()
    webs, workers = instances(sandbox, "web"), instances(sandbox, "worker")
    sandbox.break_("check-path")
    assert [path(m) for m in sandbox.machines("web")] == ["/rails/health"] * 2
    assert not set(instances(sandbox, "web")) & set(webs)
    assert instances(sandbox, "worker") == workers


def test_the_outage_moves_each_machine_once(sandbox: World) -> None:
    sandbox.reset()
    seen = sandbox.break_("outage")
    assert seen.names == ("wrong-password", "check-path", "worker-oom")
    updates = [
        r for r in sandbox.requests() if r["method"] == "POST" and r["route"].endswith("/machines/{machine}")
    ]
    assert len(updates) == 3
    secrets = [r for r in sandbox.requests() if r["method"] == "POST" and r["route"].endswith("/secrets")]
    assert len(secrets) == 1
    assert all(machine["lease"] is None for machine in sandbox.status()["machines"])


def test_scaling_to_zero_destroys_and_mending_creates(sandbox: World) -> None:
    sandbox.reset()
    (worker,) = sandbox.machines("worker")
    sandbox.break_("worker-stopped")
    assert sandbox.machines("worker") == []
    sandbox.mend()
    (new,) = sandbox.machines("worker")
    assert new["id"] != worker["id"]
    assert new["config"] == worker["config"]


def test_mending_gives_back_what_was_there_and_not_what_was_seeded(sandbox: World) -> None:
    sandbox.reset()
    (worker,) = sandbox.machines("worker")
    config = worker["config"] | {"guest": worker["config"]["guest"] | {"memory_mb": 1024}}
    sandbox.api.update(sandbox.app, worker, config)
    sandbox.wait_healthy()
    sandbox.break_("worker-oom")
    sandbox.break_("worker-oom")
    sandbox.mend()
    assert sandbox.machines("worker")[0]["config"]["guest"]["memory_mb"] == 1024


def test_the_record_of_breaks_holds_no_value(sandbox: World) -> None:
    sandbox.reset()
    sandbox.break_(*(name for name in NAMES if name not in ("worker-stopped", "secret-staged")))
    record = (sandbox.dir / "breaks.json").read_text()
    for value in json.loads((sandbox.dir / "seed.json").read_text())["values"].values():
        assert value not in record
    sandbox.reset()
    assert breaks.active(sandbox.dir) == ()


def test_never_healthy_stays_so_whatever_is_changed(sandbox: World) -> None:
    sandbox.reset()
    sandbox.break_("never-healthy")
    for machine in sandbox.machines("web"):
        sandbox.api.update(sandbox.app, machine, machine["config"])
    sandbox.api.until(lambda: all(m["checks"] for m in sandbox.machines("web")), "checks to answer", 10.0)
    assert sandbox.answer() == 503


def test_unknown_names_and_an_app_that_is_gone(sandbox: World) -> None:
    sandbox.reset()
    with pytest.raises(SandboxError, match="there is no break 'flood'; there are wrong-password, "):
        sandbox.break_("flood")
    refused = sandbox.command("break", "flood")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    with pytest.raises(SandboxError, match="make one or the other"):
        sandbox.break_("worker-stopped", "worker-oom")
    with pytest.raises(SandboxError, match="SMTP_PASSWORD cannot be deployed and only staged"):
        sandbox.break_("secret-staged", "secret-tampered")
    sandbox.break_("worker-stopped")
    with pytest.raises(SandboxError, match="no worker machine to change"):
        sandbox.break_("worker-oom")
    sandbox.client.delete(f"/v1/apps/{sandbox.app}", params={"force": "true"})
    refused = sandbox.command("break", "outage")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr


def test_every_break_is_explained(sandbox: World) -> None:
    listed = sandbox.command("break", "--list")
    assert listed.returncode == 0
    for entry in breaks.explain():
        assert f"{entry.name}\n    {entry.trouble}\n    preview: {', '.join(entry.kinds)}\n" in listed.stdout
    assert sandbox.command("break").returncode == 2
