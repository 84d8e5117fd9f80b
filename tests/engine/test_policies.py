"""Policy packs through our language host."""

import sys
from pathlib import Path

import pytest

from tests.engine.project import Project

PACK = """
import sys
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def small(args, report):
    if args.resource_type == "pulumi-python:dynamic:Resource" and args.props["size"] > 3:
        report(f"{args.name} is too big")

PolicyPack("sizes", enforcement_level=EnforcementLevel.LEVEL, policies=[
    ResourceValidationPolicy(name="small", description="Things are small.", validate=small),
])
"""

MAIN = """
import pulumi
from thing import Thing
Thing("it", pulumi.Config().get_int("size") or 1)
"""

THING = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
class Provider(ResourceProvider):
    def create(self, inputs):
        open("created", "w").close()
        return CreateResult("thing", inputs)
class Thing(Resource):
    def __init__(self, name, size):
        super().__init__(Provider(), name, {"size": size})
"""


@pytest.fixture
def guarded(tiny: Project) -> Project:
    tiny.write(main=MAIN, thing=THING)
    _pack(tiny, PACK.replace("LEVEL", "MANDATORY"))
    return tiny


def _pack(tiny: Project, text: str) -> None:
    pack = tiny.folder / "pack"
    pack.mkdir(exist_ok=True)
    (pack / "PulumiPolicy.yaml").write_text(
        f"runtime:\n  name: python\n  options:\n    virtualenv: {Path(sys.prefix)}\n"
    )
    (pack / "__main__.py").write_text(text)


def test_what_a_policy_allows_goes_on(guarded: Project) -> None:
    answer = guarded.pulumi("up", "--yes", "--skip-preview", "--policy-pack", "pack").ok()
    assert "sizes" in answer.output
    assert "warning" not in answer.output
    assert (guarded.folder / "created").exists()


def test_a_mandatory_policy_stops_preview_and_up(guarded: Project) -> None:
    guarded.pulumi("config", "set", "size", "4").ok()
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        answer = guarded.pulumi(*command, "--policy-pack", "pack")
        assert answer.code == 1, answer.output
        assert "it is too big" in answer.output
        assert "mandatory" in answer.output
        assert "Traceback" not in answer.output
    assert not (guarded.folder / "created").exists()


def test_an_advisory_policy_only_speaks(guarded: Project) -> None:
    _pack(guarded, PACK.replace("LEVEL", "ADVISORY"))
    guarded.pulumi("config", "set", "size", "4").ok()
    answer = guarded.pulumi("preview", "--policy-pack", "pack").ok()
    assert "it is too big" in answer.output


def test_a_pack_that_cannot_be_loaded_stops_the_command_and_says_why(guarded: Project) -> None:
    _pack(guarded, "import no_such_module_anywhere")
    answer = guarded.pulumi("preview", "--policy-pack", "pack")
    assert answer.code != 0
    assert "No module named 'no_such_module_anywhere'" in answer.output


def test_a_pack_uses_its_own_virtual_environment(guarded: Project) -> None:
    _pack(
        guarded,
        "import sys; print(f'ran with {sys.executable}', file=sys.stderr)\n"
        + PACK.replace("LEVEL", "MANDATORY"),
    )
    answer = guarded.pulumi("preview", "--policy-pack", "pack").ok()
    assert f"ran with {Path(sys.prefix, 'bin', 'python')}" in answer.output
