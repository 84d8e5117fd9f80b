"""What a check found: proved, refused, or could not tell from here; why, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

PROVED_CODE: Final = "proved"
"""The code of every outcome that is neither refused nor unclear."""


class Verdict(StrEnum):
    """Refused is what the server decides, and would decide wherever it is asked from. What depends on who asks (a
    route, a firewall, an allow-list, a name server) is no proof against a credential."""

    PROVED = "proved"
    REFUSED = "refused"
    UNCLEAR = "could not tell from here"


VERDICT_MEANS: Final[Mapping[Verdict, str]] = {
    Verdict.PROVED: "it was used, and it works",
    Verdict.REFUSED: "the server decided against it, and would decide so wherever it is asked from; or it opens what "
    "Chatwoot must not have",
    Verdict.UNCLEAR: "it depends on who asks (a route, a firewall, an allow-list, a name server, a time-out), or "
    "passes by itself, or too little is known here to ask",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check. No field ever holds a password, a token or a key.

    Args:
        check: the check's name: a secret's where it tries one, such as DATABASE_URL.
        subject: what was tried, as people name it: `chatwoot@db.example.com:5432/chatwoot_production`.
        verdict: see Verdict.
        code: stable, for programs; `proved`, or why not.
        said: one line of what was found, or what the server said.
        facts: what was found besides, by name, in clear.
        warnings: what is not refused, and will hurt later.
        next: what to do now; empty where there is nothing to do.
        seconds: how long it took.
    """

    check: str
    subject: str
    verdict: Verdict
    code: str
    said: str
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    next: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain data, in the shape that docs/preflight.md documents."""
        return {
            "check": self.check,
            "subject": self.subject,
            "verdict": self.verdict.value,
            "code": self.code,
            "said": self.said,
            "facts": dict(self.facts),
            "warnings": list(self.warnings),
            "next": self.next,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Check:
    """One thing that can be tried.

    Args:
        name: unique among the checks of a run.
        subject: what it tries, in clear.
        uses: the names of the secrets whose values it tries.
        run: tries it. Never raises, and takes little longer than the time that the check was made with.
        line: checks of one line are run one after the other; empty: it waits for none.
    """

    name: str
    subject: str
    uses: frozenset[str]
    run: Callable[[], Outcome]
    line: str = ""
