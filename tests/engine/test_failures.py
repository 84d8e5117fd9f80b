"""How a program's failures look: once, readable, with an exit code that says so."""

import sys

import pytest

from tests.engine.project import Project


def test_an_exception_is_shown_once_and_from_the_programs_own_lines_on(tiny: Project) -> None:
    tiny.write(
        main="import beside\nbeside.fall()\n",
        beside="def fall():\n    raise ValueError('the moon is full')\n",
    )
    answer = tiny.pulumi("preview")
    assert answer.code == 1
    assert answer.output.count("ValueError: the moon is full") == 1
    assert answer.output.count("Traceback") == 1
    assert "runpy" not in answer.output
    assert "asyncio" not in answer.output
    assert "line 2, in fall" in answer.output


def test_an_exception_between_resources_is_no_interrupt(tiny: Project) -> None:
    tiny.write(
        main="""
import pulumi
for n in range(20):
    pulumi.ComponentResource("tiny:index:Part", f"part-{n}")
raise RuntimeError("after twenty")
"""
    )
    answer = tiny.pulumi("up", "--yes", "--skip-preview")
    assert answer.code == 1
    assert answer.output.count("RuntimeError: after twenty") == 1
    assert "KeyboardInterrupt" not in answer.output


def test_a_failing_resource_stops_the_program_without_a_traceback_of_its_own(tiny: Project) -> None:
    tiny.write(
        thing="""
from pulumi.dynamic import Resource, ResourceProvider
class Provider(ResourceProvider):
    def create(self, inputs):
        raise Exception("no room")
class Thing(Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {})
""",
        main="""
import asyncio, pulumi
from thing import Thing
async def hang():
    await asyncio.sleep(600)  # the engine ends the program long before
Thing("it")
pulumi.export("never", pulumi.Output.from_input(hang()))
""",
    )
    answer = tiny.pulumi("up", "--yes", "--skip-preview")
    assert answer.code == 1
    assert answer.output.count("Exception: no room") == 1
    assert "KeyboardInterrupt" not in answer.output
    assert "asyncio" not in answer.output


@pytest.mark.parametrize("code", [1, 3, 127])
def test_an_exit_code_is_an_error_that_names_it(tiny: Project, code: int) -> None:
    tiny.write(main=f"import sys; print('going'); sys.exit({code})")
    answer = tiny.pulumi("preview")
    assert answer.code == 1
    assert f"The program exited with code {code}" in answer.output
    assert "going" in answer.output


def test_after_an_error_of_its_own_a_program_can_end_without_another(tiny: Project) -> None:
    tiny.write(main="import pulumi, sys; pulumi.log.error('the vault is shut'); sys.exit(32)")
    answer = tiny.pulumi("preview")
    assert answer.code == 1
    assert "the vault is shut" in answer.output
    assert "exited with code" not in answer.output


def test_a_program_that_is_killed_is_named_with_its_signal(tiny: Project) -> None:
    tiny.write(main="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    answer = tiny.pulumi("preview")
    assert answer.code == 1
    assert "The program was ended by SIGKILL" in answer.output


def test_a_missing_virtual_environment_says_how_to_make_it(tiny: Project) -> None:
    tiny.settings(runtime={"name": "python", "options": {"virtualenv": "nowhere"}})
    answer = tiny.pulumi("preview")
    assert answer.code != 0
    assert "`virtualenv: nowhere`" in answer.output
    assert "make setup" in answer.output
    assert "Traceback" not in answer.output


def test_an_unknown_tool_chain_is_refused_by_name(tiny: Project) -> None:
    tiny.settings(runtime={"name": "python", "options": {"toolchain": "poetry"}})
    answer = tiny.pulumi("preview")
    assert answer.code != 0
    assert "toolchain: poetry" in answer.output


def test_an_engine_that_is_too_old_is_refused(tiny: Project) -> None:
    tiny.settings(requiredPulumiVersion=">=99.0.0")
    tiny.write(main="raise SystemExit('was run')")
    answer = tiny.pulumi("preview")
    assert answer.code != 0
    assert ">=99.0.0" in answer.output
    assert "was run" not in answer.output


def test_a_python_without_the_sdk_is_told_to_install_it(tiny: Project) -> None:
    bare = tiny.folder / "bare" / "bin"
    bare.mkdir(parents=True)
    (bare / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (bare / "python").chmod(0o755)
    (tiny.folder / "bare" / "pyvenv.cfg").write_text(f"version = {sys.version.split()[0]}\n")
    tiny.settings(runtime={"name": "python", "options": {"virtualenv": "bare"}})
    answer = tiny.pulumi("preview")
    assert answer.code == 1
    assert "Pulumi SDK has not been installed" in answer.output
