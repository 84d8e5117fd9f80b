"""A machine's connection to Postgres: made at the first query, kept, made anew when it was lost.

One where Rails has a pool of five: enough to tell a good DSN from a bad one. A machine can be told to hold them all."""

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg

from sandbox.chatwoot.settings import Target

_CONNECT_SECONDS = 5
_BEAT_SECONDS = 1.0


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


def pool_size(env: Mapping[str, str], worker: bool) -> int:
    """How many connections a machine may hold: a thread has one (config/database.yml), in each of Puma's processes."""

    def number(name: str, default: int) -> int:
        text = env.get(name, "")
        return int(text) if text.isdigit() else default

    if worker:
        return number("SIDEKIQ_CONCURRENCY", 10)
    return max(number("WEB_CONCURRENCY", 0), 1) * number("RAILS_MAX_THREADS", 5)


def hold(first: Database, target: Target, application: str, size: int) -> None:
    """Keep `first` and others like it connected, `size` in all, as a busy machine does. Goes on in the background; what
    cannot be had is tried for again and again."""
    held = [first, *(Database(target, application) for _ in range(size - 1))]

    def keep() -> None:
        while True:
            for database in held:
                with contextlib.suppress(psycopg.Error):
                    database.query("SELECT 1")
            time.sleep(_BEAT_SECONDS)

    threading.Thread(target=keep, daemon=True).start()
