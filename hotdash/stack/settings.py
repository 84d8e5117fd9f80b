"""A stack's settings: the keys under `hotdash:` in its file, checked whole (`hotdash.stack.checking`) and turned into
types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from hotdash import chatwoot, dsn
from hotdash.drift import DeclaredGroup
from hotdash.errors import SettingsError
from hotdash.fly.model import HttpCheck
from hotdash.fly.wire import parse_duration
from hotdash.migration.settings import MigrationSettings, migration_settings
from hotdash.plan import RolloutSettings
from hotdash.stack.checking import problems
from hotdash.stack.policy import PolicyException, plain_dates, policy_exceptions
from hotdash.stack.refusals import DATABASE_VARIABLE, literal_credentials, today
from hotdash.vault import Reference

DEFAULT_VAULT: Final = "vault"


@dataclass(frozen=True)
class SecretSource:
    """Where a secret's value comes from: a vault reference, or one part of the Postgres URL that lies there."""

    reference: Reference
    part: str = ""

    def __str__(self) -> str:
        return f"{self.reference}:{self.part}" if self.part else str(self.reference)

    @classmethod
    def parse(cls, text: str) -> SecretSource:
        """The inverse of str(). Raises ValueError, which does not repeat the text: it may be a value."""
        reference, _, part = text.partition(":")
        if part and part not in dsn.PARTS:
            raise ValueError(
                f"what stands behind the colon is no part of a database URL: {', '.join(dsn.PARTS)}"
            )
        return cls(Reference.parse(reference), part)


@dataclass(frozen=True)
class AppSettings:
    name: str
    organization: str
    create: bool
    delete_on_destroy: bool
    url: str


@dataclass(frozen=True)
class GroupSettings:
    """`path_is_served`: the image answers the check's path, though Chatwoot's own do not."""

    declared: DeclaredGroup
    command: tuple[str, ...]
    path_is_served: bool = False


@dataclass(frozen=True)
class ReadinessSettings:
    """`timeout` in seconds."""

    path: str
    status: int
    timeout: float


@dataclass(frozen=True)
class UrlSettings:
    """Addresses that others use: Chatwoot's own as people have it (FRONTEND_URL; empty: not declared), and where its
    webhooks go."""

    frontend: str = ""
    webhooks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConnectionSettings:
    """How many database connections Chatwoot opens, by its own variables, and how many there are to be had.

    Args:
        web_processes: Puma's workers, WEB_CONCURRENCY; 0 there is one process too.
        web_threads: RAILS_MAX_THREADS.
        worker_threads: SIDEKIQ_CONCURRENCY.
        limit: what the pooler or the server gives; None where nobody declared it.
    """

    web_processes: int = 1
    web_threads: int = 5
    worker_threads: int = 10
    limit: int | None = None


@dataclass(frozen=True)
class Settings:
    """All of a stack's settings.

    `placeholders`: a preview may use values of the vault that plainly are none; `forbidden_databases` maps a name for
    people to the reference of a database URL that Chatwoot must not use; `strict_preflight`: a secret that could not be
    tried from here is not set; `migration`: None where the stack declares none; `policies` and `exceptions` are for the
    policy pack, which alone knows its rules;
    `literals` are keys under which a credential seems to stand, excepted for now, with the reason.
    """

    app: AppSettings
    vault: str
    placeholders: bool
    token: Reference | None
    fingerprint_key: bytes = field(repr=False)
    secrets: Mapping[str, SecretSource]
    remove_undeclared: bool
    groups: tuple[GroupSettings, ...]
    readiness: ReadinessSettings
    rollout: RolloutSettings
    connections: ConnectionSettings
    forbidden_databases: Mapping[str, Reference]
    strict_preflight: bool
    migration: MigrationSettings | None
    urls: UrlSettings
    policies: Mapping[str, Mapping[str, Any]]
    exceptions: tuple[PolicyException, ...]
    literals: Mapping[str, str]

    @property
    def migration_database(self) -> str:
        """The secret whose URL migrations take: whoever runs them by hand takes Chatwoot's own."""
        return self.migration.database if self.migration else chatwoot.main_database(self.secrets)


def load(values: Mapping[str, Any], *, file: str, on: date | None = None) -> Settings:
    """Check and type the settings.

    Args:
        values: the keys without `hotdash:`; objects already read from JSON.
        file: how the stack file is named in messages.
        on: the day by which exceptions are taken; today, by UTC.

    Raises:
        SettingsError: with every problem there is.
    """
    values = plain_dates(values)
    # Once each: of several keys that are missing in one place, JSON Schema tells each with all the others.
    found = list(dict.fromkeys(problems(values, on=on or today())))
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        listed = "\n".join(f"  - {problem}" for problem in found)
        raise SettingsError(
            f"the stack's settings have {count}:\n{listed}", where=file, meaning="nothing was changed"
        )
    return _typed(values)


def _typed(values: Mapping[str, Any]) -> Settings:
    app = values["app"]
    readiness = values.get("readiness", {})
    groups = groups_of(values["processGroups"])
    return Settings(
        app=AppSettings(
            name=app["name"],
            organization=app["organization"],
            create=app.get("create", False),
            delete_on_destroy=app.get("deleteOnDestroy", False),
            url=app.get("url", f"https://{app['name']}.fly.dev"),
        ),
        vault=values.get("vault", DEFAULT_VAULT),
        placeholders=values.get("placeholders") == "preview",
        token=token_reference(values),
        fingerprint_key=values["fingerprintKey"].encode(),
        secrets=secret_sources(values),
        remove_undeclared=values.get("undeclaredSecrets") == "remove",
        groups=groups,
        readiness=ReadinessSettings(
            readiness.get("path", chatwoot.DEEP_PATH),
            int(readiness.get("status", 200)),
            parse_duration(readiness.get("timeout", "60s")),
        ),
        rollout=rollout_settings(values.get("rollout", {})),
        connections=connection_settings(values.get("connections", {})),
        forbidden_databases=forbidden_databases(values.get("forbiddenDatabases", {})),
        strict_preflight=strict_preflight(values.get("preflight")),
        migration=migration_settings(values.get("migration"), web_image=web_image(groups)),
        urls=_urls(values.get("urls", {})),
        policies=values.get("policies", {}),
        exceptions=policy_exceptions(values.get("exceptions", ())),
        literals={refusal.subject: refusal.found for refusal in literal_credentials(values)},
    )


def _urls(values: Mapping[str, Any]) -> UrlSettings:
    return UrlSettings(values.get("frontend", ""), tuple(values.get("webhooks", ())))


def token_reference(values: Mapping[str, Any]) -> Reference | None:
    text = values.get("fly", {}).get("token")
    return Reference.parse(text, default_key="FLY_API_TOKEN") if text else None


def connection_settings(values: Mapping[str, Any]) -> ConnectionSettings:
    names = {
        "webProcesses": "web_processes",
        "webThreads": "web_threads",
        "workerThreads": "worker_threads",
        "limit": "limit",
    }
    return ConnectionSettings(**{names[key]: int(value) for key, value in values.items()})


def forbidden_databases(values: Mapping[str, str]) -> dict[str, Reference]:
    return {
        name: Reference.parse(text, default_key=DATABASE_VARIABLE) for name, text in sorted(values.items())
    }


def strict_preflight(value: object) -> bool:
    return value == "strict"


def rollout_settings(values: Mapping[str, Any]) -> RolloutSettings:
    names = {
        "healthTimeout": "health_timeout",
        "startTimeout": "start_timeout",
        "settle": "settle",
        "leaseWait": "lease_wait",
    }
    given: dict[str, Any] = {names[key]: parse_duration(values[key]) for key in names if key in values}
    if "maxUnavailable" in values:
        given["max_unavailable"] = float(values["maxUnavailable"])
    return RolloutSettings(**given)


def secret_sources(values: Mapping[str, Any]) -> dict[str, SecretSource]:
    """Where each secret's value lies, those that are parts of a database's URL included, by `secrets` and
    `derivePostgresFrom`."""
    sources = {
        name: SecretSource(Reference.parse(text, default_key=name))
        for name, text in values["secrets"].items()
    }
    if whole := values.get("derivePostgresFrom"):
        for part in dsn.PARTS:
            sources[f"POSTGRES_{part.upper()}"] = SecretSource(sources[whole].reference, part)
    return dict(sorted(sources.items()))


def groups_of(values: Mapping[str, Any]) -> tuple[GroupSettings, ...]:
    groups = [
        GroupSettings(
            DeclaredGroup(
                name=name,
                # A whole number may have come as 2048.0.
                count=int(group["count"]),
                cpu_kind=group.get("cpuKind", "shared"),
                cpus=int(group.get("cpus", 1)),
                memory_mb=int(group["memoryMb"]),
                check=_check(group["check"]) if "check" in group else None,
                image=group.get("image"),
            ),
            tuple(group.get("command", ())),
            bool(group.get("check", {}).get("pathIsServed", False)),
        )
        for name, group in values.items()
    ]
    # What serves people moves first: a worker that runs ahead of a broken web helps nobody.
    return tuple(sorted(groups, key=lambda g: (g.declared.check is None, g.declared.name)))


def web_image(groups: Iterable[GroupSettings]) -> str:
    """The image that is declared for the groups with a check; empty where none is, or several are."""
    images = {group.declared.image for group in groups if group.declared.check is not None}
    return next(iter(images)) or "" if len(images) == 1 else ""


def _check(values: Mapping[str, Any]) -> HttpCheck:
    return HttpCheck(
        path=values["path"],
        port=int(values["port"]),
        method=values.get("method", "get"),
        interval=parse_duration(values.get("interval", "15s")),
        timeout=parse_duration(values.get("timeout", "10s")),
        grace_period=parse_duration(values.get("gracePeriod", "60s")),
        headers=tuple(sorted(values.get("headers", {}).items())),
    )
