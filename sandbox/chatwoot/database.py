"""A machine's connection to Postgres: made at the first query, kept, made anew when it was lost.

One where Rails has a pool of five: enough to tell a good DSN from a bad one."""

import threading
from typing import Any, LiteralString

import psycopg

from sandbox.chatwoot.settings import Target

_CONNECT_SECONDS = 5


class Database:
    """Safe to use from several threads; they take turns."""

    def __init__(self, target: Target, application: str) -> None:
        self._target = target
        self._application = application
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def query(self, sql: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Run `sql`, connecting first if need be.

        Raises:
            psycopg.Error: no connection, or the statement failed.
        """
        with self._lock:
            if not self._alive():
                self._connection = None
                self._connection = psycopg.connect(
                    host=self._target.host,
                    port=self._target.port,
                    dbname=self._target.database,
                    user=self._target.user,
                    password=self._target.password,
                    sslmode=self._target.sslmode,
                    application_name=self._application,
                    connect_timeout=_CONNECT_SECONDS,
                    autocommit=True,
                    prepare_threshold=None,  # a pooler may stand between
                )
            assert self._connection is not None
            return self._connection.execute(sql, values or None).fetchall()

    def active(self) -> bool:
        """Rails' `active?`: false for a connection that has not run a query yet, so false at first on a healthy
        install too."""
        with self._lock:
            return self._alive()

    def _alive(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute("")
        except psycopg.Error:
            self._connection.close()
        return not self._connection.closed
