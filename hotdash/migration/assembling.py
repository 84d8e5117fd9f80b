"""A run's seams, out of what a stack declares: its vault's values, what can be tried of them, and Fly's logs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from hotdash.dsn import Dsn, MalformedDsn
from hotdash.migration.following import LogSource
from hotdash.migration.schema import Look, Unseen, look
from hotdash.migration.seams import Seams
from hotdash.migration.trying import Tried, needed, try_all
from hotdash.preflight.outcome import Check
from hotdash.stack.settings import SecretSource

_SHORTEST_LINE: Final = 8
"""Characters of a line that is hidden by itself: shorter ones (a brace, a name) stand in any output."""


def hidden_values(values: Mapping[str, str], sources: Mapping[str, SecretSource]) -> frozenset[str]:
    """What must not be shown though the task says it. Parts of a database's URL are no credentials, but for its
    password; a URL's password is one in either form. A value of several lines is hidden line by line, because that is
    how output comes, and as a program shows it that quotes it."""
    hidden = {
        text
        for name, text in values.items()
        if not (source := sources.get(name)) or source.part in ("", "password")
    }
    for text in tuple(hidden):
        hidden |= {line.strip() for line in text.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
        hidden |= {repr(text)[1:-1], json.dumps(text)[1:-1]}
        for password in _passwords(text):
            hidden |= {password, unquote(password), quote(unquote(password), safe="")}
    return frozenset(hidden - {""})


def _passwords(text: str) -> Iterator[str]:
    """The password of a URL of any kind, as it stands there."""
    if "://" in text:
        with contextlib.suppress(MalformedDsn):
            yield Dsn.parse(text).password
        with contextlib.suppress(ValueError):
            yield urlsplit(text).password or ""


def seams(
    values: Mapping[str, str],
    sources: Mapping[str, SecretSource],
    *,
    database: str,
    checks: Callable[[], Sequence[Check]],
    strict: bool,
    vault: str,
    logs: LogSource,
    progress: Callable[[str], None],
    output: Callable[[str], None] | None = None,
    step: Callable[[str], None] | None = None,
) -> Seams:
    """Args:
    values: every declared secret's.
    sources: where in the vault each lies.
    database: the name of the secret that migrations take.
    checks: what can be tried of the values.
    strict: what could not be told from here does not pass.
    vault: how the vault's folder is named in messages.
    """

    def places(check: Check) -> str:
        named = dict.fromkeys(str(sources[name].reference) for name in sorted(check.uses) if name in sources)
        return f"{vault}/{', '.join(named)}" if named else ""

    def preflight() -> Tried:
        return try_all(needed(checks(), database), database=database, strict=strict, places=places)

    def looked() -> Look:
        if database not in values:
            raise Unseen(f"{database} is not declared")
        return look(values[database])

    given = Seams(logs, looked, preflight, hidden_values(values, sources), progress, output)
    return replace(given, step=step) if step else given
