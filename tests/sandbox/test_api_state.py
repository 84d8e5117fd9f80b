"""The world outlives the server: killed, stopped, or refused to start."""

import json
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.box import CHECKOUT, NONCE, Box, web_config


def world(box: Box, app: str) -> dict[str, Any]:
    """Everything that a client can see of an app."""
    return {
        "machines": box.ok("GET", f"/v1/apps/{app}/machines", params={"include_leases": "true"}),
        "secrets": box.ok("GET", f"/v1/apps/{app}/secrets"),
        "app": box.ok("GET", f"/v1/apps/{app}"),
        "seen": {**box.status(app), "machines": None},
        "faults": box.ok("GET", "/sandbox/faults"),
    }


def without_check_times(seen: dict[str, Any]) -> dict[str, Any]:
    """Checks run anew after a start."""
    copy: dict[str, Any] = json.loads(json.dumps(seen))
    for machine in copy["machines"]:
        for check in machine["checks"]:
            check["updated_at"] = ""
    return copy


def test_a_killed_sandbox_comes_back_as_it_was(own_box: Box) -> None:
    box = own_box
    app = box.app()
    box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "1", "B": "2"}})
    runs, stopped, held = (box.machine(app, name=name) for name in ("runs", "stopped", "held"))
    box.ok("POST", f"{stopped.path}/stop")
    stopped.wait("stopped")
    nonce = held.lease(ttl=300)
    box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "staged"}})
    box.ok("POST", "/sandbox/faults", {"route": "POST secrets", "kind": "500", "count": 5})
    box.ok("POST", "/sandbox/rate-limits", {"enabled": False})
    before, not_live = world(box, app), box.status(app)["machines"]
    token, url = box.token, box.url

    box.kill()
    box.start()

    assert (box.token, box.url) == (token, url)
    assert without_check_times(world(box, app)) == without_check_times(before)
    # The secrets that a machine runs with are those it was made with, not the staged ones.
    assert [m["secrets_not_live"] for m in box.status(app)["machines"]] == [
        m["secrets_not_live"] for m in not_live
    ]
    assert [m["secrets_not_live"] for m in not_live] == [["A"]] * 3
    box.refused(409, "POST", f"{held.path}/cordon")
    box.ok("POST", f"{held.path}/cordon", headers={NONCE: nonce})
    assert [e["type"] for e in runs.events()] == ["start", "launch"]
    box.ok("POST", f"{runs.path}/restart")
    runs.wait("started")


def test_nothing_that_was_answered_is_lost_when_killed_in_the_middle(own_box: Box) -> None:
    box = own_box
    app = box.app()
    machines = [box.machine(app, name=f"m{n}") for n in range(3)]
    expected = {}
    for number, machine in enumerate(machines):
        box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {f"S{number}": "x"}})
        expected[machine.id] = machine.update(web_config(env={"N": str(number)}))["instance_id"]
        box.kill()
        box.start()

    for machine in machines:
        machine.wait("started")
    found = {m["id"]: m["instance_id"] for m in box.ok("GET", f"/v1/apps/{app}/machines")}
    assert found == expected
    assert [s["name"] for s in box.ok("GET", f"/v1/apps/{app}/secrets")["secrets"]] == ["S0", "S1", "S2"]


def test_a_kill_while_an_image_is_pulled_in_vain_ends_with_the_old_version(own_box: Box) -> None:
    machine = own_box.machine(own_box.app())
    old = machine.get()["instance_id"]
    machine.update(web_config(image="a:missing"))

    own_box.kill()
    own_box.start()

    machine.wait("started", version=old)


def test_digests_stay_the_same_over_a_restart_and_differ_between_sandboxes(own_box: Box, box: Box) -> None:
    def digest(of: Box) -> str:
        app = of.app()
        of.ok("POST", f"/v1/apps/{app}/secrets", {"values": {"A": "1"}})
        return str(of.ok("GET", f"/v1/apps/{app}/secrets/A")["digest"])

    before = digest(own_box)
    assert own_box.stop() == 0
    own_box.start()

    assert digest(own_box) == before != digest(box)


