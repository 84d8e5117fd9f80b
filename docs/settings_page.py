"""docs/settings.md, written from hotdash/stack/settings.schema.json.

What a key means is here or in the schema; type and form come from the schema, defaults from the loader. A key that is
described nowhere, or a description of no key, is an error: so the page cannot fall behind the program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from docs.tables import Undocumented, table
from hotdash import chatwoot
from hotdash.dsn import PARTS
from hotdash.migration.settings import MigrationSettings
from hotdash.stack import settings

ROOT: Final = Path(__file__).resolve().parents[1]
SCHEMA: Final = ROOT / "hotdash" / "stack" / "settings.schema.json"

MINIMAL: Final[Mapping[str, Any]] = {
    "app": {"name": "hotdash-chatwoot", "organization": "hotdash"},
    "fingerprintKey": "not a key, and long enough",
    "secrets": {"DATABASE_URL": "occ/chatwoot/database_url.env"},
    "processGroups": {"web": {"count": 1, "memoryMb": 2048, "check": {"port": 3000, "path": "/api"}}},
    "migration": {"database": "DATABASE_URL"},
}
"""The least that a stack file can say: what it leaves out are the defaults."""

NOTES: Final[Mapping[str, str]] = {
    "app.name": "the app's name on Fly. Another name is another app: the old one is left behind, not renamed",
    "app.url": "where the app answers, without a path. Readiness asks here",
    "app.create": "make the app when Fly has none of that name. It gets no IP address: `fly ips allocate-v4 --shared`",
    "app.deleteOnDestroy": "let `pulumi destroy` delete the app and all it has. Counts from the next `up` on",
    "placeholders": "what is done with values of the vault that plainly are none, as in `vault.example/`. `refuse`: a "
    "preview refuses them. `preview`: it takes them for values, and git may track files of nothing else. `up` sets "
    "none of them either way",
    "fly.token": "where the Fly token lies. `FLY_ACCESS_TOKEN`, then `FLY_API_TOKEN` of the environment win",
    "fingerprintKey": "the key under which secrets are fingerprinted. Make it once a stack: "
    "`openssl rand -hex 32 \\| pulumi config set --secret hotdash:fingerprintKey`",
    "secrets.NAME": "where the value of the secret NAME lies. `up` sees to it that Fly has this value and machines run "
    "with it",
    "undeclaredSecrets": "what to do with secrets that Fly has and this file has not. `report`: a preview shows each "
    "once, `up` leaves it. `remove`: `up` unsets it",
    "preflight": "what `up` does with a secret that it could not try from here (no route, a time-out): `warn` says so "
    "and sets it, `strict` refuses. One that was tried and refused is never set",
    "forbiddenDatabases.NAME": "where the URL of a database lies that Chatwoot must not use, such as HotDash's own. "
    "What counts is which database it is, not how its URL is written",
    "connections.webProcesses": "Chatwoot's `WEB_CONCURRENCY`, for the sum of database connections that it opens",
    "connections.webThreads": "`RAILS_MAX_THREADS`: connections of each web process",
    "connections.workerThreads": "`SIDEKIQ_CONCURRENCY`: connections of each worker",
    "connections.limit": "how many connections the pooler or the server gives, where that cannot be asked. Supavisor "
    "gives 15 unless it was changed",
    "migration": "migrations of Chatwoot's schema, run by `up` before machines get a new image; see "
    "[migrations.md](migrations.md). Without it none is run",
    "migration.database": "the name of the declared secret whose URL the migration takes: the direct one, where the "
    "app's own goes through a pooler",
    "migration.mode": "`online`: the app runs on meanwhile. `window`: workers are stopped, and started again whatever "
    "happens",
    "migration.web": "in a window: whether web serves on",
    "migration.image": "the image whose migrations are run: web's, where it is not said. Where neither is declared, "
    "they run only for another `revision`, with the image that web runs",
    "migration.revision": "another text than the last one runs the migrations again for the same image",
    "migration.statementTimeout": "for one statement: Chatwoot's `POSTGRES_STATEMENT_TIMEOUT`, whose own default of "
    "14 s is too short for a large table's index",
    "migration.timeLimit": "for the whole task. Then it is stopped, and `up` fails",
    "migration.cpuKind": "of the machine that migrates: `shared` or `performance`",
    "migration.cpus": "of the machine that migrates",
    "migration.memoryMb": "of the machine that migrates; see [Sizes](#sizes)",
    "urls.frontend": "Chatwoot's `FRONTEND_URL`, declared so that the policy pack can look at it. It sets nothing",
    "urls.webhooks": "where Chatwoot's webhooks go; the same",
    "policies.NAME": "how the rule NAME of the policy pack is set: see [policies.md](policies.md)",
    "policies.NAME.reason": "why it is set so",
    "exceptions": "findings of the policy pack that are let pass for a time; see "
    "[Exceptions](policies.md#exceptions)",
    "exceptions[].rule": "the rule's id",
    "processGroups.NAME": "one group of machines. Groups that are not named here are not looked at",
    "processGroups.NAME.count": "how many machines, 0 to 100. More: copies of one that is there. Fewer: the worst off "
    "are destroyed. Standbys do not count",
    "processGroups.NAME.cpuKind": "`shared` or `performance`. Declared even where it is left out",
    "processGroups.NAME.cpus": "how many cpus. Declared even where it is left out",
    "processGroups.NAME.memoryMb": "MB for each machine; see [Sizes](#sizes)",
    "processGroups.NAME.image": "declare it only to pin it. Without it, every image is right and `fly deploy` chooses",
    "processGroups.NAME.command": "the command of a machine made where the group has none to copy. Machines that run "
    "keep theirs",
    "processGroups.NAME.check": "the one http check of the service on `port`; checks of other kinds stay. Without it, "
    "checks are not looked at",
    "processGroups.NAME.check.path": "what the check asks for; it must be answered 2xx. See [Paths](#paths)",
    "processGroups.NAME.check.pathIsServed": "your image serves the path, though Chatwoot's own do not: lifts the "
    "refusal under [Paths](#paths)",
    "processGroups.NAME.check.interval": "between two checks",
    "processGroups.NAME.check.timeout": "for one answer",
    "processGroups.NAME.check.gracePeriod": "after a start, before checks count. Chatwoot boots slowly",
    "processGroups.NAME.check.headers.NAME": "a request header. Shown in previews, so no place for a credential. "
    "`X-Forwarded-Proto: https` where the app has `FORCE_SSL`",
    "readiness.path": "asked from here after the rollout, and in every preview",
    "readiness.timeout": "how long `up` waits for that status",
    "rollout.maxUnavailable": "machines at once, after the first went alone: a share of them below 1 (rounded up), a "
    "number of them from 1 on",
    "rollout.healthTimeout": "for a machine's checks to pass, counted from the end of their grace period",
    "rollout.startTimeout": "for a machine's new version to start",
    "rollout.settle": "how long a machine without checks must stay up before it counts as well",
    "rollout.leaseWait": "how long another's lease on a machine is waited for",
}

DEFAULTS: Final[Mapping[str, Callable[[settings.Settings], object]]] = {
    "app.create": lambda s: s.app.create,
    "app.deleteOnDestroy": lambda s: s.app.delete_on_destroy,
    "app.url": lambda s: s.app.url.replace(s.app.name, "NAME"),
    "vault": lambda s: s.vault,
    "placeholders": lambda s: "preview" if s.placeholders else "refuse",
    "undeclaredSecrets": lambda s: "remove" if s.remove_undeclared else "report",
    "preflight": lambda s: "strict" if s.strict_preflight else "warn",
    "migration.mode": lambda s: _migration(s).mode,
    "migration.web": lambda s: _migration(s).web,
    "migration.statementTimeout": lambda s: seconds(_migration(s).statement_timeout),
    "migration.timeLimit": lambda s: seconds(_migration(s).time_limit),
    "migration.cpuKind": lambda s: _migration(s).guest.cpu_kind,
    "migration.cpus": lambda s: _migration(s).guest.cpus,
    "migration.memoryMb": lambda s: _migration(s).guest.memory_mb,
    "connections.webProcesses": lambda s: s.connections.web_processes,
    "connections.webThreads": lambda s: s.connections.web_threads,
    "connections.workerThreads": lambda s: s.connections.worker_threads,
    "processGroups.NAME.cpuKind": lambda s: s.groups[0].declared.cpu_kind,
    "processGroups.NAME.cpus": lambda s: s.groups[0].declared.cpus,
    "processGroups.NAME.check.pathIsServed": lambda _: False,
    "processGroups.NAME.check.method": lambda s: _check(s).method,
    "processGroups.NAME.check.interval": lambda s: seconds(_check(s).interval),
    "processGroups.NAME.check.timeout": lambda s: seconds(_check(s).timeout),
    "processGroups.NAME.check.gracePeriod": lambda s: seconds(_check(s).grace_period),
    "readiness.path": lambda s: s.readiness.path,
    "readiness.status": lambda s: s.readiness.status,
    "readiness.timeout": lambda s: seconds(s.readiness.timeout),
    "rollout.maxUnavailable": lambda s: s.rollout.max_unavailable,
    "rollout.healthTimeout": lambda s: seconds(s.rollout.health_timeout),
    "rollout.startTimeout": lambda s: seconds(s.rollout.start_timeout),
    "rollout.settle": lambda s: seconds(s.rollout.settle),
    "rollout.leaseWait": lambda s: seconds(s.rollout.lease_wait),
}

FORMS: Final = {"reference": "vault reference", "duration": "duration", "path": "path", "url": "URL"}
"""The schema's own definitions that are a form of text."""
FIXED: Final = {
    "app": "The app",
    "processGroups": "Process groups",
    "migration": "Migrations",
    "readiness": "Readiness",
    "rollout": "The rollout",
}
"""Top keys with a table of their own, in this order; the rest share the last."""


