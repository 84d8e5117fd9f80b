"""Whether a migration must run, and why: from what is declared and what is kept on Fly alone. No I/O.

The provider's answer to "did it change?", a preview's text, `hotdash migrate plan` and the run itself ask these
functions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hotdash.drift import Drift, Kind, shown_time
from hotdash.fly.model import Machine
from hotdash.migration.journal import Applied, Journal, applied_in, journal_in, owned
from hotdash.migration.settings import MigrationSettings, Mode, Web

if TYPE_CHECKING:
    from hotdash.stack.settings import GroupSettings

SUBJECT = "migration"


@dataclass(frozen=True)
class Groups:
    """The declared process groups, by what they do: web has a check."""

    web: tuple[str, ...]
    workers: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.web, *self.workers)

    def standing_still(self, settings: MigrationSettings) -> tuple[str, ...]:
        """The groups that are stopped while the migration runs."""
        if settings.mode is Mode.ONLINE:
            return ()
        return self.workers if settings.web is Web.KEEP else (*self.workers, *self.web)


def groups_by_role(groups: Iterable[GroupSettings]) -> Groups:
    """Groups with a check are web, the others are workers, as everywhere."""
    listed = tuple(groups)
    return Groups(
        tuple(g.declared.name for g in listed if g.declared.check is not None),
        tuple(g.declared.name for g in listed if g.declared.check is None),
    )


@dataclass(frozen=True)
class Kept:
    """What Fly knows of an app's migrations.

    Args:
        web_images: the images that web's machines run, each once.
        machines: whether there is any machine that could keep something.
    """

    applied: Applied | None
    unfinished: Journal | None
    web_images: tuple[str, ...]
    machines: bool = True


def kept_on(machines: Iterable[Machine], groups: Groups) -> Kept:
    own = owned(machines, groups.all)
    web = [machine.image for machine in own if machine.group in groups.web]
    return Kept(applied_in(own), journal_in(own), tuple(dict.fromkeys(web)), bool(own))


def reason_to_run(settings: MigrationSettings, kept: Kept) -> str:
    """Why a migration must run, in a few words; empty: nothing must."""
    applied = kept.applied
    if applied is None:
        if settings.image:
            if set(kept.web_images) == {settings.image}:
                return ""
            return f"no migration is recorded, and {_images(kept.web_images, settings.image)}"
        return (
            f"no migration is recorded, and revision {settings.revision} is declared"
            if settings.revision
            else ""
        )
    reasons = []
    if settings.image and applied.image != settings.image:
        reasons.append(f"image {applied.image or 'unknown'} is migrated, {settings.image} is declared")
    # An app that was taken over as it was has the revision that was declared then.
    if applied.revision != settings.revision:
        reasons.append(
            f"revision {settings.revision or '(none)'} is declared, {applied.revision or '(none)'} was applied"
        )
    return "; ".join(reasons)


def _images(images: Collection[str], declared: str) -> str:
    return (
        f"web runs {' and '.join(sorted(images))}, not {declared}"
        if images
        else "no web machine is there yet"
    )


def adopted(settings: MigrationSettings, kept: Kept) -> Applied | None:
    """What is taken as applied though no run is recorded: all of web runs the declared image already. None where
    something is recorded, must run, or is not declared."""
    if kept.applied or not settings.image or reason_to_run(settings, kept):
        return None
    return Applied(settings.image, settings.revision, None, adopted=True)


def image_to_run(settings: MigrationSettings, kept: Kept) -> str:
    """The image whose migrations are run: the declared one, else web's where all of web has the same; else none."""
    if settings.image:
        return settings.image
    return kept.web_images[0] if len(kept.web_images) == 1 else ""


def goes_on(journal: Journal, settings: MigrationSettings, kept: Kept) -> bool:
    """Whether a run that was left is what is wanted still, and can be taken up where it was."""
    same = journal.image == image_to_run(settings, kept) and journal.revision == settings.revision
    return same and not journal.failed


# What is told


def drift(settings: MigrationSettings, kept: Kept, groups: Groups) -> tuple[Drift, ...]:
    """What `up` would do, as differences. A run that was left comes first: it is ended, then the rest is seen."""
    found = []
    if kept.unfinished:
        found.append(_unfinished(kept.unfinished))
    if reason := reason_to_run(settings, replace(kept, unfinished=None)):
        what = image_to_run(settings, kept) or f"revision {settings.revision}"
        remedy = f"runs db:chatwoot_prepare of {what}, {window_text(settings, groups)}"
        since = kept.applied.at if kept.applied else None
        found.append(Drift(Kind.MIGRATION_PENDING, SUBJECT, reason, "", "", remedy, since))
    return tuple(found)


def _unfinished(journal: Journal) -> Drift:
    was = f"left at step {journal.step} by {journal.owner or 'somebody'}"
    if stopped := stopped_by(journal):
        was += f", {_machines(stopped)} stopped for it"
    why = "; ".join(filter(None, [journal.failed and f"it had failed: {journal.failed}", journal.reason]))
    return Drift(
        Kind.MIGRATION_UNFINISHED,
        SUBJECT,
        was,
        "",
        why,
        "ends it as it says, with the scale that is remembered",
        journal.since,
    )


def stopped_by(journal: Journal) -> tuple[str, ...]:
    """The machines that ran before the window, and must run again."""
    return tuple(id_ for id_, state in sorted(journal.scale.items()) if state == "started")


def window_text(settings: MigrationSettings, groups: Groups) -> str:
    """What the app is like meanwhile."""
    still = groups.standing_still(settings)
    if not still:
        return "while the app runs on"
    web = "" if settings.web is Web.STOP else ", web serves on"
    return f"in a window: {' and '.join(still)} stopped{web}"


def journal_told(journal: Journal) -> str:
    """A run in a line, for whoever finds it."""
    owner = journal.owner or "somebody"
    return f"run {journal.run} of {owner}, since {shown_time(journal.since)}, at step {journal.step}"


def _machines(ids: Collection[str]) -> str:
    return f"{len(ids)} machine" if len(ids) == 1 else f"{len(ids)} machines"
