"""The stand-ins of the extensions that Chatwoot's schema names."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from sandbox.chatwoot.migrations import EXTENSIONS
from sandbox.services import Services, contrib

_MADE = "SELECT e.extname, d.description FROM pg_extension e JOIN pg_description d ON d.objoid = e.oid"


def test_chatwoots_extensions_are_there_and_plainly_stand_ins(tmp_path: Path) -> None:
    async def run() -> None:
        services = Services(tmp_path)
        found = await services.start()
        try:
            for _ in range(2):
                with psycopg.connect(found.database_url, autocommit=True) as session:
                    made: dict[str, str] = dict(session.execute(_MADE).fetchall())
                    assert set(EXTENSIONS) <= set(made)
                    for name in contrib.VERSIONS:
                        assert "stand-in of the sandbox" in made[name]
                    # As Chatwoot's schema asks for them.
                    session.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                await services.restore()
        finally:
            await services.stop()

    asyncio.run(run())


def test_another_database_can_make_them_as_far_as_its_role_may(tmp_path: Path) -> None:
    async def run() -> None:
        services = Services(tmp_path)
        found = await services.start()
        try:
            with psycopg.connect(
                found.hotdash.dsn(found.postgres_host, found.postgres_port), autocommit=True
            ) as session:
                session.execute("CREATE EXTENSION pgcrypto")
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied to create"):
                    session.execute("CREATE EXTENSION pg_stat_statements")
        finally:
            await services.stop()

    asyncio.run(run())


def test_each_is_found_by_its_version(tmp_path: Path) -> None:
    contrib.write(tmp_path)
    contrib.write(tmp_path)
    folder = tmp_path / contrib.FOLDER / "extension"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        name
        for known, version in contrib.VERSIONS.items()
        for name in (f"{known}.control", f"{known}--{version}.sql")
    )
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())
