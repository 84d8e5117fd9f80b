"""Secrets as the engine keeps them, and as `hotdash.drift` compares them.

Each is one line of text: states and previews stay readable, and an engine that shows a change shows it in one line.
Nothing here is a value: references, fingerprints under the stack's key, Fly's digests, dates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from hotdash.drift import DeclaredSecret, RecordedSecret
from hotdash.fly.model import Secret
from hotdash.fly.wire import parse_time
from hotdash.stack.settings import SecretSource

_NONE = "-"


def declared_text(source: SecretSource, print_: str) -> str:
    """Reference and fingerprint."""
    return f"{source} {print_}"


def declared_secrets(properties: Mapping[str, str]) -> dict[str, DeclaredSecret]:
    """What is declared, without what `ignore_changes` has put its live text in the place of."""
    found: dict[str, DeclaredSecret] = {}
    for name, text in properties.items():
        source, _, print_ = text.rpartition(" ")
        try:
            SecretSource.parse(source)
        except ValueError:
            continue
        found[name] = DeclaredSecret(name, source, print_)
    return found


def recorded_properties(secrets: Mapping[str, RecordedSecret]) -> dict[str, str]:
    """Fingerprint, digest, since when it has its value, and the date that Fly gave it, of each."""
    return {
        name: f"{item.fingerprint or _NONE} {item.digest or _NONE} {_text(item.since)} {_text(item.dated)}"
        for name, item in sorted(secrets.items())
    }


def recorded_secrets(properties: Mapping[str, str]) -> dict[str, RecordedSecret]:
    found: dict[str, RecordedSecret] = {}
    for name, text in properties.items():
        print_, digest, since, dated = [*text.split(" "), _NONE][:4]  # an earlier version kept no second date
        found[name] = RecordedSecret(
            _word(print_), _word(digest), parse_time(_word(since)), parse_time(_word(dated))
        )
    return found


def live_properties(secrets: Mapping[str, Secret]) -> dict[str, str]:
    """Digest and date of each."""
    return {name: f"{s.digest or _NONE} {_text(s.updated_at)}" for name, s in sorted(secrets.items())}


def live_secrets(properties: Mapping[str, str]) -> dict[str, Secret]:
    found: dict[str, Secret] = {}
    for name, text in properties.items():
        digest, updated_at = text.split(" ")
        found[name] = Secret(name, _word(digest), parse_time(_word(updated_at)))
    return found


def by_name(secrets: Iterable[Secret]) -> dict[str, Secret]:
    return {secret.name: secret for secret in secrets}


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else _NONE


def _word(text: str) -> str:
    return "" if text == _NONE else text
