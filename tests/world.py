"""A seeded sandbox as a test holds it: real processes in a directory of its own, on free ports.

Fast on purpose: machines boot in 0.1 s and are checked every 0.2 s, so a reset takes well under a second."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from sandbox import breaks, instance, seed, shell
from sandbox.client import SandboxClient

CHECKOUT = instance.CHECKOUT
DESIGN = replace(
    seed.Design(), boot_seconds=0.1, check_interval="200ms", check_timeout="1s", check_grace="200ms"
)


class World:
    """One sandbox.

    dir, vault      its directory, and the vault in it
    url, token      Fly's API and a token for it
    app, app_url    the seeded app's name and its own URL
    env             the environment for subprocesses: as after `eval "$(hotdash sandbox env)"`
    client          httpx on `url`, with the token: any route of the API or of the admin door
    api             the same in calls: machines, secrets, updates under a lease, `until`

    `reset()` gives the seeded world again; call it in tests that must not see what others did. Whatever a test does
    to it, killing it too, the next `reset()` mends.
    """

    def __init__(self, directory: Path, design: seed.Design = DESIGN) -> None:
        self.dir = directory
        self.vault = directory / "vault"
        self.design = design
        self.app = design.app
        self.running: instance.Running
        self.client: httpx.Client
        self.api: SandboxClient
        self._started = False

    # Its life

    def up(self) -> None:
        """Start it, as it was; seed it if it is new. Returns when it answers, which machines may not yet do."""
        running = instance.find(self.dir) or instance.start(self.dir, 0)
        self._hang_up()
        self.running = running
        self.client = httpx.Client(
            base_url=running.url,
            headers={"Authorization": f"Bearer {running.token}"},
            timeout=70.0,
            trust_env=False,
        )
        self.api = running.client()
        self._started = True
        instance.ensure_seeded(running, self.design)

    def down(self) -> None:
        """Stop it; its state stays."""
        self._hang_up()
        instance.stop(self.dir)

    def kill9(self) -> None:
        """Kill the server, and nothing else."""
        self._hang_up()
        instance.kill(self.running)

    def reset(self, design: seed.Design | None = None) -> None:
        """The seeded world, every machine healthy, no faults, an empty request log; brought up if it is down."""
        self.up()
        instance.reset(self.running, design or self.design)
        self.wait_healthy()
        self.clear_requests()

    def processes(self) -> list[psutil.Process]:
        """Everything that it runs: the server, its machines, Postgres and Redis, the watchdog."""
        server = psutil.Process(self.running.pid)
        return [server, *server.children(recursive=True)]

    # What it is

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def token(self) -> str:
        return self.running.token

    @property
    def app_url(self) -> str:
        """Where the seeded app answers."""
        return str(self.status()["url"])

    @property
    def env(self) -> dict[str, str]:
        """`os.environ`, with what `hotdash sandbox env` sets."""
        variables = shell.environment(self.running, os.environ.get("PATH", ""))
        return {**os.environ, **variables}

    def stack_config(self) -> dict[str, Any]:
        """The `config:` of stacks/Pulumi.sandbox.yaml, with this sandbox's vault, URL and check times."""
        file = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.sandbox.yaml").read_text())
        config: dict[str, Any] = file["config"]
        config["hotdash:vault"] = str(self.vault)
        config["hotdash:app"]["url"] = self.app_url
        config["hotdash:processGroups"]["web"]["check"] |= {
            "interval": self.design.check_interval,
            "timeout": self.design.check_timeout,
            "gracePeriod": self.design.check_grace,
        }
        return config

    def write_stack_file(self, **changes: Any) -> Path:
        """The sandbox's stack file for this sandbox, for `pulumi … --config-file`. `changes` replace keys of
        `stack_config` (given without `hotdash:`)."""
        file = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.sandbox.yaml").read_text())
        file["config"] = {
            **self.stack_config(),
            **{f"hotdash:{key}": value for key, value in changes.items()},
        }
        path = self.dir / "Pulumi.sandbox.yaml"
        path.write_text(yaml.safe_dump(file))
        return path

    # What is in it

    def status(self) -> dict[str, Any]:
        """The admin door's view of the app: its machines with state, memory, checks, secrets that are not live."""
        found = self.api.app(self.app)
        assert found is not None, f"there is no app {self.app}"
        return found

    def machines(self, group: str | None = None) -> list[dict[str, Any]]:
        """The app's machines as Fly's API gives them, oldest first; those of one process group if named."""
        found = self.api.machines(self.app)
        return [m for m in found if group in (None, m["config"]["metadata"]["fly_process_group"])]

    def answer(self, path: str = "/api") -> int:
        """The status that the app's own URL answers."""
        return httpx.get(f"{self.app_url}{path}", trust_env=False, timeout=10.0).status_code

    def wait_healthy(self) -> None:
        """Return when every machine runs and passes its checks."""
        self.api.until(
            lambda: all(map(seed.healthy, self.api.machines(self.app))), "every machine to be healthy", 20.0
        )

    # What can be done to it

    def break_(self, *names: str, secret: str = "") -> breaks.Seen:
        """`hotdash sandbox break`."""
        return breaks.make(self.api, self.dir, names, secret=secret)

    def mend(self, *names: str) -> tuple[str, ...]:
        """`hotdash sandbox mend`."""
        return breaks.mend(self.api, self.dir, names)

    def fault(self, kind: str, route: str = "*", count: int | None = 1, **options: Any) -> None:
        """Make the API fail; kinds and options as in sandbox/faults.py."""
        body = {"kind": kind, "route": route, "count": count, **options}
        self.api.call("POST", "/sandbox/faults", body)

    def requests(self) -> list[dict[str, Any]]:
        """Every call of Fly's API since the last `clear_requests`, oldest first."""
        found: list[dict[str, Any]] = self.api.call("GET", "/sandbox/requests")["requests"]
        return found

    def clear_requests(self) -> None:
        self.api.call("POST", "/sandbox/requests/clear")

    def set_secret(self, name: str, value: str) -> int:
        """Stage a secret by hand; the version of the app's secrets."""
        return self.api.set_secrets(self.app, {name: value})

    def write_vault(self, file: str, values: Mapping[str, str]) -> None:
        """Replace a file of the vault."""
        (self.vault / file).write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def command(
        self, *words: str, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run `hotdash sandbox` on it."""
        return run_command(self.dir, words, env)

    def _hang_up(self) -> None:
        if self._started:
            self.client.close()
            self.api.close()


def run_command(
    directory: Path, words: Sequence[str], env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `hotdash sandbox WORDS` on a directory, on free ports."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox.cli", *words],
        env={**os.environ, "HOTDASH_SANDBOX_DIR": str(directory), "HOTDASH_SANDBOX_PORT": "0", **(env or {})},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def still_alive(processes: Sequence[psutil.Process], seconds: float = 10.0) -> list[str]:
    """Which of the processes have not ended within `seconds`, as text for an assertion."""
    living = [p for p in processes if not instance.has_ended(p, seconds)]
    return [f"{p.pid} {p.name()}" for p in living]


def shown_by(processes: Sequence[psutil.Process], *, environment: bool = True) -> list[str]:
    """The words of the processes' command lines, and the values of their environments."""
    shown: list[str] = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # sessions come and go
            shown += process.cmdline()
            shown += process.environ().values() if environment else ()
    return shown
