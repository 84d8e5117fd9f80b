"""Ten apps in one stack, each of 30 secrets and 4 machines, on a Fly that takes 50 ms to answer."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.clock import medians, timed
from bench.report import Result
from sandbox import instance, seed
from sandbox.client import SandboxClient

APPS = 10
SECRETS = 30
MACHINES = (("web", 2), ("worker", 2))
LATENCY_MS = 50
RUNS = 5
LIMIT = 3.0
HERE = Path(__file__).parent
CHECKOUT = HERE.parent
PULUMI = CHECKOUT / ".engine" / "bin" / "pulumi"


def measure(directory: Path) -> list[Result]:
    """Start a sandbox whose machines are pretended, fill it, adopt it, and measure previews."""
    with _server(directory / "fly") as running, running.client() as client, _answering() as url:
        _fill(client)
        _write_stack(directory, url)
        environment = _environment(directory, running)

        def pulumi(*arguments: str) -> float:
            return timed([str(PULUMI), *arguments], cwd=HERE / "fleet", environment=environment)

        _make_stack(environment)
        file = ("--config-file", str(directory / "Pulumi.fleet.yaml"))
        pulumi("up", "--yes", "--skip-preview", *file)
        client.call(
            "POST", "/sandbox/faults", {"kind": "latency", "route": "*", "count": None, "ms": LATENCY_MS}
        )
        seconds = medians(RUNS, lambda: pulumi("preview", "--expect-no-changes", *file))[0]
    behind = (
        f"{APPS} apps × {SECRETS} secrets × {sum(n for _, n in MACHINES)} machines, {LATENCY_MS} ms a call"
    )
    return [Result("no-change preview of ten apps", seconds, LIMIT, " s", behind)]


@contextmanager
def _server(directory: Path) -> Iterator[instance.Running]:
    command = [
        sys.executable,
        "-m",
        "sandbox.server",
        "--dir",
        str(directory),
        "--port",
        "0",
        "--runtime",
        "null",
    ]
    process = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while (running := instance.find(directory)) is None or running.pid != process.pid:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the sandbox's server did not start")
            time.sleep(0.02)
        yield running
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _answering() -> Iterator[str]:
    """A web server that answers 200 to everything, for the apps' readiness."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _names() -> list[str]:
    return [f"SECRET_{number:02}" for number in range(SECRETS)]


def _fill(client: SandboxClient) -> None:
    for number in range(APPS):
        app = f"fleet-{number}"
        client.call("POST", "/v1/apps", {"app_name": app, "org_slug": seed.ORG})
        client.set_secrets(app, {name: f"value of {name}" for name in _names()})
        for group, count in MACHINES:
            config = seed.machine_config(seed.Design(), group, {"id": "1", "version": 1})
            for _ in range(count):
                client.call("POST", f"/v1/apps/{app}/machines", {"config": config, "region": "ord"})


def _write_stack(directory: Path, url: str) -> None:
    lines = "".join(f"{name}='value of {name}'\n" for name in _names())
    (directory / "vault").mkdir()
    (directory / "vault" / "all.env").write_text(lines)
    file = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.sandbox.yaml").read_text())
    groups: dict[str, Any] = file["config"]["hotdash:processGroups"]
    for group, count in MACHINES:
        groups[group]["count"] = count
    file["config"] = {
        "fleet:apps": str(APPS),
        "hotdash:app": {"name": "fleet", "organization": seed.ORG, "url": url},
        "hotdash:vault": str(directory / "vault"),
        "hotdash:fingerprintKey": file["config"]["hotdash:fingerprintKey"],
        "hotdash:secrets": dict.fromkeys(_names(), "all.env"),
        "hotdash:processGroups": groups,
        "hotdash:rollout": file["config"]["hotdash:rollout"],
    }
    (directory / "Pulumi.fleet.yaml").write_text(yaml.safe_dump(file))


def _make_stack(environment: Mapping[str, str]) -> None:
    # In a folder of its own: `stack init` writes a stack file beside Pulumi.yaml.
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(HERE / "fleet" / "Pulumi.yaml", scratch)
        command = [str(PULUMI), "stack", "init", "fleet", "--no-select"]
        timed(command, cwd=Path(scratch), environment=environment)


def _environment(directory: Path, running: instance.Running) -> dict[str, str]:
    (directory / "pulumi").mkdir()
    environment = {
        **os.environ,
        "FLY_API_TOKEN": running.token,
        "FLY_FLAPS_BASE_URL": running.url,
        "PULUMI_BACKEND_URL": f"file://{directory / 'pulumi'}",
        "PULUMI_CONFIG_PASSPHRASE": "sandbox",
        "PULUMI_STACK": "fleet",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_RUN_PROGRAM": "true",
        "PYTHONPATH": str(CHECKOUT),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment
