"""How many database connections a stack's machines open, by what its file declares."""

from __future__ import annotations

from collections.abc import Iterable

from hotdash.preflight.demand import Demand
from hotdash.stack.settings import ConnectionSettings, GroupSettings


def demand_of(groups: Iterable[GroupSettings], connections: ConnectionSettings) -> Demand:
    """Groups with a check are web: Puma, with a pool for each of its processes. The others run Sidekiq."""
    web = workers = 0
    for group in groups:
        if group.declared.check is not None:
            web += group.declared.count or 0
        else:
            workers += group.declared.count or 0
    return Demand(
        web=web,
        workers=workers,
        processes=max(1, connections.web_processes),
        threads=connections.web_threads,
        concurrency=connections.worker_threads,
        limit=connections.limit,
    )
