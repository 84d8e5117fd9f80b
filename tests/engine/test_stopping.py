"""Ctrl-C and worse: the engine ends, nothing of it goes on, and the next command can run."""

import os
import signal

import pytest

from tests.engine.project import Project, lines_until, until

pytestmark = pytest.mark.parametrize("tiny", ["warm", "cold"], indirect=True)

SLOW = """
import os, time
from pathlib import Path
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
class Provider(ResourceProvider):
    def create(self, inputs):
        Path("creating").write_text(str(os.getpid()))
        while not Path("go").exists():
            time.sleep(0.05)
        return CreateResult("slow", {})
class Slow(Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {})
"""


HANGING = """
import asyncio, pulumi
from slow import Slow
async def hang():
    await asyncio.sleep(600)
Slow("it")
pulumi.export("never", pulumi.Output.from_input(hang()))
"""


def _creating(tiny: Project) -> None:
    until("the create to begin", (tiny.folder / "creating").exists)


def test_ctrl_c_lets_the_running_step_end_and_then_stops(tiny: Project) -> None:
    tiny.write(main="from slow import Slow; Slow('it'); Slow('other')", slow=SLOW)
    up = tiny.start("up", "--yes", "--skip-preview")
    _creating(tiny)
    os.killpg(up.pid, signal.SIGINT)
    lines_until(up, "^C received")
    (tiny.folder / "go").touch()
    said, _ = up.communicate(timeout=30)
    assert up.returncode != 0
    assert "KeyboardInterrupt" not in said
    assert "Traceback" not in said
    tiny.nothing_left()
    assert tiny.locks() == []
    tiny.pulumi("preview").ok()


def test_ctrl_c_twice_ends_at_once_and_leaves_nothing_running(tiny: Project) -> None:
    tiny.write(main="from slow import Slow; Slow('it')", slow=SLOW)
    up = tiny.start("up", "--yes", "--skip-preview")
    _creating(tiny)
    os.killpg(up.pid, signal.SIGINT)
    lines_until(up, "^C received; cancelling")
    os.killpg(up.pid, signal.SIGINT)
    said, _ = up.communicate(timeout=30)
    assert up.returncode != 0
    assert "KeyboardInterrupt" not in said
    assert "Traceback" not in said
    tiny.nothing_left()
    assert tiny.locks() == []
    assert [step["type"] for step in tiny.state()["pending_operations"]] == ["creating"]


def test_ctrl_c_ends_a_program_that_hangs(tiny: Project) -> None:
    tiny.write(main="import pathlib, time; pathlib.Path('hanging').touch(); time.sleep(600)")
    up = tiny.start("preview")
    until("the program to hang", (tiny.folder / "hanging").exists)
    os.killpg(up.pid, signal.SIGINT)
    said, _ = up.communicate(timeout=30)
    assert up.returncode != 0
    assert "KeyboardInterrupt" not in said
    tiny.nothing_left()


def test_a_program_that_ignores_sigterm_and_its_children_are_ended_all_the_same(tiny: Project) -> None:
    tiny.write(
        main="""
import pathlib, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"])
pathlib.Path("hanging").touch()
time.sleep(600)
"""
    )
    up = tiny.start("preview")
    until("the program to hang", (tiny.folder / "hanging").exists)
    os.killpg(up.pid, signal.SIGINT)
    up.communicate(timeout=30)
    tiny.nothing_left()


def test_nothing_outlives_an_engine_that_is_killed(tiny: Project) -> None:
    tiny.write(main=HANGING, slow=SLOW)
    up = tiny.start("up", "--yes", "--skip-preview")
    _creating(tiny)
    assert len(tiny.processes()) >= 3
    up.kill()
    up.communicate(timeout=30)
    tiny.nothing_left()
    tiny.pulumi("cancel", "--yes").ok()
    assert tiny.locks() == []
