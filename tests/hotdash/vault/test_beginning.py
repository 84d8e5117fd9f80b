"""A new vault: its shape, what is kept, and an identity of one's own."""

import os
import subprocess
from pathlib import Path

import pytest

from hotdash.errors import VaultError
from hotdash.vault import age, dotenv, tracked_plain_files
from hotdash.vault.beginning import Begun, begin, make_identity, shape_for, shape_of
from hotdash.vault.folder import Folder
from tests.hotdash.vault.conftest import Person
from tests.world import CHECKOUT

SHAPE = {"occ/a.env": "A=FAKE\n", "occ/b.env": "B=FAKE\n"}


def test_what_is_missing_is_made_and_what_is_there_is_kept(folder: Folder) -> None:
    folder.write("occ/a.env", b"A=mine\n")
    folder.write(".gitignore", b"mine\n")
    assert begin(folder, SHAPE) == Begun(made=("occ/b.env",), kept=("occ/a.env",), recipients=(), missing=())
    assert folder.read("occ/a.env") == b"A=mine\n"
    assert folder.read("occ/b.env") == b"B=FAKE\n"
    assert folder.read(".gitignore") == b"mine\n"
    assert begin(folder, SHAPE).made == ()


def test_an_encrypted_vault_gets_no_plain_files(folder: Folder, alice: Person) -> None:
    folder.write("occ/a.env.age", age.encrypt(b"A=mine\n", [alice.recipient]))
    begun = begin(folder, SHAPE, [alice.recipient])
    assert begun == Begun(made=(), kept=("occ/a.env",), recipients=(alice.recipient,), missing=("occ/b.env",))
    assert begin(folder, SHAPE) == begun
    assert folder.files() == ("occ/a.env",)


def test_git_takes_the_encrypted_files_and_leaves_the_plain_ones(folder: Folder, alice: Person) -> None:
    begin(folder, {}, [alice.recipient])
    for name in ("occ/a.env", "occ/a.env~", "occ/.a.env.new", "notes.txt", "occ/a.env.age"):
        folder.write(name, b"")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=folder.root.parent, env=environ, check=True, timeout=60)
    listed = subprocess.run(
        ["git", "ls-files"],
        cwd=folder.root,
        env=environ,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert listed.stdout.split() == [".age-recipients", ".gitignore", "occ/a.env.age"]
    assert tracked_plain_files(folder.root) == ()


def test_the_shape_is_the_examples_with_what_a_stack_needs_besides() -> None:
    example = {"occ/a.env": "# why\nA=FAKE\nB=FAKE", "occ/other.env": "O=FAKE\n"}
    shape = shape_for({"occ/a.env": ["A", "C"], "occ/new.env": ["N", "M"]}, example)
    assert dotenv.parse(shape["occ/a.env"]) == {"A": "FAKE", "B": "FAKE", "C": ""}
    assert shape["occ/a.env"].startswith("# why\n")
    assert shape["occ/new.env"] == "N=\nM=\n"
    assert set(shape) == {"occ/a.env", "occ/new.env"}


def test_the_projects_example_is_a_shape(tmp_path: Path) -> None:
    shape = shape_of(CHECKOUT / "vault.example")
    assert "DATABASE_URL" in dotenv.parse(shape["occ/chatwoot/database_url.env"])
    assert shape_of(tmp_path / "none") == {}


# An identity


def test_an_identity_is_its_owners_alone_and_found_where_identities_are_looked_for(
    nobody: dict[str, str],
) -> None:
    before = os.umask(0)
    try:
        path, recipient = make_identity(nobody)
    finally:
        os.umask(before)
    assert path == age.identity_file(nobody)
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent)] == [0o600, 0o700]
    assert recipient not in path.parent.as_posix()
    found = age.find_identity(nobody)
    assert found is not None
    assert found.recipients == (recipient,)
    assert f"# public key: {recipient}\n" in path.read_text()


def test_an_identity_that_is_there_is_kept(nobody: dict[str, str], alice: Person) -> None:
    path, recipient = make_identity(nobody)
    text = path.read_text()
    with pytest.raises(VaultError, match="there is an age identity already") as refused:
        make_identity(nobody)
    assert f"--age {recipient}" in refused.value.remedy
    assert path.read_text() == text
    with pytest.raises(VaultError, match="already") as refused:
        make_identity({**nobody, **alice.environ})
    assert f"--age {alice.recipient}" in refused.value.remedy
    assert alice.text.splitlines()[1] not in str(refused.value)


def test_a_place_where_no_identity_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VaultError, match="cannot be") as refused:
        make_identity({age.IDENTITY_FILE_VARIABLE: str(tmp_path / "file/identity.txt")})
    assert refused.value.remedy
