"""One Pulumi stack over a sandbox: the real engine, a state of its own, a stack file of its own."""

import copy
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from hotdash.drift import CLOCK_SLACK, Kind
from hotdash.fly.wire import ulid_time
from sandbox import seed, shell
from tests.world import CHECKOUT, World

ENGINE = Path(os.environ.get("PULUMI_ENGINE_BIN") or CHECKOUT / ".engine" / "bin")
"""The folder of the engine under test; `PULUMI_ENGINE_BIN` names another one than `make setup` puts in place."""
DRIFT = 7
"""The engine's exit code for changes where none were expected."""
COMMAND_SECONDS = 120
LEASE_SECONDS = 30
"""A lease that nobody keeps is free again after this: one of a killed `up`, one whose grant was lost on the way."""
WRITES = ("POST", "PUT", "PATCH", "DELETE")

_SUBJECT = re.compile(rf"^ +(\S.*): up (.+)\n((?: +(?:{'|'.join(Kind)}) +.+\n)+)", re.MULTILINE)
_SINCE = re.compile(r"since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ)")


@dataclass(frozen=True)
class Shown:
    """One drift as a preview tells it: its kind, the subject, the whole line behind the kind, what `up` will do."""

    kind: str
    subject: str
    line: str
    remedy: str

    @property
    def since(self) -> str:
        found = _SINCE.search(self.line)
        return found[1] if found else ""


@dataclass(frozen=True)
class Answer:
    """What a `pulumi` command did; `output` is stdout and stderr as a person sees them."""

    code: int
    output: str

    def ok(self) -> "Answer":
        assert self.code == 0, self.output
        assert "Traceback" not in self.output, self.output
        return self

    def failed(self, *words: str) -> "Answer":
        """It failed with a message for people that has these words; not for drift, and without a traceback."""
        assert self.code not in (0, DRIFT), self.output
        missing = [word for word in words if word not in self.text]
        assert not missing, f"{missing} not in\n{self.output}"
        for noise in ("Traceback", "KeyboardInterrupt", "KeyError", 'File "'):
            assert noise not in self.output, self.output
        return self

    @property
    def text(self) -> str:
        """The output with every run of blanks as one, so that a wrapped sentence can be looked for."""
        return " ".join(self.output.split())

    @property
    def diagnostics(self) -> str:
        """What is told at the end, where the engine gathers all messages."""
        return self.output.partition("Diagnostics:")[2]

    @property
    def drift(self) -> tuple[Shown, ...]:
        """The drift that was told, in its order."""
        shown: dict[Shown, None] = {}
        for subject, remedy, lines in _SUBJECT.findall(self.output):
            for line in lines.splitlines():
                kind, _, what = line.strip().partition(" ")
                shown[Shown(kind, subject, what.strip(), remedy)] = None
        return tuple(shown)

    @property
    def kinds(self) -> set[str]:
        return {shown.kind for shown in self.drift}

    def of(self, kind: str) -> tuple[Shown, ...]:
        return tuple(shown for shown in self.drift if shown.kind == kind)


