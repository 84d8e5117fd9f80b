"""The Fly token: where it comes from and how it is sent. Its text is shown nowhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hotdash.errors import TokenMissing, TokenRefused
from hotdash.vault import Reference, Vault

ENVIRONMENT = ("FLY_ACCESS_TOKEN", "FLY_API_TOKEN")
"""In the order in which Fly's own tool takes them."""
_SCHEME = re.compile(r"\A(?:(?:FlyV1|Bearer)(?:\s+|\Z))+", re.IGNORECASE)
_MACAROON = ("fm1r_", "fm1a_", "fm2_")
_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Token:
    """A token, with or without its scheme word, or several joined by commas, as `fly tokens create` prints them.

    Args:
        text: the token itself.
        source: where it was found, for messages.
    """

    text: str = field(repr=False)
    source: str

    @property
    def authorization(self) -> str:
        """The header's value: `FlyV1` for macaroons, which the Machines API takes alone; else `Bearer`."""
        parts = self._parts
        macaroons = [part for part in parts if part.startswith(_MACAROON)]
        return f"FlyV1 {','.join(macaroons)}" if macaroons else f"Bearer {','.join(parts)}"

    @property
    def _parts(self) -> list[str]:
        bare = (_SCHEME.sub("", part.strip(), count=1) for part in self.text.split(","))
        return [part for part in bare if part]

    def out_of(self, text: str) -> str:
        """The text without this token, should it repeat it."""
        for part in sorted(self._parts, key=len, reverse=True):
            text = text.replace(part, "…")
        return text

    def checked(self) -> Token:
        """This token. Raises TokenRefused where its text cannot be one: it would not get as far as Fly."""
        if self._parts and all(_SENDABLE.fullmatch(part) for part in self._parts):
            return self
        raise TokenRefused(
            f"what {self.source} holds is no Fly token",
            meaning="a token is one word of ASCII letters, digits and signs; nothing was asked of Fly",
            remedy="put it there again, whole and on one line (`fly tokens create deploy --app APP` makes one)",
        )


def find_token(
    vault: Vault | None = None, reference: Reference | None = None, environ: Mapping[str, str] = os.environ
) -> Token:
    """Find the token: in the environment, else in the vault where the stack file says so.

    Raises:
        TokenMissing: neither has one.
        TokenRefused: what was found cannot be one.
        VaultError: the vault was to have it and cannot give it.
    """
    for name in ENVIRONMENT:
        if environ.get(name, "").strip():
            return Token(environ[name], f"the environment's {name}").checked()
    if vault is not None and reference is not None:
        return Token(vault.read(reference), f"{vault.shown}/{reference}").checked()
    raise TokenMissing(
        "no Fly token was given",
        meaning="nothing was asked of Fly and nothing was changed",
        remedy="set FLY_API_TOKEN (`fly tokens create deploy --app APP`), or name a vault file under `hotdash:fly`, "
        '`token`, in the stack file; for the sandbox: eval "$(hotdash sandbox env)"',
    )
