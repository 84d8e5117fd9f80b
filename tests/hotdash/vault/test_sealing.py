"""Files encrypted: the plain one goes when the encrypted one is proved, and nobody locks themselves out unasked."""

from pathlib import Path

import pytest

from hotdash.errors import VaultError
from hotdash.vault import Vault, age, recipients
from hotdash.vault.folder import Folder
from hotdash.vault.sealing import Encrypted, encrypt_file, file_named
from tests.hotdash.vault.conftest import VALUE, Person

FILE, SEALED = "occ/a.env", "occ/a.env.age"
CONTENT = f"# why\nKEY='{VALUE}'\n".encode()
NOBODY: dict[str, str] = {}


@pytest.fixture
def vault(folder: Folder, alice: Person) -> Folder:
    recipients.add(folder, [alice.recipient])
    folder.write(FILE, CONTENT)
    return folder


def sealed_in(folder: Folder) -> bytes:
    sealed = folder.read(SEALED)
    assert sealed is not None
    return sealed


def test_the_plain_file_goes_once_the_encrypted_one_was_read_back(vault: Folder, alice: Person) -> None:
    assert encrypt_file(vault, FILE, alice.environ) == Encrypted(SEALED, 1, again=False)
    assert vault.read(FILE) is None
    assert alice.identity.decrypt(sealed_in(vault)) == CONTENT
    assert VALUE.encode() not in sealed_in(vault)


def test_it_stays_where_it_is_wanted(vault: Folder, alice: Person) -> None:
    assert encrypt_file(vault, FILE, alice.environ, keep_plain=True).plain_kept == "as you asked"
    assert vault.read(FILE) == CONTENT
    assert Vault(vault.root, "vault", environ=alice.environ).values(FILE) == {"KEY": VALUE}


def test_it_stays_where_nothing_proves_that_you_can_decrypt(vault: Folder, bob: Person) -> None:
    assert "no age identity" in encrypt_file(vault, FILE, NOBODY).plain_kept
    assert vault.read(FILE) == CONTENT
    kept = encrypt_file(vault, FILE, bob.environ, plain_wins=True).plain_kept
    assert "not among the recipients" in kept
    assert vault.read(FILE) == CONTENT
    assert encrypt_file(vault, FILE, NOBODY, plain_wins=True, force=True).plain_kept == ""
    assert vault.read(FILE) is None


def test_an_encrypted_file_is_encrypted_anew_for_those_who_are_recipients_now(
    vault: Folder, alice: Person, bob: Person
) -> None:
    encrypt_file(vault, FILE, alice.environ)
    recipients.add(vault, [bob.recipient])
    with pytest.raises(age.CannotDecrypt):
        bob.identity.decrypt(sealed_in(vault))
    assert encrypt_file(vault, FILE, alice.environ) == Encrypted(SEALED, 2, again=True)
    assert bob.identity.decrypt(sealed_in(vault)) == CONTENT
    recipients.remove(vault, [bob.recipient])
    encrypt_file(vault, FILE, alice.environ)
    with pytest.raises(age.CannotDecrypt):
        bob.identity.decrypt(sealed_in(vault))


def test_nobody_locks_themselves_out_unasked(vault: Folder, alice: Person, bob: Person) -> None:
    encrypt_file(vault, FILE, alice.environ)
    recipients.add(vault, [bob.recipient])
    recipients.remove(vault, [alice.recipient])
    before = sealed_in(vault)
    with pytest.raises(VaultError, match="not among the recipients") as refused:
        encrypt_file(vault, FILE, alice.environ)
    assert "could not read it any more" in refused.value.meaning
    assert sealed_in(vault) == before
    encrypt_file(vault, FILE, alice.environ, force=True)
    assert bob.identity.decrypt(sealed_in(vault)) == CONTENT


def test_of_a_pair_that_differs_the_plain_one_wins_only_where_it_is_named(
    vault: Folder, alice: Person
) -> None:
    vault.write(SEALED, age.encrypt(b"KEY=newer\n", [alice.recipient]))
    with pytest.raises(VaultError, match="differ"):
        encrypt_file(vault, FILE, alice.environ)
    assert alice.identity.decrypt(sealed_in(vault)) == b"KEY=newer\n"
    with pytest.raises(VaultError, match="to compare them with"):
        encrypt_file(vault, FILE, NOBODY)
    encrypt_file(vault, FILE, alice.environ, plain_wins=True)
    assert alice.identity.decrypt(sealed_in(vault)) == CONTENT
    assert vault.read(FILE) is None


def test_what_cannot_be_encrypted(vault: Folder, alice: Person, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="does not exist"):
        encrypt_file(vault, "occ/none.env", alice.environ)
    vault.write("occ/bad.env", f"{VALUE}\n".encode())
    with pytest.raises(VaultError, match="malformed") as refused:
        encrypt_file(vault, "occ/bad.env", alice.environ)
    assert VALUE not in str(refused.value)
    (vault.root / "occ/link.env").symlink_to(tmp_path / "theirs")
    with pytest.raises(VaultError, match="link"):
        encrypt_file(vault, "occ/link.env", alice.environ)
    vault.remove(recipients.FILE)
    with pytest.raises(VaultError, match="no recipients"):
        encrypt_file(vault, FILE, alice.environ)
    assert sorted(vault.files()) == ["occ/a.env", "occ/bad.env", "occ/link.env"]


def test_without_an_identity_an_encrypted_file_cannot_be_encrypted_anew(vault: Folder, alice: Person) -> None:
    encrypt_file(vault, FILE, alice.environ)
    for force in (False, True):
        with pytest.raises(VaultError, match="no age identity to decrypt it with"):
            encrypt_file(vault, FILE, NOBODY, force=force)


def test_a_crash_between_the_two_files_leaves_both(vault: Folder, alice: Person) -> None:
    class Crash(Folder):
        def remove(self, file: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encrypt_file(Crash(vault.root, "vault"), FILE, alice.environ)
    assert vault.read(FILE) == CONTENT
    assert encrypt_file(vault, FILE, alice.environ).plain_kept == ""


def test_a_disk_that_lies_keeps_the_plain_file(vault: Folder, alice: Person) -> None:
    class Liar(Folder):
        def read(self, file: str) -> bytes | None:
            content = super().read(file)
            return content[:-1] if content and file == SEALED else content

    with pytest.raises(VaultError, match="not what was written"):
        encrypt_file(Liar(vault.root, "vault"), FILE, alice.environ)
    assert vault.read(FILE) == CONTENT


def test_a_file_is_named_as_people_name_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.root / "occ").mkdir()
    monkeypatch.chdir(folder.root.parent)
    relative = Folder(Path("vault"), "vault")
    for there in (folder, relative):
        for name in (
            "occ/a.env",
            "occ/a.env.age",
            "vault/occ/a.env",
            "./vault/occ/a.env.age",
            str(folder.root / FILE),
        ):
            assert file_named(name, there) == FILE
    monkeypatch.chdir(folder.root / "occ")
    assert file_named("a.env", folder) == FILE


@pytest.mark.parametrize("text", [VALUE, "../a.env", "/etc/a.env", "", "occ/a.txt"])
def test_what_names_no_file_is_not_repeated(folder: Folder, text: str) -> None:
    with pytest.raises(VaultError, match="no file of the vault") as refused:
        file_named(text, folder)
    assert not text or text not in str(refused.value)
