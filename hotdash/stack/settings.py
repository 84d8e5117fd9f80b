"""A stack's settings: the keys under `hotdash:` in its file, checked whole and turned into types.

The form is settings.schema.json's; what JSON Schema cannot say (sizes that Fly has, paths that Chatwoot has not) is
checked here. All problems are told at once, each with its key, the reason and the mend, and never with a value that
could be a secret.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hotdash import chatwoot, dsn
from hotdash.drift import DeclaredGroup
from hotdash.errors import SettingsError
from hotdash.fly.model import HttpCheck
from hotdash.fly.wire import parse_duration
from hotdash.plan import RolloutSettings
from hotdash.vault import Reference

NAMESPACE: Final = "hotdash"
DEFAULT_VAULT: Final = "vault"
_SHARED_CPUS: Final = (1, 2, 4, 6, 8)
_PERFORMANCE_CPUS: Final = (1, 2, 4, 6, 8, 10, 12, 14, 16, 32, 64, 128)


@dataclass(frozen=True)
class SecretSource:
    """Where a secret's value comes from: a vault reference, or one part of the Postgres URL that lies there."""

    reference: Reference
    part: str = ""

    def __str__(self) -> str:
        return f"{self.reference}:{self.part}" if self.part else str(self.reference)

    @classmethod
    def parse(cls, text: str) -> SecretSource:
        """The inverse of str(). Raises ValueError."""
        reference, _, part = text.partition(":")
        if part and part not in dsn.PARTS:
            raise ValueError(f"{part!r} is no part of a database URL")
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
    declared: DeclaredGroup
    command: tuple[str, ...]


@dataclass(frozen=True)
class ReadinessSettings:
    """`timeout` in seconds."""

    path: str
    status: int
    timeout: float


@dataclass(frozen=True)
class Settings:
    app: AppSettings
    vault: str
    token: Reference | None
    fingerprint_key: bytes = field(repr=False)
    secrets: Mapping[str, SecretSource]
    remove_undeclared: bool
    groups: tuple[GroupSettings, ...]
    readiness: ReadinessSettings
    rollout: RolloutSettings


def load(values: Mapping[str, Any], *, file: str) -> Settings:
    """Check and type the settings.

    Args:
        values: the keys without `hotdash:`; objects already read from JSON.
        file: how the stack file is named in messages.

    Raises:
        SettingsError: with every problem there is.
    """
    # Once each: of several keys that are missing in one place, JSON Schema tells each with all the others.
    problems = list(dict.fromkeys(_problems(values)))
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise SettingsError(
            f"the stack's settings have {count}:\n{listed}", where=file, meaning="nothing was changed"
        )
    return _typed(values)


# Checking


