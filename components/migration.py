"""`chatwoot.Migration`: the schema of the declared image is applied, through the direct database URL.

Made or changed, it runs what must run before the process groups move. What is applied is read from the machines'
metadata, with the list that the groups read anyway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from components.connection import plain, speaks_plainly, tell
from components.provider import Provider, known
from hotdash.drift import Drift
from hotdash.errors import NotFound, SettingsError
from hotdash.fly.model import Guest, Machine
from hotdash.fly.wire import parse_duration, render_duration
from hotdash.migration.deciding import Groups, Kept, kept_on
from hotdash.migration.deciding import drift as drift_of
from hotdash.migration.journal import (
    Applied,
    applied_from,
    applied_properties,
    journal_from,
    journal_text,
)
from hotdash.migration.settings import MigrationSettings, Mode, Web
from hotdash.stack.databases import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.secrets import Secrets
    from hotdash.fly.logs import FlyLogs
    from hotdash.migration.runner import Migration as Runner

INPUTS = (
    "app",
    "secret",
    "database",
    "mode",
    "web",
    "image",
    "revision",
    "webGroups",
    "workerGroups",
    "statementTimeout",
    "timeLimit",
    "cpuKind",
    "cpus",
    "memoryMb",
    "state",
)
APPLIED = "applied"
"""The state that is declared."""


def inputs(
    settings: MigrationSettings, groups: Groups, *, app: str, database: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The inputs, as the engine shows them. `database`: what the secret's URL leads to, in clear; None: it is none."""
    properties: dict[str, Any] = {
        "app": app,
        "secret": settings.database,
        "database": dict(database or {}),
        "mode": settings.mode.value,
        "web": settings.web.value,
        "webGroups": list(groups.web),
        "workerGroups": list(groups.workers),
        "statementTimeout": render_duration(settings.statement_timeout),
        "timeLimit": render_duration(settings.time_limit),
        "cpuKind": settings.guest.cpu_kind,
        "cpus": settings.guest.cpus,
        "memoryMb": settings.guest.memory_mb,
        "state": APPLIED,
    }
    if settings.image:
        properties["image"] = settings.image
    if settings.revision:
        properties["revision"] = settings.revision
    return properties


def declared_settings(news: Mapping[str, Any]) -> MigrationSettings:
    """The inverse of `inputs`. An image that `ignore_changes` replaced by words about the live one is not declared."""
    image = str(news.get("image") or "")
    return MigrationSettings(
        database=news["secret"],
        mode=Mode(news["mode"]),
        web=Web(news["web"]),
        image="" if " " in image else image,
        revision=str(news.get("revision") or ""),
        statement_timeout=parse_duration(news["statementTimeout"]),
        time_limit=parse_duration(news["timeLimit"]),
        guest=Guest(news["cpuKind"], int(news["cpus"]), int(news["memoryMb"])),
    )


def declared_groups(news: Mapping[str, Any]) -> Groups:
    return Groups(tuple(news["webGroups"]), tuple(news["workerGroups"]))


def live_properties(kept: Kept) -> dict[str, Any]:
    """What is kept of Fly's answer, enough to compare again without asking."""
    return {
        "applied": applied_properties(kept.applied) if kept.applied else None,
        "unfinished": journal_text(kept.unfinished) if kept.unfinished else "",
        "webImages": list(kept.web_images),
        "machines": kept.machines,
    }


def kept_in(olds: Mapping[str, Any]) -> Kept:
    """The inverse of `live_properties`."""
    return Kept(
        applied_from(olds.get("applied")) if olds.get("applied") else None,
        journal_from(str(olds.get("unfinished") or "")),
        tuple(olds.get("webImages") or ()),
        bool(olds.get("machines", True)),
    )


