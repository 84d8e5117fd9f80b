"""Which URLs lead to one server or pool, as far as their texts tell: behind one door, connections are counted together.

Before anybody is asked a text is all there is. So the promise of two connections holds for what has one host and port,
for what is one project of a vendor whose forms are known, and for Chatwoot's own URLs, which are meant to be one
database. Two names of one server that nobody knows for such are two doors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from hotdash.dsn import DEFAULT_PORT, Dsn, classify
from hotdash.dsn.rules.anywhere import is_this_machine

_OWN: Final = "Chatwoot's own"
"""No server's name: it has a blank."""


def doors(dsns: Mapping[str, Dsn | None], own: Collection[str]) -> dict[str, str]:
    """The door of each: the same text where they have one.

    Args:
        dsns: by name; None: its URL is none, and opens nothing.
        own: the names of Chatwoot's own, whatever they say.
    """
    found: list[tuple[set[str], set[str]]] = []
    for name, dsn in dsns.items():
        servers = {*(_servers(dsn) if dsn else ()), *({_OWN} if name in own else ())}
        shared = [door for door in found if not door[0].isdisjoint(servers)]
        found = [door for door in found if door[0].isdisjoint(servers)]
        # One URL with two hosts makes one door of two.
        found.append((servers.union(*(s for s, _ in shared)), {name}.union(*(n for _, n in shared))))
    return {name: min(names) for _, names in found for name in names}


def _servers(dsn: Dsn) -> set[str]:
    """What it takes connections from: the server that is behind its poolers, where that can be told; else its hosts. A
    vendor's pooler has one host for many projects, each with a pool of its own."""
    if identity := classify(dsn).identity:
        return {identity.rpartition("/")[0]}
    return {
        f"{'localhost' if is_this_machine(host.name) else host.name.lower().rstrip('.')}:{host.port or DEFAULT_PORT}"
        for host in dsn.hosts
    }
