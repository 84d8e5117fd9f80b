"""What is known of Chatwoot's own paths and variables, and one look at a running one from outside."""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from hotdash.said import shown

UNROUTED: Final = {
    "/rails/health": "no version of Chatwoot has this route, so it answers 404",
    "/up": "no version of Chatwoot has this route, so it answers 404",
    "/hc": "it answers 404 by itself: only /hc/<portal> exists",
}
"""Paths that look like health checks and are none."""
DEEP_PATH: Final = "/api"
"""Asks the database and Redis; `/health`, which Chatwoot has since 4.11, asks neither. Where Redis is gone it answers
200 all the same, and says so in its body."""
DATABASE_URLS: Final = ("PRIMARY_DATABASE_URL", "DATABASE_URL")
"""What Chatwoot takes its database from; the first outranks the second (Rails' source)."""


def main_database(names: Container[str]) -> str:
    """The one of these variables that Chatwoot takes its database from; DATABASE_URL where none of them is that."""
    return next((name for name in DATABASE_URLS if name in names), DATABASE_URLS[-1])


@dataclass(frozen=True)
class Answer:
    """What came back: the status (None: nothing did), a line for people, and what it says of itself that fails."""

    status: int | None
    said: str
    failing: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.said}".strip() if self.status else self.said


def probe(url: str, path: str, *, timeout: float = 5.0) -> Answer:
    """GET the path once; no redirect is followed, because a health check does not follow one. Timeout in seconds."""
    from hotdash.http import client, httpx  # here: costly to load, and needed by one resource alone

    try:
        with client(url, timeout=timeout) as http:
            response = http.get(path, headers={"Accept": "application/json"})
    except httpx.TimeoutException:
        return Answer(None, f"no answer within {timeout:g} s")
    except httpx.HTTPError as error:
        return Answer(None, f"no connection ({type(error).__name__})")
    except httpx.InvalidURL:
        return Answer(None, "no connection (there is no such address)")
    return Answer(response.status_code, shown(response.text), _failing(response.text))


def _failing(body: str) -> str:
    """Redis, where `/api` says so: its word on Redis is a real PING. Its word on the database is not taken: a
    connection that has not been used yet counts as failing there, and where the database is gone it answers 500."""
    try:
        services = json.loads(body)
    except ValueError:
        return ""
    return "Redis" if isinstance(services, dict) and services.get("queue_services") == "failing" else ""
