"""One call to the API as a handler sees it, and the answer that it gives back."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from sandbox.refusal import Refusal, bad_request, not_found
from sandbox.state import App, Machine, Token, World

if TYPE_CHECKING:
    from sandbox.plant import Plant

NONCE_HEADER = "fly-machine-lease-nonce"


@dataclass(frozen=True)
class Answer:
    """What goes back. `body` None: no content; a str: plain text; anything else: JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One authenticated request. `raw` is its whole body."""

    plant: "Plant"
    request: Request
    token: Token
    raw: bytes

    @property
    def world(self) -> World:
        return self.plant.store.world

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    @property
    def nonce(self) -> str | None:
        return self.request.headers.get(NONCE_HEADER) or None

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def app(self) -> App:
        """The app that the path names. Refusals: 404 unknown, 403 of an organisation that the token cannot see."""
        return self.app_named(self.path("app"))

    def app_named(self, name: str) -> App:
        app = self.world.apps.get(name)
        if app is None:
            raise not_found("app not found")
        if app.org not in self.token.orgs:
            raise Refusal(403, "unauthorized")
        return app

    def machine(self) -> Machine:
        """The machine that the path names, destroyed ones too. Refusal 404."""
        machine = self.app().machines.get(self.path("machine"))
        if machine is None:
            raise not_found("machine not found")
        return machine

    def flag(self, name: str) -> bool:
        """A boolean of the query, absent: no."""
        return self.query.get(name, "").lower() in ("1", "t", "true")

    def body(self) -> dict[str, Any]:
        """The body, which must be a JSON object; none at all counts as an empty one. Refusal 400."""
        if not self.raw.strip():
            return {}
        try:
            body = json.loads(self.raw)
        except ValueError:
            raise bad_request("invalid_argument: request body is not valid JSON") from None
        if not isinstance(body, dict):
            raise bad_request("invalid_argument: request body must be a JSON object")
        return body


def text_of(body: Mapping[str, Any], name: str) -> str | None:
    """An optional string of a body. Refusal 400 if it is something else."""
    return _typed(body, name, str)  # type: ignore[no-any-return]


def flag_of(body: Mapping[str, Any], name: str) -> bool:
    return bool(_typed(body, name, bool))


def number_of(body: Mapping[str, Any], name: str) -> int | None:
    value = _typed(body, name, int)
    if isinstance(value, bool) or (value is not None and value < 0):
        raise bad_request(f"invalid_argument: {name} must be a number, not negative")
    return value  # type: ignore[no-any-return]


def _typed(body: Mapping[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise bad_request(f"invalid_argument: {name} has the wrong type")
    return value


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """One operation. `template` names it in the log and in faults; `action` in rate limits (None: not limited)."""

    method: str
    template: str
    handler: Handler
    action: str | None = None