def drift(olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[Drift, ...]:
    """Old outputs, as refreshed, against new inputs."""
    return drift_of(declared_settings(news), kept_in(olds), declared_groups(news))


def adoption(
    news: Mapping[str, Any], machines: Sequence[Machine]
) -> tuple[tuple[Drift, ...], tuple[str, ...]]:
    """What a preview finds where the state knows nothing yet; and why `up` runs nothing, where it does not."""
    groups = declared_groups(news)
    kept = kept_on(machines, groups)
    found, image = drift_of(declared_settings(news), kept, groups), news.get("image")
    if found or not image:
        return found, ()
    if kept.applied is None or kept.applied.adopted:
        return (), (f"web runs {image} already: up takes its schema as applied, and runs nothing",)
    return (), (f"the schema of {image} is recorded as applied: up runs nothing",)


class MigrationProvider(Provider):
    """Inputs: see `inputs`; besides secretsVersion, which comes from Secrets.

    Outputs besides: applied (image, revision, at, schema of the last run), unfinished (the journal of a run that was
    left; empty: none), webImages, machines.
    """

    @speaks_plainly
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a URL that is not known to be direct, in a preview too: a policy may be mere advice."""
        from hotdash.stack.refusals import pooled_migrations, refuse, terms_of, today, vouched_hosts

        name, database = news["secret"], news["database"]
        if not database:
            raise SettingsError(
                f"migrations would take {name}, which is no postgres:// URL",
                where="hotdash:migration.database",
                meaning="nothing was changed",
                remedy="name the secret with the direct URL there",
            )
        hosts = vouched_hosts(self._connection.setting("policies") or {})
        refuse(
            pooled_migrations(name, {name: Database.of(database)}, hosts),
            terms_of(self._connection.setting).exceptions,
            on=today(),
        )
        return CheckResult(news, [])

    @speaks_plainly
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["app"], self._apply(props))

    @speaks_plainly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            machines = self._connection.snapshot(id_).machines()
        except NotFound:
            return ReadResult("", {})
        kept = kept_on(machines, declared_groups(props))
        outs = {**props, **live_properties(kept)}
        return ReadResult(id_, outs, described(props, kept))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaced = [] if olds["app"] == news["app"] else ["app"]
        return DiffResult(changes=bool(replaced or drift(olds, news)), replaces=replaced)

    @speaks_plainly
    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._apply(news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """A schema is not undone."""

    def _apply(self, news: dict[str, Any]) -> dict[str, Any]:
        with contextlib.closing(self._connection.logs) as logs:
            report = self._runner(news, logs).run()
        for trouble in report.troubles:
            tell(f"migration: {trouble}; the rollout that follows looks after it")
        kept = kept_on(self._connection.fly.machines(news["app"]), declared_groups(news))
        return {
            **plain(news, *INPUTS),
            "secretsVersion": news.get("secretsVersion"),
            **live_properties(kept),
        }

    def _runner(self, news: Mapping[str, Any], logs: FlyLogs) -> Runner:
        from hotdash.migration.assembling import seams
        from hotdash.migration.runner import Migration as Runner

        connection, app = self._connection, news["app"]
        sources, values = connection.secrets()
        version = known(news.get("secretsVersion"))
        return Runner(
            connection.fly,
            app,
            declared_settings(news),
            declared_groups(news),
            connection.rollout,
            seams(
                values,
                sources,
                database=news["secret"],
                checks=lambda: connection.checks(app, values),
                strict=connection.strict_preflight,
                vault=connection.vault.shown,
                logs=logs,
                progress=tell,
            ),
            secrets_version=int(version) if isinstance(version, int | float) else None,
        )


def described(props: Mapping[str, Any], kept: Kept) -> dict[str, Any]:
    """The inputs as Fly has them, in the words that a preview shows on the left of its arrow."""
    live = plain(props, *INPUTS, "secretsVersion")
    applied: Applied | None = kept.applied
    for key, text in (("image", applied and applied.image), ("revision", applied and applied.revision)):
        if key in live and applied is not None:
            live[key] = text or "(none)"
    if kept.unfinished:
        live["state"] = f"left at step {kept.unfinished.step} by {kept.unfinished.owner}"
    elif applied is None and drift_of(declared_settings(props), kept, declared_groups(props)):
        live["state"] = "not recorded"
    return live


class Migration(Resource, module="chatwoot", name="Migration"):
    """The schema of the declared image, applied."""

    applied: pulumi.Output[Mapping[str, Any] | None]

    def __init__(
        self,
        resource_name: str,
        settings: MigrationSettings,
        groups: Groups,
        *,
        app: str,
        database: Mapping[str, Any] | None,
        staged: Secrets,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Args:
        database: what the secret's URL leads to, in clear; None: it is no database's.
        staged: the app's Secrets resource, which says in which version they are staged.
        """
        props = {
            **inputs(settings, groups, app=app, database=database),
            "secretsVersion": staged.version,
            "applied": None,
        }
        super().__init__(MigrationProvider(), resource_name, props, opts)
