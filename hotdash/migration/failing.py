"""A run that failed, in words: what ended it, and what the app is like now. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from hotdash.errors import HotdashError, MigrationFailed
from hotdash.migration.journal import Journal


def as_failure(error: BaseException, journal: Journal, app: str) -> MigrationFailed:
    """Whatever ended a run, as its failure at the journal's step."""
    if isinstance(error, MigrationFailed):
        return error
    if isinstance(error, HotdashError):
        return MigrationFailed(
            f"the migration to {journal.image} failed at step {journal.step}: {error.summary}",
            where=error.where,
            meaning=error.meaning,
            remedy=error.remedy,
        )
    if isinstance(error, KeyboardInterrupt):
        return MigrationFailed(
            f"the migration to {journal.image} was interrupted at step {journal.step}",
            where=f"app {app}",
            remedy="`pulumi up` again, when it is wanted",
        )
    # Its words are not shown: nobody knows what a library puts into an error that nobody foresaw.
    return MigrationFailed(
        f"the migration to {journal.image} failed at step {journal.step} by an error of this program "
        f"({type(error).__name__})",
        where=f"app {app}",
        remedy="report this",
    )


def as_before(journal: Journal, troubles: Sequence[str]) -> str:
    """What the app is like once a failed run is tidied away."""
    window = "the window is closed again, " if journal.scale else ""
    rest = f"; not well: {'; '.join(troubles)}" if troubles else ""
    return f"{window}the app runs the image that it ran before{rest}"


def joined(*parts: str) -> str:
    """Those of the parts that say something."""
    return "; ".join(part for part in parts if part)
