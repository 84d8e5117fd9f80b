"""`fly.Secrets`: an app's whole set of secrets, by reference and fingerprint. It stages; the process groups make live.

No value is in its inputs, its outputs or its messages. What the vault holds is read here when it is written, tried
where it can be tried, and refused if it is not what was planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from components.connection import plain, speaks_plainly, tell
from components.provider import Provider, deletes_otherwise
from components.secret_properties import (
    by_name,
    declared_secrets,
    live_properties,
    live_secrets,
    recorded_properties,
    recorded_secrets,
)
from hotdash.drift import DeclaredSecret, Drift, Kind, RecordedSecret, secret_drift, shown_time
from hotdash.errors import NotFound, VaultChanged
from hotdash.fly.model import Secret, SecretsWritten
from hotdash.stack import refusals
from hotdash.stack.settings import SecretSource
from hotdash.stack.values import database_text, value_of
from hotdash.vault import fingerprint

if TYPE_CHECKING:
    from hotdash.preflight import Outcome

INPUTS = ("app", "secrets", "databases", "removeUndeclared", "deleteOnDestroy")
_SET_BY_UP = (Kind.SECRET_MISSING, Kind.SECRET_CHANGED_IN_VAULT, Kind.SECRET_CHANGED_ON_FLY)


def drift(olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[Drift, ...]:
    """Old outputs, as refreshed, against new inputs."""
    declared = declared_secrets(news["secrets"])
    ignored = set(news["secrets"]) - set(declared)
    return secret_drift(
        declared,
        recorded_secrets(olds.get("recorded") or {}),
        live_secrets({n: s for n, s in (olds.get("live") or {}).items() if n not in ignored}),
        acknowledged=olds.get("acknowledged") or (),
        remove_undeclared=bool(news.get("removeUndeclared")),
    )


def databases_told(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str:
    """Which databases the URLs lead to that are about to be set, and until now led to."""
    before = {name: database_text(item) for name, item in (olds.get("databases") or {}).items()}
    after = {name: database_text(item) for name, item in (news.get("databases") or {}).items()}
    return "\n".join(
        f"{name} leads to {now}" + (f", until now to {before[name]}" if name in before else "")
        for name, now in after.items()
        if before.get(name) != now
    )


class SecretsProvider(Provider):
    """Inputs: app, secrets (name to "reference fingerprint"), databases (name to what a database URL leads to),
    removeUndeclared, deleteOnDestroy.

    Outputs besides: recorded (name to "fingerprint digest since dated"), live (name to "digest updatedAt"),
    acknowledged (undeclared names that were shown), version (of the last write).
    """

    @speaks_plainly
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what policies refuse of secrets: a preview refuses it whether the pack is asked or not."""
        terms = refusals.terms_of(self._connection.setting)
        found = refusals.of_secrets(
            news.get("databases") or {},
            terms,
            before=olds.get("secrets"),
            now=news["secrets"],
            removes=bool(news.get("removeUndeclared")),
        )
        refusals.refuse(found, terms.exceptions, on=refusals.today())
        return CheckResult(news, [])

    @speaks_plainly
    def create(self, props: dict[str, Any]) -> CreateResult:
        # Fly's digests cannot be computed, so an app that is adopted has its values set once more: where the digest
        # stays, the value was right already, and nothing has to move for it.
        declared = declared_secrets(props["secrets"])
        return CreateResult(props["app"], self._write(props, {}, set(declared)))

    @speaks_plainly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            live = by_name(self._connection.snapshot(id_).secrets())
        except NotFound:
            return ReadResult("", {})
        outs = {**props, "live": live_properties(live)}
        return ReadResult(id_, outs, {**plain(props, *INPUTS), "secrets": _described(props, live)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaced = [] if olds["app"] == news["app"] else ["app"]
        changed = deletes_otherwise(olds, news) or drift(olds, news)
        return DiffResult(changes=bool(replaced or changed), replaces=replaced)

    @speaks_plainly
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        names = {item.subject for item in drift(olds, news) if item.kind in _SET_BY_UP}
        return UpdateResult(self._write(news, olds, names))

    @speaks_plainly
    def delete(self, id_: str, props: dict[str, Any]) -> None:
        if not props.get("deleteOnDestroy"):
            tell(f"{id_}: its secrets were left on Fly as they are")

    def _write(self, news: dict[str, Any], olds: dict[str, Any], names: set[str]) -> dict[str, Any]:
        """Stage the named secrets, remove what is to go, and give the new outputs."""
        fly, app = self._connection.fly, news["app"]
        declared = declared_secrets(news["secrets"])
        values = self._values({name: declared[name] for name in sorted(names)})
        self._preflight(app, values, declared)
        before = by_name(fly.secrets(app))
        undeclared = sorted(set(before) - set(news["secrets"]))
        removed = undeclared if news.get("removeUndeclared") else []
        self._refuse_dropped(removed, news["secrets"])
        written = SecretsWritten(None, ())
        if values or removed:
            written = fly.write_secrets(app, {**values, **dict.fromkeys(removed)})
        after = by_name(fly.secrets(app))
        recorded = recorded_secrets(olds.get("recorded") or {})
        for name in names:
            recorded[name] = _record(declared[name].fingerprint, before.get(name), after.get(name))
        for name in removed:
            recorded[name] = RecordedSecret("", "", datetime.now(UTC))
        self._report(app, names, removed, before, after)
        return {
            **plain(news, *INPUTS),
            # What was removed stays on record, undigested: a machine made before still has it.
            "recorded": recorded_properties(
                {n: item for n, item in recorded.items() if n in news["secrets"] or not item.digest}
            ),
            "live": live_properties(after),
            "acknowledged": sorted(set(after) - set(news["secrets"])),
            "version": written.version if written.version is not None else olds.get("version"),
        }

    def _refuse_dropped(self, removed: Sequence[str], now: Mapping[str, str]) -> None:
        # What Fly has and nobody declared is known here alone.
        terms = refusals.terms_of(self._connection.setting)
        found = refusals.dropped_keys(dict.fromkeys(removed, ""), now, removes=True)
        refusals.refuse(found, terms.exceptions, on=refusals.today())

    def _values(self, declared: Mapping[str, DeclaredSecret]) -> dict[str, str]:
        vault, key = self._connection.vault, self._connection.fingerprint_key
        values: dict[str, str] = {}
        for name, wanted in declared.items():
            values[name] = value_of(vault, name, SecretSource.parse(wanted.source))
            if fingerprint(values[name], key) != wanted.fingerprint:
                raise VaultChanged(
                    f"the vault's value of {name} is not the one that was planned",
                    where=f"{vault.shown}/{wanted.source}",
                    meaning="it changed since the preview; no secret was written",
                    remedy="run `pulumi preview` again, see that it is what you want, then `pulumi up`",
                )
        return values

    def _preflight(self, app: str, values: Mapping[str, str], declared: Mapping[str, DeclaredSecret]) -> None:
        """Try from here what is about to be set, before any of it is sent."""
        if not values:
            return
        from hotdash.preflight import run  # here: costly to load, and needed only before a write
        from hotdash.preflight.refusal import refuse

        connection = self._connection
        # What belongs together is tried together: of a mail server's user and password perhaps one alone has changed.
        rest = {name: item for name, item in declared.items() if name not in values}
        checks = [
            check
            for check in connection.checks(app, {**self._values(rest), **values})
            if check.uses & values.keys()
        ]
        sources = {
            check.name: dict.fromkeys(declared[n].source for n in sorted(check.uses)) for check in checks
        }
        refuse(
            run(checks, progress=_tell_outcome),
            strict=connection.strict_preflight,
            places={name: f"{connection.vault.shown}/{', '.join(found)}" for name, found in sources.items()},
        )

    def _report(
        self,
        app: str,
        names: set[str],
        removed: list[str],
        before: Mapping[str, Secret],
        after: Mapping[str, Secret],
    ) -> None:
        changed = sorted(
            n for n in names if n in after and (n not in before or before[n].digest != after[n].digest)
        )
        if names and not changed:
            tell(f"{app}: all {len(names)} secrets had the vault's values already")
        if changed:
            tell(f"{app}: staged {', '.join(changed)}")
        if removed:
            tell(f"{app}: removed {', '.join(removed)}")


def _tell_outcome(outcome: Outcome) -> None:
    tell(f"{outcome.check}: tried from here: {outcome.verdict}: {outcome.said}")
    for warning in outcome.warnings:
        tell(f"  {warning}")


def _record(print_: str, before: Secret | None, after: Secret | None) -> RecordedSecret:
    if after is None:
        return RecordedSecret(print_, "", None)
    same = before is not None and before.digest == after.digest
    since = before.updated_at if before is not None and same else after.updated_at
    return RecordedSecret(print_, after.digest, since, after.updated_at)


def _described(props: Mapping[str, Any], live: Mapping[str, Secret]) -> dict[str, str]:
    """The inputs as Fly has them: what it has as recorded keeps its text, what differs says how."""
    recorded = recorded_secrets(props.get("recorded") or {})
    described: dict[str, str] = {}
    for name, text in props["secrets"].items():
        there, before = live.get(name), recorded.get(name)
        if there is None:
            continue
        same = before is not None and there.digest == before.digest
        described[name] = (
            text if same else f"{Kind.SECRET_CHANGED_ON_FLY} since {shown_time(there.updated_at)}"
        )
    for name, there in live.items():
        if name not in described and name not in (props.get("acknowledged") or ()):
            described[name] = f"{Kind.SECRET_UNDECLARED} since {shown_time(there.updated_at)}"
    return dict(sorted(described.items()))


class Secrets(Resource, module="fly", name="Secrets"):
    """The app's secrets, staged on Fly."""

    recorded: pulumi.Output[Mapping[str, str]]
    version: pulumi.Output[int | None]

    def __init__(
        self,
        resource_name: str,
        *,
        app: pulumi.Input[str],
        secrets: Mapping[str, str],
        databases: Mapping[str, Mapping[str, Any]],
        remove_undeclared: bool,
        delete_on_destroy: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, Any] = {
            "app": app,
            "secrets": dict(secrets),
            "databases": {name: dict(item) for name, item in databases.items()},
            "removeUndeclared": remove_undeclared,
            "deleteOnDestroy": delete_on_destroy,
            "recorded": None,
            "version": None,
        }
        super().__init__(SecretsProvider(), resource_name, props, opts)
