"""docs/preflight.md: written by hand but for the tables of verdicts and of servers' errors."""

from __future__ import annotations

from docs.tables import filled, table
from hotdash.preflight import SERVER_ERRORS, Verdict
from hotdash.preflight.outcome import VERDICT_MEANS


def page(there: str) -> str:
    """The page with its tables as the program has them. Raises Undocumented."""
    return filled(
        there,
        {
            "verdicts": table(
                ("Verdict", "Means", "Stops `up`"),
                ((f"`{verdict}`", VERDICT_MEANS[verdict], _stops(verdict)) for verdict in Verdict),
            ),
            "server-errors": table(
                ("Code", "Whose words", "Such as", "Means", "Verdict", "Next", "Source"),
                (
                    (
                        f"`{rule.code}`",
                        rule.origin,
                        "<br>".join(f"`{' '.join(words.split())}`" for words in rule.examples),
                        rule.meaning,
                        rule.verdict,
                        rule.next,
                        rule.source,
                    )
                    for rule in SERVER_ERRORS
                ),
            ),
        },
    )


def _stops(verdict: Verdict) -> str:
    return {
        Verdict.PROVED: "no",
        Verdict.REFUSED: "yes",
        Verdict.UNCLEAR: "only under `hotdash:preflight: strict`",
    }[verdict]
