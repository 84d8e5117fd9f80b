"""The log of API requests: what was asked of the sandbox, by route. No bodies, no tokens."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT = 5000


@dataclass(frozen=True)
class Entry:
    """One answered request. `time` in RFC 3339, `ms` what it took, `operation` the name of a GraphQL query."""

    time: str
    method: str
    route: str
    path: str
    status: int | None
    ms: float
    caller: str
    request_id: str
    fault: str | None = None
    operation: str | None = None


class RequestLog:
    """In memory only; a count per route and the last requests."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._counts[f"{entry.method} {entry.route}"] += 1

    def clear(self) -> None:
        self._entries.clear()
        self._counts.clear()

    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def to_json(self) -> dict[str, Any]:
        return {
            "total": sum(self._counts.values()),
            "counts": self.counts(),
            "requests": [asdict(entry) for entry in self._entries],
        }
