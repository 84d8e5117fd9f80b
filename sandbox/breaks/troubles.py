"""The troubles, one class each: how it is made, how it is put back, and where one sees it."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from sandbox.breaks.scene import Change, Config, Kept, Machine, Scene, checks_of_services
from sandbox.client import SandboxError

BAD_PATH = "/rails/health"
SMALL_MB = 512

_CHANGED_ON_FLY = "secret-changed-on-fly"
_BUSY = ("created", "starting", "replacing", "restarting")


class Trouble(ABC):
    """One trouble. `trouble` says what it is, `kinds` what a preview calls it."""

    name: ClassVar[str]
    trouble: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]

    @abstractmethod
    def prepare(self, scene: Scene, change: Change) -> Kept:
        """Add to `change` what makes the trouble; what `undo` will need. SandboxError if it cannot be made."""

    @abstractmethod
    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        """Add to `change` what puts it back."""

    @abstractmethod
    def look(self, scene: Scene) -> str:
        """Where the trouble shows, in a few words; empty while it does not."""


class WrongPassword(Trouble):
    name = "wrong-password"
    trouble = (
        "DATABASE_URL and POSTGRES_PASSWORD on Fly hold a password that the database refuses, while the right one lies "
        "in the vault: every page that needs the database fails."
    )
    kinds = (_CHANGED_ON_FLY, "unhealthy")

    def prepare(self, scene: Scene, change: Change) -> Kept:
        scene.group_to_change("web")
        wrong = secrets.token_urlsafe(24)
        login, _, place = scene.right_value("DATABASE_URL").rpartition("@")
        change.secrets["DATABASE_URL"] = f"{login.rpartition(':')[0]}:{wrong}@{place}"
        change.secrets["POSTGRES_PASSWORD"] = wrong
        change.deploy = True
        return {}

    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        for name in ("DATABASE_URL", "POSTGRES_PASSWORD"):
            change.secrets[name] = scene.right_value(name)
        change.deploy = True

    def look(self, scene: Scene) -> str:
        if not _failing_check(scene):
            return ""
        # Asked inside, because the check may be at fault too.
        machine = next((m["id"] for m in scene.group("web") if m["state"] == "started"), "")
        return f"web machine {machine}: /api answers 500" if scene.ask(machine, "/api") == 500 else ""


class SecretTrouble(Trouble):
    """A trouble with one secret, the usual one unless another was asked for."""

    usual: ClassVar[str]

    def secret(self, scene: Scene) -> str:
        """The secret in question. SandboxError if the app has no such secret, or the vault no value to put back."""
        name = scene.secret or self.usual
        status = scene.status()
        if name not in status["secrets"]:
            raise SandboxError(
                f"{name} is not among the secrets of {scene.app}: {', '.join(status['secrets'])}"
            )
        scene.right_value(name)
        return name

    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        change.secrets[kept["secret"]] = scene.right_value(kept["secret"])
        change.deploy = True

    def stale(self, scene: Scene, secret: str) -> list[Machine]:
        """Machines that do not run with what Fly has for the secret."""
        return [m for m in scene.status()["machines"] if secret in m["secrets_not_live"]]

    def all_moved(self, scene: Scene, secret: str) -> bool:
        return not self.stale(scene, secret) and not any(
            m["state"] in _BUSY for m in scene.status()["machines"]
        )


class SecretMissing(SecretTrouble):
    name = "secret-missing"
    usual = "CHATWOOT_WEBHOOK_SECRET"
    trouble = f"A secret was unset on Fly, and the machines run without it: {usual}, unless you name one."
    kinds = ("secret-missing",)

    def prepare(self, scene: Scene, change: Change) -> Kept:
        secret = self.secret(scene)
        change.secrets[secret] = None
        change.deploy = True
        return {"secret": secret}

    def look(self, scene: Scene) -> str:
        secret = scene.record.undo[self.name]["secret"]
        gone = secret not in scene.status()["secrets"]
        return (
            f"{secret} is not on Fly, and no machine has it" if gone and self.all_moved(scene, secret) else ""
        )


class SecretTampered(SecretTrouble):
    name = "secret-tampered"
    usual = "SMTP_PASSWORD"
    trouble = (
        f"Somebody set a secret by hand and deployed it, past the vault: {usual}, unless you name one. Mail fails, and "
        "nothing shows it."
    )
    kinds = (_CHANGED_ON_FLY,)

    def prepare(self, scene: Scene, change: Change) -> Kept:
        secret = self.secret(scene)
        change.secrets[secret] = secrets.token_urlsafe(30)
        change.deploy = True
        return {"secret": secret}

    def look(self, scene: Scene) -> str:
        secret = scene.record.undo[self.name]["secret"]
        return f"{secret} was set, and every machine runs with it" if self.all_moved(scene, secret) else ""


class SecretStaged(SecretTrouble):
    name = "secret-staged"
    usual = "SMTP_PASSWORD"
    trouble = (
        f"Somebody set a secret with --stage and never deployed it: {usual}, unless you name one. "
        "The machines run with the old value until something moves them."
    )
    kinds = (_CHANGED_ON_FLY, "secret-not-live")

    def prepare(self, scene: Scene, change: Change) -> Kept:
        secret = self.secret(scene)
        change.staged[secret] = secrets.token_urlsafe(30)
        return {"secret": secret}

    def look(self, scene: Scene) -> str:
        secret = scene.record.undo[self.name]["secret"]
        stale = self.stale(scene, secret)
        return f"{secret} was set, and {len(stale)} machines run with its old value" if stale else ""


class WorkerOom(Trouble):
    name = "worker-oom"
    trouble = f"The worker has {SMALL_MB} MB and is killed for memory soon after each start."
    kinds = ("machine-memory", "machine-state")

    def prepare(self, scene: Scene, change: Change) -> Kept:
        before = scene.group_to_change("worker")[0]["config"]["guest"]["memory_mb"]
        change.edits.append(("worker", _memory(SMALL_MB)))
        return {"memory_mb": before}

    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        change.edits.append(("worker", _memory(kept["memory_mb"])))
        # Retries may have run out.
        change.others.append(lambda: scene.start(scene.group("worker")))

    def look(self, scene: Scene) -> str:
        for machine in scene.group("worker"):
            for event in machine.get("events") or ():
                if ((event.get("request") or {}).get("exit_event") or {}).get("oom_killed"):
                    return f"worker machine {machine['id']}: event exit, oom_killed"
        return ""


class CheckPath(Trouble):
    name = "check-path"
    trouble = f"The health check asks {BAD_PATH}, a 404 in every Chatwoot: no machine gets requests."
    kinds = ("check-path", "unhealthy")

    def prepare(self, scene: Scene, change: Change) -> Kept:
        checks = [c for m in scene.group_to_change("web") for c in checks_of_services(m["config"])]
        if not checks:
            raise SandboxError(f"the web machines of {scene.app} have no health check to change")
        change.edits.append(("web", _path(BAD_PATH)))
        return {"path": checks[0].get("path", "/")}

    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        change.edits.append(("web", _path(kept["path"])))

    def look(self, scene: Scene) -> str:
        return _failing_check(scene)


class WorkerStopped(Trouble):
    name = "worker-stopped"
    trouble = (
        "The worker was scaled to 0, to free database connections for a migration, and forgotten: "
        "no mail, no webhooks."
    )
    kinds = ("machine-count",)

    def prepare(self, scene: Scene, change: Change) -> Kept:
        workers = scene.group_to_change("worker")
        change.others.append(lambda: self._destroy(scene, workers))
        return {"machines": [{key: m[key] for key in ("config", "region")} for m in workers]}

    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        def create() -> None:
            missing = len(kept["machines"]) - len(scene.group("worker"))
            for machine in kept["machines"][: max(missing, 0)]:
                scene.client.call("POST", f"/v1/apps/{scene.app}/machines", machine)

        change.others.append(create)

    def look(self, scene: Scene) -> str:
        return "" if scene.group("worker") else "the group worker has no machine left"

    @staticmethod
    def _destroy(scene: Scene, machines: list[Machine]) -> None:
        for machine in machines:
            path = f"/v1/apps/{scene.app}/machines/{machine['id']}"
            scene.client.call("DELETE", path, params={"force": "true"})


class MachineStopped(Trouble):
    name = "machine-stopped"
    trouble = (
        "One web machine was stopped by hand and stayed so: half the capacity is gone, and nothing shows it."
    )
    kinds = ("machine-state",)

    def prepare(self, scene: Scene, change: Change) -> Kept:
        machine = scene.group_to_change("web")[0]["id"]
        path = f"/v1/apps/{scene.app}/machines/{machine}/stop"
        change.others.append(lambda: scene.client.call("POST", path, {}))
        return {"machine": machine}

    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        change.others.append(
            lambda: scene.start([m for m in scene.group("web") if m["id"] == kept["machine"]])
        )

    def look(self, scene: Scene) -> str:
        stopped = [m["id"] for m in scene.group("web") if m["state"] == "stopped"]
        return f"web machine {stopped[0]} is stopped" if stopped else ""


class NeverHealthy(Trouble):
    name = "never-healthy"
    trouble = (
        "The app answers 500 whatever is changed, as with a bug in the image: a rollout must stop at "
        "the first machine. `up` cannot mend this one; `mend` can."
    )
    kinds = ("unhealthy",)

    def prepare(self, scene: Scene, change: Change) -> Kept:
        scene.group_to_change("web")
        change.others.append(lambda: self._flag(scene, True))
        return {}

    def undo(self, scene: Scene, change: Change, kept: Kept) -> None:
        change.others.append(lambda: self._flag(scene, False))

    def look(self, scene: Scene) -> str:
        return _failing_check(scene)

    @staticmethod
    def _flag(scene: Scene, never: bool) -> None:
        scene.client.call("PUT", f"/sandbox/apps/{scene.app}/flags", {"never_healthy": never})


TROUBLES: Mapping[str, Trouble] = {
    trouble.name: trouble
    for trouble in (
        WrongPassword(),
        SecretMissing(),
        SecretTampered(),
        SecretStaged(),
        WorkerOom(),
        CheckPath(),
        WorkerStopped(),
        MachineStopped(),
        NeverHealthy(),
    )
}


def _failing_check(scene: Scene) -> str:
    """The answer of a failing check, once every web machine that runs has one and its app did answer."""
    machines = [m for m in scene.group("web") if m["state"] != "stopped"]
    failures = [_failure(m) for m in machines]
    if not all(failures):
        return ""
    return f"web machine {machines[0]['id']}: check critical, {failures[0]}" if failures else ""


def _failure(machine: Mapping[str, Any]) -> str:
    for check in machine.get("checks") or ():
        # A refused connection is a machine that still boots.
        if check["status"] == "critical" and not check["output"].endswith("connection refused"):
            return str(check["output"].partition(" Output:")[0])
    return ""


def _memory(megabytes: int) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        config["guest"]["memory_mb"] = megabytes

    return edit


def _path(path: str) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        for check in checks_of_services(config):
            check["path"] = path

    return edit
