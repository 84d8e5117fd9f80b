"""The world that a sandbox begins with: HotDash's Chatwoot as it ran before the outage, and the vault that fits it.

Made through the API, as a person with flyctl would have made it; the values are random, kept in DIR/seed.json."""

import json
import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.client import SandboxClient
from sandbox.services import Endpoints
from sandbox.services.endpoints import FILE as ENDPOINTS_FILE
from sandbox.services.endpoints import load_or_create, write_private

APP = "hotdash-chatwoot"
ORG = "hotdash"
SEED_FILE = "seed.json"
SEEDED_MARK = "seeded"
WEB_COMMAND = ("bundle", "exec", "rails", "server", "-p", "3000", "-b", "0.0.0.0")
WORKER_COMMAND = ("bundle", "exec", "sidekiq", "-C", "config/sidekiq.yml")

# Which file of the vault holds which keys. POSTGRES_* are no keys of their own: they are parts of DATABASE_URL.
VAULT: Mapping[str, tuple[str, ...]] = {
    "occ/chatwoot/database_url.env": ("DATABASE_URL",),
    "occ/chatwoot/redis_staging.env": ("REDIS_URL",),
    "occ/chatwoot/secret_key_base.env": ("SECRET_KEY_BASE",),
    "occ/chatwoot/smtp.env": ("SMTP_ADDRESS", "SMTP_USERNAME", "SMTP_PASSWORD"),
    "occ/chatwoot/storage.env": ("STORAGE_BUCKET_NAME", "STORAGE_ACCESS_KEY_ID", "STORAGE_SECRET_ACCESS_KEY"),
    "occ/chatwoot/webhook_secret.env": ("CHATWOOT_WEBHOOK_SECRET",),
}
TOKEN_FILE = "occ/fly/api_token.env"
DIRECT_FILE = "occ/chatwoot/direct_database_url.env"


@dataclass(frozen=True)
class Design:
    """How the seeded app is built. Memory in MB; durations as Go strings; `boot_seconds` for every machine."""

    app: str = APP
    image: str = "chatwoot/chatwoot:v4.11.0"
    region: str = "ord"
    webs: int = 2
    workers: int = 1
    web_memory_mb: int = 2048
    worker_memory_mb: int = 2048
    check_path: str = "/api"
    check_interval: str = "2s"
    check_timeout: str = "2s"
    check_grace: str = "2s"
    boot_seconds: float = 1.0
    env: Mapping[str, str] = field(
        default_factory=lambda: {
            "RAILS_ENV": "production",
            "NODE_ENV": "production",
            "INSTALLATION_ENV": "docker",
            "RAILS_LOG_TO_STDOUT": "true",
            "FRONTEND_URL": f"https://{APP}.fly.dev",
            "ENABLE_ACCOUNT_SIGNUP": "false",
            "ACTIVE_STORAGE_SERVICE": "s3_compatible",
            "MAILER_SENDER_EMAIL": "HotDash Support <customer.support@hotdash.example>",
            "SMTP_PORT": "587",
        }
    )

    def to_record(self) -> dict[str, Any]:
        return {**vars(self), "env": dict(self.env)}


@dataclass(frozen=True)
class Seed:
    """What a sandbox was seeded with: the design, and the secrets' right values."""

    design: Design
    values: Mapping[str, str] = field(repr=False)

    @property
    def secrets(self) -> dict[str, str]:
        """The app's secrets: the vault's, and the parts of the DSN."""
        return {**self.values, **dsn_parts(self.values["DATABASE_URL"])}


def dsn_parts(url: str) -> dict[str, str]:
    """The POSTGRES_* secrets that say the same as a DATABASE_URL."""
    from urllib.parse import unquote, urlsplit

    split = urlsplit(url)
    return {
        "POSTGRES_HOST": split.hostname or "",
        "POSTGRES_PORT": str(split.port or 5432),
        "POSTGRES_DATABASE": unquote(split.path.lstrip("/")),
        "POSTGRES_USERNAME": unquote(split.username or ""),
        "POSTGRES_PASSWORD": unquote(split.password or ""),
    }


