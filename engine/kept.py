"""Folders that set-up makes whole or not at all, and the links that name the one in use.

A folder is made beside its place and renamed into it, so an interrupted set-up leaves nothing that looks finished.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.terminal import say


@contextlib.contextmanager
def made_whole(place: Path) -> Iterator[Path]:
    """A new, empty folder that becomes `place` when the block ends without an error, and is removed otherwise."""
    place.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield making
        making.chmod(0o755)
        if place.exists():
            shutil.rmtree(place)
        making.rename(place)
    finally:
        if making.exists():
            shutil.rmtree(making)


def point(link: Path, target: Path) -> None:
    """Let the symbolic link `link` name `target`, a neighbour of it, in one step."""
    wanted = Path(os.path.relpath(target, link.parent))
    if link.is_symlink() and link.readlink() == wanted:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}-{os.getpid()}")
    fresh.symlink_to(wanted)
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    fresh.replace(link)


def forget_others(folder: Path, prefix: str, keep: Path) -> None:
    """Remove what earlier pins left: the folders in `folder` that start with `prefix`, but for `keep`."""
    for old in folder.glob(f"{prefix}*"):
        if old != keep and old.is_dir() and not old.is_symlink():
            say(f"  removing {old.name}, which an earlier pin made")
            shutil.rmtree(old)


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold `folder` against another set-up of the same checkout; wait for it, and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  waiting for another set-up of this checkout to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
