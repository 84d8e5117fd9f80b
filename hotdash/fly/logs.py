"""What machines print, as Fly keeps it: the log call of its older API, which flyctl polls too.

The call and its answer are fly-go's (resource_logs.go); nothing documents them. So whatever goes wrong here is told and
given up: a log is for people, and no decision rests on it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hotdash import http
from hotdash.fly.token import Token
from hotdash.http import httpx
from hotdash.said import shown

PUBLIC_API_URL: Final = "https://api.fly.io"
API_URL_VARIABLE: Final = "FLY_API_BASE_URL"
SECONDS: Final = 5.0


@dataclass(frozen=True)
class LogLine:
    """One line; `level` is Fly's, or what it took the line's for."""

    id: str
    timestamp: str
    message: str
    level: str


@dataclass(frozen=True)
class Page:
    """Some lines, oldest first, and where the next ones begin."""

    lines: tuple[LogLine, ...]
    next_token: str


class NoLogs(Exception):
    """They cannot be had; the text says why. `lasting`: asking again would not help."""

    def __init__(self, why: str, *, lasting: bool) -> None:
        super().__init__(why)
        self.lasting = lasting


class FlyLogs:
    """The logs of one Fly. `transport` is httpx's seam, for tests."""

    def __init__(
        self, token: Token, *, base_url: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        self.base_url = base_url or os.environ.get(API_URL_VARIABLE) or PUBLIC_API_URL
        self._token = token
        self._http = http.client(
            self.base_url.rstrip("/"),
            headers={"Authorization": token.authorization, "User-Agent": "hotdash-chatwoot"},
            timeout=SECONDS,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def page(self, app: str, machine_id: str, next_token: str = "") -> Page:
        """What there is behind `next_token`; from the beginning without it. Raises NoLogs."""
        try:
            response = self._http.get(
                f"/api/v1/apps/{app}/logs", params={"next_token": next_token, "instance": machine_id}
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoLogs(f"{self.base_url} does not answer ({type(error).__name__})", lasting=False) from None
        if not response.is_success:
            status = response.status_code
            said = shown(self._token.out_of(response.text), 100)
            raise NoLogs(
                f"{self.base_url} answers {status} {said}".rstrip(), lasting=status < 500 and status != 429
            )
        try:
            return _page(response.json(), next_token)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise NoLogs(f"{self.base_url} answers with something else than logs", lasting=True) from None


def _page(body: Mapping[str, Any], before: str) -> Page:
    lines = []
    for item in body.get("data") or ():
        attributes = item.get("attributes") or {}
        lines.append(
            LogLine(
                str(item.get("id") or ""),
                str(attributes.get("timestamp") or ""),
                str(attributes.get("message") or ""),
                str(attributes.get("level") or ""),
            )
        )
    return Page(tuple(lines), str((body.get("meta") or {}).get("next_token") or before))
