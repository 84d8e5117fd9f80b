"""`hotdash migrate`: the migrations that `pulumi up` runs, by hand; and what to do with a run that was left."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from hotdash.cli.migrate_display import Display
from hotdash.errors import HotdashError, MigrationLocked, SettingsError
from hotdash.fly.client import Fly
from hotdash.fly.logs import FlyLogs
from hotdash.fly.token import Token, find_token
from hotdash.migration import one_off
from hotdash.migration.assembling import seams
from hotdash.migration.deciding import (
    Groups,
    Kept,
    groups_by_role,
    image_to_run,
    kept_on,
    reason_to_run,
    stopped_by,
    window_text,
)
from hotdash.migration.journal import Journal, applied_properties, owned
from hotdash.migration.runner import Migration, Report
from hotdash.migration.schema import Unseen, look
from hotdash.migration.settings import MigrationSettings
from hotdash.stack.file import STACK_VARIABLE, chosen_stack, project_root, read_settings, stack_file
from hotdash.stack.settings import Settings
from hotdash.stack.values import values_of
from hotdash.vault import Vault

PENDING_EXIT: Final = 2
UNFINISHED_EXIT: Final = 3
LOCKED_EXIT: Final = 4
NOT_WELL_EXIT: Final = 5

_stack = click.option(
    "--stack", metavar="STACK", default=None, help=f"The stack (default: {STACK_VARIABLE}'s)."
)


@click.group()
def migrate() -> None:
    """Chatwoot's schema: what would be migrated and why, a run by hand, one that was left.

    `pulumi up` does all of it by itself where the stack file has hotdash:migration; docs/migrations.md tells how.

    Exit codes of every command: 0, done, or nothing to do. 1: it failed. 2 (plan): a migration would run. 3 (status,
    plan): a run was left unfinished. 4: another migration runs now. 5 (run, resume): migrated, and a machine is not
    well after the window.
    """


@migrate.command()
@_stack
def plan(stack: str | None) -> None:
    """Say whether a migration would run, why, and how. Reads alone."""
    subject = _Subject.of(stack)
    with subject.fly() as fly:
        kept = subject.kept(fly)
        sys.exit(_plan(subject, kept))


@migrate.command()
@_stack
@click.option("--dry-run", is_flag=True, help="Only say what would be done: the same as plan.")
@click.option("--again", is_flag=True, help="Run it although it is applied.")
def run(stack: str | None, dry_run: bool, again: bool) -> None:
    """Run what must run, as `pulumi up` would, without moving machines to the new image afterwards."""
    subject = _Subject.of(stack)
    with subject.fly() as fly:
        if dry_run:
            sys.exit(_plan(subject, subject.kept(fly), again=again))
        with _display() as display, _locked_aloud():
            report = subject.migration(fly, display).run(again=again)
            display.done()
    sys.exit(_told(report))


@migrate.command()
@_stack
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(stack: str | None, as_json: bool) -> None:
    """Say what is applied, and whether a run is under way or was left: whose, since when, at which step."""
    subject = _Subject.of(stack)
    with subject.fly() as fly:
        found = _Status.of(subject, fly)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        found.show()
    sys.exit(found.exit)


@migrate.command()
@_stack
def resume(stack: str | None) -> None:
    """End a run that was left by whoever began it, from the step where it was. Begins none."""
    subject = _Subject.of(stack)
    with subject.fly() as fly, _display() as display, _locked_aloud():
        if subject.kept(fly).unfinished is None:
            display.progress("migration: no run was left")
            return
        report = subject.migration(fly, display).resume()
        display.done()
    sys.exit(_told(report))


@migrate.command()
@_stack
def abort(stack: str | None) -> None:
    """End a run that was left without migrating: destroy its machine, close its window, give the lock back.

    What it has migrated until then stays migrated.
    """
    subject = _Subject.of(stack)
    with subject.fly() as fly, _display() as display, _locked_aloud():
        aborted = subject.migration(fly, display).abort()
        display.done()
    click.echo(f"aborted run {aborted.run.run}: nothing of it is left" if aborted.run else "no run was left")
    sys.exit(_not_well(aborted.troubles))


# What is meant


@dataclass(frozen=True)
class _Subject:
    """A stack's app and its migrations."""

    stack: str
    settings: Settings
    migrations: MigrationSettings
    groups: Groups
    vault: Vault
    token: Token

    @classmethod
    def of(cls, named: str | None) -> _Subject:
        root = project_root()
        stack = chosen_stack(named, root)
        settings = read_settings(stack, root)
        if settings.migration is None:
            raise SettingsError(
                "the stack declares no migrations",
                where=f"{stack_file(stack)}, hotdash:migration",
                remedy="declare at least hotdash:migration.database, the secret with the direct URL "
                "(docs/migrations.md)",
            )
        vault = Vault(root / Path(settings.vault), settings.vault)
        token = find_token(vault, settings.token)
        return cls(stack, settings, settings.migration, groups_by_role(settings.groups), vault, token)

    @property
    def app(self) -> str:
        return self.settings.app.name

    def fly(self) -> Fly:
        return Fly(self.token)

    def kept(self, fly: Fly) -> Kept:
        return kept_on(fly.machines(self.app), self.groups)

    def values(self) -> Mapping[str, str]:
        return values_of(self.settings.secrets, self.vault)

    def migration(self, fly: Fly, display: Display) -> Migration:
        from hotdash.preflight import checks_for
        from hotdash.stack.databases import Database
        from hotdash.stack.refusals import pooled_migrations, refuse, today, vouched_hosts
        from hotdash.stack.settings import SecretSource
        from hotdash.stack.values import databases_in

        values = self.values()
        known = {name: Database.of(found) for name, found in databases_in(values).items()}
        hosts = vouched_hosts(self.settings.policies)
        refuse(
            pooled_migrations(self.migrations.database, known, hosts), self.settings.exceptions, on=today()
        )
        forbidden = {name: SecretSource(at) for name, at in self.settings.forbidden_databases.items()}
        given = seams(
            values,
            self.settings.secrets,
            database=self.migrations.database,
            checks=lambda: checks_for(values, forbidden=values_of(forbidden, self.vault)),
            strict=self.settings.strict_preflight,
            vault=self.vault.shown,
            logs=FlyLogs(self.token),
            progress=display.progress,
            output=display.output,
            step=display.step,
        )
        return Migration(fly, self.app, self.migrations, self.groups, self.settings.rollout, given)


