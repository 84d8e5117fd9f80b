"""Machines as processes: how they start, serve, stop, die, and what they leave behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psutil
import pytest

from sandbox.host import Exit, LaunchSpec
from sandbox.runtime import Runtime
from tests.world import CHECKOUT, still_alive

WEB = ("bundle", "exec", "rails", "server", "-p", "3000")
# Boots without any database: only a page that asks for one would miss it.
ENV = {"SECRET_KEY_BASE": "k" * 64, "SANDBOX_BOOT_SECONDS": "0"}

PARENT = """
import asyncio, sys
from pathlib import Path
from sandbox.host import LaunchSpec
from sandbox.runtime import Runtime
async def on_exit(*words): pass
async def main():
    runtime = Runtime(Path(sys.argv[1]), on_exit)
    env = {"SECRET_KEY_BASE": "k", "SANDBOX_BOOT_SECONDS": "0"}
    for name, command in (("web", ("rails", "server")), ("worker", ("sidekiq",)), ("idle", ("sleep", "inf"))):
        await runtime.launch(LaunchSpec("app", name, "v1", "web", command, env, 512))
    print(*runtime.pids().values(), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


class Exits(list[tuple[str, str, Exit]]):
    """Collects what a runtime reports, and waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._event = asyncio.Event()

    async def heard(self, machine: str, instance: str, exit: Exit) -> None:
        self.append((machine, instance, exit))
        self._event.set()

    async def first(self) -> Exit:
        await asyncio.wait_for(self._event.wait(), 10.0)
        return self[0][2]


def spec(
    machine: str = "m1", command: tuple[str, ...] = WEB, memory_mb: int = 2048, **env: str
) -> LaunchSpec:
    return LaunchSpec("app", machine, "v1", "web", command, {**ENV, **env}, memory_mb)


def with_runtime(folder: Path, work: Callable[[Runtime, Exits], Awaitable[None]]) -> None:
    async def run() -> None:
        exits = Exits()
        runtime = Runtime(folder, exits.heard)
        try:
            await work(runtime, exits)
        finally:
            await runtime.close()

    asyncio.run(run())


async def status(port: int | None, path: str = "/health") -> int:
    """What the machine answers, once it has booted."""
    async with asyncio.timeout(60.0), httpx.AsyncClient(trust_env=False, timeout=15.0) as client:
        while True:
            try:
                return (await client.get(f"http://127.0.0.1:{port}{path}")).status_code
            except httpx.ConnectError:
                await asyncio.sleep(0.01)


def test_a_machine_refuses_until_it_has_booted_and_then_serves(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec(SANDBOX_BOOT_SECONDS="0.4"))
        port = runtime.port("m1")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert await status(port) == 200
        assert runtime.serves("m1", 3000)
        assert not runtime.serves("m1", 8080)

    with_runtime(tmp_path, work)


def test_stop_is_answered_with_how_it_ended_and_told_to_nobody_else(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec())
        await status(runtime.port("m1"))
        ended = await runtime.stop("m1")
        assert ended == Exit(exit_code=0, signal=None, oom_killed=False, requested=True)
        assert runtime.port("m1") is None
        assert runtime.processes("m1") == []
        assert await runtime.stop("m1") == ended
        assert exits == []

    with_runtime(tmp_path, work)


def test_a_machine_that_does_not_listen_to_its_signal_is_killed(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec())
        await status(runtime.port("m1"))
        ended = await runtime.stop("m1", signal=signal.SIGURG, timeout=0.1)
        assert ended == Exit(exit_code=137, signal=9, oom_killed=False, requested=True)

    with_runtime(tmp_path, work)


def test_a_signal_from_outside_is_not_a_requested_stop(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec())
        await runtime.signal("m1", signal.SIGKILL)
        assert await exits.first() == Exit(exit_code=137, signal=9, oom_killed=False, requested=False)
        assert exits[0][:2] == ("m1", "v1")
        await runtime.signal("m1", signal.SIGKILL)  # gone: nothing to do

    with_runtime(tmp_path, work)


def test_too_little_memory_kills_after_the_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        # Long enough to boot and answer on a busy machine.
        monkeypatch.setattr("sandbox.runtime.OOM_SECONDS", 3.0)
        await runtime.launch(spec(memory_mb=512, SANDBOX_MEMORY_NEED_MB="700"))
        assert await status(runtime.port("m1")) == 200
        assert await exits.first() == Exit(exit_code=137, signal=9, oom_killed=True, requested=False)
        assert "Out of memory" in runtime.log_path("m1").read_text()
        monkeypatch.setattr("sandbox.runtime.OOM_SECONDS", 0.0)
        await runtime.launch(spec(memory_mb=768, SANDBOX_MEMORY_NEED_MB="700"))
        assert await status(runtime.port("m1")) == 200
        assert len(exits) == 1

    with_runtime(tmp_path, work)


def test_a_process_that_cannot_be_started_is_one_that_failed(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec(SMTP_PASSWORD="half\0other"))
        assert (await exits.first()).exit_code == 1
        assert "NUL" in runtime.log_path("m1").read_text()
        assert "half" not in runtime.log_path("m1").read_text()

    with_runtime(tmp_path, work)


def test_without_a_command_there_is_nothing_to_run(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec(command=()))
        assert (await exits.first()).exit_code == 1
        assert "no command to run" in runtime.log_path("m1").read_text()

    with_runtime(tmp_path, work)


def test_launching_again_replaces_the_process(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec())
        (before,) = runtime.pids().values()
        await runtime.launch(spec())
        (after,) = runtime.pids().values()
        assert before != after
        assert still_alive([psutil.Process(before)] if psutil.pid_exists(before) else []) == []
        assert exits == []

    with_runtime(tmp_path, work)


def test_exec_runs_in_the_machines_environment_and_runs_nothing_real(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec())
        await status(runtime.port("m1"))
        env = {"RAILS_ENV": "production"}
        assert await runtime.exec("m1", ["printenv", "RAILS_ENV"], env, 5.0) == (0, b"production\n", b"")
        code, output, _ = await runtime.exec("m1", ["curl", "-s", "http://localhost:3000/health"], env, 5.0)
        assert (code, json.loads(output)) == (0, {"status": "woot"})
        asked = ["curl", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost:3000/up"]
        assert await runtime.exec("m1", asked, env, 5.0) == (0, b"404", b"")
        mark = tmp_path / "mark"
        code, _, _ = await runtime.exec("m1", ["touch", str(mark)], env, 5.0)
        assert code == 127
        assert not mark.exists()

    with_runtime(tmp_path, work)


def test_rows_for_ps(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        await runtime.launch(spec())
        (row,) = runtime.processes("m1")
        assert row["command"] == "bundle exec rails server -p 3000"
        assert row["listen_sockets"] == [{"proto": "tcp", "address": "0.0.0.0:3000"}]
        assert row["rss"] > 0

    with_runtime(tmp_path, work)


def test_a_machine_has_its_environment_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLY_API_TOKEN", "the token of whoever started the sandbox")

    async def work(runtime: Runtime, exits: Exits) -> None:
        secret = "planted-in-the-environment"
        command = ("sleep", "planted-in-the-command")
        await runtime.launch(
            spec(command=command, SMTP_PASSWORD=secret, PYTHONSTARTUP="x", LD_PRELOAD="/nothing.so")
        )
        (pid,) = runtime.pids().values()
        process = psutil.Process(pid)
        async with asyncio.timeout(10.0):
            while "SMTP_PASSWORD" not in process.environ():  # for a moment a new process shows its parent's
                await asyncio.sleep(0.01)
        assert process.environ()["SMTP_PASSWORD"] == secret
        assert not {"FLY_API_TOKEN", "PYTHONSTARTUP", "LD_PRELOAD"} & process.environ().keys()
        assert not [word for word in process.cmdline() if "planted" in word]

    with_runtime(tmp_path, work)


def test_machines_end_with_the_sandbox_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as parent:
        assert parent.stdout
        machines = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(machines) == 3
        parent.kill()
    assert still_alive(machines) == []


def test_a_machine_that_could_not_end_is_ended_by_the_next_sandbox(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as parent:
        assert parent.stdout
        machines = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        for machine in machines:
            machine.suspend()
        parent.kill()
    assert len(still_alive(machines, 0.2)) == 3
    with_runtime(tmp_path, lambda runtime, exits: asyncio.sleep(0))
    assert still_alive(machines) == []


def test_somebody_elses_process_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "machines" / "m1"
    folder.mkdir(parents=True)
    record = {"pid": os.getpid(), "started_at": time.time()}
    (folder / "process.json").write_text(json.dumps(record))
    with_runtime(tmp_path, lambda runtime, exits: asyncio.sleep(0))
    assert not (folder / "process.json").exists()


def test_forty_machines_start_in_moments(tmp_path: Path) -> None:
    async def work(runtime: Runtime, exits: Exits) -> None:
        begun = time.monotonic()
        for number in range(40):
            await runtime.launch(spec(f"m{number}"))
        answers = await asyncio.gather(*(status(runtime.port(f"m{number}")) for number in range(40)))
        assert set(answers) == {200}
        # On two idle cores it takes 5 s; the limit only tells "light" from "a Rails".
        assert time.monotonic() - begun < 60

    with_runtime(tmp_path, work)
