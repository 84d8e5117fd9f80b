"""What others said, made fit to be shown: an app, a check or Fly may repeat what it was given, credentials included."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 200
"""Characters of one quotation."""
_READ: Final = 20_000
"""Characters that are looked at: an answer may be a whole page, or many."""
_CREDENTIALS: Final = re.compile(r"://\S*@")
_PASSWORD: Final = re.compile(r"(passw(?:or)?d[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<[^>]*>?")


def shown(text: str, limit: int = LONGEST) -> str:
    """The text in one line of at most `limit` characters, without markup, passwords and the credentials of URLs."""
    if len(text) > _READ:
        # Without the word that the cut went through: its end may be what marks it as a credential.
        text = " ".join(text[:_READ].split()[:-1])
    text = _PASSWORD.sub(r"\1…", _CREDENTIALS.sub("://…@", text))
    return " ".join(_MARKUP.sub(" ", text).split())[:limit]
