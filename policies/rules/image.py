"""An image's name: which Chatwoot it is, and whether it always means the same one."""

from __future__ import annotations

import re
from typing import Final

Version = tuple[int, int, int]

FLOATING: Final = frozenset(
    {
        "latest",
        "latest-ce",
        "develop",
        "develop-ce",
        "master",
        "main",
        "edge",
        "nightly",
        "stable",
        "next",
        "ce",
    }
)
"""Tags that mean another image tomorrow (those that chatwoot/chatwoot has on Docker Hub, and common ones)."""
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+].*)?\Z")
_SHORT: Final = re.compile(r"v?\d+(\.\d+)?(-ce)?\Z")


def tag_and_digest(image: str) -> tuple[str, str]:
    """`repository:tag@digest`; both empty where the name has none. A registry's port is no tag."""
    name, _, digest = image.partition("@")
    return name.rpartition("/")[2].partition(":")[2], digest


def moves(image: str) -> str:
    """Why the name may mean another image tomorrow; empty where it cannot."""
    tag, digest = tag_and_digest(image)
    if digest:
        return ""
    if not tag:
        return "it has no tag, which means latest"
    if tag.lower() in FLOATING:
        return f"the tag {tag} is moved to each new image"
    return f"the tag {tag} is moved to each new release of that line" if _SHORT.match(tag) else ""


def version(text: str) -> Version | None:
    """`v4.11.0`, `4.11`, `v4.11.0-ce` as numbers; None where it is none."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def version_of(image: str) -> Version | None:
    """The Chatwoot version that an image's tag tells."""
    return version(tag_and_digest(image)[0]) if image else None


def shown(number: Version) -> str:
    return "v" + ".".join(map(str, number))