def _problems(values: Mapping[str, Any]) -> Iterable[str]:
    import jsonschema  # here: the provider's processes type settings that were checked already

    schema = json.loads(Path(__file__).with_name("settings.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(values), key=lambda e: [str(p) for p in e.absolute_path])
    for error in errors:
        yield from _told(error)
    yield from _further_problems(values, _sound(values, errors))


def _sound(values: Mapping[str, Any], errors: Sequence[Any]) -> dict[str, Any]:
    """The settings without the secrets, groups and sections that are not of the right form."""
    sound = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    for error in errors:
        path = [*error.absolute_path, *([error.instance] if _is_about_a_name(error) else [])]
        match path:
            case ["secrets" | "processGroups" as section, name, *_]:
                sound.get(section, {}).pop(name, None)
            case [section, *_]:
                sound.pop(section, None)
    return sound


def _is_about_a_name(error: Any) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _told(error: Any) -> Iterable[str]:
    path = [str(part) for part in error.absolute_path]
    meaning = error.schema.get("description", "")
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        for name in sorted(set(error.instance) - set(known)):
            close = difflib.get_close_matches(name, known, 1)
            mend = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            yield f"{_key([*path, name])}: unknown key; {mend}"
    elif error.validator == "required":
        for name in error.schema["required"]:
            if name not in error.instance:
                yield f"{_key([*path, name])}: is missing; {_required(name, error.schema)}"
    elif _is_about_a_name(error):
        yield f"{_key([*path, str(error.instance)])}: must be {meaning}"
    elif error.validator == "type":
        yield f"{_key(path)}: must be {_article(error.validator_value)}" + (f": {meaning}" if meaning else "")
    elif error.validator == "minProperties":
        yield f"{_key(path)}: names nothing"
    elif isinstance(error.instance, int | float):
        yield f"{_key(path)}: {error.instance} will not do; it must be {meaning}"
    else:
        # A text is not repeated: somebody may have put a credential where its reference belongs.
        yield f"{_key(path)}: must be {meaning or error.validator}"


def _required(name: str, schema: Mapping[str, Any]) -> str:
    if name == "fingerprintKey":
        return "make it with: openssl rand -hex 32 | pulumi config set --secret hotdash:fingerprintKey"
    described = schema.get("properties", {}).get(name, {}).get("description", "")
    return f"give {described}" if described else "add it"


def _article(kind: str) -> str:
    return {
        "object": "a mapping",
        "array": "a list",
        "integer": "a whole number",
        "boolean": "true or false",
    }.get(kind, f"a {kind}")


def _key(path: Sequence[str]) -> str:
    return f"{NAMESPACE}:{path[0]}" + "".join(f".{part}" for part in path[1:]) if path else f"{NAMESPACE}:"


def _further_problems(values: Mapping[str, Any], sound: Mapping[str, Any]) -> Iterable[str]:
    for name, text in sound.get("secrets", {}).items():
        yield from _reference_problem(["secrets", name], text, default_key=name)
    if token := sound.get("fly", {}).get("token"):
        yield from _reference_problem(["fly", "token"], token, default_key="FLY_API_TOKEN")
    names = values.get("secrets")
    if (source := sound.get("derivePostgresFrom")) and isinstance(names, Mapping):
        if source not in names:
            yield f"{_key(['derivePostgresFrom'])}: {source} is not among hotdash:secrets; declare it there"
        for part in dsn.PARTS:
            if (derived := f"POSTGRES_{part.upper()}") in names:
                yield f"{_key(['secrets', derived])}: is derived from {source} already; take one of the two out"
    for name, group in sound.get("processGroups", {}).items():
        yield from _size_problems(["processGroups", name], group)
        check = group.get("check") or {}
        if (path := check.get("path")) in chatwoot.UNROUTED and not check.get("pathIsServed"):
            yield (
                f"{_key(['processGroups', name, 'check', 'path'])}: {path}: {chatwoot.UNROUTED[path]}; "
                f"use {chatwoot.DEEP_PATH}, or say pathIsServed: true where your image serves it"
            )


def _reference_problem(path: Sequence[str], text: str, *, default_key: str) -> Iterable[str]:
    if "://" in text:
        yield f"{_key(path)}: this looks like the value itself; put it into the vault and name its file here"
        return
    try:
        Reference.parse(text, default_key=default_key)
    except ValueError as error:
        yield f"{_key(path)}: {error}"


def _size_problems(path: Sequence[str], group: Mapping[str, Any]) -> Iterable[str]:
    kind, cpus, memory = group.get("cpuKind", "shared"), group.get("cpus", 1), group["memoryMb"]
    counts, step, least, most = (
        (_SHARED_CPUS, 256, 256 * cpus, 2048 * cpus)
        if kind == "shared"
        else (_PERFORMANCE_CPUS, 1024, 2048 * cpus, 8192 * cpus)
    )
    if cpus not in counts:
        listed = ", ".join(map(str, counts))
        yield f"{_key([*path, 'cpus'])}: Fly has no {kind} machine of {cpus} cpus; it has {listed}"
    elif memory % step:
        nearest = min(most, max(least, round(memory / step) * step))
        yield (
            f"{_key([*path, 'memoryMb'])}: {memory} is not a multiple of {step}, "
            f"as Fly wants it for {kind} cpus; {nearest} would do"
        )
    elif not least <= memory <= most:
        yield (
            f"{_key([*path, 'memoryMb'])}: {memory} MB is out of Fly's range for {kind} ×{cpus}: "
            f"{least} to {most}"
        )


# Typing


def _typed(values: Mapping[str, Any]) -> Settings:
    app = values["app"]
    readiness = values.get("readiness", {})
    return Settings(
        app=AppSettings(
            name=app["name"],
            organization=app["organization"],
            create=app.get("create", False),
            delete_on_destroy=app.get("deleteOnDestroy", False),
            url=app.get("url", f"https://{app['name']}.fly.dev"),
        ),
        vault=values.get("vault", DEFAULT_VAULT),
        token=token_reference(values),
        fingerprint_key=values["fingerprintKey"].encode(),
        secrets=_sources(values),
        remove_undeclared=values.get("undeclaredSecrets") == "remove",
        groups=_groups(values["processGroups"]),
        readiness=ReadinessSettings(
            readiness.get("path", chatwoot.DEEP_PATH),
            int(readiness.get("status", 200)),
            parse_duration(readiness.get("timeout", "60s")),
        ),
        rollout=rollout_settings(values.get("rollout", {})),
    )


def token_reference(values: Mapping[str, Any]) -> Reference | None:
    text = values.get("fly", {}).get("token")
    return Reference.parse(text, default_key="FLY_API_TOKEN") if text else None


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


def _sources(values: Mapping[str, Any]) -> dict[str, SecretSource]:
    sources = {
        name: SecretSource(Reference.parse(text, default_key=name))
        for name, text in values["secrets"].items()
    }
    if whole := values.get("derivePostgresFrom"):
        for part in dsn.PARTS:
            sources[f"POSTGRES_{part.upper()}"] = SecretSource(sources[whole].reference, part)
    return dict(sorted(sources.items()))


def _groups(values: Mapping[str, Any]) -> tuple[GroupSettings, ...]:
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
        )
        for name, group in values.items()
    ]
    # What serves people moves first: a worker that runs ahead of a broken web helps nobody.
    return tuple(sorted(groups, key=lambda g: (g.declared.check is None, g.declared.name)))


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
