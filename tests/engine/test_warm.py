"""A program, a provider and a policy pack see the same world whether their Python started warm or cold."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.project import Project

WORLD = """
import os, random, signal, sys, threading
def world(where):
    return {
        "argv": sys.argv,
        "path": [part for part in sys.path if part],
        "executable": sys.executable,
        "prefix": sys.prefix,
        "cwd": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "HOTDASH_WARM_PYTHON"},
        "main": sys.modules["__main__"].__dict__.get("__file__"),
        "ours": sorted(name for name in sys.modules if name.split(".")[0] == "engine"),
        "threads": threading.active_count() if where == "program" else 0,
        "stdin": os.path.realpath("/proc/self/fd/0") if where == "program" else "",
        "files": len(os.listdir("/proc/self/fd")) if where == "program" else 0,
        "leads its group": os.getpgrp() == os.getpid() if where == "program" else None,
        "SIGTERM": str(signal.getsignal(signal.SIGTERM)),
    }
"""

WARM = """
import os
from pathlib import Path
parent = Path("/proc", str(os.getppid()), "cmdline")
WARM = parent.exists() and "warm.py" in parent.read_text()
"""

MAIN = """
import json, sys
from pathlib import Path
from warm_or_not import WARM
import world
told = {"program": world.world("program")}
import pulumi
from thing import Thing
Path("program.json").write_text(json.dumps({"warm": WARM, **told["program"]}))
Thing("it")
"""

THING = """
import json, world
from pathlib import Path
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
class Provider(ResourceProvider):
    def create(self, inputs):
        Path("provider.json").write_text(json.dumps(world.world("provider")))
        return CreateResult("thing", {})
class Thing(Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {})
"""

PACK = """
import json, sys
from pathlib import Path
sys.path.append(str(Path(__file__).resolve().parents[1]))
import world
Path("policy.json").write_text(json.dumps(world.world("policy")))
from pulumi_policy import PolicyPack, ResourceValidationPolicy
PolicyPack("pack", [ResourceValidationPolicy("any", "Anything goes.", lambda args, report: None)])
"""


def _worlds(tiny: Project) -> dict[str, Any]:
    tiny.write(main=MAIN, thing=THING, world=WORLD, warm_or_not=WARM)
    pack = tiny.folder / "pack"
    pack.mkdir(exist_ok=True)
    (pack / "PulumiPolicy.yaml").write_text(
        f"runtime:\n  name: python\n  options:\n    virtualenv: {Path(sys.prefix)}\n"
    )
    (pack / "__main__.py").write_text(PACK)
    tiny.pulumi("up", "--yes", "--skip-preview", "--policy-pack", "pack").ok()
    tiny.pulumi("destroy", "--yes").ok()
    return {name: _told(tiny, name) for name in ("program", "provider", "policy")}


def _told(tiny: Project, name: str) -> dict[str, Any]:
    """What `name` wrote down; the ports, which differ from command to command, are left out."""
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", "ADDRESS", (tiny.folder / f"{name}.json").read_text())
    told: dict[str, Any] = json.loads(text)
    return told


def test_a_warm_start_is_seen_by_nobody_but_the_clock(tiny: Project) -> None:
    warm = _worlds(tiny)
    tiny.extra["HOTDASH_WARM_PYTHON"] = "off"
    cold = _worlds(tiny)
    assert warm["program"].pop("warm") is (sys.platform == "linux")
    assert cold["program"].pop("warm") is False
    for name in ("program", "provider", "policy"):
        assert warm[name] == cold[name]


@pytest.mark.parametrize(
    "changes",
    [{"PYTHONSAFEPATH": "1"}, {"TMPDIR": "/nowhere/that/exists"}, {"TMPDIR": "/tmp/" + "long" * 30}],
    ids=["safe path", "no folder for the socket", "a path too long for a socket"],
)
def test_where_there_can_be_no_warm_interpreter_everything_works_cold(
    tiny: Project, changes: dict[str, str]
) -> None:
    tiny.extra.update(changes)
    tiny.write(main="import pulumi, warm_or_not; pulumi.export('warm', warm_or_not.WARM)", warm_or_not=WARM)
    tiny.pulumi("up", "--yes", "--skip-preview").ok()
    assert tiny.pulumi("stack", "output", "warm").ok().output.strip() == "false"
