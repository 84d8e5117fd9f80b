"""Writing to the vault: whole files or none, whatever happens; for the owner alone; never through a link.

Modes are looked at, not tried: the tests run as root too, whom nothing refuses.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hotdash.clock import Clock
from hotdash.errors import VaultError
from hotdash.vault.folder import LOCK_WAIT, Folder
from tests.hotdash.vault.conftest import VALUE
from tests.world import CHECKOUT

FILE = "occ/chatwoot/a.env"


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def refuses(action: Callable[[], object]) -> VaultError:
    with pytest.raises(VaultError) as caught:
        action()
    assert caught.value.where.startswith("vault/")
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_and_folders_are_their_owners_alone(folder: Folder, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder.write(FILE, b"KEY=1\n")
    finally:
        os.umask(before)
    assert folder.read(FILE) == b"KEY=1\n"
    modes = [mode(path) for path in (folder.root, folder.root / "occ", folder.root / "occ/chatwoot")]
    assert modes == [0o700] * 3
    assert mode(folder.root / FILE) == 0o600


def test_a_file_that_others_could_read_is_its_owners_alone_once_it_is_written(folder: Folder) -> None:
    folder.write(FILE, b"old")
    (folder.root / FILE).chmod(0o664)
    folder.write(FILE, b"new")
    assert mode(folder.root / FILE) == 0o600


def test_a_file_keeps_its_owner_when_root_changes_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    folder.write(FILE, b"old")
    folder.write(FILE, b"new")
    assert given == []
    # Another's file, which only root could make here.
    status = (folder.root / FILE).stat()
    theirs = os.stat_result([*status[:4], 4711, 4712, *status[6:]])
    with folder._parent(FILE, make=True) as parent:
        assert parent is not None
        folder._write_new(".a.env.new", b"newer", theirs, parent)
    assert given == [(4711, 4712)]


def test_what_is_not_there_is_none(folder: Folder) -> None:
    assert folder.read(FILE) is None
    assert Folder(folder.root / "none", "vault").read(FILE) is None
    folder.write(FILE, b"")
    assert folder.read("occ/chatwoot/b.env") is None
    folder.remove(FILE)
    assert folder.read(FILE) is None
    folder.remove("occ/none/a.env")


def test_files_are_listed_once_each_by_their_plain_name(folder: Folder) -> None:
    for name in ("b.env", "b.env.age", "occ/a.env.age", "occ/x.env.new", "README.md", ".env", ".git/c.env"):
        folder.write(name, b"")
    (folder.root / "link.env").symlink_to("b.env")
    assert folder.files() == ("b.env", "link.env", "occ/a.env")


def test_a_file_out_of_the_vault_cannot_be_named(folder: Folder) -> None:
    for name in ("../a.env", "/etc/a.env", "occ/../../a.env"):
        with pytest.raises(ValueError, match="from the vault's root"):
            folder.write(name, b"")


# Links


def test_nothing_is_read_written_or_listed_through_a_link(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.env").write_bytes(b"theirs")
    (folder.root / "link.env").symlink_to(outside / "a.env")
    (folder.root / "dangling.env").symlink_to(outside / "none.env")
    (folder.root / "folder").symlink_to(outside)
    folder.write("occ/real.env", b"ours")
    (folder.root / "occ/deep").symlink_to(outside)
    for name in ("link.env", "dangling.env", "folder/a.env", "folder/new.env", "occ/deep/more/a.env"):
        assert "a link is in the way" in refuses(partial(folder.write, name, b"ours")).summary
        assert "a link is in the way" in refuses(partial(folder.read, name)).summary
    assert contents(outside) == {"a.env": b"theirs"}
    assert folder.files() == ("dangling.env", "link.env", "occ/real.env")


def test_a_link_that_is_put_in_the_way_meanwhile_is_not_followed(folder: Folder, tmp_path: Path) -> None:
    """The folder is swapped for a link in the moment before the new file takes its place."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder.write(FILE, b"old")

    def swap_then_rename(*names: str, **folders: Any) -> None:
        (folder.root / "occ/chatwoot").rename(folder.root / "occ/moved")
        (folder.root / "occ/chatwoot").symlink_to(outside)
        os.replace(*names, **folders)  # noqa: PTH105 - relative to folders

    Folder(folder.root, "vault", rename=swap_then_rename).write(FILE, b"new")
    assert contents(outside) == {}
    assert (folder.root / "occ/moved/a.env").read_bytes() == b"new"


