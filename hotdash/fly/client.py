"""A client of Fly's Machines API: one method a call, typed answers, errors that a person can act on.

Reads and repeatable writes are retried with jitter within a budget of time; a write that must not be done twice is
retried only when it is certain that it was not done. What a lost answer did is for `rollout` to find out.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TypeVar

import tenacity

from hotdash import http
from hotdash.clock import REAL, Clock
from hotdash.errors import FlyError, LeaseHeld, NotFound, SettingsError
from hotdash.fly import wire
from hotdash.fly.model import App, Lease, LeaseHolder, Machine, Secret, SecretsWritten, TokenScope
from hotdash.fly.refusals import is_of_fly, misunderstood, refused, retry_after, unreachable
from hotdash.fly.token import Token
from hotdash.http import httpx

PUBLIC_BASE_URL: Final = "https://api.machines.dev"
BASE_URL_VARIABLE: Final = "FLY_FLAPS_BASE_URL"
NONCE_HEADER: Final = "fly-machine-lease-nonce"
_PASSING = frozenset({500, 502, 503, 504})

T = TypeVar("T")


def base_url_from_environment(environ: Mapping[str, str] = os.environ) -> str:
    return environ.get(BASE_URL_VARIABLE) or PUBLIC_BASE_URL


@dataclass(frozen=True)
class Patience:
    """How long one call may be retried. Seconds.

    No try of a call begins later than `budget` after its first; nor later than `unreachable` where nothing listens at
    all, so that a wrong address is told soon. `longest_pause` caps one pause, Fly's own Retry-After included.
    """

    budget: float = 45.0
    unreachable: float = 8.0
    first_pause: float = 0.2
    longest_pause: float = 8.0


class _Retry(Exception):
    """An answer worth another try: what it was, and how long Fly asked to wait."""

    def __init__(self, error: FlyError, pause: float | None, unreached: bool) -> None:
        self.error = error
        self.pause = pause
        self.unreached = unreached


class Fly:
    """The Machines API of one Fly.

    Args:
        token: who asks.
        base_url: the API's root, without `/v1`.
        transport: httpx's seam, for tests.
        patience: see Patience.
        clock: how to wait between tries.

    Raises:
        SettingsError: the base URL is none.
    """

    def __init__(
        self,
        token: Token,
        *,
        base_url: str = "",
        transport: httpx.BaseTransport | None = None,
        patience: Patience | None = None,
        clock: Clock = REAL,
    ) -> None:
        self._token = token
        self.base_url = _checked(base_url or base_url_from_environment())
        self._patience = patience or Patience()
        self._clock = clock
        self._http = http.client(
            f"{self.base_url.rstrip('/')}/v1",
            headers={"Authorization": token.authorization, "User-Agent": "hotdash-chatwoot"},
            timeout=httpx.Timeout(30.0, connect=5.0),
            transport=transport,
        )

    def __enter__(self) -> Fly:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # The token

    def token_scopes(self) -> tuple[TokenScope, ...]:
        """What the token may do, by organization; cheap, and wrong for no token that is good."""
        return self._call("GET", "/tokens/current", where="the token", read=wire.token_scopes)

    # Apps

    def app(self, name: str) -> App:
        """Raises NotFound, Forbidden."""
        return self._call("GET", f"/apps/{name}", where=f"app {name}", read=wire.app)

    def create_app(self, name: str, organization: str) -> None:
        """Create an app, by both names that Fly has had for its name."""
        body = {"app_name": name, "name": name, "org_slug": organization}
        self._call("POST", "/apps", where=f"app {name}", json=body, repeatable=False, read=_nothing)

    def delete_app(self, name: str) -> None:
        """Delete, machines and all; gone already is as good."""
        with contextlib.suppress(NotFound):
            self._call(
                "DELETE", f"/apps/{name}", where=f"app {name}", params={"force": "true"}, read=_nothing
            )

    # Secrets

    def secrets(self, app: str) -> tuple[Secret, ...]:
        return self._call("GET", f"/apps/{app}/secrets", where=f"secrets of {app}", read=wire.secrets)

    def write_secrets(self, app: str, values: Mapping[str, str | None]) -> SecretsWritten:
        """Stage values in one call; None unsets a name, one that does not exist too. No machine changes by it."""
        return self._call(
            "POST",
            f"/apps/{app}/secrets",
            where=f"secrets of {app}",
            json={"values": dict(values)},
            secret_body=True,
            read=wire.secrets_written,
        )

    # Machines

    def machines(self, app: str, *, deleted: bool = False) -> tuple[Machine, ...]:
        """Args:
        deleted: those too that were destroyed, for as long as Fly keeps them.
        """
        params = {"include_deleted": "true"} if deleted else None
        return self._call(
            "GET", f"/apps/{app}/machines", where=f"machines of {app}", params=params, read=wire.machines
        )

    def machine(self, app: str, machine_id: str) -> Machine:
        path = f"/apps/{app}/machines/{machine_id}"
        return self._call("GET", path, where=_place(app, machine_id), read=wire.machine)

    def create_machine(
        self, app: str, *, config: Mapping[str, Any], region: str, min_secrets_version: int | None
    ) -> Machine:
        return self._call(
            "POST",
            f"/apps/{app}/machines",
            where=f"a new machine of {app}",
            json=_body(config=dict(config), region=region or None, min_secrets_version=min_secrets_version),
            repeatable=False,
            read=wire.machine,
        )

    def update_machine(
        self,
        app: str,
        machine_id: str,
        *,
        config: Mapping[str, Any],
        nonce: str,
        current_version: str,
        min_secrets_version: int | None,
    ) -> Machine:
        """Replace the machine's whole config: a new version, with the secrets as they are staged now."""
        return self._call(
            "POST",
            f"/apps/{app}/machines/{machine_id}",
            where=_place(app, machine_id),
            json=_body(
                config=dict(config),
                current_version=current_version or None,
                min_secrets_version=min_secrets_version,
            ),
            nonce=nonce,
            repeatable=False,
            read=wire.machine,
        )

    def start_machine(self, app: str, machine_id: str, nonce: str) -> None:
        path = f"/apps/{app}/machines/{machine_id}/start"
        self._call("POST", path, where=_place(app, machine_id), nonce=nonce, repeatable=False, read=_nothing)

    def stop_machine(
        self, app: str, machine_id: str, nonce: str = "", *, signal: str = "", timeout: float = 0.0
    ) -> None:
        """Ask it to stop; stopped already is as good.

        Args:
            signal, timeout: other than the machine's own; the timeout in seconds.
        """
        body = _body(signal=signal or None, timeout=wire.render_duration(timeout) if timeout else None)
        self._call(
            "POST",
            f"/apps/{app}/machines/{machine_id}/stop",
            where=_place(app, machine_id),
            json=body,
            nonce=nonce,
            read=_nothing,
        )

    def cordon_machine(self, app: str, machine_id: str, nonce: str, *, cordoned: bool = True) -> None:
        """Let Fly's proxy neither send it requests nor start it for one, or let it again; done already is as good."""
        path = f"/apps/{app}/machines/{machine_id}/{'cordon' if cordoned else 'uncordon'}"
        self._call("POST", path, where=_place(app, machine_id), nonce=nonce, read=_nothing)

    def change_metadata(self, app: str, machine_id: str, values: Mapping[str, str | None]) -> None:
        """Set metadata in place, None removes a key: no new version, and no lease is asked for."""
        self._call(
            "PATCH",
            f"/apps/{app}/machines/{machine_id}/metadata",
            where=_place(app, machine_id),
            json={"metadata": dict(values)},
            read=_nothing,
        )

    def destroy_machine(self, app: str, machine_id: str, nonce: str) -> None:
        """Destroy, running or not; gone already is as good."""
        path = f"/apps/{app}/machines/{machine_id}"
        # `force` is what is documented, `kill` what Fly's own client sends.
        params = {"force": "true", "kill": "true"}
        with contextlib.suppress(NotFound):
            self._call(
                "DELETE", path, where=_place(app, machine_id), params=params, nonce=nonce, read=_nothing
            )

    # Leases

    def lease_holder(self, app: str, machine_id: str) -> LeaseHolder | None:
        """Who has the lease now; None: nobody."""
        path = f"/apps/{app}/machines/{machine_id}/lease"
        try:
            return self._call("GET", path, where=_place(app, machine_id), read=wire.lease_holder)
        except NotFound:
            return None

    def acquire_lease(
        self, app: str, machine_id: str, *, ttl: int, nonce: str = "", description: str = ""
    ) -> Lease:
        """Take the lease for `ttl` seconds, or with its nonce keep it for as long again.

        Args:
            description: what it is for; Fly shows it to others.

        Raises:
            LeaseHeld: somebody else has it; the message has Fly's word on who, and until when.
        """
        path = f"/apps/{app}/machines/{machine_id}/lease"
        # After a lost answer it may be held by a nonce that nobody knows, so taking it is not repeated; keeping it is.
        return self._call(
            "POST",
            path,
            where=_place(app, machine_id),
            params={"ttl": str(ttl)},
            json={"ttl": ttl, "description": description} if description else None,
            nonce=nonce,
            repeatable=bool(nonce),
            read=wire.lease,
        )

    def release_lease(self, app: str, machine_id: str, nonce: str) -> None:
        try:
            self._call(
                "DELETE",
                f"/apps/{app}/machines/{machine_id}/lease",
                where=_place(app, machine_id),
                nonce=nonce,
                read=_nothing,
            )
        except (NotFound, LeaseHeld):
            pass
        except FlyError as error:
            if error.status != 400:  # 400: there is no such lease any more
                raise

    # One call

    def _call(
        self,
        method: str,
        path: str,
        *,
        where: str,
        read: Callable[[Any], T],
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        nonce: str = "",
        repeatable: bool = True,
        secret_body: bool = False,
    ) -> T:
        """Ask once, and again while that is safe and may help.

        Args:
            read: takes the answer's JSON.
            repeatable: done twice is as good as done once.
            secret_body: an error may repeat what was sent, so its words are not shown.
        """
        headers = {NONCE_HEADER: nonce} if nonce else {}
        began = self._clock.now()

        def give_up(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            next_try = self._clock.now() - began + state.upcoming_sleep
            unreached = isinstance(error, _Retry) and error.unreached
            return next_try > (self._patience.unreachable if unreached else self._patience.budget)

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.pause if isinstance(error, _Retry) else None
            grown = self._patience.first_pause * 2 ** (state.attempt_number - 1)
            # With jitter, so that those who were turned away together do not come back together.
            return min(self._patience.longest_pause, asked or grown * random.uniform(0.5, 1.5))

        def attempt() -> T:
            try:
                response = self._http.request(method, path, params=params, json=json, headers=headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise _Retry(unreachable(error, where, self.base_url), None, unreached=True) from None
            except httpx.HTTPError as error:
                lost = unreachable(error, where, self.base_url)
                if method != "GET":
                    lost.meaning = "the call may or may not have been done; a second `pulumi up` settles it"
                if repeatable:
                    raise _Retry(lost, None, unreached=False) from None
                raise lost from None
            if response.is_success:
                return self._read(response, where, read)
            if response.status_code == 404 and not is_of_fly(response):
                raise misunderstood(response, where, self.base_url)
            refusal = refused(response, where, token=self._token, hide_words=secret_body)
            # A 429 was turned away at the door, so it is safe to repeat whatever it was.
            if response.status_code == 429 or (repeatable and response.status_code in _PASSING):
                raise _Retry(refusal, retry_after(response), unreached=False)
            raise refusal

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Retry),
            stop=give_up,
            wait=pause,
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except _Retry as last:
            raise last.error from None

    def _read(self, response: httpx.Response, where: str, read: Callable[[Any], T]) -> T:
        if read is _nothing:
            return read(None)
        try:
            return read(response.json())
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise misunderstood(response, where, self.base_url) from None


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        # Not repeated: an address with a user and a password in it is refused here too.
        raise SettingsError(
            "the address of Fly's Machines API is none",
            where=BASE_URL_VARIABLE,
            meaning="nothing was asked of Fly and nothing was changed",
            remedy=f"set it to {PUBLIC_BASE_URL}, or unset it",
        )
    return base_url


def _nothing(_answer: object) -> None:
    """For calls whose answer says no more than that they were done."""


def _body(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _place(app: str, machine_id: str) -> str:
    return f"app {app}, machine {machine_id}"
