"""Which migrations the stand-in has, by Chatwoot's version, and the schema that they lead to. No I/O.

Up to 4.11 the versions are some of Chatwoot's own; what they do here, and all that comes after, is made up: real
statements, small ones.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, LiteralString

EXTENSIONS: Final = ("pg_stat_statements", "pg_trgm", "pgcrypto", "vector")
"""What Chatwoot's schema enables besides plpgsql."""

TABLES: Final[dict[str, LiteralString]] = {
    "schema_migrations": "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
    "installation_configs": """CREATE TABLE installation_configs (
  id bigserial PRIMARY KEY, name varchar NOT NULL UNIQUE, serialized_value jsonb NOT NULL DEFAULT '{}',
  locked boolean NOT NULL DEFAULT true)""",
    "portals": """CREATE TABLE portals (
  id serial PRIMARY KEY, account_id integer NOT NULL, name varchar NOT NULL, slug varchar NOT NULL UNIQUE,
  custom_domain varchar UNIQUE, config jsonb DEFAULT '{"allowed_locales": ["en"]}', archived boolean DEFAULT false)""",
}
"""The tables of 4.11, by name: those by which one tells that a database is Chatwoot's."""
INTERNAL_METADATA: Final[LiteralString] = """CREATE TABLE ar_internal_metadata (
  key varchar PRIMARY KEY, value varchar, created_at timestamp NOT NULL, updated_at timestamp NOT NULL)"""
"""The last thing that loading a schema makes: without it Rails takes the schema for one that is not there."""


@dataclass(frozen=True)
class Change:
    """One call of a migration: as Rails tells of it, and what it does."""

    told: str
    sql: LiteralString


@dataclass(frozen=True)
class Migration:
    """One migration.

    Args:
        transactional: not those with `disable_ddl_transaction!`, which build an index while others write.
        job: the background job that it enqueues, which needs Redis.
    """

    version: str
    name: str
    changes: tuple[Change, ...]
    transactional: bool = True
    job: str = ""


ADD_VECTOR: Final = "20250104200055"

# An old one only runs where somebody made Rails forget that it had.
_OLD: Final = (
    Migration(
        "20231211010807",
        "AddArchivedToPortals",
        (
            Change(
                "add_column(:portals, :archived, :boolean, {default: false})",
                "ALTER TABLE portals ADD COLUMN IF NOT EXISTS archived boolean DEFAULT false",
            ),
        ),
    ),
    Migration(
        "20240129080827",
        "AddConfigToPortals",
        (
            Change(
                "add_column(:portals, :config, :jsonb)",
                "ALTER TABLE portals ADD COLUMN IF NOT EXISTS config jsonb",
            ),
        ),
    ),
    Migration(
        ADD_VECTOR,
        "AddVectorExtension",
        (Change('enable_extension("vector")', "CREATE EXTENSION IF NOT EXISTS vector"),),
    ),
    Migration(
        "20250523031839",
        "AddLockedToInstallationConfigs",
        (
            Change(
                "add_column(:installation_configs, :locked, :boolean, {null: false, default: true})",
                "ALTER TABLE installation_configs ADD COLUMN IF NOT EXISTS locked boolean NOT NULL DEFAULT true",
            ),
        ),
    ),
    Migration(
        "20251119094040",
        "AddIndexToPortalsOnAccount",
        (
            Change(
                "add_index(:portals, :account_id)",
                "CREATE INDEX IF NOT EXISTS index_portals_on_account_id ON portals (account_id)",
            ),
        ),
    ),
)
_NEW_IN_4_12: Final = (
    Migration(
        "20260105090000",
        "CreateHotdashNotes",
        (
            Change(
                "create_table(:hotdash_notes)",
                "CREATE TABLE hotdash_notes (id bigserial PRIMARY KEY, body text)",
            ),
        ),
    ),
    Migration(
        "20260112090000",
        "AddPinnedToPortals",
        (
            Change(
                "add_column(:portals, :pinned, :boolean, {default: false})",
                "ALTER TABLE portals ADD COLUMN pinned boolean DEFAULT false",
            ),
            Change(
                "change_column_null(:portals, :archived, false)",
                "ALTER TABLE portals ALTER COLUMN archived SET NOT NULL",
            ),
        ),
        job="Migration::BackfillPinnedPortalsJob",
    ),
    Migration(
        "20260119090000",
        "AddIndexToPortalsOnName",
        (
            Change(
                "add_index(:portals, :name, {algorithm: :concurrently})",
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS index_portals_on_name ON portals (name)",
            ),
        ),
        transactional=False,
    ),
)
_NEW_IN_4_13: Final = (
    Migration(
        "20260302090000",
        "AddAuthorToHotdashNotes",
        (
            Change(
                "add_column(:hotdash_notes, :author, :string)",
                "ALTER TABLE hotdash_notes ADD COLUMN author varchar",
            ),
        ),
    ),
    Migration(
        "20260309090000",
        "CreateHotdashTags",
        (
            Change(
                "create_table(:hotdash_tags)",
                "CREATE TABLE hotdash_tags (id bigserial PRIMARY KEY, name varchar)",
            ),
        ),
    ),
)

BY_VERSION: Final[tuple[tuple[tuple[int, int, int], tuple[Migration, ...]], ...]] = (
    ((0, 0, 0), _OLD),
    ((4, 12, 0), _NEW_IN_4_12),
    ((4, 13, 0), _NEW_IN_4_13),
)
"""The migrations that came with each version of Chatwoot, the oldest first."""
VERSIONS: Final = tuple(migration.version for _, migrations in BY_VERSION for migration in migrations)


def added_in(version: tuple[int, int, int]) -> tuple[str, ...]:
    """The versions of the migrations that came with a version of Chatwoot."""
    return tuple(m.version for since, migrations in BY_VERSION if since == version for m in migrations)


def of_version(version: tuple[int, int, int]) -> tuple[Migration, ...]:
    """All that an image of this version has, the oldest first."""
    return tuple(m for since, migrations in BY_VERSION if since <= version for m in migrations)


def pending(version: tuple[int, int, int], done: Collection[str]) -> tuple[Migration, ...]:
    """Those of an image that a database has not had."""
    return tuple(m for m in of_version(version) if m.version not in done)