@dataclass
class Stack:
    """A stack of the project over one sandbox.

    world      the sandbox
    config     the stack file's `config:`, written anew before each command; change it at will
    env        variables besides those that `hotdash sandbox env` sets; None takes one away
    program    the folder of the program, this checkout's unless told otherwise
    """

    world: World
    folder: Path
    name: str = "sandbox"
    program: Path = CHECKOUT
    config: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)
    clean: bool = False
    """The next test may have it as it is: applied, and nothing differs."""
    began_clean: bool = False
    given: tuple[dict[str, Any], dict[str, str | None]] = field(default_factory=lambda: ({}, {}))
    """Settings and variables as the test got them."""

    @property
    def backend(self) -> Path:
        return self.folder / "backend"

    @property
    def file(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    # Beginning anew

    def renew(self, design: seed.Design | None = None) -> None:
        """The seeded world, every machine healthy, and a stack that was never applied."""
        self.world.reset(design)
        self.config = default_config(self.world)
        self.env = {}
        self.hand_over(began_clean=False)
        shutil.rmtree(self.backend, ignore_errors=True)
        self.backend.mkdir(parents=True)
        empty = self.folder / "empty"
        if not empty.exists():
            self.pulumi("stack", "init", self.name, "--no-select", config=False).ok()
            shutil.copytree(self.backend, empty)
        shutil.copytree(empty, self.backend, dirs_exist_ok=True)

    def hand_over(self, *, began_clean: bool) -> None:
        """A test begins with it as it is."""
        self.clean, self.began_clean = False, began_clean
        self.given = copy.deepcopy(self.config), dict(self.env)

    # Running

    @property
    def environment(self) -> dict[str, str]:
        variables: dict[str, str | None] = {
            **self.world.env,
            "PATH": f"{ENGINE}{os.pathsep}{self.world.env['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": shell.PASSPHRASE,
            "PULUMI_STACK": self.name,
            "PULUMI_HOME": str(self.folder / "home"),
            **self.env,
        }
        return {name: value for name, value in variables.items() if value is not None}

    def command(self, *arguments: str, config: bool = True) -> list[str]:
        words = [str(ENGINE / "pulumi"), *arguments, "--non-interactive", "--color", "never"]
        if not config:
            return words
        original = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.sandbox.yaml").read_text())
        self.file.write_text(yaml.safe_dump({**original, "config": self.config}))
        return [*words, "--config-file", str(self.file)]

    def pulumi(self, *arguments: str, config: bool = True, cwd: Path | None = None) -> Answer:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*arguments, config=config),
            cwd=cwd or (self.program if config else self.scratch()),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        return Answer(done.returncode, done.stdout)

    def set_secret_config(self, key: str, value: str) -> None:
        """Encrypt a config value into the stack file, as a person does: through standard input, not as an argument."""
        words = self.command("config", "set", "--secret", key)
        done = subprocess.run(
            words, cwd=self.program, env=self.environment, input=value, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        self.config[key] = yaml.safe_load(self.file.read_text())["config"][key]

    def scratch(self) -> Path:
        """A folder with the project's own Pulumi.yaml, for commands that would write into a stack file beside it."""
        folder = self.folder / "scratch"
        (folder / "stacks").mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / "Pulumi.yaml", folder)
        return folder

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command, in a process group of its own as a terminal's job."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.program,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def ended(self, process: "subprocess.Popen[str]") -> Answer:
        """Wait for the end of a command that was started."""
        output, _ = process.communicate(timeout=COMMAND_SECONDS)
        return Answer(process.returncode, output)

    def state(self) -> dict[str, Any]:
        """What the back end keeps, as `pulumi stack export` gives it."""
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export", config=False).ok().output)
        return exported

    def preview(self, *options: str) -> Answer:
        return self.pulumi("preview", "--expect-no-changes", *options)

    def up(self, *options: str) -> Answer:
        return self.pulumi("up", "--yes", "--skip-preview", *options)

    # What must be so

    def drift(self) -> Answer:
        """A preview that finds drift, and writes nothing."""
        self.world.clear_requests()
        seen = self.preview()
        assert seen.code == DRIFT, seen.output
        assert self.writes() == []
        return seen

    def expect_clean(self) -> None:
        """Nothing differs: an `up` finds nothing to do, writes nothing and moves no machine."""
        versions = self.versions()
        self.world.clear_requests()
        self.up("--expect-no-changes").ok()
        assert self.writes() == []
        assert self.versions() == versions
        assert self.leases() == []
        self.clean = True

    def writes(self) -> list[str]:
        """Every call since the log was cleared that was not just a look."""
        return [f"{r['method']} {r['path']}" for r in self.world.requests() if r["method"] in WRITES]

    def versions(self) -> dict[str, str]:
        """The machines' ids, and the instance id that each runs."""
        return {machine["id"]: machine["instance_id"] for machine in self.world.machines()}

    def leases(self) -> list[str]:
        """Machines that somebody holds a lease on."""
        return [machine["id"] for machine in self.world.status()["machines"] if machine["lease"]]

    @contextmanager
    def nothing_changed(self) -> Iterator[None]:
        """What is done inside writes nothing to Fly, moves no machine and leaves no lease. The stack's settings are
        afterwards as the test got them. For a test that does nothing else."""
        versions = self.versions()
        self.world.clear_requests()
        yield
        assert self.writes() == []
        assert self.versions() == versions
        assert self.leases() == []
        self.config, self.env = self.given
        self.clean = self.began_clean


def default_config(world: World) -> dict[str, Any]:
    """The sandbox stack's settings, patient with machines that share their cores with other tests. What never comes
    is waited for more briefly: see `impatient`."""
    config = world.stack_config()
    config["hotdash:rollout"] = {
        "healthTimeout": "40s",
        "startTimeout": "40s",
        # Longer than a machine with too little memory lives in the sandbox.
        "settle": "1500ms",
        # A lease whose owner died, or whose grant was lost on the way, is free again when its time is over.
        "leaseWait": f"{LEASE_SECONDS + 10}s",
    }
    config["hotdash:readiness"] = {"timeout": "40s"}
    return config


@contextmanager
def impatient(stack: Stack) -> Iterator[None]:
    """For commands that wait in vain for machines to be well."""
    patient = {key: stack.config[key] for key in ("hotdash:rollout", "hotdash:readiness")}
    stack.config["hotdash:rollout"] = {**patient["hotdash:rollout"], "healthTimeout": "2s"}
    stack.config["hotdash:readiness"] = {**patient["hotdash:readiness"], "timeout": "2s"}
    yield
    stack.config |= patient


def vault_values(world: World) -> Mapping[str, str]:
    """Every secret value of the seeded world, by name."""
    planted = seed.load(world.dir)
    assert planted is not None
    return planted.secrets


def own_vault(stack: Stack, folder: Path) -> Path:
    """A copy of the sandbox's vault, which the stack uses instead."""
    copy_of = folder / "vault"
    shutil.copytree(stack.world.vault, copy_of)
    stack.config["hotdash:vault"] = str(copy_of)
    return copy_of


def a_second_later(stack: Stack) -> None:
    """Return when the machines' versions are old enough to tell them from what is staged now: Fly cuts some dates to
    seconds."""
    made = [ulid_time(version) for version in stack.versions().values()]
    stack.world.api.until(
        lambda: all(moment and datetime.now(UTC) - moment > 1.1 * CLOCK_SLACK for moment in made),
        "the second to pass",
        5.0,
    )
