"""What git tracks of a vault, asked of the real git."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hotdash.errors import VaultError
from hotdash.vault import git, tracked_plain_files


def run(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *words],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "vault/occ").mkdir(parents=True)
    for name in (
        "a.env",
        "b.env.age",
        "c.env~",
        "d.env.bak",
        "README.md",
        ".age-recipients",
        "with \"'ü.env",
    ):
        (root / "vault/occ" / name).write_text("KEY=value\n")
    (root / "elsewhere.env").write_text("KEY=value\n")
    assert run(root, "init", "-q").returncode == 0
    return root


def test_plain_files_are_told_from_the_index_on(repository: Path) -> None:
    assert tracked_plain_files(repository / "vault") == ()
    run(repository, "add", "-A")
    plain = ("occ/a.env", "occ/c.env~", "occ/d.env.bak", "occ/with \"'ü.env")
    assert tracked_plain_files(repository / "vault") == plain
    run(repository, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x")
    (repository / "vault/occ/a.env").unlink()
    assert tracked_plain_files(repository / "vault") == plain
    run(repository, "rm", "-q", "--cached", *(f"vault/{file}" for file in plain))
    assert tracked_plain_files(repository / "vault") == ()


def test_where_there_is_no_repository_nothing_is_tracked(tmp_path: Path) -> None:
    assert tracked_plain_files(tmp_path) == ()
    assert tracked_plain_files(tmp_path / "none") == ()
    (tmp_path / "file").write_text("")
    assert tracked_plain_files(tmp_path / "file") == ()


def test_without_git_nothing_is_tracked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(repository, "add", "-A")
    monkeypatch.setenv("PATH", str(repository))
    assert tracked_plain_files(repository / "vault") == ()


def test_a_hooks_environment_does_not_mislead(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(repository, "add", "-A")
    other = tmp_path / "other"
    other.mkdir()
    run(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository))
    assert "occ/a.env" in tracked_plain_files(repository / "vault")
    # Nor is a folder of its own, outside of every repository, taken for one of the other's.
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    assert tracked_plain_files(tmp_path) == ()


def test_another_owners_checkout_is_no_obstacle(repository: Path) -> None:
    # git's own tests have a variable that makes it take every repository for another's.
    run(repository, "add", "-A")
    foreign = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    assert "dubious ownership" in run(repository / "vault", "ls-files", **foreign).stderr
    told = run(repository / "vault", *git._COMMAND[1:], **foreign)
    assert "occ/a.env" in told.stdout.split("\0")


def test_a_repository_that_git_cannot_read_is_no_clean_one(repository: Path) -> None:
    run(repository, "add", "-A")
    (repository / ".git/index").write_bytes(b"no index")
    with pytest.raises(VaultError, match="cannot tell") as refused:
        tracked_plain_files(repository / "vault")
    assert "index" in refused.value.meaning


def test_it_is_one_process(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(repository, "add", "-A")
    real = shutil.which("git")
    wrapper = tmp_path / "bin/git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    assert "occ/a.env" in tracked_plain_files(repository / "vault")
    assert len((tmp_path / "calls").read_text().splitlines()) == 1
