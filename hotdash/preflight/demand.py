"""How many database connections a Chatwoot opens when it is busy: what a database must have room for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

WEB_THREADS: Final = 5
"""RAILS_MAX_THREADS where it is not set (Chatwoot's config/puma.rb and config/database.yml)."""
SIDEKIQ_THREADS: Final = 10
"""SIDEKIQ_CONCURRENCY where it is not set (Chatwoot's config/sidekiq.yml and config/database.yml)."""
_COUNT: Final = re.compile(r"\s*\+?(\d{1,5})\s*\Z")


@dataclass(frozen=True)
class Demand:
    """The most connections that Chatwoot's processes can hold at once. Their pools fill as they get busy.

    Args:
        web: machines that run Puma.
        processes: Puma workers on each: WEB_CONCURRENCY, 1 where that is 0 or not set.
        threads: of each Puma worker: RAILS_MAX_THREADS.
        workers: machines that run Sidekiq, one process each.
        concurrency: threads of each Sidekiq: SIDEKIQ_CONCURRENCY.
        migrations: connections of a migration that runs beside them: 1; 2 on Rails 7.0, that is Chatwoot up to 4.2,
            which opens another for its lock (Rails' source).
        limit: connections that the pooler gives, where somebody said so; it does not tell by itself.
    """

    web: int
    workers: int
    processes: int = 1
    threads: int = WEB_THREADS
    concurrency: int = SIDEKIQ_THREADS
    migrations: int = 1
    limit: int | None = None

    @classmethod
    def of(cls, *, web: int, workers: int, env: Mapping[str, str], migrations: int = 1) -> Demand:
        """With what the environment says of threads; what cannot be read there counts as not set."""
        return cls(
            web=web,
            workers=workers,
            processes=max(1, _number(env.get("WEB_CONCURRENCY", ""), 1)),
            threads=max(1, _number(env.get("RAILS_MAX_THREADS", ""), WEB_THREADS)),
            concurrency=max(1, _number(env.get("SIDEKIQ_CONCURRENCY", ""), SIDEKIQ_THREADS)),
            migrations=migrations,
        )

    @property
    def total(self) -> int:
        return self.web * self.processes * self.threads + self.workers * self.concurrency + self.migrations

    def __str__(self) -> str:
        processes = f" × {self.processes}" if self.processes > 1 else ""
        return (
            f"{self.web} web{processes} × {self.threads} + "
            f"{_counted(self.workers, 'worker')} × {self.concurrency} + "
            f"{_counted(self.migrations, 'migration')} = {self.total}"
        )

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "total": self.total, "text": str(self)}


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _number(text: str, default: int) -> int:
    return int(found.group(1)) if (found := _COUNT.match(text)) else default
