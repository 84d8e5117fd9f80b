"""Preview, up, refresh and destroy through the real engine and our language host."""

import json
import sys
from pathlib import Path

from tests.engine.project import Project

# A resource whose live truth is a file: what a hand changes there is drift.
THING = """
import json, os, sys
from pathlib import Path
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

def note(what):
    with open("calls.log", "a") as log:
        log.write(what + "\\n")

LIVE = Path("live.json")

class Provider(ResourceProvider):
    def create(self, inputs):
        note("create")
        LIVE.write_text(json.dumps({"size": inputs["size"]}))
        return CreateResult("thing", {"size": inputs["size"], "python": sys.executable})
    def read(self, id, outs):
        note("read")
        if not LIVE.exists():
            return ReadResult("", {})
        return ReadResult(id, {**outs, **json.loads(LIVE.read_text())})
    def diff(self, id, old, new):
        return DiffResult(changes=old.get("size") != new.get("size"))
    def update(self, id, old, new):
        note("update")
        LIVE.write_text(json.dumps({"size": new["size"]}))
        return UpdateResult({**old, "size": new["size"]})
    def delete(self, id, outs):
        note("delete")
        LIVE.unlink(missing_ok=True)

class Thing(Resource):
    size: object
    python: object
    def __init__(self, name, size, opts=None):
        super().__init__(Provider(), name, {"size": size, "python": None}, opts)
"""

MAIN = """
import pulumi
from thing import Thing
size = pulumi.Config().get_int("size") or 1
thing = Thing("it", size)
pulumi.export("size", thing.size)
pulumi.export("python", thing.python)
"""


def test_a_resource_lives_from_create_to_delete(tiny: Project) -> None:
    tiny.write(main=MAIN, thing=THING)
    live = tiny.folder / "live.json"

    planned = tiny.pulumi("preview").ok()
    assert "to create" in planned.output
    assert not live.exists()

    tiny.pulumi("up", "--yes").ok()
    assert json.loads(live.read_text()) == {"size": 1}
    tiny.pulumi("preview", "--expect-no-changes").ok()

    live.write_text('{"size": 5}')
    drifted = tiny.pulumi("preview", "--expect-no-changes")
    assert drifted.code == 7, drifted.output
    assert json.loads(live.read_text()) == {"size": 5}

    tiny.pulumi("up", "--yes").ok()
    assert json.loads(live.read_text()) == {"size": 1}

    live.write_text('{"size": 6}')
    tiny.pulumi("refresh", "--yes").ok()
    assert [r["outputs"]["size"] for r in tiny.state()["resources"] if r["type"].endswith("Resource")] == [6]

    tiny.pulumi("destroy", "--yes").ok()
    assert not live.exists()
    assert set(tiny.log()) == {"create", "read", "update", "delete"}


def test_the_virtual_environment_of_the_project_runs_the_program_and_its_providers(tiny: Project) -> None:
    tiny.write(main=MAIN + "\nimport sys\npulumi.export('program', sys.executable)\n", thing=THING)
    tiny.pulumi("up", "--yes", "--skip-preview").ok()
    outputs = json.loads(tiny.pulumi("stack", "output", "--json").ok().output)
    assert outputs["program"] == outputs["python"] == str(Path(sys.prefix, "bin", "python"))


def test_a_virtual_environment_is_named_relative_to_the_project(tiny: Project) -> None:
    (tiny.folder / "surroundings").symlink_to(sys.prefix)
    tiny.settings(runtime={"name": "python", "options": {"virtualenv": "surroundings"}})
    tiny.write(main="import pulumi, sys; pulumi.export('program', sys.executable)")
    tiny.pulumi("up", "--yes", "--skip-preview").ok()
    assert str(tiny.folder / "surroundings") in tiny.pulumi("stack", "output", "program").ok().output


def test_settings_and_secrets_reach_the_program(tiny: Project) -> None:
    tiny.write(
        main="""
import pulumi
config = pulumi.Config()
assert config.get_int("size") == 3
assert config.require_secret("word").is_secret
assert pulumi.get_stack() == "dev" and pulumi.get_project() == "tiny"
pulumi.export("word", config.require_secret("word"))
pulumi.export("dry", pulumi.runtime.is_dry_run())
"""
    )
    tiny.pulumi("config", "set", "size", "3").ok()
    tiny.pulumi("config", "set", "--secret", "word", "abracadabra").ok()
    planned = tiny.pulumi("preview").ok()
    assert "abracadabra" not in planned.output
    tiny.pulumi("up", "--yes").ok()
    assert json.loads(tiny.pulumi("stack", "output", "--json").ok().output) == {
        "word": "[secret]",
        "dry": False,
    }


def test_the_program_sees_its_own_folder(tiny: Project) -> None:
    (tiny.folder / "inner").mkdir()
    (tiny.folder / "inner" / "__main__.py").write_text(
        "import os, pulumi, beside; pulumi.export('cwd', os.getcwd()); pulumi.export('beside', beside.WORD)"
    )
    (tiny.folder / "inner" / "beside.py").write_text("WORD = 'found'")
    tiny.settings(main="inner")
    tiny.pulumi("up", "--yes", "--skip-preview").ok()
    outputs = json.loads(tiny.pulumi("stack", "output", "--json").ok().output)
    assert outputs == {"cwd": str(tiny.folder / "inner"), "beside": "found"}


def test_no_command_warns_about_plugins(tiny: Project) -> None:
    tiny.write(main=MAIN, thing=THING)
    for command in (
        ("preview",),
        ("up", "--yes"),
        ("refresh", "--yes"),
        ("preview", "--json"),
        ("about",),
        ("install",),
        ("destroy", "--yes"),
    ):
        answer = tiny.pulumi(*command).ok()
        assert "warning" not in answer.output.lower(), answer.output
        assert "language host" not in answer.output, answer.output


def test_about_names_python_and_the_dependencies(tiny: Project) -> None:
    about = json.loads(tiny.pulumi("about", "--json").ok().output)
    assert about["runtime"]["executable"] == str(Path(sys.prefix, "bin", "python"))
    assert about["runtime"]["version"] == ".".join(str(part) for part in sys.version_info[:3])
    names = {dependency["name"] for dependency in about["dependencies"]}
    assert "pip" in names
    assert "grpcio" not in names  # required by the SDK, not by the program
