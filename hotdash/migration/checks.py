"""What a migration looks at before its task and after it, from here: the database, its schema, Redis."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hotdash.errors import MigrationFailed
from hotdash.fly.client import Fly
from hotdash.migration.journal import Journal, SchemaState
from hotdash.migration.schema import Unseen
from hotdash.migration.seams import RunSettings, Seams
from hotdash.migration.settings import MigrationSettings

LOCK_SECONDS: Final = 10.0
"""That another's lock on the schema may take to go: a machine that died may have left its connection for a moment."""


class Checks:
    """The checks of one app's migrations. Args: see `hotdash.migration.runner.Migration`."""

    def __init__(
        self, fly: Fly, app: str, settings: MigrationSettings, run_settings: RunSettings, seams: Seams
    ) -> None:
        self._fly = fly
        self._app = app
        self._settings = settings
        self._run_settings = run_settings
        self._seams = seams
        self._tell = seams.progress

    def before(self, journal: Journal) -> Journal:
        """Try what the task will need; the journal with the schema that was found.

        Raises MigrationFailed where something is refuted; nothing was begun.
        """
        self._refuse_without_secret()
        self._tell(journal.says(f"trying {self._settings.database} from here"))
        tried = self._seams.preflight()
        for line in tried.told:
            self._tell(f"migration:   {line}")
        if tried.refused:
            raise MigrationFailed(
                f"the migration was not begun: {tried.refused}",
                where=tried.where,
                meaning=tried.meaning,
                remedy=tried.next or "mend it, then `pulumi up` again",
            )
        began = self._seams.clock.now()
        try:
            found = self._seams.look()
            while found.lock and self._seams.clock.now() - began < min(
                LOCK_SECONDS, self._run_settings.lease_wait
            ):
                self._tell(f"migration:   the lock of the migrations is held by {found.lock}, waiting")
                self._seams.clock.sleep(1.0)
                found = self._seams.look()
        except Unseen as why:
            self._tell(
                f"migration:   the schema cannot be seen from here, so the task's own word counts: {why}"
            )
            return journal
        if found.lock:
            raise MigrationFailed(
                f"another connection holds the lock of the migrations: {found.lock}",
                where=f"app {self._app}, {self._settings.database}",
                meaning="a migration runs there, or a pooler has kept the lock of one; nothing was begun",
                remedy="let it end, or end its connection (select pg_terminate_backend(PID)), then `pulumi up` again",
            )
        self._tell(f"migration:   the database has {found.schema}")
        return replace(journal, before=found.schema)

    def _refuse_without_secret(self) -> None:
        """What Fly does not have, the task finds empty: it would fail, or fall back to another database."""
        name = self._settings.database
        if name not in {secret.name for secret in self._fly.secrets(self._app)}:
            raise MigrationFailed(
                f"the migration was not begun: {name} is not among the app's secrets on Fly",
                where=f"app {self._app}, hotdash:migration.database",
                meaning="nothing was stopped and nothing was migrated",
                remedy="`pulumi up` sets it, and then migrates",
            )

    def after(self, journal: Journal) -> None:
        """Raises MigrationFailed where the task ended well, and the declared database is not migrated."""
        try:
            found = self._seams.look()
        except Unseen as why:
            self._tell(journal.says(f"the task ended well; the schema cannot be seen from here ({why})"))
            return
        before = journal.before
        fell = before and (found.schema.count < before.count or found.schema.newest < before.newest)
        if not found.complete or fell:
            was = f", and had {before}" if before else ""
            raise MigrationFailed(
                f"the task ended well, and {self._settings.database}'s database is not migrated: it has {found.schema}"
                f"{was}{'' if found.complete else ', and its schema was never loaded to its end'}",
                where=f"app {self._app}, {self._settings.database}",
                meaning="the task has probably migrated another database than this one",
                remedy="see that the secret on Fly and the vault's URL are the same (`pulumi preview`), and what "
                "`hotdash preflight` says of it",
            )
        gained = f", {found.schema.count - before.count} more than before" if before else ""
        self._tell(journal.says(f"the database has {found.schema}{gained}"))

    def schema(self) -> SchemaState | None:
        """What is to be remembered of the schema; None: it cannot be seen from here."""
        try:
            return self._seams.look().schema
        except Unseen:
            return None
