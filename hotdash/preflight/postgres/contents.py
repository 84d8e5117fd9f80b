"""Whose database it is, by its tables, and whether it has the extensions that Chatwoot needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hotdash.preflight.postgres.reading import Extension, Tables
from hotdash.preflight.trial import Ended, refused

ALWAYS: Final = ("pg_stat_statements", "pg_trgm", "pgcrypto", "plpgsql")
"""What Chatwoot's db/schema.rb enables, in every version."""
FROM_4_0: Final = "vector"
VECTOR_MIGRATION: Final = "20250104200055"
"""The migration of Chatwoot 4.0.0 that aborts where `vector` cannot be enabled."""
RAILS_MARK: Final = "ar_internal_metadata"
"""The table that Rails makes as the last step of loading a schema."""
ITS_OWN: Final = frozenset(
    {
        "agent_bot_inboxes",
        "channel_api",
        "channel_web_widgets",
        "contact_inboxes",
        "csat_survey_responses",
        "inbox_members",
        "installation_configs",
        "platform_app_permissibles",
    }
)
"""Tables of Chatwoot's that hardly anyone else has."""
IN_ITS_WAY: Final = frozenset(
    {
        "access_tokens",
        "accounts",
        "articles",
        "attachments",
        "campaigns",
        "categories",
        "contacts",
        "conversations",
        "inboxes",
        "labels",
        "messages",
        "notes",
        "notifications",
        "tags",
        "teams",
        "users",
        "webhooks",
    }
)
"""Tables of Chatwoot's that others have too: loading its schema drops them (`force: :cascade` in db/schema.rb)."""


class Kind(StrEnum):
    CHATWOOT = "Chatwoot's"
    EMPTY = "empty"
    HALF_LOADED = "Chatwoot's, half loaded"
    HOTDASH = "HotDash's own"
    ANOTHER_APP = "another Rails app's"
    IN_THE_WAY = "somebody else's, with tables of Chatwoot's names"
    OTHER = "somebody else's"


@dataclass(frozen=True)
class Contents:
    """What the tables tell. `newest` is the newest migration, empty where none is known."""

    kind: Kind
    migrations: int
    newest: str

    def __str__(self) -> str:
        if not self.newest:
            return self.kind.value
        return f"{self.kind}, {self.migrations} migrations, the newest {self.newest}"


def recognise(tables: Tables) -> Contents:
    """Whose database it is. HotDash's table outweighs everything: Chatwoot's may have been made there by mistake."""
    number, newest = tables.migrations or (0, "")
    names = tables.names
    its_own = names & ITS_OWN
    if tables.hotdash:
        kind = Kind.HOTDASH
    elif "installation_configs" in names and RAILS_MARK in names:
        kind = Kind.CHATWOOT
    elif its_own:
        kind = Kind.HALF_LOADED
    elif not names - {RAILS_MARK, "schema_migrations"} and not number:
        kind = Kind.EMPTY
    elif RAILS_MARK in names:
        kind = Kind.ANOTHER_APP
    elif names & IN_ITS_WAY:
        kind = Kind.IN_THE_WAY
    else:
        kind = Kind.OTHER
    return Contents(kind, number, newest)


def wrong(contents: Contents, database: str) -> Ended | None:
    """Why this cannot be Chatwoot's database, where it cannot."""
    match contents.kind:
        case Kind.HOTDASH:
            return refused(
                "hotdash-database",
                f"database {database} is HotDash's own: it has the table dashboard_facts",
                "give Chatwoot its own database's URL. Migrations here would mix the two",
            )
        case Kind.HALF_LOADED:
            return refused(
                "half-loaded",
                f"database {database} has tables of Chatwoot's, and its schema was never loaded to the end "
                f"({RAILS_MARK} or installation_configs is missing)",
                "the next migration drops these tables and makes them anew. If anything in them counts, restore a "
                "backup first; if nothing does, empty the schema and migrate",
            )
        case Kind.ANOTHER_APP:
            return refused(
                "another-app",
                f"database {database} is another Rails app's: it has migrations, and no tables of Chatwoot's",
                "give Chatwoot its own database's URL",
            )
        case Kind.IN_THE_WAY:
            return refused(
                "another-app",
                f"database {database} is not Chatwoot's, and has tables of the same names",
                "give Chatwoot its own database's URL: its first migration would drop those tables",
            )
        case _:
            return None


def remarks(contents: Contents) -> list[str]:
    """What is not wrong, and worth knowing."""
    match contents.kind:
        case Kind.EMPTY:
            return ["the database is empty: Chatwoot answers 500 until `rails db:chatwoot_prepare` has run"]
        case Kind.OTHER:
            return ["the database has tables, and none of them is Chatwoot's: is it the right one?"]
        case _:
            return []


def extensions_needed(contents: Contents) -> tuple[str, ...]:
    """`vector` from Chatwoot 4.0.0 on; a database without migrations is taken for one that a new version will use."""
    older = contents.newest and contents.newest < VECTOR_MIGRATION
    return ALWAYS if older else (*ALWAYS, FROM_4_0)


@dataclass(frozen=True)
class Extensions:
    """Of those that Chatwoot needs: what there is. `missing` cannot be made, whoever tries; `forbidden` not by this
    role."""

    installed: tuple[str, ...]
    available: tuple[str, ...]
    forbidden: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        parts = (
            ("installed", self.installed),
            ("available", self.available),
            ("only for another role to make", self.forbidden),
            ("missing", self.missing),
        )
        return "; ".join(f"{label}: {', '.join(names)}" for label, names in parts if names)


def compare(
    needed: tuple[str, ...], found: Mapping[str, Extension], *, may_create: bool, superuser: bool
) -> Extensions:
    installed, available, forbidden, missing = [], [], [], []
    for name in needed:
        there = found.get(name)
        if there is None:
            missing.append(name)
        elif there.installed:
            installed.append(name)
        elif superuser or (may_create and there.makeable):
            available.append(name)
        else:
            forbidden.append(name)
    return Extensions(tuple(installed), tuple(available), tuple(forbidden), tuple(missing))


def lacking(contents: Contents, extensions: Extensions) -> Ended | None:
    """Where the schema is still to be loaded, an extension that the server has not makes that impossible."""
    if contents.kind is not Kind.EMPTY or not extensions.missing:
        return None
    return refused(
        "extension-missing",
        f"the server has no {_and(extensions.missing)}, and Chatwoot's schema cannot be loaded without",
        "install it on the server (vector is pgvector, the others are Postgres' contrib), or use another server",
    )


def extension_warnings(contents: Contents, extensions: Extensions) -> list[str]:
    found = []
    if extensions.missing and contents.kind is not Kind.EMPTY:
        found.append(
            f"the server has no {_and(extensions.missing)}: the schema is there, and the next one may need it"
        )
    if extensions.forbidden:
        names = _and(extensions.forbidden)
        found.append(
            f"{names} must be made by a role that may: CREATE EXTENSION IF NOT EXISTS …, before migrations run "
            "(Supabase lets its own roles make them)"
        )
    return found


def _and(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
