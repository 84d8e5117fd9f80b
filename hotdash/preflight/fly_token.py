"""The Fly token: whether Fly takes it, whether it may see this app, and what else it may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hotdash.errors import FlyError, Forbidden, HotdashError, NotFound, TokenMissing, TokenRefused
from hotdash.preflight.outcome import Check
from hotdash.preflight.trial import Ended, Notes, in_time, make_check, refused, unclear

if TYPE_CHECKING:
    from hotdash.fly.client import Fly
    from hotdash.fly.token import Token

NAME: Final = "FLY_API_TOKEN"


def fly_check(
    find: Callable[[], Token],
    *,
    app: str,
    organization: str,
    creates: bool = False,
    base_url: str = "",
    timeout: float = 5.0,
) -> Check:
    """A check of the Fly token: two reads.

    Args:
        find: finds the token, as `hotdash.fly.token.find_token` does, and raises what that raises.
        app: the app that it must be allowed to see.
        organization: the slug of the organization that must own the app.
        creates: the app need not exist yet.
        base_url: the Machines API's root; empty: as the environment says.
        timeout: seconds.
    """

    def body(notes: Notes) -> str:
        try:
            token = find()
            from hotdash.fly.client import Fly, Patience  # here: httpx is costly to load

            patience = Patience(budget=timeout, unreachable=min(1.0, timeout))
            with Fly(token, base_url=base_url, patience=patience) as fly:
                notes.note("found in", token.source)
                notes.note("api", fly.base_url)
                return in_time(lambda: _ask(fly, app, organization, creates, notes), timeout)
        except TimeoutError:
            raise unclear(
                "timeout", "Fly does not answer in time", "see status.flyio.net, and try again"
            ) from None
        except HotdashError as error:
            raise _ended_by(error) from None

    return make_check(NAME, f"app {app} of {organization}", {NAME}, body)


def _ask(fly: Fly, app: str, organization: str, creates: bool, notes: Notes) -> str:
    missing = False
    try:
        owner = fly.app(app).organization
    except NotFound:
        if not creates:
            raise
        missing, owner = True, ""
    if owner and owner != organization:
        raise refused(
            "another-organization",
            f"the app {app} belongs to {owner}, not to {organization}",
            "correct the organization in the stack file, or the app's name",
        )
    try:
        scopes = fly.token_scopes()
    except FlyError:
        # The app was seen, which is what counts; older tokens are not told of.
        scopes = ()
    notes.note("organizations", ", ".join(dict.fromkeys(s.organization for s in scopes if s.organization)))
    notes.note("apps", ", ".join(name for s in scopes for name in s.apps))
    notes.note("user", ", ".join(dict.fromkeys(s.user for s in scopes if s.user)))
    notes.note("expires", ", ".join(s.expires for s in scopes if s.expires))
    for scope in scopes:
        if scope.machine:
            notes.warn(f"the token is for the machine {scope.machine} alone: it may not change the others")
    if scopes and organization not in {s.organization for s in scopes}:
        raise refused(
            "another-organization",
            f"the token is for {notes.facts.get('organizations') or 'no organization'}, not for {organization}",
            "use a token of the organization that owns the app",
        )
    return f"there is no app {app} yet, and the token may make it" if missing else f"may see the app {app}"


def _ended_by(error: HotdashError) -> Ended:
    said = f"{error.summary}: {error.meaning}" if error.meaning else error.summary
    if isinstance(error, TokenMissing):
        return unclear("missing", said, error.remedy)
    if isinstance(error, TokenRefused):
        return refused("wrong-token", said, error.remedy)
    if isinstance(error, Forbidden):
        return refused("not-permitted", said, error.remedy)
    if isinstance(error, NotFound):
        return refused(
            "no-such-app",
            "Fly knows no such app, or the token may not see it",
            "correct the app's name in the stack file, or say `create: true` there",
        )
    return unclear(error.code, said, error.remedy)
