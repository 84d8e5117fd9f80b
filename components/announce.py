"""What a preview says of drift, under the resource that it concerns: kind, subject, since when, and what `up` will do.

The engine's own table shows that a resource differs; these lines say how, one for each secret and machine. They are
written while a preview runs and not again while `up` does what it announced. Whoever runs the preview for a program's
sake is given the same as data: see `hotdash.gate.drift_file`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.output import Unknown

from components import process_group, readiness, secrets
from components.connection import Connection
from components.secret_properties import by_name, live_properties
from hotdash.drift import Drift, Kind, shown_time, told
from hotdash.errors import NotFound
from hotdash.gate import DRIFT_VARIABLE, drift_file


@dataclass(frozen=True)
class Said:
    """What a preview says of one resource: what differs, and what is worth knowing besides."""

    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(filter(None, [told(self.drift), *self.notes]))


Words = Callable[[Mapping[str, Any], Mapping[str, Any]], Said]
"""Old outputs and new inputs to what is to be said of them; nothing where that is nothing."""


@dataclass(frozen=True)
class Announcements:
    """The hooks of one run, a pair for each kind of resource: an engine takes a hook's name once."""

    app: pulumi.ResourceHookBinding
    secrets: pulumi.ResourceHookBinding
    group: pulumi.ResourceHookBinding
    readiness: pulumi.ResourceHookBinding


@functools.cache
def announcements(connection: Connection) -> Announcements:
    """The program's hooks: the same ones however many apps it declares.

    Args:
        connection: asked for what the state does not know yet, so that a preview shows what an adoption finds.
    """
    adoption = _Adoption(connection)
    return Announcements(
        pulumi.ResourceHookBinding(before_create=[_hook("app-adopted", adoption.app)]),
        pulumi.ResourceHookBinding(
            before_update=[_hook("secrets-drift", _secrets)],
            before_create=[_hook("secrets-adopted", adoption.secrets)],
        ),
        pulumi.ResourceHookBinding(
            before_update=[_hook("group-drift", lambda olds, news: Said(process_group.drift(olds, news)))],
            before_create=[_hook("group-adopted", adoption.group)],
        ),
        pulumi.ResourceHookBinding(
            before_update=[_hook("readiness-drift", lambda olds, news: Said(readiness.drift(olds, news)))],
            before_create=[_hook("readiness-adopted", adoption.readiness)],
        ),
    )


@functools.cache
def migration_announcements(connection: Connection) -> pulumi.ResourceHookBinding:
    """The hooks of chatwoot.Migration: apart, because few stacks declare one, and all would wait for its imports."""
    from components import migration

    return pulumi.ResourceHookBinding(
        before_update=[_hook("migration-drift", lambda olds, news: Said(migration.drift(olds, news)))],
        before_create=[_hook("migration-adopted", _Adoption(connection).migration)],
    )


def _hook(name: str, words: Words) -> pulumi.ResourceHook:
    def say(args: pulumi.ResourceHookArgs) -> None:
        if not pulumi.runtime.is_dry_run():
            return
        try:
            said = words(_plain(args.old_outputs), _plain(args.new_inputs))
        except NotFound:
            return  # the app is made first, or refused there
        if text := str(said):
            pulumi.log.info(text)
            if file := os.environ.get(DRIFT_VARIABLE):
                drift_file.append(file, drift_file.Told(args.urn, said.drift, said.notes))

    return pulumi.ResourceHook(name, say, pulumi.ResourceHookOptions(on_dry_run=True))


def _plain(properties: Mapping[str, Any] | None) -> dict[str, Any]:
    """Properties without what is not known yet, which the providers' comparisons take as absent."""
    return {
        key: value
        for key, value in (properties or {}).items()
        if not isinstance(value, pulumi.Output | Unknown)
    }


def _secrets(olds: Mapping[str, Any], news: Mapping[str, Any]) -> Said:
    return Said(secrets.drift(olds, news), _lines(secrets.databases_told(olds, news)))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines())


class _Adoption:
    """What a preview finds on Fly of things that the state does not know yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def app(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> Said:
        there = self._connection.snapshot(news["name"]).app()
        note = f"{there.name} is on Fly already: up takes it over as it is, and makes nothing that is there"
        return Said(notes=(note,))

    def secrets(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> Said:
        live = by_name(self._connection.snapshot(news["app"]).secrets())
        found = secrets.drift({"live": live_properties(live)}, news)
        # A value of which nothing is recorded is no drift yet: `up` sets it once more and compares the digests.
        unknown = [item.subject for item in found if item.kind is Kind.SECRET_CHANGED_IN_VAULT]
        notes: list[str] = []
        if unknown:
            notes.append(
                f"{len(unknown)} secrets stand on Fly with values that Fly does not show: up sets each to the vault's "
                "value; where Fly's digest stays the same nothing moves, where it changes the machines do"
            )
            notes += [f"  {name} (set {shown_time(live[name].updated_at)})" for name in unknown]
        notes += _lines(secrets.databases_told({}, news))
        return Said(tuple(item for item in found if item.subject not in unknown), tuple(notes))

    def migration(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> Said:
        from components import migration

        return Said(*migration.adoption(news, self._connection.snapshot(news["app"]).machines()))

    def readiness(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> Said:
        return Said(readiness.drift(readiness.look(news), news))

    def group(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> Said:
        machines = self._connection.snapshot(news["app"]).machines()
        return Said(process_group.drift_of(news, {}, machines, {}, now=datetime.now(UTC)))