def page(there: str) -> str:
    """The page's text; nothing of it is written by hand, so what is `there` does not count. Raises Undocumented."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    rows = dict(_keys(schema, schema, ()))
    strangers = sorted({*NOTES, *DEFAULTS} - set(rows))
    if strangers:
        raise Undocumented(f"described, but no key: {', '.join(strangers)}")
    given = settings.load(MINIMAL, file="")
    parts = [_HEAD]
    tables = {key: [row for row in rows.items() if row[0].split(".")[0] == key] for key in FIXED}
    for key, title in FIXED.items():
        parts.append(f"## {title}: `hotdash:{key}`\n\n{_table(tables[key], given, cut=f'{key}.')}")
    rest = [row for row in rows.items() if row[0].split(".")[0] not in FIXED]
    parts.append(f"## The rest: secrets, vault, token\n\n{_table(rest, given, cut='', prefix='hotdash:')}")
    parts.append(_rules())
    return "\n".join(parts)


Node = Mapping[str, Any]


def _keys(schema: Node, root: Node, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, str, bool]]]:
    """Each key below an object: its path, then type, description and whether it is required."""
    required = set(schema.get("required", ()))
    members = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), Mapping):
        members["NAME"] = schema["additionalProperties"]
    for name, node in members.items():
        key = ".".join([*path, name])
        form = str(node.get("$ref", "")).rpartition("/")[2]
        there = root["$defs"][form] if form else node
        described = NOTES.get(key) or ("" if form in FORMS else there.get("description", ""))
        if of_objects := there.get("type") == "array" and there["items"].get("type") == "object":
            there = there["items"] | {"description": described}
            name = f"{name}[]"
        has_members = there.get("type") == "object"
        if not described and not has_members:
            raise Undocumented(f"{key} has no description, here or in the schema")
        if described:
            yield key, ("list of mappings" if of_objects else _type(there, form), described, name in required)
        if has_members:
            yield from _keys(there, root, (*path, name))


def _type(node: Node, form: str) -> str:
    if form in FORMS:
        return FORMS[form]
    if "enum" in node:
        return " or ".join(f"`{word}`" for word in node["enum"])
    kind = str(node["type"])
    names = {
        "boolean": "true or false",
        "integer": "whole number",
        "array": "list of text",
        "object": "mapping",
    }
    return names.get(kind, "text" if kind == "string" else kind)


def _table(
    rows: list[tuple[str, tuple[str, str, bool]]], given: settings.Settings, *, cut: str, prefix: str = ""
) -> str:
    cells = []
    for key, (kind, described, required) in rows:
        default = (
            "**required**" if required else f"`{_shown(DEFAULTS[key](given))}`" if key in DEFAULTS else "–"
        )
        cells.append((f"`{prefix}{key.removeprefix(cut)}`", kind, default, _without_default(described)))
    return table(("Key", "Type", "Default", "Meaning"), cells)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_default(described: str) -> str:
    """A description without what the column beside it says already."""
    before, mark, _ = described.partition(" (default ")
    return before if mark else described.replace(" (default)", "")


def seconds(value: float) -> str:
    return f"{value:g}s"


def _migration(given: settings.Settings) -> MigrationSettings:
    assert given.migration is not None
    return given.migration


def _check(given: settings.Settings) -> Any:
    return given.groups[0].declared.check


def _rules() -> str:
    unrouted = "\n".join(
        f"| `{path}` | {why.replace('<', '&lt;')} |" for path, why in chatwoot.UNROUTED.items()
    )
    derived = ", ".join(f"`POSTGRES_{part.upper()}`" for part in PARTS)
    return _RULES.format(derived=derived, unrouted=unrouted, deep=chatwoot.DEEP_PATH)


_HEAD = """\
<!-- Written by docs/generate.py from hotdash/stack/settings.schema.json. Change those and run it again. -->
# Settings of a stack

