"""The one connection of a migration, as Active Record uses it, and Postgres' errors in Rails' words."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg.sql import SQL, Literal

from sandbox.chatwoot.settings import Target

_CONNECT_SECONDS: Final = 15
# Where Ruby's driver has another name for an error than ours.
_RUBY_NAMES: Final = {
    "DuplicatePreparedStatement": "DuplicatePstatement",
    "OperationalError": "ConnectionBad",
}


class Aborted(Exception):
    """Rails gives up: `lines` is what it prints then. `plain`: as `abort` does, without a word before."""

    def __init__(self, *lines: str, plain: bool = False) -> None:
        super().__init__(lines[0])
        self.lines = lines
        self.plain = plain


class Session:
    """A connection with Rails' settings. Statements are transactions of their own outside of `transaction`."""

    def __init__(self, connection: psycopg.Connection, prepares: bool) -> None:
        self._connection = connection
        self._prepares = prepares
        self._prepared: dict[str, str] = {}

    @property
    def usable(self) -> bool:
        return not self._connection.closed

    def execute(self, sql: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Raises psycopg.Error."""
        cursor = self._connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: LiteralString, *values: object) -> Any:
        rows = self.execute(sql, *values)
        return rows[0][0] if rows else None

    def load(self, sql: LiteralString, value: str) -> list[tuple[Any, ...]]:
        """What a model's query does: prepared under a name of the connection's, `a1`, `a2`, …, and executed by that,
        in two steps, which a pooler may give to two servers. `sql` has one `$1`."""
        if not self._prepares:
            return self._connection.execute(SQL(sql.replace("$1", "%s")), [value]).fetchall()
        name = self._prepared.get(sql)
        if name is None:
            name = f"a{len(self._prepared) + 1}"
            self._connection.execute(SQL("PREPARE {} (text) AS ").format(SQL(name)) + SQL(sql))
            self._prepared[sql] = name
        return self._connection.execute(SQL("EXECUTE {} ({})").format(SQL(name), Literal(value))).fetchall()

    def transaction(self) -> AbstractContextManager[Any]:
        return self._connection.transaction()


@contextmanager
def connected(target: Target, statement_timeout: str) -> Iterator[Session]:
    """Log in, and set what Rails sets for each connection.

    Raises:
        Aborted: no connection; with Rails' words and the driver's.
    """
    try:
        connection = psycopg.connect(
            host=target.host,
            port=target.port,
            dbname=target.database,
            user=target.user,
            password=target.password,
            sslmode=target.sslmode,
            application_name="bin/rails",
            connect_timeout=_CONNECT_SECONDS,
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        raise _not_connected(target, error) from None
    with connection:
        session = Session(connection, target.prepared_statements)
        try:
            connection.execute("SET standard_conforming_strings = on")
            connection.execute("SET SESSION timezone TO 'UTC'")
            connection.execute(SQL("SET SESSION statement_timeout TO {}").format(Literal(statement_timeout)))
        except psycopg.Error as error:
            # A session pooler greets from memory, and has a server, or not, only now.
            raise _not_connected(target, error) from None
        yield session


def told(error: psycopg.Error) -> str:
    """An error in the words of Ruby's driver: `PG::DuplicateColumn: ERROR:  column …`."""
    kind = type(error).__name__
    severity = f"{error.diag.severity}:  " if error.diag.severity else ""
    text = error.diag.message_primary or " ".join(str(error).split())
    return f"PG::{_RUBY_NAMES.get(kind, kind)}: {severity}{text}"


def active_record(error: psycopg.Error) -> str:
    """The same as Active Record wraps it."""
    kind = "QueryCanceled" if isinstance(error, psycopg.errors.QueryCanceled) else "StatementInvalid"
    return f"ActiveRecord::{kind}: {told(error)}"


def _not_connected(target: Target, error: psycopg.Error) -> Aborted:
    """Rails 7.1 guesses by what the driver's text contains (PostgreSQLAdapter.new_client)."""
    text = " ".join(str(error).split()).removeprefix("connection failed: ")
    if f'"{target.database}"' in text:
        said = f"ActiveRecord::NoDatabaseError: We could not find your database: {target.database}."
    elif f'"{target.user}"' in text:
        said = (
            "ActiveRecord::DatabaseConnectionError: There is an issue connecting to your database with your "
            f"username/password, username: {target.user}."
        )
    elif target.host in text:
        said = f"ActiveRecord::DatabaseConnectionError: There is an issue connecting with your hostname: {target.host}."
    else:
        said = f"ActiveRecord::ConnectionNotEstablished: {text}"
    return Aborted(said, "Caused by:", f"PG::ConnectionBad: {text}")
