"""From outcomes to a refusal: what must not be set, all of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hotdash.errors import PreflightRefused
from hotdash.preflight.outcome import Outcome, Verdict


def refuse(outcomes: Iterable[Outcome], *, strict: bool, places: Mapping[str, str]) -> None:
    """Let what was proved pass.

    Args:
        strict: what could not be told from here does not pass either.
        places: where the values of each check lie in the vault, by the check's name.

    Raises:
        PreflightRefused: with every outcome that does not pass, why, and its mend.
    """
    barred = (Verdict.REFUSED, Verdict.UNCLEAR) if strict else (Verdict.REFUSED,)
    found = [outcome for outcome in outcomes if outcome.verdict in barred]
    if not found:
        return
    said = [f"{item.check} ({item.subject}): {item.verdict}: {item.said}" for item in found]
    mends = list(dict.fromkeys(item.next for item in found if item.next))
    if strict and all(item.verdict is Verdict.UNCLEAR for item in found):
        mends.append("or set hotdash:preflight to warn")
    raise PreflightRefused(
        said[0]
        if len(said) == 1
        else "\n".join([f"{len(said)} credentials will not do:", *(f"  - {s}" for s in said)]),
        where=", ".join(dict.fromkeys(places[item.check] for item in found if item.check in places)),
        meaning="no secret was written, so the app runs with what it has",
        remedy="; ".join([*mends, "then `pulumi up` again"]),
    )