def load(directory: Path) -> Seed | None:
    """What the sandbox in `directory` was seeded with; None if it was not."""
    try:
        record = json.loads((directory / SEED_FILE).read_text())
    except FileNotFoundError:
        return None
    return Seed(Design(**record["design"]), record["values"])


def plant(client: SandboxClient, directory: Path, token: str, design: Design | None = None) -> Seed:
    """Fill an empty world: the vault, the app, its secrets, a release, its machines. They are booting when this
    returns. Keeps the values, and unless told otherwise the design, of an earlier seed."""
    earlier = load(directory)
    design = design or (earlier.design if earlier else Design())
    if not (directory / ENDPOINTS_FILE).exists():
        raise FileNotFoundError(f"{directory / ENDPOINTS_FILE}: the sandbox's services have not been started")
    values = dict(earlier.values) if earlier else _make_values(load_or_create(directory))
    seed = Seed(design, values)
    write_private(
        directory / SEED_FILE, json.dumps({"design": design.to_record(), "values": values}, indent=2) + "\n"
    )
    write_vault(directory / "vault", values, token)
    _plant_app(client, seed)
    (directory / SEEDED_MARK).touch()
    return seed


def write_vault(vault: Path, values: Mapping[str, str], token: str) -> None:
    """Write the vault's files as they were at first; files that are not the seed's stay."""
    contents = {file: {key: values[key] for key in keys} for file, keys in VAULT.items()}
    contents[TOKEN_FILE] = {"FLY_API_TOKEN": token}
    # For migrations; Fly has it only once a stack declares it.
    contents[DIRECT_FILE] = {"DIRECT_DATABASE_URL": values["DATABASE_URL"]}
    for file, entries in contents.items():
        path = vault / file
        for folder in (vault, *reversed(path.relative_to(vault).parents[:-1])):
            (vault / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, "".join(f"{key}={value}\n" for key, value in entries.items()))


def point_vault(directory: Path, url: str) -> None:
    """Let the vault's DATABASE_URL be another one; the direct one stays what it is."""
    file = next(file for file, keys in VAULT.items() if keys == ("DATABASE_URL",))
    write_private(directory / "vault" / file, f"DATABASE_URL={url}\n")


def vault_leads_to(directory: Path, port: int) -> bool:
    """Whether the vault's DATABASE_URL leads to this port."""
    file = next(file for file, keys in VAULT.items() if keys == ("DATABASE_URL",))
    try:
        return f":{port}/" in (directory / "vault" / file).read_text()
    except OSError:
        return False


def machine_config(design: Design, group: str, release: Mapping[str, Any]) -> dict[str, Any]:
    """The config of one machine of the seeded app, as `fly deploy` writes it."""
    memory, command = (
        (design.web_memory_mb, WEB_COMMAND) if group == "web" else (design.worker_memory_mb, WORKER_COMMAND)
    )
    config: dict[str, Any] = {
        "image": design.image,
        "env": {**design.env, "FLY_PROCESS_GROUP": group, "PRIMARY_REGION": design.region},
        "init": {"cmd": list(command)},
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": memory},
        "metadata": {
            "fly_platform_version": "v2",
            "fly_process_group": group,
            "fly_release_id": str(release["id"]),
            "fly_release_version": str(release["version"]),
            "fly_flyctl_version": "0.4.20",
        },
        "restart": {"policy": "on-failure", "max_retries": 10},
    }
    if group == "web":
        config["services"] = [_service(design)]
    return config


def definition(design: Design) -> dict[str, Any]:
    """The app's fly.toml as a release keeps it, and as `fly config show` shows it."""
    service = _service(design)
    check = {k: v for k, v in service["checks"][0].items() if k not in ("type", "port")}
    return {
        "app": design.app,
        "primary_region": design.region,
        "build": {"image": design.image},
        "env": dict(design.env),
        "processes": {"web": " ".join(WEB_COMMAND), "worker": " ".join(WORKER_COMMAND)},
        "services": [
            {
                "protocol": service["protocol"],
                "internal_port": service["internal_port"],
                "auto_stop_machines": "off",
                "auto_start_machines": service["autostart"],
                "min_machines_running": service["min_machines_running"],
                "processes": ["web"],
                "ports": service["ports"],
                "http_checks": [check],
            }
        ],
        # Named, because flyctl takes what has no group for the default one's alone.
        "restart": [{"policy": "on-failure", "retries": 10, "processes": ["web", "worker"]}],
        "vm": [
            {"memory_mb": memory, "cpu_kind": "shared", "cpus": 1, "processes": [group]}
            for group, memory in (("web", design.web_memory_mb), ("worker", design.worker_memory_mb))
        ],
    }


