"""Releases of an app: made by flyctl through two different APIs, and kept in one list."""

from typing import Any

from sandbox import stamps
from sandbox.state import RELEASES_KEPT, App, Release


def add(
    app: App,
    *,
    user: str,
    image: str,
    definition: dict[str, Any] | None,
    strategy: str = "ROLLING",
    status: str = "pending",
    description: str = "",
) -> Release:
    """A new release, the app's latest."""
    release = Release(
        id=f"rel{stamps.ulid().lower()}",
        version=(app.releases[0].version if app.releases else 0) + 1,
        status=status,
        strategy=strategy,
        image_ref=image,
        user=user,
        created_at=stamps.rfc3339(),
        description=description,
        definition=definition,
    )
    app.releases.insert(0, release)
    del app.releases[RELEASES_KEPT:]
    return release


def is_stable(release: Release) -> bool:
    return release.status in ("complete", "succeeded")


def is_in_progress(release: Release) -> bool:
    return release.status in ("pending", "running")
