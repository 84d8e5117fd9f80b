"""Opening a connection, within a deadline; and what a server's refusal means."""

from __future__ import annotations

import contextlib
import math
import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hotdash.dsn import DEFAULT_PORT, Dsn
from hotdash.preflight.network import reach
from hotdash.preflight.outcome import Verdict
from hotdash.preflight.server_errors import explain_error
from hotdash.preflight.trial import Deadline, Ended, Notes, unclear

if TYPE_CHECKING:
    from psycopg import Connection, Error

_BEFORE_THE_WORDS: Final = re.compile(
    r"(?:connection failed: )?connection to server (?:at|on) .*? failed: |connection failed: ", re.IGNORECASE
)


@dataclass(frozen=True)
class Login:
    """Who logs in where: what libpq takes, with the addresses that were seen to answer."""

    dsn: Dsn
    keywords: dict[str, Any] = field(repr=False)
    deadline: Deadline

    @contextlib.contextmanager
    def open(self, **instead: Any) -> Iterator[Connection]:
        """A connection in autocommit, closed at the end; at the deadline it is cut, whatever it waits for.

        Args:
            instead: keywords that replace the URL's.

        Raises:
            Ended: no login, or the connection broke.
        """
        import psycopg  # here: costly to load, and not for every process that looks in here

        try:
            # Whole seconds, and psycopg makes at least 2 of them.
            timeout = math.ceil(self.deadline.left)
            connection = psycopg.connect(
                **{**self.keywords, **instead},
                connect_timeout=timeout,
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            raise ended_by(error) from None
        with contextlib.closing(connection), _cut(connection, self.deadline):
            try:
                yield connection
            except psycopg.Error as error:
                if self.deadline.passed:
                    raise unclear(
                        "timeout", "the server did not answer in time", "try again; if it lasts, see its load"
                    ) from None
                raise ended_by(error) from None


def prepare(dsn: Dsn, deadline: Deadline, notes: Notes) -> Login:
    """Look up and reach the URL's hosts, and make ready to log in. Raises Ended: none can be reached."""
    keywords = dsn.for_libpq()
    # The name under which it shows in pg_stat_activity; not through a pooler, where Supavisor's mark would be hidden.
    keywords.pop("application_name", None)
    keywords["password"] = dsn.password
    reached, unreached = [], []
    for name, port in dsn.hosts:
        if name.startswith("/"):
            return Login(dsn, keywords, deadline)
        try:
            reached.append(reach(name, port or DEFAULT_PORT, deadline, notes))
        except Ended as end:
            unreached.append(end)
    if not reached:
        raise unreached[0]
    keywords |= {
        "host": ",".join(way.host for way in reached),
        "hostaddr": ",".join(way.address for way in reached),
        "port": ",".join(str(way.port) for way in reached),
    }
    return Login(dsn, keywords, deadline)


def ended_by(error: Error) -> Ended:
    """What a server's or libpq's error means for the credential."""
    said = words_of(error)
    if explained := explain_error(said):
        rule = explained.rule
        return Ended(rule.verdict, rule.code, f"{said}: {rule.meaning}", rule.next)
    return Ended(
        Verdict.UNCLEAR,
        "unknown-error",
        said,
        "no rule knows these words: they are the server's own; see its log",
    )


def words_of(error: Error) -> str:
    """The server's words, without where they came from: that stands beside them anyway."""
    text = str(error).strip() or type(error).__name__
    # libpq may have tried several addresses and TLS first: the last line is of the last try.
    lines = [_BEFORE_THE_WORDS.sub("", line).strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL:" in line or "ERROR:" in line]
    return " ".join((fatal[-1] if fatal else " ".join(lines)).split())


@contextlib.contextmanager
def _cut(connection: Connection, deadline: Deadline) -> Iterator[None]:
    """Break the connection at the deadline: psycopg's own waiting has none once it is connected."""
    # A descriptor of its own, so that nothing else can have got the number meanwhile.
    sock = socket.socket(fileno=os.dup(connection.fileno()))

    def cut() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline.left, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        sock.close()
