"""`hotdash sandbox`: up and down and what lies between, as a person at a terminal has it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from dotenv import dotenv_values

from sandbox import instance, shell
from sandbox.services.endpoints import load_or_create
from tests.sandbox import one_off
from tests.world import CHECKOUT, World, run_command, shown_by, still_alive


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory without a sandbox; one that was made there is gone afterwards."""
    directory = tmp_path / "new"
    yield directory
    instance.stop(directory)


def processes_of(directory: Path) -> list[psutil.Process]:
    running = instance.require(directory)
    server = psutil.Process(running.pid)
    return [server, *server.children(recursive=True)]


def test_up_down_and_up_again(place: Path) -> None:
    up = run_command(place, ["up"])
    assert up.returncode == 0, up.stderr
    assert "Fly API     http://127.0.0.1:" in up.stdout
    assert up.stdout.count(" 200\n") == 1
    assert "pulumi preview" in up.stdout
    assert "sandbox: ready after" in up.stderr
    assert place.stat().st_mode & 0o777 == 0o700

    again = run_command(place, ["up"])
    assert again.returncode == 0
    assert "already up" in again.stderr
    assert again.stdout == up.stdout

    before = json.loads(run_command(place, ["status", "--json"]).stdout)
    processes = processes_of(place)
    assert {p.name() for p in processes} >= {"postgres", "redis-server"}
    down = run_command(place, ["down"])
    assert down.returncode == 0
    assert still_alive(processes) == []
    assert "nothing to stop" in run_command(place, ["down"]).stderr

    off = run_command(place, ["status"])
    assert off.returncode == 1
    assert "hotdash sandbox up" in off.stdout
    assert json.loads(run_command(place, ["status", "--json"]).stdout)["running"] is False
    for words in (["env"], ["mend"], ["fault", "--list"], ["break", "outage"], ["reset"]):
        refused = run_command(place, words)
        assert refused.returncode == 1
        assert "Bring it up: hotdash sandbox up" in refused.stderr
        assert "Traceback" not in refused.stderr

    assert run_command(place, ["up"]).stdout == up.stdout
    after = json.loads(run_command(place, ["status", "--json"]).stdout)
    chatwoot = [
        next(a for a in found["apps"] if a["name"] == "hotdash-chatwoot") for found in (before, after)
    ]
    machines = [{m["id"]: m["instance_id"] for m in app["machines"]} for app in chatwoot]
    assert machines[0] == machines[1]
    assert chatwoot[0]["secrets"] == chatwoot[1]["secrets"]


def test_a_killed_sandbox_comes_back_as_it_was(sandbox: World) -> None:
    sandbox.reset()
    sandbox.break_("secret-staged")
    sandbox.api.call(
        "POST",
        f"/v1/apps/{sandbox.app}/machines/{sandbox.machines('web')[0]['id']}/metadata/k",
        {"value": "v"},
    )
    before = sandbox.machines()
    processes = sandbox.processes()
    sandbox.kill9()
    up = sandbox.command("up")
    assert up.returncode == 0, up.stderr
    assert "seeding" not in up.stderr
    assert still_alive(processes) == []
    sandbox.up()
    after = sandbox.machines()
    for old, new in zip(before, after, strict=True):
        assert {k: old[k] for k in ("id", "instance_id", "config", "state")} == {
            k: new[k] for k in ("id", "instance_id", "config", "state")
        }
    assert all(machine["secrets_not_live"] == ["SMTP_PASSWORD"] for machine in sandbox.status()["machines"])
    assert sandbox.answer() == 200


def test_up_at_once_from_two_terminals_and_down_while_it_starts(place: Path) -> None:
    words = [sys.executable, "-m", "sandbox.cli", "--dir", str(place)]
    env = {**os.environ, "HOTDASH_SANDBOX_PORT": "0"}
    with (
        subprocess.Popen([*words, "up"], env=env, cwd=CHECKOUT, stdout=-1, stderr=-1, text=True) as first,
        subprocess.Popen([*words, "up"], env=env, cwd=CHECKOUT, stdout=-1, stderr=-1, text=True) as second,
    ):
        outputs = [first.communicate(timeout=60), second.communicate(timeout=60)]
    # Both may end well, or one is told that the other was first; there is one sandbox, and it works.
    assert 0 in (first.returncode, second.returncode), outputs
    assert run_command(place, ["status"]).returncode == 0
    processes = processes_of(place)
    assert run_command(place, ["down"]).returncode == 0
    assert still_alive(processes) == []
    with subprocess.Popen([*words, "up"], env=env, cwd=CHECKOUT, stdout=-1, stderr=-1, text=True) as third:
        deadline = time.monotonic() + 30
        while not (place / "lock").exists() or instance.find(place) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert run_command(place, ["down"]).returncode == 0
        third.communicate(timeout=60)
    assert run_command(place, ["status"]).returncode == 1


