"""`up` killed at one moment or another: whatever it had begun, the next `up` ends where it should."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from sandbox.instance import has_ended
from tests.program.stack import DRIFT, Answer, Stack

Kill = Callable[["subprocess.Popen[str]"], None]


def kill_tree(process: "subprocess.Popen[str]") -> None:
    """What a power cut does: the engine and everything that it started, at once."""
    for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        member.kill()


def kill_group(process: "subprocess.Popen[str]") -> None:
    """What `kill -9` of a terminal's job does: the engine's process group, but nothing that left it."""
    os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def running_up(stack: Stack) -> Iterator[Callable[[Kill], None]]:
    """An `up` that is killed inside; afterwards nothing of it is left."""
    stack.world.clear_requests()
    process = stack.start("up", "--yes", "--skip-preview")
    family: list[psutil.Process] = []

    def kill_with(kill: Kill) -> None:
        family.extend(psutil.Process(process.pid).children(recursive=True))
        kill(process)

    yield kill_with
    output, _ = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL, output
    assert family
    # A provider that outlived its engine would move machines while the next `up` does.
    assert all(has_ended(member, 10.0) for member in family)


def until_written(stack: Stack, route: str) -> None:
    """Return when the sandbox has seen a write whose path ends so."""
    stack.world.api.until(lambda: any(call.endswith(route) for call in stack.writes()), f"a write to {route}")


def up_after(stack: Stack) -> Answer:
    """What a person does then: `up`, and where the back end kept the dead engine's lock, `cancel` first. Leases that
    the dead one held are waited for: how far it came before it died, nobody can say."""
    answer = stack.up()
    if answer.code:
        answer.failed("currently locked", "pulumi cancel")
        stack.pulumi("cancel", "--yes", config=False).ok()
        answer = stack.up()
    return answer.ok()


def test_killed_while_machines_move(applied: Stack) -> None:
    world = applied.world
    for group in applied.config["hotdash:processGroups"].values():
        group["memoryMb"] = 1024
    world.set_secret("CHATWOOT_WEBHOOK_SECRET", "changed by hand")
    first = min(world.machines("web"), key=lambda machine: str(machine["id"]))["id"]
    with running_up(applied) as die:
        until_written(applied, f"/machines/{first}")
        die(kill_tree)
    assert set(applied.leases()) == {machine["id"] for machine in world.machines("web")}

    world.clear_requests()
    ended = up_after(applied)
    assert "is leased to somebody else, waiting" in ended.text
    # What was moved before is not moved again.
    assert f"POST /v1/apps/{world.app}/machines/{first}" not in applied.writes()
    assert {m["config"]["guest"]["memory_mb"] for m in world.machines()} == {1024}
    applied.expect_clean()
    applied.clean = False


def test_killed_between_secrets_and_machines(applied: Stack) -> None:
    world = applied.world
    world.break_("secret-tampered")
    # The list of machines that a rollout begins with is asked after the secrets were staged.
    world.fault("latency", "GET machines", count=1, skip=1, ms=3000)
    with running_up(applied) as die:
        until_written(applied, "/secrets")
        die(kill_group)
    assert all("SMTP_PASSWORD" in m["secrets_not_live"] for m in world.status()["machines"])

    up_after(applied)
    assert all(m["secrets_not_live"] == [] for m in world.status()["machines"])
    applied.expect_clean()


def test_killed_while_it_adopts(stack: Stack) -> None:
    world = stack.world
    world.break_("wrong-password")
    # The first list of machines is asked before anything is written, the second begins the rollout.
    world.fault("latency", "GET machines", count=1, skip=1, ms=3000)
    with running_up(stack) as die:
        until_written(stack, "/secrets")
        die(kill_tree)
    assert world.answer() == 503

    up_after(stack)
    assert world.answer() == 200
    stack.expect_clean()


def test_killed_while_it_makes_a_machine(applied: Stack) -> None:
    world = applied.world
    world.break_("worker-stopped")
    with running_up(applied) as die:
        until_written(applied, f"/v1/apps/{world.app}/machines")
        die(kill_group)

    up_after(applied)
    assert len(world.machines("worker")) == 1
    applied.expect_clean()


def test_interrupted_once_it_ends_what_it_began(applied: Stack) -> None:
    """Ctrl-C: the group that moves is moved to its end, the next one is not begun, and nothing is left held."""
    world = applied.world
    for group in applied.config["hotdash:processGroups"].values():
        group["memoryMb"] = 1024
    world.clear_requests()
    process = applied.start("up", "--yes", "--skip-preview")
    first = min(world.machines("web"), key=lambda machine: str(machine["id"]))["id"]
    until_written(applied, f"/machines/{first}")
    os.killpg(process.pid, signal.SIGINT)
    ended = applied.ended(process)
    assert ended.code not in (0, DRIFT), ended.output
    assert "Traceback" not in ended.output, ended.output
    sizes = {
        m["config"]["metadata"]["fly_process_group"]: m["config"]["guest"]["memory_mb"]
        for m in world.machines()
    }
    assert sizes == {"web": 1024, "worker": 2048}
    assert applied.leases() == []

    applied.up().ok()
    assert {m["config"]["guest"]["memory_mb"] for m in world.machines()} == {1024}
    applied.expect_clean()
    applied.clean = False
