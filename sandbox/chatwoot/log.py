"""The machine's log: one line an event, on standard output, without any value that might be a secret."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

# Told to anyone: where things are and who logs in is no secret, and a log without it helps nobody.
_PLAIN = {
    *("RAILS_ENV", "NODE_ENV", "INSTALLATION_ENV", "FRONTEND_URL", "POSTGRES_HOST", "POSTGRES_PORT"),
    *(
        "POSTGRES_DATABASE",
        "POSTGRES_USERNAME",
        "PATH",
        "LANG",
        "HOME",
        "PORT",
        "LOG_LEVEL",
        "DEFAULT_LOCALE",
        "PRIMARY_REGION",
        "POSTGRES_STATEMENT_TIMEOUT",
    ),
}
_WORDS = {"true", "false"}
_PLAIN_PREFIXES = ("FLY_", "SANDBOX_", "PYTHON")
_SHORTEST = 4
"""Shorter values are not looked for: `5` or `on` would blot out half the log."""


class Log:
    """Writes lines, with every value of the environment blotted out that is not known to be harmless."""

    def __init__(self, env: Mapping[str, str]) -> None:
        hidden = set()
        for name, value in env.items():
            if name not in _PLAIN and not name.startswith(_PLAIN_PREFIXES):
                hidden |= _forms(value)
        # The longest first: a URL before the password in it.
        kept = (text for text in hidden if len(text) >= _SHORTEST and text not in _WORDS)
        self._hidden = sorted(kept, key=len, reverse=True)
        self._bare = env.get("SANDBOX_BARE_OUTPUT") == "1"

    def __call__(self, text: str) -> None:
        """One line, whatever `text` is: Postgres' own words come in several. With the moment, unless the output is
        for whoever ran a command in the machine."""
        moment = "" if self._bare else f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z "
        sys.stdout.write(f"{moment}{self.scrub(' '.join(text.splitlines()))}\n")
        sys.stdout.flush()

    def scrub(self, text: str) -> str:
        for value in self._hidden:
            text = text.replace(value, "[hidden]")
        return text


def _forms(value: str) -> set[str]:
    """The value, and the password of a URL, as they are and percent-encoded."""
    forms = {value, value.strip()}
    if "://" in value:
        try:
            password = urlsplit(value.strip()).password or ""
        except ValueError:
            password = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
        forms = {value, value.strip(), password, unquote(password)}
    return forms | {quote(form, safe="") for form in forms}