def test_what_is_on_disk_is_the_users_alone(own_box: Box) -> None:
    own_box.app()

    assert stat.S_IMODE(own_box.directory.stat().st_mode) == 0o700
    for name in ("state.json", "token"):
        assert stat.S_IMODE((own_box.directory / name).stat().st_mode) == 0o600
    assert not list(own_box.directory.glob("*.tmp"))


def test_a_stopped_server_ends_soon_though_somebody_waits(own_box: Box) -> None:
    machine = own_box.machine(own_box.app())
    script = (
        "import sys, httpx\n"
        "headers = {'Authorization': 'Bearer ' + sys.stdin.readline().strip()}\n"
        "try: httpx.get(sys.argv[1], headers=headers, timeout=60, trust_env=False)\n"
        "except httpx.HTTPError: pass"
    )
    url = f"{own_box.url}{machine.path}/wait?state=stopped&timeout=60"
    waiting = subprocess.Popen([sys.executable, "-c", script, url], stdin=subprocess.PIPE)
    assert waiting.stdin is not None
    waiting.stdin.write(f"{own_box.token}\n".encode())
    waiting.stdin.close()
    try:
        began = time.monotonic()
        assert own_box.stop() == 0
        assert time.monotonic() - began < 30  # it does not wait for whoever waits
        assert not (own_box.directory / "server.json").exists()
    finally:
        waiting.wait(30)


def serve(directory: Path, port: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "sandbox.server", "--dir", str(directory)),
            *("--port", str(port), "--runtime", "null"),
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_second_server_on_the_same_directory_or_port_is_refused(box: Box, tmp_path: Path) -> None:
    same = serve(box.directory)
    assert same.returncode == 1
    assert "Another sandbox runs on" in same.stderr
    assert "Traceback" not in same.stderr

    port = int(box.url.rpartition(":")[2])
    taken = serve(tmp_path / "other", port)
    assert taken.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in taken.stderr


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_state_that_cannot_be_read_is_said_so_and_kept(tmp_path: Path, text: str) -> None:
    directory = tmp_path / "broken"
    directory.mkdir()
    (directory / "state.json").write_text(text)

    refused = serve(directory)

    assert refused.returncode == 1
    assert "cannot be read as a sandbox's state" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (directory / "state.json").read_text() == text


def test_a_reset_begins_anew_with_the_same_token(own_box: Box) -> None:
    box = own_box
    app = box.app()
    box.machine(app)
    box.ok("POST", "/sandbox/faults", {"route": "*", "kind": "500", "count": None})

    box.ok("POST", "/sandbox/reset")

    status = box.ok("GET", "/sandbox/status")
    assert [a["name"] for a in status["apps"]] == ["elsewhere-app"]
    assert status["faults"] == []
    assert status["requests"] == {}
    box.refused(404, "GET", f"/v1/apps/{app}")
    box.refused(403, "GET", "/v1/apps/elsewhere-app")


def test_many_machines_are_listed_fast(own_box: Box) -> None:
    box = own_box
    app = box.app()
    box.ok("POST", f"/v1/apps/{app}/secrets", {"values": {f"SECRET_{n}": f"value {n}" for n in range(30)}})
    for _ in range(4):
        box.machine(app)

    def median_ms(path: str) -> float:
        times = []
        for _ in range(21):
            began = time.perf_counter()
            box.ok("GET", path)
            times.append((time.perf_counter() - began) * 1000)
        return sorted(times)[10]

    # It is below 2 ms on an idle machine; the tests beside this one may have the processors.
    assert median_ms(f"/v1/apps/{app}/machines") < 30
    assert median_ms(f"/v1/apps/{app}/secrets") < 30


def test_a_directory_can_be_moved(own_box: Box, tmp_path: Path) -> None:
    app = own_box.app()
    assert own_box.stop() == 0
    shutil.move(own_box.directory, tmp_path / "moved")

    moved = Box(tmp_path / "moved").start()
    try:
        moved.ok("GET", f"/v1/apps/{app}")
    finally:
        assert moved.stop() == 0


def test_what_a_start_does_not_need_is_not_loaded() -> None:
    """The libraries of queries, checks, Postgres and Redis would make it three times as long."""
    program = (
        "import sys, sandbox.server; print({'graphql', 'httpx', 'psycopg', 'redis'} & sys.modules.keys())"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True)

    assert done.stdout == "set()\n", done.stderr
