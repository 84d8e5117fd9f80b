"""A value set: where it goes, what it leaves alone, what is refused, and two set at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.errors import VaultError
from hotdash.vault import Reference, Vault, age, recipients
from hotdash.vault.folder import Folder
from hotdash.vault.storing import Outcome, Stored, set_value
from tests.hotdash.vault.conftest import VALUE, Person
from tests.world import CHECKOUT

REFERENCE = Reference("occ/smtp.env", "SMTP_PASSWORD")
PLAIN, SEALED = "occ/smtp.env", "occ/smtp.env.age"
NOBODY: dict[str, str] = {}


def values_of(folder: Folder, person: Person | None = None) -> dict[str, str]:
    environ = person.environ if person else NOBODY
    return dict(Vault(folder.root, "vault", environ=environ).values(PLAIN))


def refuses(folder: Folder, value: str = VALUE, environ: dict[str, str] = NOBODY) -> VaultError:
    before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
    with pytest.raises(VaultError) as caught:
        set_value(folder, REFERENCE, value, environ)
    assert {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()} == before
    assert value.strip() == "" or value not in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_a_value_is_added_changed_or_left(folder: Folder) -> None:
    assert set_value(folder, REFERENCE, "one", NOBODY) == Stored(Outcome.ADDED, (PLAIN,))
    assert set_value(folder, REFERENCE, "two", NOBODY) == Stored(Outcome.CHANGED, (PLAIN,))
    written = (folder.root / PLAIN).stat()
    assert set_value(folder, REFERENCE, "two", NOBODY) == Stored(Outcome.UNCHANGED, (PLAIN,))
    assert (folder.root / PLAIN).stat().st_ino == written.st_ino
    assert values_of(folder) == {"SMTP_PASSWORD": "two"}


def test_the_folder_is_made_if_need_be(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "vault", "vault")
    set_value(folder, REFERENCE, VALUE, NOBODY)
    assert folder.root.stat().st_mode & 0o777 == 0o700
    assert values_of(folder) == {"SMTP_PASSWORD": VALUE}


def test_the_rest_of_the_file_stays(folder: Folder) -> None:
    folder.write(
        PLAIN, b"\xef\xbb\xbf# mail\r\nSMTP_PASSWORD=old # until May\r\n\r\nexport SMTP_USERNAME = 'x'\r\n"
    )
    set_value(folder, REFERENCE, "a b", NOBODY)
    assert folder.read(PLAIN) == (
        b"\xef\xbb\xbf# mail\r\nSMTP_PASSWORD='a b' # until May\r\n\r\nexport SMTP_USERNAME = 'x'\r\n"
    )


def test_a_vault_with_recipients_gets_new_files_encrypted_without_an_identity(
    folder: Folder, alice: Person
) -> None:
    recipients.add(folder, [alice.recipient])
    assert set_value(folder, REFERENCE, VALUE, NOBODY) == Stored(Outcome.ADDED, (SEALED,))
    assert folder.files() == (PLAIN,)
    assert folder.read(PLAIN) is None
    assert values_of(folder, alice) == {"SMTP_PASSWORD": VALUE}


def test_an_encrypted_file_stays_encrypted_comments_and_all(
    folder: Folder, alice: Person, bob: Person
) -> None:
    recipients.add(folder, [alice.recipient])
    folder.write(SEALED, age.encrypt(b"# mail\nSMTP_USERNAME=x\n", [alice.recipient]))
    recipients.add(folder, [bob.recipient])
    assert set_value(folder, REFERENCE, VALUE, alice.environ).files == (SEALED,)
    sealed = folder.read(SEALED)
    assert sealed is not None
    # For those who are recipients now.
    assert bob.identity.decrypt(sealed) == f"# mail\nSMTP_USERNAME=x\nSMTP_PASSWORD={VALUE}\n".encode()
    assert folder.read(PLAIN) is None


def test_a_plain_file_in_an_encrypted_vault_stays_plain_and_is_told(folder: Folder, alice: Person) -> None:
    folder.write(PLAIN, b"SMTP_USERNAME=x\n")
    recipients.add(folder, [alice.recipient])
    assert set_value(folder, REFERENCE, VALUE, NOBODY) == Stored(Outcome.ADDED, (PLAIN,), readable=True)
    assert folder.read(SEALED) is None


def test_a_pair_stays_a_pair(folder: Folder, alice: Person) -> None:
    recipients.add(folder, [alice.recipient])
    folder.write(PLAIN, b"# mine\nSMTP_PASSWORD=old\n")
    folder.write(SEALED, age.encrypt(b"# ours\nSMTP_PASSWORD=old\n", [alice.recipient]))
    stored = set_value(folder, REFERENCE, VALUE, alice.environ)
    assert stored == Stored(Outcome.CHANGED, (SEALED, PLAIN), readable=True)
    assert folder.read(PLAIN) == f"# mine\nSMTP_PASSWORD={VALUE}\n".encode()
    assert values_of(folder, alice) == {"SMTP_PASSWORD": VALUE}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_value_is_read_back_encrypted_or_not(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    value = f"x{value}"
    for whom in ([], [ALICE.recipient]):
        folder = Folder(tmp_path_factory.mktemp("vault"), "vault")
        if whom:
            recipients.add(folder, whom)
        set_value(folder, REFERENCE, value, ALICE.environ, placeholders=True)
        assert values_of(folder, ALICE) == {"SMTP_PASSWORD": value}


ALICE = Person.new()

# Refusals


@pytest.mark.parametrize("value", ["", " ", "\n\t"])
def test_an_empty_value_is_refused(folder: Folder, value: str) -> None:
    assert "empty" in refuses(folder, value).summary


def test_a_placeholder_is_refused_unless_it_is_meant(folder: Folder) -> None:
    assert "placeholder" in refuses(folder, "FAKE_PASSWORD").summary
    set_value(folder, REFERENCE, "FAKE_PASSWORD", NOBODY, placeholders=True)
    assert values_of(folder) == {"SMTP_PASSWORD": "FAKE_PASSWORD"}


def test_a_nul_is_refused(folder: Folder) -> None:
    assert "NUL" in refuses(folder, f"{VALUE}\0").summary


def test_a_malformed_file_is_refused_by_line(folder: Folder) -> None:
    folder.write(PLAIN, b"# mail\nhunter2\n")
    told = refuses(folder)
    assert told.where == "vault/occ/smtp.env, line 2"
    assert "hunter2" not in str(told)


def test_without_an_identity_an_encrypted_file_is_not_replaced(
    folder: Folder, alice: Person, bob: Person
) -> None:
    recipients.add(folder, [alice.recipient, bob.recipient])
    folder.write(SEALED, age.encrypt(b"SMTP_USERNAME=x\n", [alice.recipient]))
    assert "no age identity" in refuses(folder).summary
    assert "for others" in refuses(folder, VALUE, bob.environ).summary


def test_an_encrypted_file_in_a_vault_without_recipients_is_not_made_plain(
    folder: Folder, alice: Person
) -> None:
    folder.write(SEALED, age.encrypt(b"SMTP_USERNAME=x\n", [alice.recipient]))
    assert "no recipients" in refuses(folder, VALUE, alice.environ).summary


def test_a_pair_that_differs_is_not_chosen_from(folder: Folder, alice: Person) -> None:
    recipients.add(folder, [alice.recipient])
    folder.write(PLAIN, b"SMTP_PASSWORD=one\n")
    folder.write(SEALED, age.encrypt(b"SMTP_PASSWORD=two\n", [alice.recipient]))
    assert "differ" in refuses(folder, VALUE, alice.environ).summary


def test_links_are_refused(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "theirs.env").write_text("SMTP_PASSWORD=old\n")
    (folder.root / "occ").mkdir()
    (folder.root / PLAIN).symlink_to(tmp_path / "theirs.env")
    assert "link" in refuses(folder).summary
    assert (tmp_path / "theirs.env").read_text() == "SMTP_PASSWORD=old\n"


# Two at once

MANY = """
import sys
from pathlib import Path
from hotdash.vault import Reference
from hotdash.vault.folder import Folder
from hotdash.vault.storing import set_value

for number in range(25):
    reference = Reference("occ/smtp.env", f"{sys.argv[2]}_{number}")
    set_value(Folder(Path(sys.argv[1]), "vault"), reference, f"value {number}", {})
"""


def test_two_who_set_keys_of_one_file_at_once_lose_none(folder: Folder) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", MANY, str(folder.root), name], cwd=CHECKOUT)
        for name in ("A", "B")
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    wanted = {f"{name}_{number}": f"value {number}" for name in ("A", "B") for number in range(25)}
    assert values_of(folder) == wanted