A stack is one app on Fly. Its file is `stacks/Pulumi.STACK.yaml`; the keys below stand under `config:`, each with
`hotdash:` in front. All problems of a file are told at once, with key, reason and mend, and nothing is changed then.

The least that a file can say:

```yaml
config:
  hotdash:app:
    name: hotdash-chatwoot
    organization: hotdash
  hotdash:secrets:
    DATABASE_URL: occ/chatwoot/database_url.env
  hotdash:processGroups:
    web:
      count: 1
      memoryMb: 2048
      check:
        port: 3000
        path: /api
  hotdash:fingerprintKey:
    secure: v1:…        # made by the command in the last table
```

`stacks/Pulumi.production.yaml` is a full one. NAME stands for a name that you choose.
"""

_RULES = """\
## Vault references

A reference is `FILE` or `FILE#KEY`, FILE relative to the vault. Without `#KEY` the key is the secret's own name (for
the token: `FLY_API_TOKEN`). A value in the place of a reference is refused where it shows itself by `://`.
How the files are read: [vault.example/README.md](../vault.example/README.md).

`derivePostgresFrom` makes secrets out of the parts of one declared URL:
{derived}.
Declaring one of them besides is refused.

## Sizes

| cpuKind | cpus | memoryMb |
|---|---|---|
| `shared` | 1, 2, 4, 6, 8 | a multiple of 256, from 256 × cpus to 2048 × cpus |
| `performance` | 1, 2, 4, 6, 8, 10, 12, 14, 16, 32, 64, 128 | a multiple of 1024, from 2048 × cpus to 8192 × cpus |

These are the limits that Fly's own tool has. A Chatwoot worker was killed at 512 MB; 2048 is a sound size for both
groups.

## Paths

| Check path | Refused, because |
|---|---|
{unrouted}

Use `{deep}`: it asks Redis, and mostly the database. `/health` (Chatwoot 4.11 and later) asks neither: it tells
only that Rails answers.

## Durations

`15s`, `1m30s`, `500ms`, `2h`.
"""