def test_the_vault_itself_may_be_a_link(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.root)
    Folder(tmp_path / "link", "vault").write(FILE, b"ours")
    assert folder.read(FILE) == b"ours"


def test_what_is_no_file_is_left_alone(folder: Folder) -> None:
    (folder.root / "folder.env").mkdir()
    os.mkfifo(folder.root / "pipe.env")
    folder.write("file", b"")
    for name in ("folder.env", "pipe.env"):
        assert "no plain file" in refuses(partial(folder.write, name, b"")).summary
        assert "no plain file" in refuses(partial(folder.read, name)).summary
    assert "Not a directory" in refuses(lambda: folder.write("file/a.env", b"")).summary
    vault = Folder(folder.root / "file", "vault")
    assert not vault.make()
    assert "Not a directory" in refuses(lambda: vault.write("a.env", b"")).summary


# A write that ends in the middle


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("seam", ["sync", "rename"])
@pytest.mark.parametrize(
    ("number", "next_"),
    [(28, "make room on the disk"), (5, "a folder of yours"), (122, "make room on the disk")],
)
def test_a_write_that_fails_leaves_the_file_as_it_was(
    folder: Folder, seam: str, number: int, next_: str
) -> None:
    folder.write(FILE, b"old")
    broken: Any = Folder(folder.root, "vault", **{seam: failing(number)})  # type: ignore[arg-type]
    told = refuses(lambda: broken.write(FILE, VALUE.encode()))
    assert os.strerror(number) in told.summary
    assert next_ in told.remedy
    assert "as it was" in told.meaning
    assert contents(folder.root) == {FILE: b"old"}


def test_an_interrupt_leaves_the_file_as_it_was(folder: Folder) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    folder.write(FILE, b"old")
    with pytest.raises(KeyboardInterrupt):
        Folder(folder.root, "vault", sync=interrupted).write(FILE, b"new")
    assert contents(folder.root) == {FILE: b"old"}


def test_a_disk_that_does_not_confirm_the_new_name_is_told(folder: Folder) -> None:
    calls: list[int] = []

    def second_fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            failing(errno.EIO)()

    told = refuses(lambda: Folder(folder.root, "vault", sync=second_fails).write(FILE, b"new"))
    assert "did not confirm" in told.summary
    assert "the change is made" in told.meaning
    assert folder.read(FILE) == b"new"


KILLED = """
import os, signal, sys
from pathlib import Path
from hotdash.vault.folder import Folder

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

with (folder := Folder(Path(sys.argv[1]), "vault", **{sys.argv[2]: die})).locked():
    folder.write("occ/chatwoot/a.env", b"new, and long enough to be cut in two" * 1000)
"""


@pytest.mark.parametrize("seam", ["sync", "rename"])
def test_a_killed_write_loses_nothing_and_is_tidied_up_by_the_next(folder: Folder, seam: str) -> None:
    folder.write(FILE, b"old")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder.root), seam], cwd=CHECKOUT, check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    assert folder.read(FILE) == b"old"
    left = [path for path in folder.root.rglob("*.new") if path.is_file()]
    assert [mode(path) for path in left] == [0o600]
    with folder.locked():  # the dead hold no lock
        folder.write(FILE, b"newer")
    assert contents(folder.root) == {FILE: b"newer"}


# The lock


def test_one_command_at_a_time(folder: Folder) -> None:
    waits = threading.Event()
    order: list[str] = []

    def sleep(seconds: float) -> None:
        waits.set()
        time.sleep(seconds)

    def other() -> None:
        with Folder(folder.root, "vault", clock=Clock(sleep=sleep)).locked():
            order.append("other")

    thread = threading.Thread(target=other)
    with folder.locked():
        thread.start()
        assert waits.wait(60)
        order.append("this")
    thread.join(60)
    assert order == ["this", "other"]


def test_a_lock_that_is_not_given_back_is_told(folder: Folder) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    waiting = Folder(folder.root, "vault", clock=Clock(lambda: now[0], sleep))
    with folder.locked():
        told = refuses(lambda: waiting.locked().__enter__())
    assert "held the vault for too long" in told.summary
    assert LOCK_WAIT <= now[0] < LOCK_WAIT + 1


def test_the_lock_leaves_nothing_behind(folder: Folder) -> None:
    with folder.locked():
        pass
    assert list(folder.root.iterdir()) == []


def test_a_vault_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    told = refuses(lambda: Folder(tmp_path / "none", "vault").locked().__enter__())
    assert "No such file" in told.summary
