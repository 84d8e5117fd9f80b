"""Chatwoot's settings as Rails makes them out of the environment (config/database.yml and Rails' UrlConfig).

`DATABASE_URL` wins over `POSTGRES_*` part by part; what the URL leaves out comes from them or their defaults."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_VERSION = "4.11.0"
STORAGE_SERVICES = ("local", "amazon", "google", "microsoft", "s3_compatible")

# What a URL may hold: anything else must be percent-encoded, and Ruby's parser insists.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9\-._~%!$&'()*+,;=:@/?\[\]]*\Z")
_TRUE = {"true", "t", "1", "on", "yes"}


class BootError(Exception):
    """Rails does not boot; the text is what it would print. Never holds a value."""


@dataclass(frozen=True)
class Target:
    """Where to log in to Postgres. `sslmode` as libpq knows it; the last two as a URL's query tells Rails."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    prepared_statements: bool = True
    advisory_locks: bool = True


@dataclass(frozen=True)
class Settings:
    """What the stand-in needs to know. `version` as in the image's tag, three numbers."""

    database: Target
    redis_url: str = field(repr=False)
    redis_password: str = field(repr=False)
    version: tuple[int, int, int]
    frontend_host: str
    force_ssl: bool

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def read(env: Mapping[str, str]) -> Settings:
    """Raises:
    BootError: with these settings Rails exits at boot.
    """
    if not env.get("SECRET_KEY_BASE", "").strip():
        raise BootError("ArgumentError: Missing `secret_key_base` for 'production' environment")
    storage = env.get("ACTIVE_STORAGE_SERVICE", "local")
    if storage not in STORAGE_SERVICES:
        raise BootError("RuntimeError: ACTIVE_STORAGE_SERVICE names no service of config/storage.yml")
    return Settings(
        database=database(env),
        redis_url=env.get("REDIS_URL", "redis://127.0.0.1:6379"),
        redis_password=env.get("REDIS_PASSWORD", ""),
        version=version(env),
        frontend_host=(urlsplit(env.get("FRONTEND_URL", "")).hostname or ""),
        force_ssl=env.get("FORCE_SSL", "").lower() in _TRUE,
    )


def database(env: Mapping[str, str]) -> Target:
    """Where Rails would connect.

    Raises:
        BootError: `DATABASE_URL` is set but empty, is no URL, or is not one of Postgres.
    """
    # PRIMARY_DATABASE_URL names the database "primary", which is Rails' own name for the only one.
    name = "PRIMARY_DATABASE_URL" if "PRIMARY_DATABASE_URL" in env else "DATABASE_URL"
    parts: dict[str, str] = {}
    if name in env:
        parts = _url_parts(name, env[name])
    port = parts.get("port") or env.get("POSTGRES_PORT") or "5432"
    if not port.isdigit():
        raise BootError('PG::ConnectionBad: invalid integer value for connection option "port"')
    return Target(
        host=parts.get("host") or env.get("POSTGRES_HOST") or "localhost",
        port=int(port),
        database=parts.get("database") or env.get("POSTGRES_DATABASE") or "chatwoot_production",
        user=parts.get("user") or env.get("POSTGRES_USERNAME") or "chatwoot_prod",
        password=parts.get("password") or env.get("POSTGRES_PASSWORD") or "chatwoot_prod",
        sslmode=parts.get("sslmode") or "prefer",
        # Rails casts this one word; anything else is true.
        prepared_statements=parts.get("prepared_statements") != "false",
        advisory_locks=parts.get("advisory_locks") != "false",
    )


def version(env: Mapping[str, str]) -> tuple[int, int, int]:
    """Chatwoot's version by the tag of the machine's image, `latest` and the like being the default."""
    tag = env.get("FLY_IMAGE_REF", "").partition("@")[0].rpartition(":")[2]
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", tag) or re.match(r"(\d+)\.(\d+)\.(\d+)", DEFAULT_VERSION)
    assert found
    return int(found[1]), int(found[2]), int(found[3])


def _url_parts(name: str, url: str) -> dict[str, str]:
    if not url.strip():
        raise BootError(f"ActiveRecord::AdapterNotSpecified: {name} is set, but empty")
    if not _URL.match(url) or url.partition("://")[2].partition("/")[0].count("@") > 1:
        raise BootError(f"URI::InvalidURIError: bad URI (is not URI?) in {name}")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise BootError(f"URI::InvalidURIError: bad URI (is not URI?) in {name}") from None
    if split.scheme not in ("postgres", "postgresql"):
        raise BootError(f"LoadError: {name} asks for an adapter other than postgresql")
    query = dict(parse_qsl(split.query))
    found = {
        "host": split.hostname or query.get("host", ""),
        "port": str(port) if port else query.get("port", ""),
        "database": unquote(split.path.lstrip("/")),
        "user": unquote(split.username or ""),
        "password": unquote(split.password or ""),
        # The other keys of the query are Rails' own settings, or are dropped.
        "sslmode": query.get("sslmode", ""),
        "prepared_statements": query.get("prepared_statements", ""),
        "advisory_locks": query.get("advisory_locks", ""),
    }
    return {key: value for key, value in found.items() if value}