def test_a_taken_port_is_said_to_be_taken(place: Path, sandbox: World) -> None:
    port = sandbox.url.rpartition(":")[2]
    refused = run_command(place, ["up", "--port", port])
    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_nonsense_port_is_refused(place: Path) -> None:
    refused = run_command(place, ["up"], {"HOTDASH_SANDBOX_PORT": "four"})
    assert refused.returncode == 1
    assert "HOTDASH_SANDBOX_PORT is 'four'" in refused.stderr


def test_the_vault_holds_what_fly_holds(sandbox: World) -> None:
    sandbox.reset()
    values: dict[str, str | None] = {}
    for file in sandbox.vault.rglob("*.env"):
        assert file.stat().st_mode & 0o777 == 0o600
        values |= dotenv_values(file)
    assert values.pop("FLY_API_TOKEN") == sandbox.token
    # For migrations: on Fly only where a stack declares it.
    assert values.pop("DIRECT_DATABASE_URL") == values["DATABASE_URL"]
    postgres = {name for name in sandbox.status()["secrets"] if name.startswith("POSTGRES_")}
    assert len(postgres) == 5
    assert set(sandbox.status()["secrets"]) == values.keys() | postgres
    endpoints = load_or_create(sandbox.dir)
    assert values["DATABASE_URL"] == endpoints.database_url
    assert values["REDIS_URL"] == endpoints.redis_url


def test_status_shows_what_one_wants_to_know(sandbox: World) -> None:
    sandbox.reset()
    sandbox.break_("wrong-password", "secret-staged")
    sandbox.fault("429", "secrets", 2)
    shown = sandbox.command("status")
    assert shown.returncode == 0
    for words in (
        f"{sandbox.app}  deployed  {sandbox.app_url}  503: no machine passes its checks",
        "critical GET /api 500 Internal Server Error",
        "2048 MB",
        ", 1 not live on every machine: SMTP_PASSWORD",
        "fault     429 on secrets (2 more)",
        "broken    wrong-password, secret-staged",
    ):
        assert words in shown.stdout
    body = json.loads(sandbox.command("status", "--json").stdout)
    assert body["running"]
    assert body["broken"] == ["wrong-password", "secret-staged"]
    assert sandbox.token not in shown.stdout + json.dumps(body)
    sandbox.reset()


def test_env_points_pulumi_and_fly_here(sandbox: World) -> None:
    printed = sandbox.command("env")
    assert printed.returncode == 0, printed.stderr
    script = 'eval "$1"; eval "$1"; pulumi stack ls; echo "$FLY_FLAPS_BASE_URL $FLY_API_TOKEN"; echo "$PATH"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", printed.stdout], capture_output=True, text=True, cwd=CHECKOUT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    stacks, urls, path = done.stdout.rsplit("\n", 3)[:3]
    assert "sandbox*" in stacks
    assert urls == f"{sandbox.url} {sandbox.token}"
    assert path.startswith(f"{CHECKOUT}/.engine/bin:{CHECKOUT}/.venv/bin:")
    assert path.count(".engine/bin") == 1
    # Nothing that git tracks was touched, and a second call makes nothing anew.
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--", "stacks", "Pulumi.yaml"],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
    )
    assert "Pulumi.sandbox.yaml" not in changed.stdout
    states = {p: p.stat().st_mtime_ns for p in (sandbox.dir / "pulumi").rglob("*.json")}
    assert states
    assert sandbox.command("env").stdout == printed.stdout
    assert {p: p.stat().st_mtime_ns for p in (sandbox.dir / "pulumi").rglob("*.json")} == states


def test_exports_are_quoted_for_the_shell(tmp_path: Path) -> None:
    value = 'it\'s "a" $HOME `x` \\ ; path'
    script = shell.exports({"A": value, "B": "two"}) + 'printf "%s|%s" "$A" "$B"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout == f"{value}|two"


def test_faults_are_made_shown_and_cleared(sandbox: World) -> None:
    sandbox.reset()
    made = sandbox.command("fault", "latency", "--route", "GET machines", "--count", "0", "--ms", "5")
    assert made.stdout == "latency on GET machines, until cleared\n"
    made = sandbox.command("fault", "429", "--route", "POST secrets", "--count", "2", "--retry-after", "1")
    assert "429 on POST secrets, 2 times" in made.stdout
    answer = sandbox.client.post(f"/v1/apps/{sandbox.app}/secrets", json={"values": {}})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "429 on POST secrets, 1 times" in sandbox.command("fault", "--list").stdout
    assert sandbox.command("fault", "--clear").stdout == "no faults\n"
    assert sandbox.client.post(f"/v1/apps/{sandbox.app}/secrets", json={"values": {}}).status_code == 200
    refused = sandbox.command("fault", "sabotage")
    assert refused.returncode == 1
    assert "kind must be one of" in refused.stderr
    assert sandbox.command("fault").returncode == 2


