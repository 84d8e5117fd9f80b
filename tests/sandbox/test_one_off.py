"""One-off machines: a task, its end, and what is left of them."""

import os
import signal
import time

import psutil

from tests.sandbox import one_off
from tests.sandbox.one_off import begin, end, run, told
from tests.world import World


def kinds(ended: one_off.Ended) -> list[tuple[str, str]]:
    return [(event["type"], event["status"]) for event in reversed(ended.machine["events"])]


def test_a_task_runs_ends_and_is_gone_and_remembered(sandbox: World) -> None:
    sandbox.reset()
    sandbox.set_secret("STAGED_ONLY", "as any new machine has it")

    ended = run(sandbox, ("sh", "-c", "echo begun && printenv STAGED_ONLY RELEASE_COMMAND"))

    assert ended.machine["state"] == "destroyed"
    assert kinds(ended) == [
        ("launch", "created"),
        ("start", "started"),
        ("exit", "stopped"),
        ("destroy", "destroying"),
        ("destroy", "destroyed"),
    ]
    assert (ended.code, ended.exit["oom_killed"], ended.exit["restarting"]) == (0, False, False)
    # A secret's value is nobody's to read in a log.
    assert ended.lines == ("begun", "[hidden]", "1")
    assert ended.machine["id"] not in [machine["id"] for machine in sandbox.machines()]
    deleted = sandbox.api.call("GET", f"/v1/apps/{sandbox.app}/machines", params={"include_deleted": "true"})
    (found,) = [machine for machine in deleted if machine["id"] == ended.machine["id"]]
    assert found["events"] == ended.machine["events"]
    assert run(sandbox, ("false",)).code == 1


def test_a_task_that_is_not_to_be_destroyed_stays_stopped(sandbox: World) -> None:
    sandbox.reset()
    config = {**one_off.config(("false",)), "auto_destroy": False}
    made = sandbox.api.call("POST", f"/v1/apps/{sandbox.app}/machines", {"config": config})
    sandbox.api.wait_for_state(sandbox.app, made["id"], "stopped")
    events = sandbox.api.machine(sandbox.app, made["id"])["events"]
    assert [event["type"] for event in events if event["type"] == "start"] == ["start"], "restart policy `no`"


def test_one_that_waits_to_be_started_is_left_alone(sandbox: World) -> None:
    sandbox.reset()
    body = {"config": one_off.config(("true",)), "skip_launch": True}
    made = sandbox.api.call("POST", f"/v1/apps/{sandbox.app}/machines", body)
    sandbox.api.wait_for_state(sandbox.app, made["id"], "stopped")
    sandbox.kill9()
    sandbox.up()
    assert sandbox.api.machine(sandbox.app, made["id"])["state"] == "stopped"
    sandbox.api.call("POST", f"{one_off.path(sandbox, made['id'])}/start")
    assert end(sandbox, made["id"]).code == 0


def test_stopping_or_destroying_ends_it(sandbox: World) -> None:
    sandbox.reset()
    told(sandbox, slow=60)
    machine = begun(sandbox)
    sandbox.api.call("POST", f"{one_off.path(sandbox, machine)}/stop")
    ended = end(sandbox, machine)
    assert (ended.code, ended.exit["requested_stop"]) == (1, True)

    machine = begun(sandbox)
    sandbox.api.call("DELETE", one_off.path(sandbox, machine), params={"force": "true"})
    ended = end(sandbox, machine)
    assert (ended.code, ended.exit["requested_stop"]) == (137, True)

    machine = begun(sandbox)
    sandbox.api.call("POST", f"{one_off.path(sandbox, machine)}/signal", {"signal": "SIGTERM"})
    ended = end(sandbox, machine)
    assert (ended.code, ended.exit["requested_stop"]) == (1, False)


def test_a_killed_sandbox_takes_the_task_with_it_and_does_not_begin_it_again(sandbox: World) -> None:
    sandbox.reset()
    told(sandbox, slow=60)
    machine = begun(sandbox)
    tasks = [
        p for p in sandbox.processes() if "sandbox.chatwoot" in p.cmdline() and p.cmdline()[-1] == "task"
    ]
    assert len(tasks) == 1

    sandbox.kill9()
    assert psutil.wait_procs(tasks, timeout=20)[1] == []
    sandbox.up()

    ended = end(sandbox, machine)
    assert ended.machine["state"] == "destroyed"
    assert ended.code != 0
    assert ended.exit["requested_stop"] is False
    sandbox.wait_healthy()
    assert not [p for p in sandbox.processes() if "task" in p.cmdline()[-1:]]


def test_a_task_that_is_killed_from_outside_is_said_to_be(sandbox: World) -> None:
    sandbox.reset()
    told(sandbox, slow=60)
    machine = begun(sandbox)
    (task,) = [
        p for p in sandbox.processes() if "sandbox.chatwoot" in p.cmdline() and p.cmdline()[-1] == "task"
    ]
    os.kill(task.pid, signal.SIGKILL)
    ended = end(sandbox, machine)
    assert (ended.code, ended.exit["signal"], ended.exit["oom_killed"]) == (137, 9, False)


def begun(sandbox: World) -> str:
    """A machine that is in the midst of a migration."""
    machine = begin(sandbox)
    deadline = time.monotonic() + 30
    while not any(line.startswith("-- ") for line in one_off.log(sandbox, machine)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return machine
