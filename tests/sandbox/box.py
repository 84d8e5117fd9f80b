"""A sandbox server as a test holds it: a real process in a directory of its own, on a free port."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Literal

import httpx

CHECKOUT = Path(__file__).resolve().parent.parent.parent
NONCE = "fly-machine-lease-nonce"


class Box:
    """Start, kill and ask one sandbox."""

    def __init__(self, directory: Path, runtime: Literal["null", "process"] = "null") -> None:
        self.directory = directory
        self._runtime = runtime
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.token = ""
        self.http = httpx.Client()

    def start(self) -> "Box":
        log = self.directory.with_suffix(".log").open("ab")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox.server"),
                *("--dir", str(self.directory), "--port", "0", "--runtime", self._runtime),
            ],
            stdout=log,
            stderr=log,
            cwd=CHECKOUT,
        )
        log.close()
        announced = self.directory / "server.json"
        deadline = time.monotonic() + 60
        while True:
            if (
                announced.exists()
                and (server := json.loads(announced.read_text()))["pid"] == self._process.pid
            ):
                break
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)
        self.url = server["url"]
        self.token = (self.directory / "token").read_text().strip()
        self.http.close()
        # Environment variables of proxies must not stand between us and 127.0.0.1.
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=70, trust_env=False
        )
        return self

    def log(self) -> str:
        return self.directory.with_suffix(".log").read_text()

    def kill(self) -> None:
        """End the server as a crash would: nothing is saved, nothing is tidied."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask the server to end; its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        self.http.close()
        return self._process.wait(30)

    # Asking

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.http.request(method, path, json=body, **options)

    def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of an answer that must be a success."""
        answer = self.call(method, path, body, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def refused(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> str:
        """The error text of an answer that must have this status."""
        answer = self.call(method, path, body, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        assert answer.json()["status"]
        return str(answer.json()["error"])

    def app(self) -> str:
        """A new app of a name of its own."""
        name = f"app-{uuid.uuid4().hex[:10]}"
        self.ok("POST", "/v1/apps", {"name": name, "org_slug": "hotdash"})
        return name

    def machine(self, app: str, config: dict[str, Any] | None = None, **body: Any) -> "Machine":
        """A new machine, waited for until it runs (or, with skip_launch, until it is stopped)."""
        found = self.ok("POST", f"/v1/apps/{app}/machines", {"config": config or web_config(), **body})
        machine = Machine(self, app, found["id"])
        machine.wait("stopped" if body.get("skip_launch") else "started")
        return machine

    def status(self, app: str) -> dict[str, Any]:
        """The admin door's view of an app."""
        return next(a for a in self.ok("GET", "/sandbox/status")["apps"] if a["name"] == app)


class Machine:
    """One machine of a box."""

    def __init__(self, box: Box, app: str, machine_id: str) -> None:
        self.box = box
        self.id = machine_id
        self.path = f"/v1/apps/{app}/machines/{machine_id}"

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.box.ok("GET", self.path)
        return found

    def state(self) -> str:
        return str(self.get()["state"])

    def wait(self, state: str, timeout: int = 10, **query: str) -> None:
        self.box.ok("GET", f"{self.path}/wait", params={"state": state, "timeout": timeout, **query})

    def update(
        self, config: dict[str, Any] | None = None, nonce: str | None = None, **body: Any
    ) -> dict[str, Any]:
        headers = {NONCE: nonce} if nonce else {}
        body = {"config": config or self.get()["config"], **body}
        found: dict[str, Any] = self.box.ok("POST", self.path, body, headers=headers)
        return found

    def lease(self, ttl: int = 30) -> str:
        return str(self.box.ok("POST", f"{self.path}/lease", params={"ttl": ttl})["data"]["nonce"])

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        found = self.box.ok("GET", f"{self.path}/events", params={"limit": 50})
        return [event for event in found if kind in (None, event["type"])]


def web_config(group: str = "web", **changes: Any) -> dict[str, Any]:
    """A machine config as `fly deploy` writes it."""
    config: dict[str, Any] = {
        "image": "chatwoot/chatwoot:v4.11.0",
        "env": {"RAILS_ENV": "production"},
        "init": {"cmd": ["bundle", "exec", "rails", "server"]},
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 1024},
        "metadata": {"fly_platform_version": "v2", "fly_process_group": group, "fly_release_version": "1"},
        "restart": {"policy": "on-failure", "max_retries": 10},
    }
    if group == "web":
        check = {"type": "http", "path": "/api", "interval": "2s", "timeout": "2s", "grace_period": "1s"}
        config["services"] = [
            {
                "protocol": "tcp",
                "internal_port": 3000,
                "ports": [{"port": 443, "handlers": ["http", "tls"]}],
                "checks": [check],
            }
        ]
    return {**config, **changes}
