"""Where the services listen and how to log in: made once for a sandbox, kept in DIR/services.json, mode 0600.

The ports are kept because the machines' secrets name them."""

import json
import os
import secrets
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sandbox.ports import free_port

FILE = "services.json"
HOST = "127.0.0.1"


class ServiceError(Exception):
    """A service could not be started; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Account:
    """A login role of Postgres and the database that it owns."""

    role: str
    password: str = field(repr=False)
    database: str

    def dsn(self, host: str, port: int) -> str:
        """The account's URL. The password holds no character that would need percent-encoding."""
        return f"postgresql://{self.role}:{self.password}@{host}:{port}/{self.database}"


@dataclass(frozen=True)
class Endpoints:
    """Both services' addresses and passwords.

    `chatwoot` is the support desk's database, `hotdash` the product's own."""

    postgres_host: str
    postgres_port: int
    superuser: Account
    chatwoot: Account
    hotdash: Account
    redis_host: str
    redis_port: int
    redis_password: str = field(repr=False)

    @property
    def database_url(self) -> str:
        """The right DATABASE_URL for Chatwoot."""
        return self.chatwoot.dsn(self.postgres_host, self.postgres_port)

    @property
    def redis_url(self) -> str:
        """The right REDIS_URL for Chatwoot."""
        return f"redis://:{self.redis_password}@{self.redis_host}:{self.redis_port}/0"


def load_or_create(directory: Path) -> Endpoints:
    """The endpoints of the sandbox in `directory`; made up, with free ports and fresh passwords, if it has none."""
    path = directory / FILE
    try:
        return _from_record(json.loads(path.read_text()))
    except FileNotFoundError:
        endpoints = _create()
    except (ValueError, TypeError, KeyError) as error:
        raise ServiceError(
            f"{path} cannot be read ({type(error).__name__}): the passwords of this sandbox's Postgres and Redis are "
            "lost. Remove the sandbox's folder and bring it up anew."
        ) from error
    write_private(path, json.dumps(_record(endpoints), indent=2) + "\n")
    return endpoints


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _create() -> Endpoints:
    def password() -> str:
        return secrets.token_urlsafe(24)

    return Endpoints(
        postgres_host=HOST,
        postgres_port=free_port(),
        superuser=Account("postgres", password(), "postgres"),
        chatwoot=Account("chatwoot", password(), "chatwoot_production"),
        hotdash=Account("hotdash", password(), "hotdash"),
        redis_host=HOST,
        redis_port=free_port(),
        redis_password=password(),
    )


def _record(endpoints: Endpoints) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        return vars(value) if isinstance(value, Account) else value

    return {f.name: plain(getattr(endpoints, f.name)) for f in fields(endpoints)}


def _from_record(record: dict[str, Any]) -> Endpoints:
    values: dict[str, Any] = {k: Account(**v) if isinstance(v, dict) else v for k, v in record.items()}
    return Endpoints(**values)
