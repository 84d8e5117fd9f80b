"""A Postgres of the sandbox's kind, with what its tests need besides: IPv6, few slots, databases of every kind.

The wheel's Postgres is built without TLS: that is had from a PgBouncer before it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psycopg
from psycopg.sql import SQL, Identifier

from sandbox.services import schema
from sandbox.services.endpoints import load_or_create
from sandbox.services.postgres import Postgres

SLOTS = 60
RESERVED = 3
_SETTINGS = f"""
listen_addresses = '127.0.0.1, ::1'
max_connections = {SLOTS}
superuser_reserved_connections = {RESERVED}
"""
_ACCESS = """\
host all outsider all reject
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


class Server:
    """A cluster with Chatwoot's database and HotDash's, as in the sandbox. All roles have passwords."""

    def __init__(self, directory: Path) -> None:
        self.endpoints = load_or_create(directory)
        self._data = directory / "postgres" / "data"
        self._server = Postgres(directory, self.endpoints, directory / "postgres.log")

    @property
    def port(self) -> int:
        return self.endpoints.postgres_port

    def start(self) -> None:
        self._server.start(lambda _: None)
        self._server.stop()
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS)
        (self._data / "pg_hba.conf").write_text(_ACCESS)
        self._server.start(lambda _: None)
        schema.prepare(self.endpoints)

    def stop(self) -> None:
        self._server.stop()

    def url(
        self,
        *,
        role: str = "",
        password: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        database: str = "",
        query: str = "",
    ) -> str:
        """The URL of Chatwoot's database, with the given parts in place of its own."""
        account = self.endpoints.chatwoot
        word = account.password if password is None else password
        return (
            f"postgres://{quote(role or account.role, safe='')}:{quote(word, safe='')}@{host}:{port or self.port}"
            f"/{quote(database or account.database, safe='')}{query}"
        )

    @property
    def hotdash_url(self) -> str:
        return self.endpoints.hotdash.dsn("127.0.0.1", self.port)

    def execute(self, *statements: LiteralString, database: str = "postgres") -> None:
        """As the superuser, each for itself."""
        with self._superuser(database) as session:
            for statement in statements:
                session.execute(statement)

    def make_database(self, name: str, *statements: LiteralString) -> None:
        """A database of Chatwoot's role, with what the superuser makes in it."""
        with self._superuser("postgres") as session:
            owner = Identifier(self.endpoints.chatwoot.role)
            session.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), owner))
        self.execute(*statements, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO chatwoot", database=name)

    @contextlib.contextmanager
    def exhausted(self) -> Iterator[None]:
        """Every slot taken that a role may have which is no superuser."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(psycopg.OperationalError):
                for _ in range(SLOTS):
                    held.enter_context(psycopg.connect(self.url()))
            yield

    def clients(self) -> int:
        """How many sessions there are of clients, this question's left out."""
        with self._superuser("postgres") as session:
            row = session.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
        return int(row[0]) if row else 0

    def _superuser(self, database: str) -> psycopg.Connection:
        account = self.endpoints.superuser
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=account.role,
            password=account.password,
            autocommit=True,
        )


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[Server]:
    server = Server(directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()
