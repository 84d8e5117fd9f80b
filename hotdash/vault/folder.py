"""The vault's folder as it is written to: under a lock, whole files or none, and never through a link.

A file is written beside its place, forced to disk and renamed into it: whoever reads sees the old one or the new one.
Every folder on the way is opened from the one above it: a link that somebody puts there meanwhile is not followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from hotdash.clock import REAL, Clock
from hotdash.errors import VaultError
from hotdash.vault import age

LOCK_WAIT: Final = 30.0
"""Seconds that another command of ours is waited for; each holds the lock for a moment."""
_FILE: Final = re.compile(r".\.env(\.age)?\Z")
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


@dataclass(frozen=True)
class Folder:
    """A vault folder that can be changed.

    Args:
        root: the folder. It may itself be a link: whoever named it meant where it leads.
        shown: how the folder is named in messages.
        sync: forces a file, by its descriptor, to disk.
        rename: puts a new file in the place of the old one, as os.replace does.
        clock: for waiting for the lock.
    """

    root: Path
    shown: str
    sync: Callable[[int], None] = os.fsync
    rename: Callable[..., None] = os.replace
    clock: Clock = REAL

    def make(self) -> bool:
        """See that the folder exists, for its owner alone when it is new. Returns whether it is. Raises VaultError."""
        try:
            self.root.mkdir(mode=_FOLDER_MODE, parents=True)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._failed("the vault's folder cannot be made", "", error) from None
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands of ours out of the vault; the kernel ends it with the process. Raises VaultError."""
        try:
            lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failed("the vault's folder cannot be opened", "", error) from None
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        until = self.clock.now() + LOCK_WAIT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self.clock.now() >= until:
                    raise VaultError(
                        "another command has held the vault for too long",
                        where=f"{self.shown}/",
                        meaning="nothing was changed",
                        remedy="see what it waits for (a `hotdash vault` command on this machine), then run this again",
                    ) from None
                self.clock.sleep(0.05)
            except OSError as error:
                raise self._failed("the vault's folder cannot be locked", "", error) from None

    def files(self) -> tuple[str, ...]:
        """The vault's files, each by its plain name whether it lies there plain, encrypted or both; links too."""
        found: set[str] = set()
        for folder, below, names in os.walk(self.root):
            below[:] = sorted(name for name in below if name != ".git")
            inside = Path(folder).relative_to(self.root)
            found |= {
                (inside / name.removesuffix(age.SUFFIX)).as_posix() for name in names if _FILE.search(name)
            }
        return tuple(sorted(found))

    def read(self, file: str) -> bytes | None:
        """The file's bytes; None where it is not there. Raises VaultError: a link is not followed."""
        with self._parent(file, make=False) as parent:
            if parent is None or self._regular(file, parent) is None:
                return None
            try:
                descriptor = os.open(PurePosixPath(file).name, _READ, dir_fd=parent)
                with open(descriptor, "rb") as stream:  # noqa: PTH123 - a path cannot hold a descriptor
                    return stream.read()
            except OSError as error:
                raise self._failed("the vault file cannot be read", file, error) from None

    def write(self, file: str, content: bytes) -> None:
        """Put this in the file's place, mode 0600, in folders that are made as needed, mode 0700.

        Raises:
            VaultError: it could not be written, or a link is in the way. The file is as it was.
        """
        name = PurePosixPath(file).name
        beside = f".{name}.new"
        with self._parent(file, make=True) as parent:
            assert parent is not None, "it was made"
            before = self._regular(file, parent)
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(beside, dir_fd=parent)  # a command that was killed left it
                try:
                    self._write_new(beside, content, before, parent)
                    self.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(beside, dir_fd=parent)
                    raise
            except OSError as error:
                raise self._failed("the vault file cannot be written", file, error) from None
            self._settle(file, parent)

    def _write_new(self, name: str, content: bytes, before: os.stat_result | None, parent: int) -> None:
        descriptor = os.open(name, _WRITE_NEW, _FILE_MODE, dir_fd=parent)
        with open(descriptor, "wb") as stream:  # noqa: PTH123
            os.fchmod(descriptor, _FILE_MODE)
            if before is not None and (before.st_uid, before.st_gid) != _owner(os.fstat(descriptor)):
                # Root mends somebody's vault: it stays theirs. Others may not give files away, and need not.
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            stream.write(content)
            stream.flush()
            self.sync(descriptor)

    def remove(self, file: str) -> None:
        """Take the file away. Raises VaultError."""
        with self._parent(file, make=False) as parent:
            try:
                if parent is not None:
                    os.unlink(PurePosixPath(file).name, dir_fd=parent)
            except OSError as error:
                raise self._failed("the vault file cannot be removed", file, error) from None
            if parent is not None:
                self._settle(file, parent)

    def _settle(self, file: str, parent: int) -> None:
        """Force to disk what the folder says of its files. Some file systems have no such call, and no need of it."""
        try:
            self.sync(parent)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise VaultError(
                    f"the disk did not confirm a change: {error.strerror}",
                    where=f"{self.shown}/{file}",
                    meaning="the change is made, and may be lost if the machine stops now",
                    remedy="look after the disk, then run this again",
                ) from None

    @contextlib.contextmanager
    def _parent(self, file: str, *, make: bool) -> Iterator[int | None]:
        """A descriptor of the folder that the file lies in; None where it is not there and not to be made."""
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("a file of the vault is named from the vault's root")
        with contextlib.ExitStack() as opened:
            try:
                here = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                if make:
                    raise self._failed("there is no vault folder", "", None) from None
                yield None
                return
            except OSError as error:
                raise self._failed("the vault's folder cannot be opened", "", error) from None
            opened.callback(os.close, here)
            for folder in reversed(path.parents[:-1]):
                below = self._folder(folder, here, make=make)
                if below is None:
                    yield None
                    return
                opened.callback(os.close, below)
                here = below
            yield here

    def _folder(self, folder: PurePosixPath, parent: int, *, make: bool) -> int | None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder.name, _FOLDER_MODE, dir_fd=parent)
            return os.open(folder.name, flags, dir_fd=parent)
        except FileNotFoundError:
            return None
        except OSError as error:
            with contextlib.suppress(OSError):
                if stat.S_ISLNK(os.stat(folder.name, dir_fd=parent, follow_symlinks=False).st_mode):
                    raise self._is_a_link(str(folder)) from None
            raise self._failed("the vault's folder cannot be opened", str(folder), error) from None

    def _regular(self, file: str, parent: int) -> os.stat_result | None:
        """The file as it is there, None where it is not. Raises VaultError where it is anything but a plain file."""
        try:
            found = os.stat(PurePosixPath(file).name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("the vault file cannot be read", file, error) from None
        if stat.S_ISLNK(found.st_mode):
            raise self._is_a_link(file)
        if not stat.S_ISREG(found.st_mode):
            raise self._failed("the vault file is no plain file", file, None)
        return found

    def _is_a_link(self, file: str) -> VaultError:
        return VaultError(
            "a link is in the way",
            where=f"{self.shown}/{file}",
            meaning="nothing in the vault is changed through a link: it may lead anywhere, and be seen by others",
            remedy="put the file or folder itself in its place",
        )

    def _failed(self, summary: str, file: str, error: OSError | None) -> VaultError:
        full = error is not None and error.errno in (errno.ENOSPC, errno.EDQUOT)
        return VaultError(
            summary + (f": {error.strerror or type(error).__name__}" if error else ""),
            where=f"{self.shown}/{file}",
            meaning="the vault is as it was",
            remedy="make room on the disk, then run this again"
            if full
            else "the vault should be a folder of yours, with plain folders and files in it",
        )


_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _owner(status: os.stat_result) -> tuple[int, int]:
    return status.st_uid, status.st_gid