# What is told


def _plan(subject: _Subject, kept: Kept, *, again: bool = False) -> int:
    settings, groups = subject.migrations, subject.groups
    if left := kept.unfinished:
        click.echo(f"a run was left: {_journal(left)}")
        click.echo("  `pulumi up` or `hotdash migrate resume` ends it, before anything else is migrated")
        return UNFINISHED_EXIT
    reason = reason_to_run(settings, kept) or ("it is asked for" if again else "")
    if not reason:
        said = (
            "recorded"
            if kept.applied
            else "nothing recorded, and nothing declared that differs from what web runs"
        )
        click.echo(f"nothing would run: {_applied(kept) or said}")
        return 0
    image = image_to_run(settings, kept) or "no image: declare hotdash:migration.image"
    click.echo(f"a migration would run on {subject.app}: {reason}")
    for label, text in (
        ("image", image),
        ("database", _database(subject)),
        ("schema", _schema(subject)),
        ("window", window_text(settings, groups)),
        ("machine", f"{settings.guest}, for at most {settings.time_limit:g} s"),
        ("command", one_off.shown_command(settings)),
    ):
        click.echo(f"  {label:<9} {text}")
    return PENDING_EXIT


def _database(subject: _Subject) -> str:
    from hotdash.stack.values import database_text, databases_in

    name = subject.migrations.database
    with contextlib.suppress(HotdashError, KeyError):
        return f"{name}: {database_text(databases_in(subject.values())[name])}"
    return name


def _schema(subject: _Subject) -> str:
    try:
        found = look(subject.values().get(subject.migrations.database, ""))
    except Unseen as why:
        return f"cannot be seen from here: {why}"
    lock = f"; the lock of migrations is held by {found.lock}" if found.lock else ""
    return f"{found.schema}{lock}"


