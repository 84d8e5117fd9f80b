"""What is wrong with a stack's settings: all of it at once, each with its key, the reason and the mend, and never with
a value that could be a secret.

The form is settings.schema.json's; what JSON Schema cannot say (sizes that Fly has, paths that Chatwoot has not) is
checked here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from hotdash import chatwoot, dsn
from hotdash.stack.policy import day, in_force, policy_exceptions
from hotdash.stack.refusals import literal_credentials
from hotdash.stack.sizes import size_problem
from hotdash.vault import Reference

NAMESPACE: Final = "hotdash"
MIGRATION_MEMORY_MB: Final = 2048


def problems(values: Mapping[str, Any], *, on: date) -> Iterable[str]:
    """What is wrong, a line each. `on`: the day by which exceptions are taken."""
    import jsonschema  # here: the provider's processes type settings that were checked already

    schema = json.loads(Path(__file__).with_name("settings.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(values), key=lambda e: [str(p) for p in e.absolute_path])
    for error in errors:
        yield from _told(error)
    sound = _sound(values, errors)
    yield from _further_problems(values, sound)
    yield from _literal_problems(sound, on)


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
    migration = sound.get("migration") or {}
    migrates = migration.get("database")
    if migrates and isinstance(names, Mapping) and migrates not in names:
        yield f"{_key(['migration', 'database'])}: {migrates} is not among hotdash:secrets; declare it there"
    if migration:
        yield from _size_problems(["migration"], {"memoryMb": MIGRATION_MEMORY_MB, **migration})
        if migration.get("web") and migration.get("mode") != "window":
            yield f"{_key(['migration', 'web'])}: counts in a window alone; say mode: window, or take it out"
    for number, item in enumerate(sound.get("exceptions", ())):
        try:
            day(item["until"])
        except ValueError:
            yield f"{_key(['exceptions', str(number), 'until'])}: there is no such day"
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
    setting, why = size_problem(group.get("cpuKind", "shared"), group.get("cpus", 1), group["memoryMb"])
    if setting:
        yield f"{_key([*path, setting])}: {why}"


def _literal_problems(sound: Mapping[str, Any], on: date) -> Iterable[str]:
    try:
        exceptions = policy_exceptions(sound.get("exceptions", ()))
    except ValueError:
        exceptions = ()  # told already
    for refusal in literal_credentials(sound):
        if in_force(exceptions, refusal.rule, refusal.subject, on) is None:
            yield f"{refusal.where}: {refusal.found.partition(' ')[2]}; {refusal.mend}"
