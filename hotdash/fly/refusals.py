"""What Fly answers when it does not do what was asked, as errors that say what it means and what to do next.

The Machines API tells little: a status, a few words under one of two keys, a request id in a header. The words are
shown, but for those that may repeat a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hotdash.errors import (
    Conflict,
    FlyError,
    Forbidden,
    LeaseHeld,
    NotFound,
    RateLimited,
    TokenRefused,
    Unreachable,
)
from hotdash.fly.token import Token
from hotdash.http import httpx
from hotdash.said import shown

if TYPE_CHECKING:
    from httpx import HTTPError, Response

REQUEST_ID_HEADER: Final = "fly-request-id"
_LEASE = re.compile(r"(?<!re)lease", re.IGNORECASE)


def refused(response: Response, where: str, *, token: Token, hide_words: bool) -> FlyError:
    """The error that an answer of 300 and above means.

    Args:
        where: app, machine, what was asked for.
        token: who asked; its text is in no error, even if Fly repeats it.
        hide_words: what was sent is secret, and the answer may repeat it.
    """
    status = response.status_code
    said = "" if hide_words and status not in (401, 403, 404) else _said(response, token)
    kind, meaning, remedy = _diagnosis(status, said, token.source)
    return kind(
        f"Fly answered {status}" + (f": {said}" if said else ""),
        where=where,
        meaning=meaning,
        remedy=remedy,
        status=status,
        request_id=_request_id(response),
    )


def misunderstood(response: Response, where: str, base_url: str) -> Unreachable:
    """A success whose body is not what was asked for, or a 404 of no Machines API: another server may be answering."""
    return Unreachable(
        "Fly's answer is not what its API documents",
        where=f"{where}, {base_url}",
        remedy=f"is {base_url} the address of a Machines API? FLY_FLAPS_BASE_URL chooses it",
        status=response.status_code,
        request_id=_request_id(response),
    )


def unreachable(error: HTTPError, where: str, base_url: str) -> Unreachable:
    """No answer at all."""
    how = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    why = type(error).__name__
    if isinstance(error, httpx.ConnectError):
        why = f"{why}: {shown(str(error))}"
    elif isinstance(error, httpx.ReadError | httpx.RemoteProtocolError | httpx.WriteError):
        how = "broke the connection before it answered"
    return Unreachable(
        f"Fly {how}",
        where=f"{where}, {base_url} ({why})",
        remedy=f"see whether {base_url} answers from here (FLY_FLAPS_BASE_URL chooses the address; "
        "for the sandbox: hotdash sandbox up)",
    )


def is_of_fly(response: Response) -> bool:
    """Whether a refusal has what Fly's have: a request id, or JSON. To take another server's 404 for Fly's would be to
    take everything for gone."""
    if _request_id(response):
        return True
    try:
        return isinstance(response.json(), Mapping)
    except ValueError:
        return False


def retry_after(response: Response) -> float | None:
    """Seconds, where Fly gave them; a 429's shape is not documented, so its absence is ordinary."""
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _request_id(response: Response) -> str:
    return str(response.headers.get(REQUEST_ID_HEADER, ""))


def _said(response: Response, token: Token) -> str:
    """Fly's own words, whichever key they stand under; cut, because some answers are pages."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    if isinstance(body, Mapping):
        body = body.get("message") or body.get("error") or ""
    return shown(token.out_of(str(body)), 300)


def _diagnosis(status: int, said: str, token_source: str) -> tuple[type[FlyError], str, str]:
    if status == 401:
        return (
            TokenRefused,
            f"the token from {token_source} is wrong, expired or revoked; this call changed nothing",
            "make a new one (`fly tokens create deploy --app APP`) and put it there",
        )
    if status == 403:
        return (
            Forbidden,
            f"the token from {token_source} is not allowed to see or change this",
            "is it an app of another organization? Use a token of the one that owns it",
        )
    if status == 404:
        return NotFound, "", ""
    if status in (409, 412):
        if _LEASE.search(said):
            return (
                LeaseHeld,
                "somebody else is changing this machine now (a deploy, CI, another up)",
                "let it finish and run `pulumi up` again",
            )
        return Conflict, "somebody else changed the same thing meanwhile", "run `pulumi up` again"
    if status == 429:
        return RateLimited, "Fly limits how often it is asked", "wait a minute and run `pulumi up` again"
    if status >= 500:
        return FlyError, "Fly itself is in trouble", "see status.flyio.net, and run `pulumi up` again"
    return FlyError, "", ""
