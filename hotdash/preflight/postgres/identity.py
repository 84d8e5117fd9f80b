"""Which database a URL really leads to, so that two URLs of one database are known for such, whatever they say."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from hotdash.dsn import Dsn, same_database
from hotdash.preflight.postgres.login import prepare
from hotdash.preflight.postgres.reading import Itself, identify
from hotdash.preflight.trial import Deadline, Ended, Notes, unclear


@dataclass(frozen=True)
class LiveIdentity:
    """A database as its server tells it apart.

    Args:
        oid: the database's own number in its cluster.
        started: when the server was started, to the microsecond: two clusters do not share it.
        system: the cluster's identifier, made by initdb; None where the role may not ask. A copy of a cluster has
            the same one, so it is no proof alone.
        replica: a replica is the same database as its primary, though it was started at another time.
    """

    oid: int
    started: datetime
    system: str | None
    replica: bool

    @classmethod
    def of(cls, itself: Itself, system: str | None) -> LiveIdentity:
        return cls(itself.oid, itself.started, system, itself.replica)

    def same_as(self, other: LiveIdentity) -> bool:
        if self.oid != other.oid:
            return False
        if self.started == other.started:
            return self.system is None or other.system is None or self.system == other.system
        return self.system is not None and self.system == other.system and (self.replica or other.replica)


@dataclass(frozen=True)
class Unidentified:
    """No identity could be had, and why."""

    said: str


class Identities:
    """The identities of the databases of one run, each asked for once, whoever asks first.

    Args:
        dsns: by name: a secret's, or the label of a database that Chatwoot must not get. None: its URL is none.
        doors: for each name what it shares its connections with; see `hotdash.preflight.postgres.doors`.
    """

    def __init__(self, dsns: Mapping[str, Dsn | None], doors: Mapping[str, str]) -> None:
        self._dsns = dsns
        self._known: dict[str, LiveIdentity | Unidentified] = {}
        by_door = {door: threading.Lock() for door in doors.values()}
        self._locks = {name: by_door[doors[name]] for name in dsns}

    @contextlib.contextmanager
    def held(self, name: str, seconds: float) -> Iterator[Learning]:
        """For the check of that database, which has its door to itself: whoever asks for an identity behind it
        meanwhile waits for what the check learns, so that no further connection is opened.

        Args:
            seconds: for which it waits for whoever is asking there.

        Raises:
            Ended: that one did not end.
        """
        lock = self._locks[name]
        if not lock.acquire(timeout=seconds):
            raise unclear(
                "timeout",
                "another check was still waiting for the same server",
                "try again; if it lasts, see whether the server answers from anywhere",
            )
        learning = Learning()
        try:
            yield learning
        except Ended as end:
            learning.identity = Unidentified(end.said)
            raise
        finally:
            if learning.identity:
                self._known[name] = learning.identity
            lock.release()

    def of(self, name: str, deadline: Deadline) -> LiveIdentity | Unidentified:
        """Ask the server, unless it is known: one connection, closed again."""
        if name in self._known:
            return self._known[name]
        lock = self._locks[name]
        if not lock.acquire(timeout=deadline.left):
            return Unidentified("it does not answer in time")
        try:
            if name not in self._known:
                self._known[name] = _ask(self._dsns[name], deadline)
            return self._known[name]
        finally:
            lock.release()

    def same_by_name(self, one: str, other: str) -> bool | None:
        """Whether two lead to one database, as far as their URLs alone tell: None where they do not."""
        first, second = self._dsns[one], self._dsns[other]
        if first is None or second is None:
            return None
        return same_database(first, second)


@dataclass
class Learning:
    """What a check learns while it holds a database's identity."""

    identity: LiveIdentity | Unidentified | None = None

    def learned(self, identity: LiveIdentity) -> None:
        self.identity = identity


def _ask(dsn: Dsn | None, deadline: Deadline) -> LiveIdentity | Unidentified:
    if dsn is None:
        return Unidentified("its URL is none")
    try:
        with prepare(dsn, deadline, Notes()).open() as connection:
            return LiveIdentity.of(*identify(connection))
    except Ended as end:
        return Unidentified(end.said)