def _applied(kept: Kept) -> str:
    if kept.applied is None:
        return ""
    applied = kept.applied
    how = "taken over as it was" if applied.adopted else "migrated"
    when = f" at {applied.at:%Y-%m-%d %H:%M:%SZ}" if applied.at else ""
    revision = f", revision {applied.revision}" if applied.revision else ""
    schema = f", then {applied.schema}" if applied.schema else ""
    return f"{applied.image or 'no image'}{revision} is applied, {how}{when}{schema}"


def _journal(journal: Journal) -> str:
    return (
        f"run {journal.run} to {journal.image}, begun {journal.since:%Y-%m-%d %H:%M:%SZ} by "
        f"{journal.owner or 'somebody'}, at step {journal.step}"
    )


@dataclass(frozen=True)
class _Status:
    """What a person must know who finds an app in the middle of something."""

    app: str
    kept: Kept
    anchor: str
    holder: str
    until: str
    stopped: tuple[str, ...]

    @classmethod
    def of(cls, subject: _Subject, fly: Fly) -> _Status:
        machines = fly.machines(subject.app)
        own = owned(machines, subject.groups.all)
        kept = kept_on(machines, subject.groups)
        holder = fly.lease_holder(subject.app, own[0].id) if own else None
        remembered = stopped_by(kept.unfinished) if kept.unfinished else ()
        down = {m.id for m in machines if m.state != "started"}
        return cls(
            subject.app,
            kept,
            own[0].id if own else "",
            " ".join(filter(None, [holder.owner, holder.description])) if holder else "",
            f"{holder.expires_at:%Y-%m-%d %H:%M:%SZ}" if holder and holder.expires_at else "",
            tuple(id_ for id_ in remembered if id_ in down),
        )

    @property
    def exit(self) -> int:
        if self.kept.unfinished is None:
            return 0
        return LOCKED_EXIT if self.holder else UNFINISHED_EXIT

    def as_json(self) -> dict[str, Any]:
        left = self.kept.unfinished
        return {
            "app": self.app,
            "exit": self.exit,
            "applied": applied_properties(self.kept.applied) if self.kept.applied else None,
            "run": {
                "id": left.run,
                "image": left.image,
                "revision": left.revision,
                "owner": left.owner,
                "reason": left.reason,
                "since": left.since.isoformat(),
                "step": left.step.value,
                "mode": left.mode.value,
                "machine": left.one_off,
                "scale": dict(left.scale),
                "failed": left.failed,
            }
            if left
            else None,
            "lock": {"machine": self.anchor, "holder": self.holder, "until": self.until}
            if self.holder
            else None,
            "stopped": list(self.stopped),
        }

    def show(self) -> None:
        click.echo(f"{self.app}: {_applied(self.kept) or 'no migration is recorded'}")
        left = self.kept.unfinished
        if left is None:
            click.echo("no run is under way, and none was left")
            return
        click.echo(f"{'running' if self.holder else 'left unfinished'}: {_journal(left)}")
        scale = ", ".join(f"{id_} {state}" for id_, state in sorted(left.scale.items()))
        for label, text in (
            ("reason", left.reason),
            (
                "lock",
                f"{self.holder}, until {self.until}, on machine {self.anchor}" if self.holder else "nobody's",
            ),
            ("machine", left.one_off),
            ("scale", scale and f"{scale} (as it was before)"),
            ("stopped", ", ".join(self.stopped)),
            ("failed", left.failed),
        ):
            if text:
                click.echo(f"  {label:<9} {text}")
        if not self.holder:
            click.echo(
                "  next      `pulumi up` or `hotdash migrate resume` goes on from there; `hotdash migrate abort` gives "
                "it up"
            )


def _told(report: Report) -> int:
    if not report.ran:
        click.echo("nothing was run" + (f": {report.applied.image} is applied" if report.applied else ""))
    return _not_well(report.troubles)


def _not_well(troubles: Sequence[str]) -> int:
    for trouble in troubles:
        click.echo(f"not well after the window: {trouble}", err=True)
    return NOT_WELL_EXIT if troubles else 0


@contextlib.contextmanager
def _locked_aloud() -> Iterator[None]:
    try:
        yield
    except MigrationLocked as locked:
        click.echo(f"Error: {locked}", err=True)
        sys.exit(LOCKED_EXIT)


@contextlib.contextmanager
def _display() -> Iterator[Display]:
    with Display.for_stdout() as display:
        yield display
