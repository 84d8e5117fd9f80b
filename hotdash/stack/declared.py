"""All that a stack declares, in clear and in JSON's types: what the policy pack judges.

It stands in the component's inputs, so nothing of it is unknown while a preview runs. It holds no value of a secret,
and of texts that may hold one (commands, headers) no more than a rule looks at.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from hotdash.chatwoot import main_database
from hotdash.dsn import PARTS, Dsn, MalformedDsn
from hotdash.stack.databases import Agreement
from hotdash.stack.policy import exception_properties
from hotdash.stack.settings import GroupSettings, SecretSource, Settings
from hotdash.stack.values import Declaration, databases_of, value_of, values_of
from hotdash.vault import Vault, fingerprint

FORWARDED: Final = "x-forwarded-proto"


def declared_properties(
    settings: Settings, declaration: Declaration, vault: Vault, *, stack: str, key_encrypted: bool
) -> dict[str, Any]:
    """Args:
        stack: its name.
        key_encrypted: the fingerprint key is encrypted in the stack file.

    Raises:
        VaultError: a database URL that must be compared with cannot be read.
    """
    # Stand-ins will do here: nothing that is read is sent anywhere.
    vault = dataclasses.replace(vault, placeholders=True)
    unwanted = {name: SecretSource(at) for name, at in settings.forbidden_databases.items()}
    forbidden = databases_of(values_of(unwanted, vault), unwanted)
    app, connections, urls = settings.app, settings.connections, settings.urls
    return {
        "stack": stack,
        "app": {
            "name": app.name,
            "organization": app.organization,
            "url": app.url,
            "deleteOnDestroy": app.delete_on_destroy,
        },
        "secrets": {name: str(source) for name, source in settings.secrets.items()},
        "undeclaredSecrets": "remove" if settings.remove_undeclared else "report",
        # What cannot be read stands among the others: whoever does not look for it finds no host, and not nothing.
        "databases": {
            name: dict(item) for name, item in {**declaration.databases, **declaration.unreadable}.items()
        },
        "forbiddenDatabases": {**forbidden.readable, **forbidden.unreadable},
        "migrationDatabase": settings.migration_database,
        "migrationImage": settings.migration.image if settings.migration else "",
        "postgresVariables": _postgres_variables(settings, declaration, vault),
        "connections": {
            "webProcesses": connections.web_processes,
            "webThreads": connections.web_threads,
            "workerThreads": connections.worker_threads,
            **({"limit": connections.limit} if connections.limit is not None else {}),
        },
        "processGroups": {group.declared.name: _group(group) for group in settings.groups},
        "readiness": {"path": settings.readiness.path, "status": settings.readiness.status},
        "urls": {"frontend": urls.frontend, "webhooks": list(urls.webhooks)},
        "literals": dict(settings.literals),
        "fingerprintKey": "encrypted" if key_encrypted else "in clear",
        "policies": {name: dict(item) for name, item in settings.policies.items()},
        "exceptions": exception_properties(settings.exceptions),
    }


def _group(settings: GroupSettings) -> dict[str, Any]:
    group = settings.declared
    properties: dict[str, Any] = {
        "count": group.count,
        "cpuKind": group.cpu_kind,
        "cpus": group.cpus,
        "memoryMb": group.memory_mb,
    }
    if group.image is not None:
        properties["image"] = group.image
    if (check := group.check) is not None:
        headers = {name.lower(): value for name, value in check.headers}
        properties["check"] = {
            "path": check.path,
            "pathIsServed": settings.path_is_served,
            "graceSeconds": check.grace_period,
            "forwardedProto": headers.get(FORWARDED, ""),
        }
    return properties


def _postgres_variables(settings: Settings, declaration: Declaration, vault: Vault) -> dict[str, str]:
    main = main_database(settings.secrets)
    return {
        name: str(_agreement(name, part, main, settings, declaration, vault))
        for part in PARTS
        if (name := f"POSTGRES_{part.upper()}") in settings.secrets
    }


def _agreement(
    name: str,
    part: str,
    main: str,
    settings: Settings,
    declaration: Declaration,
    vault: Vault,
) -> Agreement:
    url = settings.secrets.get(main)
    if url is None:
        return Agreement.UNKNOWN
    if settings.secrets[name] == SecretSource(url.reference, part):
        return Agreement.DERIVED
    try:
        said = Dsn.parse(value_of(vault, main, url)).part(part)
    except MalformedDsn:
        return Agreement.UNKNOWN
    same = declaration.fingerprints[name] == fingerprint(said, settings.fingerprint_key)
    return Agreement.EQUAL if same else Agreement.DIFFERS