def _service(design: Design) -> dict[str, Any]:
    return {
        "protocol": "tcp",
        "internal_port": 3000,
        "autostop": False,
        "autostart": True,
        "min_machines_running": 1,
        "ports": [
            {"port": 80, "handlers": ["http"], "force_https": True},
            {"port": 443, "handlers": ["http", "tls"]},
        ],
        "checks": [
            {
                "type": "http",
                "port": 3000,
                "interval": design.check_interval,
                "timeout": design.check_timeout,
                "grace_period": design.check_grace,
                "method": "GET",
                "path": design.check_path,
                "protocol": "http",
            }
        ],
        "force_instance_key": None,
    }


def _plant_app(client: SandboxClient, seed: Seed) -> None:
    design = seed.design
    client.call("PUT", "/sandbox/settings", {"boot_seconds": design.boot_seconds})
    client.call("POST", "/v1/apps", {"app_name": design.app, "org_slug": ORG})
    version = client.set_secrets(design.app, seed.secrets)
    release = client.call(
        "POST",
        f"/sandbox/apps/{design.app}/releases",
        {
            "image": design.image,
            "description": "Deployment",
            "status": "complete",
            "definition": definition(design),
        },
    )
    for group, count in (("web", design.webs), ("worker", design.workers)):
        for _ in range(count):
            body = {
                "config": machine_config(design, group, release),
                "region": design.region,
                "min_secrets_version": version,
            }
            client.call("POST", f"/v1/apps/{design.app}/machines", body)


def _make_values(endpoints: Endpoints) -> dict[str, str]:
    def text(length: int) -> str:
        return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))

    return {
        "DATABASE_URL": endpoints.database_url,
        "REDIS_URL": endpoints.redis_url,
        "SECRET_KEY_BASE": text(128),
        "SMTP_ADDRESS": "smtp.mail.hotdash.example",
        "SMTP_USERNAME": f"apikey-{text(8).lower()}",
        "SMTP_PASSWORD": text(40),
        "STORAGE_BUCKET_NAME": "hotdash-chatwoot-uploads",
        "STORAGE_ACCESS_KEY_ID": f"tid_{text(24)}",
        "STORAGE_SECRET_ACCESS_KEY": f"tsec_{text(48)}",
        "CHATWOOT_WEBHOOK_SECRET": text(32),
    }


def settled(machine: Mapping[str, Any]) -> bool:
    """Whether there is nothing more to wait for: it runs and its checks have answered, or it is at rest."""
    if machine["state"] in ("stopped", "suspended", "failed", "destroyed"):
        return True
    wanted = sum(len(s.get("checks") or ()) for s in machine["config"].get("services") or ())
    return machine["state"] == "started" and len(machine.get("checks") or ()) >= wanted


def healthy(machine: Mapping[str, Any]) -> bool:
    """Whether it runs and every one of its checks passes."""
    return (
        machine["state"] == "started"
        and settled(machine)
        and all(check["status"] == "passing" for check in machine.get("checks") or ())
    )


def wait_until_settled(client: SandboxClient, app: str, seconds: float) -> list[dict[str, Any]]:
    """The app's machines once all are healthy, or as they are after `seconds`, or when failures have lasted."""
    deadline = time.monotonic() + seconds
    bad_since: float | None = None
    while True:
        machines = client.machines(app)
        now = time.monotonic()
        if all(map(healthy, machines)) or now > deadline:
            return machines
        if all(map(settled, machines)):
            # A check that fails once may only have come too early.
            bad_since = bad_since or now
            if now - bad_since > 5.0:
                return machines
        else:
            bad_since = None
        time.sleep(0.05)