def test_reset_gives_the_seeded_world(sandbox: World) -> None:
    sandbox.reset()
    seeded = {name: (sandbox.vault / name).read_text() for name in ("occ/chatwoot/smtp.env",)}
    digests = sandbox.client.get(f"/v1/apps/{sandbox.app}/secrets").json()["secrets"]
    sandbox.break_("worker-stopped", "secret-missing")
    sandbox.write_vault("occ/chatwoot/smtp.env", {"SMTP_PASSWORD": "rotated"})
    sandbox.fault("500", count=None)
    with redis.Redis.from_url(load_or_create(sandbox.dir).redis_url) as queue:
        queue.set("left", "over")
        assert sandbox.command("reset").returncode == 0
        assert queue.get("left") is None
    assert sandbox.answer() == 200
    assert len(sandbox.machines("worker")) == 1
    assert {name: (sandbox.vault / name).read_text() for name in seeded} == seeded
    again = sandbox.client.get(f"/v1/apps/{sandbox.app}/secrets").json()["secrets"]
    assert {s["name"]: s["digest"] for s in again} == {s["name"]: s["digest"] for s in digests}
    assert sandbox.command("mend").stdout.startswith("nothing to mend")


def test_logs_by_machine_group_and_server(sandbox: World) -> None:
    sandbox.reset()
    web, worker = sandbox.machines("web")[0]["id"], sandbox.machines("worker")[0]["id"]
    everything = sandbox.command("logs").stdout
    assert f"== {sandbox.app} web {web}" in everything
    assert f"== {sandbox.app} worker {worker}" in everything
    one = sandbox.command("logs", web[:6]).stdout
    assert "Booting Puma" in one
    assert "==" not in one
    assert "Sidekiq" in sandbox.command("logs", "worker").stdout
    assert "ready on" in sandbox.command("logs", "server", "-n", "400").stdout
    refused = sandbox.command("logs", "nobody")
    assert refused.returncode == 1
    assert "no log of nobody" in refused.stderr


def test_no_secret_in_logs_or_on_a_command_line(sandbox: World) -> None:
    sandbox.reset()
    sandbox.break_("wrong-password")
    sandbox.mend()
    secret_values = set(json.loads((sandbox.dir / "seed.json").read_text())["values"].items())
    endpoints = load_or_create(sandbox.dir)
    planted = {value for name, value in secret_values if name not in ("SMTP_ADDRESS", "STORAGE_BUCKET_NAME")}
    planted |= {
        sandbox.token,
        endpoints.chatwoot.password,
        endpoints.superuser.password,
        endpoints.redis_password,
    }
    texts = [path.read_text(errors="replace") for path in (sandbox.dir / "log").glob("*.log")]
    texts += shown_by(sandbox.processes(), environment=False)
    assert len(texts) > 10
    assert not [value[:4] for value in planted for text in texts if value in text]


def test_migrations_are_told_how_to_go_and_tasks_are_shown(sandbox: World) -> None:
    sandbox.reset()
    said = sandbox.command("migration", "--slow", "0.5", "--fail-at", "20260112090000")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("migrations: 0.5 s each, 20260112090000 fails\n  v4.12.0  20260105090000 ")
    more = sandbox.command("migration", "--memory", "1500", "--statement", "3", "--slow", "0")
    told = "20260112090000 fails, a statement of 3 s in the last one, 1500 MB needed"
    assert more.stdout.startswith(f"migrations: {told}\n")
    refused = sandbox.command("migration", "--fail-at", "7")
    assert refused.returncode == 1
    assert "there is no migration '7'; the stand-in has " in refused.stderr
    machine = one_off.run(sandbox, ("false",)).machine["id"]
    status = sandbox.command("status").stdout
    assert f"migration {told}" in status
    assert f"one-off   {machine} of {one_off.NEW}: exit 1, " in status

    assert sandbox.command("migration", "--reset").stdout.startswith("migrations: as usual\n")
    assert sandbox.api.status()["settings"]["migration"] == {}
    body = {"config": one_off.config(("sleep", "inf"))}
    made = sandbox.api.call("POST", f"/v1/apps/{sandbox.app}/machines", body)
    sandbox.api.wait_for_state(sandbox.app, made["id"], "started")
    assert f"{one_off.GROUP}  {made['id']}  started" in sandbox.command("status").stdout
