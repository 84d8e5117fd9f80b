"""SECRET_KEY_BASE: its shape alone. Nobody but Chatwoot's own sessions could tell whether it is the right one."""

from __future__ import annotations

from typing import Final

from hotdash.preflight.outcome import Check
from hotdash.preflight.trial import Notes, make_check, refused

NAME: Final = "SECRET_KEY_BASE"
SHORTEST: Final = 30
"""Characters. Rails has refused shorter secrets for years (ActiveSupport's SECRET_MIN_LENGTH)."""
ADVISED: Final = 64
"""Characters: `openssl rand -hex 32`; `rails secret` gives 128."""
_FEWEST_DIFFERENT: Final = 8
_NEXT: Final = "make one with `openssl rand -hex 64`; for an app that runs, put in the one that it has"


def check(value: str) -> Check:
    def body(notes: Notes) -> str:
        notes.note("length", len(value))
        if len(value) < SHORTEST:
            raise refused("too-short", f"it has {len(value)} characters, too few for a key", _NEXT)
        if any(character.isspace() for character in value):
            raise refused(
                "malformed", "it holds a space or a line break: it is more than the key, or less", _NEXT
            )
        if len(set(value)) < _FEWEST_DIFFERENT:
            raise refused(
                "guessable", f"it has {len(set(value))} different characters: nobody made it at random", _NEXT
            )
        if len(value) < ADVISED:
            notes.warn(f"it has {len(value)} characters; {ADVISED} or more are advised")
        if not (value.isascii() and value.isalnum()):
            notes.warn(
                "Chatwoot's docs want letters and digits alone: other signs have been misread by shells"
            )
        return f"{len(value)} characters; whether it is the one that the app has cannot be tried"

    return make_check(NAME, "Rails' sessions and signed ids", {NAME}, body, secrets=[value])
