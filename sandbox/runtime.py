"""Runs machines as processes of this computer: each one a stand-in Chatwoot with the environment that Fly would give.

Starts, signals and stops them, kills the ones with too little memory, and tells of every exit that nobody asked for.
What a machine is and what follows from an exit is the lifecycle's business."""

import asyncio
import contextlib
import json
import os
import signal as signals
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.chatwoot import task
from sandbox.chatwoot.command import Role, role_of
from sandbox.host import Exit, LaunchSpec, OnExit
from sandbox.stamps import rfc3339

OOM_SECONDS = 1.0
"""How long after its boot a machine with too little memory is killed."""

KILLED_FOR_MEMORY = 137

_CHECKOUT = Path(__file__).resolve().parent.parent
# Would act on the stand-in's interpreter or its libraries, not on the Ruby that the machine's owner has in mind.
_KEPT_BACK = ("PYTHON", "PSYCOPG_", "LD_", "DYLD_")


@dataclass
class _Running:
    """A machine whose process runs."""

    spec: LaunchSpec
    role: Role
    process: asyncio.subprocess.Process
    port: int | None
    started_at: float
    stopping: bool = False
    oom_killed: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    exit: Exit | None = None
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)


class Runtime:
    """The machines of the sandbox in `directory`; `on_exit` hears of exits that were not requested through `stop`."""

    def __init__(self, directory: Path, on_exit: OnExit) -> None:
        self._machines = directory / "machines"
        self._logs = directory / "log"
        for folder in (self._machines, self._logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._on_exit = on_exit
        self._running: dict[str, _Running] = {}
        self._end_orphans()

    async def launch(self, spec: LaunchSpec) -> None:
        """Start the machine's process; returns once it runs, which is before it serves.

        A process that cannot be started with this environment (a NUL byte in a value) counts as one that exits
        with 1 at once."""
        if spec.machine_id in self._running:
            await self.stop(spec.machine_id)
        role = role_of(spec.command, spec.env.get("PORT", ""))
        folder = self._machines / spec.machine_id
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / task.STARVING).unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            listener: socket.socket | None = None
            if role.name == "web":
                # Bound here and listened on by the machine when it has booted: the port is its own from the start,
                # and refuses connections until then.
                listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                listener.bind(("127.0.0.1", 0))
            log = stack.enter_context(self.log_path(spec.machine_id).open("ab"))
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "sandbox.chatwoot", role.name),
                    stdin=asyncio.subprocess.PIPE,  # its end tells the machine that the sandbox is gone
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    env=_environment(spec.env, spec.command, role, listener),
                    pass_fds=(listener.fileno(),) if listener else (),
                    start_new_session=True,
                )
            except ValueError:
                said = "! The environment of this machine holds a NUL byte: its process cannot be started"
                log.write(f"{rfc3339()} {said}\n".encode())
                failed = Exit(exit_code=1, signal=None, oom_killed=False, requested=False)
                await self._on_exit(spec.machine_id, spec.instance_id, failed)
                return
            port = listener.getsockname()[1] if listener else None
        running = _Running(spec, role, process, port, time.time())
        self._running[spec.machine_id] = running
        (folder / "process.json").write_text(
            json.dumps({"pid": process.pid, "started_at": running.started_at})
        )
        running.tasks.append(asyncio.create_task(self._reap(running)))
        need = _number(spec.env.get("SANDBOX_MEMORY_NEED_MB"))
        if need > spec.memory_mb:
            running.tasks.append(asyncio.create_task(self._run_out_of_memory(running)))

    async def stop(self, machine_id: str, *, signal: int = signals.SIGINT, timeout: float = 5.0) -> Exit:
        """End the machine's process with `signal`, and with SIGKILL after `timeout` seconds; how it ended.

        A machine that does not run gives an exit of 0."""
        running = self._running.get(machine_id)
        if running is None:
            return Exit(exit_code=0, signal=None, oom_killed=False, requested=True)
        running.stopping = True
        with contextlib.suppress(ProcessLookupError):
            running.process.send_signal(signal)
        try:
            await asyncio.wait_for(running.ended.wait(), timeout)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                running.process.kill()
            await running.ended.wait()
        assert running.exit is not None
        return running.exit

    async def signal(self, machine_id: str, number: int) -> None:
        """Send a signal to the machine's process, if it runs. An exit that follows is not a requested one."""
        running = self._running.get(machine_id)
        if running is not None:
            with contextlib.suppress(ProcessLookupError):
                running.process.send_signal(number)

    async def exec(
        self, machine_id: str, command: Sequence[str], env: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Exit code, output and error output of a command in the machine, as far as the stand-in models it.

        Nothing of the real machine is run; see chatwoot/task.py for what there is."""
        if task.is_of_rails(command):
            return await self._exec_apart(machine_id, command, env, timeout)
        try:
            work = asyncio.to_thread(task.run, list(command), dict(env), self.port(machine_id))
            code, output, errors = await asyncio.wait_for(work, timeout)
        except TimeoutError:
            return 124, b"", b"sandbox: the command took too long\n"
        return code, output.encode(), errors.encode()

    async def _exec_apart(
        self, machine_id: str, command: Sequence[str], env: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "sandbox.chatwoot", "task"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._machines / machine_id,
            env={**_environment(env, command), "SANDBOX_BARE_OUTPUT": "1"},
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        reading = asyncio.gather(process.stdout.read(), process.stderr.read())
        try:
            output, errors = await asyncio.wait_for(reading, timeout)
            code = await process.wait()
        except TimeoutError:
            code, output, errors = 124, b"", b"sandbox: the command took too long\n"
        finally:
            # With its machine's server gone, or nobody waiting for it any more, it must not go on.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if process.stdin:
                process.stdin.close()
        return (code if code >= 0 else 128 - code), output, errors

    def port(self, machine_id: str) -> int | None:
        """The local port behind the machine's internal port; None unless it runs a web server."""
        running = self._running.get(machine_id)
        return running.port if running else None

    def serves(self, machine_id: str, internal_port: int) -> bool:
        """Whether something would listen on that port of the machine, and not only on its loopback."""
        running = self._running.get(machine_id)
        return running is not None and running.role.port == internal_port

    def processes(self, machine_id: str) -> list[dict[str, Any]]:
        """Rows for the API's `ps`; `rss` in bytes, times in seconds."""
        running = self._running.get(machine_id)
        if running is None:
            return []
        sockets = [{"proto": "tcp", "address": f"0.0.0.0:{running.role.port}"}] if running.role.port else []
        rss, cpu = _usage(running.process.pid)
        return [
            {
                "pid": 1,
                "stime": 0,
                "rtime": int(time.time() - running.started_at),
                "command": " ".join(running.spec.command),
                "directory": "/app",
                "cpu": cpu,
                "rss": rss,
                "listen_sockets": sockets,
            }
        ]

    def log_path(self, machine_id: str) -> Path:
        """Where the machine's output goes."""
        return self._logs / f"{machine_id}.log"

    def pids(self) -> dict[str, int]:
        """The processes that run, by machine."""
        return {machine: running.process.pid for machine, running in self._running.items()}

    async def close(self) -> None:
        """End every machine's process, at once and without a word to `on_exit`."""
        await asyncio.gather(*(self.stop(machine, timeout=2.0) for machine in list(self._running)))

    async def _reap(self, running: _Running) -> None:
        code = await running.process.wait()
        if running.process.stdin:
            running.process.stdin.close()
        number = -code if code < 0 else None
        running.exit = Exit(
            exit_code=128 + number if number else code,
            signal=number,
            oom_killed=running.oom_killed,
            requested=running.stopping,
        )
        spec = running.spec
        if self._running.get(spec.machine_id) is running:
            del self._running[spec.machine_id]
            with contextlib.suppress(OSError):
                (self._machines / spec.machine_id / "process.json").unlink()
        for other in running.tasks[1:]:
            other.cancel()
        running.ended.set()
        if not running.stopping:
            await self._on_exit(spec.machine_id, spec.instance_id, running.exit)

    async def _run_out_of_memory(self, running: _Running) -> None:
        if task.is_of_rails(running.spec.command):
            # When it is in the midst of what takes the memory, however long it took to come there.
            starving = self._machines / running.spec.machine_id / task.STARVING
            while not starving.exists():
                await asyncio.sleep(0.05)
        else:
            await asyncio.sleep(_number(running.spec.env.get("SANDBOX_BOOT_SECONDS"), 1.0) + OOM_SECONDS)
        running.oom_killed = True
        with self.log_path(running.spec.machine_id).open("a") as log:
            log.write(
                f"{rfc3339()} Out of memory: Killed process 1 (needs more than {running.spec.memory_mb} MB)\n"
            )
        with contextlib.suppress(ProcessLookupError):
            running.process.kill()

    def _end_orphans(self) -> None:
        """End processes of a sandbox that was killed. They end by themselves when its pipe closes; this is for one
        that could not, being stopped or stuck."""
        for record in self._machines.glob("*/process.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                kept = json.loads(record.read_text())
                _kill_if_same(int(kept["pid"]), float(kept["started_at"]))
            record.unlink(missing_ok=True)


def _environment(
    given: Mapping[str, str],
    command: Sequence[str],
    role: Role | None = None,
    listener: socket.socket | None = None,
) -> dict[str, str]:
    env = {name: value for name, value in given.items() if not name.startswith(_KEPT_BACK)}
    env["PYTHONPATH"] = str(_CHECKOUT)
    env["PYTHONUTF8"] = "1"
    # Not on the command line, where everybody on this computer could read it.
    env["SANDBOX_COMMAND"] = json.dumps(list(command))
    if role and listener:
        env["SANDBOX_LISTEN_FD"] = str(listener.fileno())
        env["SANDBOX_PORT"] = str(role.port or 3000)
    return env


def _number(text: str | None, default: float = 0.0) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        return default


def _usage(pid: int) -> tuple[int, int]:
    """Resident memory in bytes and processor time in whole seconds."""
    import psutil

    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return int(process.memory_info().rss), int(times.user + times.system)
    except psutil.Error:
        return 0, 0


def _kill_if_same(pid: int, started_at: float) -> None:
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        # The pid may have been given to another program since.
        if abs(process.create_time() - started_at) < 5 and "sandbox.chatwoot" in process.cmdline():
            os.kill(pid, signals.SIGKILL)
