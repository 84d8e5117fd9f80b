"""What is wrong with a stack's settings: all of it at once, each with its key, the reason and the mend, and never with
a value that could be a secret.

The form is settings.schema.json's; what JSON Schema cannot say (sizes that Fly has, paths that Chatwoot has not) is
checked here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hotdash import chatwoot, dsn
from hotdash.vault import Reference

NAMESPACE: Final = "hotdash"
_SHARED_CPUS: Final = (1, 2, 4, 6, 8)
_PERFORMANCE_CPUS: Final = (1, 2, 4, 6, 8, 10, 12, 14, 16, 32, 64, 128)


def problems(values: Mapping[str, Any]) -> Iterable[str]:
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
            case ["secrets" | "processGroups" | "forbiddenDatabases" as section, name, *_]:
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
    for name, text in sound.get("forbiddenDatabases", {}).items():
        yield from _reference_problem(["forbiddenDatabases", name], text, default_key="DATABASE_URL")
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
