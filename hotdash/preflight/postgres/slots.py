"""Connections: how many there are, how many others hold, and whether Chatwoot's fit in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hotdash.dsn import Pooling
from hotdash.preflight.demand import Demand
from hotdash.preflight.postgres.pooling import Seen
from hotdash.preflight.postgres.reading import Itself, Sessions

SUPAVISOR_POOL_SIZE: Final = 15
"""Connections of one pool unless a project sets more (Supavisor's source, Supabase's docs). It does not tell."""
_FEWER: Final = "use fewer machines or threads (RAILS_MAX_THREADS, SIDEKIQ_CONCURRENCY)"


@dataclass(frozen=True)
class Slots:
    """What one role may have in one database.

    Args:
        ceiling: when nobody else is there.
        by: what sets that limit, for people.
        taken: of those, how many are held by others than this role in this database.
        held: by this role in this database now: a Chatwoot that runs, and this check.
    """

    ceiling: int
    by: str
    taken: int
    held: int

    @property
    def room(self) -> int:
        return max(0, self.ceiling - self.taken)

    def __str__(self) -> str:
        others = f" − {self.taken} that others hold" if self.taken else ""
        return f"{self.by}{others} = {self.room} for this role here, which holds {self.held}"


def count(itself: Itself, sessions: Sessions) -> Slots:
    """The limit that is reached first. A limit of -1 is none (Postgres' documentation)."""
    reserved = 0 if itself.superuser else itself.for_superusers + itself.reserved
    limits = [
        Slots(
            itself.most - reserved,
            f"{itself.most} − {reserved} reserved" if reserved else f"{itself.most}",
            sessions.all - sessions.own,
            sessions.own,
        )
    ]
    if itself.role_limit >= 0 and not itself.superuser:
        by = f"the role's limit of {itself.role_limit}"
        limits.append(Slots(itself.role_limit, by, sessions.of_role - sessions.own, sessions.own))
    if itself.database_limit >= 0 and not itself.superuser:
        by = f"the database's limit of {itself.database_limit}"
        limits.append(Slots(itself.database_limit, by, sessions.of_database - sessions.own, sessions.own))
    return min(limits, key=lambda slots: slots.room)


def impossible(slots: Slots, demand: Demand, seen: Seen) -> str:
    """Why the database can never have room for this Chatwoot, or nothing. Behind a pooler that shares connections out
    by the transaction, clients are no connections."""
    if seen.pooling in (Pooling.TRANSACTION, Pooling.STATEMENT) or demand.total <= slots.ceiling:
        return ""
    return f"Chatwoot opens up to {demand} connections, and there are {slots.ceiling}: {slots.by}"


def warnings(slots: Slots, demand: Demand, seen: Seen) -> list[str]:
    """Where it depends on the moment, or on what a pooler does not tell."""
    if seen.pooling in (Pooling.TRANSACTION, Pooling.STATEMENT):
        return []
    found = []
    if slots.room < demand.total <= slots.ceiling:
        found.append(
            f"Chatwoot opens up to {demand} connections, and there is room for {slots.room} now: {slots}"
        )
    if seen.pooling is Pooling.DIRECT:
        return found
    size = demand.limit or seen.pool_size
    if size is not None and demand.total > size:
        found.append(
            f"Chatwoot opens up to {demand} connections, and the pool has {size}: the rest waits or is refused. Raise "
            f"the pool's size, or {_FEWER}; migrate over the direct URL"
        )
    elif size is None and seen.family == "Supavisor" and demand.total > SUPAVISOR_POOL_SIZE:
        found.append(
            f"Chatwoot opens up to {demand} connections, and Supavisor's session pool has {SUPAVISOR_POOL_SIZE} unless "
            f"the project sets more: the rest is refused. Raise the pool's size and declare it, or {_FEWER}; migrate "
            "over the direct URL"
        )
    return found
