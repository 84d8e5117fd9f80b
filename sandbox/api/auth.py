"""Tokens of a request: both schemes, several tokens with commas, and a scheme word inside the token itself."""

from sandbox.refusal import Refusal
from sandbox.state import Token, World

_SCHEMES = ("bearer", "flyv1")


def tokens_of(header: str | None) -> list[str]:
    """`Bearer a,b`, `FlyV1 a,b`, and `Bearer FlyV1 a` as in Fly's guide, where the output of `fly tokens create`,
    scheme and all, is put after `Bearer`."""
    rest = (header or "").strip()
    seen_scheme = False
    while rest:
        word, _, after = rest.partition(" ")
        if word.lower() not in _SCHEMES:
            break
        seen_scheme, rest = True, after.strip()
    if not seen_scheme:
        return []
    return [t for part in rest.split(",") if (t := _bare(part))]


def _bare(token: str) -> str:
    words = token.split()
    return words[-1] if words else ""


def authenticate(world: World, header: str | None) -> Token:
    """Who calls. Refusal 401 for no token or none that is known."""
    tokens = tokens_of(header)
    if not tokens:
        raise Refusal(401, "Authenticate: missing authorization header")
    for token in tokens:
        if (known := world.tokens.get(token)) is not None:
            return known
    raise Refusal(401, "Authenticate: token validation error")
