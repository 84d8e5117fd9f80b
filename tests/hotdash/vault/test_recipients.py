"""The list of those who can decrypt: added to, taken from, and never left with a line that is none."""

from pathlib import Path

import pytest

from hotdash.errors import VaultError
from hotdash.vault import recipients
from hotdash.vault.folder import Folder
from tests.hotdash.vault.conftest import Person
from tests.hotdash.vault.test_age import ssh_key


def text_of(folder: Folder) -> str:
    return (folder.root / ".age-recipients").read_text()


def test_they_are_added_once_each_and_the_rest_stays(folder: Folder, alice: Person, bob: Person) -> None:
    assert recipients.recipients(folder) == ()
    folder.write(recipients.FILE, f"# us\n\n  {alice.recipient}  \n# end".encode())
    assert recipients.add(
        folder, [alice.recipient, bob.recipient, bob.recipient], comment="Bob's\nlaptop"
    ) == (bob.recipient,)
    assert text_of(folder) == f"# us\n\n  {alice.recipient}  \n# end\n# Bob's laptop\n{bob.recipient}\n"
    assert recipients.recipients(folder) == (alice.recipient, bob.recipient)
    assert recipients.add(folder, [bob.recipient], comment="again") == ()
    assert "again" not in text_of(folder)


def test_a_new_list_says_what_it_is(folder: Folder, alice: Person) -> None:
    recipients.add(folder, [alice.recipient])
    assert text_of(folder).startswith("# Who can decrypt this vault.")
    assert (folder.root / recipients.FILE).stat().st_mode & 0o777 == 0o600


def test_an_ssh_key_is_the_same_under_another_comment(folder: Folder, alice: Person) -> None:
    _, public = ssh_key("ed25519")
    assert recipients.add(folder, [public, alice.recipient]) == (public, alice.recipient)
    bare = " ".join(public.split()[:2])
    assert recipients.add(folder, [f"{bare} work"]) == ()
    assert recipients.remove(folder, [bare]) == (public,)
    assert recipients.recipients(folder) == (alice.recipient,)


def test_one_is_removed_and_comments_stay(folder: Folder, alice: Person, bob: Person) -> None:
    folder.write(recipients.FILE, f"# A\n{alice.recipient}\n# B\n{bob.recipient}\n".encode())
    assert recipients.remove(folder, [alice.recipient]) == (alice.recipient,)
    assert text_of(folder) == f"# A\n# B\n{bob.recipient}\n"


def test_the_last_one_and_a_stranger_are_not_removed(folder: Folder, alice: Person, bob: Person) -> None:
    recipients.add(folder, [alice.recipient])
    before = text_of(folder)
    with pytest.raises(VaultError, match="no recipient would be left"):
        recipients.remove(folder, [alice.recipient])
    with pytest.raises(VaultError, match="not all of these"):
        recipients.remove(folder, [alice.recipient, bob.recipient])
    assert text_of(folder) == before


def test_a_line_that_is_no_recipient_is_told_by_number_alone(
    folder: Folder, alice: Person, bob: Person
) -> None:
    secret = bob.text.splitlines()[1]
    folder.write(recipients.FILE, f"{alice.recipient}\n{secret}\n".encode())
    for action in (recipients.recipients, recipients.required, lambda f: recipients.add(f, [bob.recipient])):
        with pytest.raises(VaultError, match="line 2 is no age recipient") as refused:
            action(folder)
        assert refused.value.where == "vault/.age-recipients"
        assert secret not in str(refused.value)


def test_what_is_given_is_not_repeated(folder: Folder, bob: Person) -> None:
    secret = bob.text.splitlines()[1]
    with pytest.raises(VaultError, match="secret") as refused:
        recipients.add(folder, [secret])
    assert secret not in str(refused.value)
    assert not (folder.root / recipients.FILE).exists()


def test_a_list_that_is_no_text_or_a_link(folder: Folder, tmp_path: Path) -> None:
    folder.write(recipients.FILE, b"\xff")
    with pytest.raises(VaultError, match="no text"):
        recipients.recipients(folder)
    folder.remove(recipients.FILE)
    (folder.root / recipients.FILE).symlink_to(tmp_path / "theirs")
    with pytest.raises(VaultError, match="link"):
        recipients.recipients(folder)


def test_one_is_required_where_something_is_to_be_encrypted(folder: Folder) -> None:
    folder.write(recipients.FILE, b"# nobody yet\n")
    with pytest.raises(VaultError, match="no recipients") as refused:
        recipients.required(folder)
    assert "recipients add" in refused.value.remedy
