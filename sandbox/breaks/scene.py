"""What a trouble works on: the app, the vault with the right values, the changes to be made, the record of them.

Changes of several troubles are gathered first, so that secrets are set once and each machine moves once."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from sandbox.client import SandboxClient, SandboxError
from sandbox.seed import VAULT, definition, dsn_parts, load
from sandbox.services.endpoints import write_private

FILE = "breaks.json"

Config = dict[str, Any]
Machine = dict[str, Any]
Kept = dict[str, Any]


@dataclass
class Change:
    """What is to be done, in this order.

    secrets   values to set (None unsets)
    deploy    whether every machine moves for them
    edits     changes of the configs of a group's machines
    staged    values to set when the machines have moved
    others    steps after all that
    """

    secrets: dict[str, str | None] = field(default_factory=dict)
    deploy: bool = False
    edits: list[tuple[str, Callable[[Config], None]]] = field(default_factory=list)
    staged: dict[str, str | None] = field(default_factory=dict)
    others: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class Record:
    """What each trouble in place changed, by its name, as it was before."""

    directory: Path
    undo: dict[str, Kept]

    @classmethod
    def load(cls, directory: Path) -> "Record":
        try:
            return cls(directory, json.loads((directory / FILE).read_text()))
        except FileNotFoundError:
            return cls(directory, {})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.undo)

    def keep(self, name: str, undo: Kept) -> None:
        """Made twice, it is what the first time found that is to be given back."""
        self.undo.setdefault(name, undo)

    def drop(self, name: str) -> None:
        self.undo.pop(name, None)

    def save(self) -> None:
        write_private(self.directory / FILE, json.dumps(self.undo, indent=2) + "\n")


class Scene:
    """The app that is broken or mended; `secret` is the one that was asked for, if any."""

    def __init__(self, client: SandboxClient, directory: Path, app: str, secret: str = "") -> None:
        self.client = client
        self.directory = directory
        self.app = app
        self.secret = secret
        self.record = Record.load(directory)

    def group(self, name: str) -> list[Machine]:
        """The machines of a process group; may be none."""
        return [m for m in self.client.machines(self.app) if group_of(m) == name]

    def group_to_change(self, name: str) -> list[Machine]:
        """The machines of a process group. SandboxError if there are none."""
        found = self.group(name)
        if not found:
            raise SandboxError(
                f"{self.app} has no {name} machine to change. Begin anew with: hotdash sandbox reset"
            )
        return found

    def status(self) -> dict[str, Any]:
        """The admin door's view of the app. SandboxError if there is no such app."""
        found = self.client.app(self.app)
        if found is None:
            raise SandboxError(
                f"there is no app {self.app} in this sandbox. Begin anew with: hotdash sandbox reset"
            )
        return found

    def right_value(self, secret: str) -> str:
        """The value of a secret as the vault has it, the POSTGRES_* as parts of its DATABASE_URL. SandboxError if it
        has none."""
        values: dict[str, str] = {}
        for file in sorted((self.directory / "vault").rglob("*.env")):
            values.update({key: value for key, value in dotenv_values(file).items() if value})
        if "DATABASE_URL" not in values:
            raise SandboxError(f"the sandbox's vault has no DATABASE_URL ({next(iter(VAULT))})")
        values |= dsn_parts(values["DATABASE_URL"])
        if secret not in values:
            raise SandboxError(f"the sandbox's vault has no {secret}, so nobody knows its right value")
        return values[secret]

    def carry_out(self, change: Change) -> None:
        """Make the changes: secrets in one call, one update for each machine that they concern."""
        version = self.client.set_secrets(self.app, change.secrets) if change.secrets else None
        release = self._release() if change.deploy else {}
        groups = {group for group, _ in change.edits}
        for machine in self.client.machines(self.app):
            group = group_of(machine)
            if not change.deploy and group not in groups:
                continue
            config = copy.deepcopy(machine["config"])
            for wanted, edit in change.edits:
                if wanted == group:
                    edit(config)
            config["metadata"] = {**(config.get("metadata") or {}), **release}
            self.client.update(self.app, machine, config, version if change.deploy else None)
        if change.staged:
            self.client.set_secrets(self.app, change.staged)
        for step in change.others:
            step()

    def ask(self, machine: str, path: str) -> int:
        """The status that a web machine answers to a request from inside; 0 if it does not."""
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://localhost:3000{path}"]
        answer = self.client.call(
            "POST", f"/v1/apps/{self.app}/machines/{machine}/exec", {"command": command, "timeout": 10}
        )
        return int(answer["stdout"] or 0)

    def start(self, machines: Sequence[Mapping[str, Any]]) -> None:
        """Start the ones among the machines that are at rest."""
        for machine in machines:
            if machine["state"] in ("stopped", "failed"):
                self.client.call("POST", f"/v1/apps/{self.app}/machines/{machine['id']}/start")

    def _release(self) -> dict[str, str]:
        """A release, as flyctl makes one to deploy secrets; the metadata by which a machine names it."""
        machines = self.client.machines(self.app)
        seeded = load(self.directory)
        body = {
            "app_name": self.app,
            "strategy": "ROLLING",
            "image": machines[0]["config"]["image"] if machines else "",
            "definition": definition(seeded.design) if seeded else None,
        }
        release = self.client.call("POST", "/api/v1/releases", body)["release"]
        self.client.call("PATCH", f"/api/v1/releases/{release['id']}", {"status": "complete"})
        return {"fly_release_id": str(release["id"]), "fly_release_version": str(release["version"])}


def group_of(machine: Mapping[str, Any]) -> str:
    """The process group that a machine belongs to."""
    return str((machine["config"].get("metadata") or {}).get("fly_process_group") or "app")


def checks_of_services(config: Mapping[str, Any]) -> list[Config]:
    """The checks that the services of a machine config declare."""
    return [check for service in config.get("services") or () for check in service.get("checks") or ()]
