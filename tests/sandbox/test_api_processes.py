"""The API and real machines together: what a process is given, and what becomes of it."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.sandbox.box import Box, Machine, web_config


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A sandbox with real machines, shared by the tests of this file."""
    started = Box(tmp_path_factory.mktemp("box") / "real", runtime="process").start()
    started.ok(
        "PUT", "/sandbox/settings", {"boot_seconds": 0.1, "memory_need_mb": {"web": 300, "worker": 700}}
    )
    yield started
    assert started.stop() == 0, started.log()


def serving(**env: str) -> dict[str, Any]:
    """A web machine whose check needs no database."""
    config = web_config(init={"cmd": ["bundle", "exec", "rails", "server", "-p", "3000", "-b", "0.0.0.0"]})
    config["services"][0]["checks"][0].update(
        path="/health", interval="100ms", timeout="2s", grace_period="0s"
    )
    config["env"] = {"SECRET_KEY_BASE": "0" * 128, **env}
    return config


def eventually(machine: Machine, status: str, output: str = "") -> None:
    """Wait until the machine's one check has the status, and the text in its output."""
    deadline = time.monotonic() + 20
    while True:
        checks = machine.get()["checks"]
        if [c["status"] for c in checks] == [status] and output in checks[0]["output"]:
            return
        assert time.monotonic() < deadline, machine.get()
        time.sleep(0.02)


def env_of(box: Box, machine: Machine) -> dict[str, str]:
    printed = box.ok("POST", f"{machine.path}/exec", {"cmd": "env"})["stdout"]
    return dict(line.split("=", 1) for line in printed.splitlines())


def pids(box: Box) -> set[int]:
    """Machines' processes of this sandbox, wherever they hang."""
    found = set()
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if "sandbox.chatwoot" in (process.info["cmdline"] or []) and str(box.directory) in str(
            process.info["cwd"]
        ):
            found.add(process.pid)
    return found


def test_a_process_has_the_machines_env_and_its_snapshot_of_secrets(real: Box) -> None:
    app = real.app()
    real.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"BOTH": "from the secret", "ONLY": "1"}})
    machine = real.machine(app, serving(BOTH="from the config", MINE="2"), region="fra")
    found = machine.get()

    env = env_of(real, machine)

    assert (env["BOTH"], env["ONLY"], env["MINE"]) == ("from the secret", "1", "2")
    assert (env["FLY_APP_NAME"], env["FLY_MACHINE_ID"], env["FLY_REGION"]) == (app, machine.id, "fra")
    assert (env["FLY_MACHINE_VERSION"], env["FLY_PROCESS_GROUP"]) == (found["instance_id"], "web")
    assert env["FLY_VM_MEMORY_MB"] == "1024"

    real.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"BOTH": "changed", "ONLY": None}})
    real.ok("POST", f"{machine.path}/restart")
    machine.wait("started")
    assert (env_of(real, machine)["BOTH"], env_of(real, machine)["ONLY"]) == ("from the secret", "1")
    machine.update()
    machine.wait("started")
    assert env_of(real, machine)["BOTH"] == "changed"
    assert "ONLY" not in env_of(real, machine)


def test_requests_reach_a_machine_once_its_check_passes(real: Box) -> None:
    app = real.app()
    url = real.status(app)["url"]
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 503
    machine = real.machine(app, serving())
    eventually(machine, "passing")
    first = machine.get()["checks"][0]

    assert httpx.get(f"{url}/health", trust_env=False).status_code == 200

    config = serving()
    config["services"][0]["checks"][0]["path"] = "/rails/health"
    assert machine.update(config)["checks"] == []
    eventually(machine, "critical", "404")
    assert machine.get()["checks"][0]["updated_at"] > first["updated_at"]
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 503


def test_a_machine_with_too_little_memory_is_killed_until_it_is_given_up(real: Box) -> None:
    config = serving()
    config["guest"]["memory_mb"] = 256
    config["restart"] = {"policy": "on-failure", "max_retries": 1}
    machine = real.machine(real.app(), config)

    machine.wait("stopped", timeout=20)

    exits = [e["request"] for e in machine.events("exit")]
    assert [(r["exit_event"]["oom_killed"], r["exit_event"]["exit_code"]) for r in exits] == [(True, 137)] * 2
    assert [r["exit_event"]["restarting"] for r in exits] == [False, True]


def test_a_process_that_exits_by_itself_is_restarted(real: Box) -> None:
    config = serving()
    del config["env"]["SECRET_KEY_BASE"]
    config["restart"] = {"policy": "on-failure", "max_retries": 1}
    app = real.app()

    # Not waited for on its way: it may have run, and run again, before anybody asks.
    made = real.ok("POST", f"/v1/apps/{app}/machines", {"config": config})
    machine = Machine(real, app, made["id"])
    machine.wait("stopped", timeout=20)
    assert len(machine.events("exit")) == 2

    exit_event = machine.events("exit")[0]["request"]["exit_event"]
    assert exit_event["exit_code"] == 1
    assert (exit_event["oom_killed"], exit_event["requested_stop"]) == (False, False)


def test_processes_end_with_their_machines(real: Box) -> None:
    app = real.app()
    before = pids(real)
    machines = [real.machine(app, serving()) for _ in range(2)]
    assert len(pids(real) - before) == 2
    assert real.ok("GET", f"{machines[0].path}/ps")[0]["listen_sockets"]

    real.ok("POST", f"{machines[0].path}/stop")
    machines[0].wait("stopped")
    assert len(pids(real) - before) == 1
    real.ok("DELETE", f"/v1/apps/{app}")
    assert pids(real) == before


def test_a_killed_sandbox_starts_its_machines_again_and_leaves_none_behind(real_box: Box) -> None:
    box = real_box
    box.ok("PUT", "/sandbox/settings", {"boot_seconds": 0.1})
    app = box.app()
    box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "live"}})
    machine = box.machine(app, serving())
    eventually(machine, "passing")
    box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "staged"}})
    before, url, old = machine.get(), box.status(app)["url"], pids(box)

    box.kill()
    box.start()

    after = machine.get()
    for key in ("instance_id", "state", "updated_at", "events", "config"):
        assert after[key] == before[key]
    eventually(machine, "passing")
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
    assert env_of(box, machine)["A"] == "live"
    assert len(pids(box)) == 1
    assert not pids(box) & old
    assert box.stop() == 0
    assert pids(box) == set()
    box.start()
