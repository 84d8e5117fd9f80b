"""Identities, recipients, and what a file tells of those that it is encrypted for; against the real age."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from hotdash.errors import VaultError
from hotdash.vault import age
from hotdash.vault.age import CannotDecrypt, Identity, NotARecipient
from tests.hotdash.vault.conftest import Person

CONTENT = b"KEY=s3cr3t-Value\n"
ALICE, BOB = Person.new(), Person.new()


def ssh_key(kind: str) -> tuple[str, str]:
    """A private key as ssh-keygen writes it, and its recipient."""
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} alice@laptop"


@given(st.binary(max_size=300))
def test_what_is_encrypted_is_decrypted_by_each_recipient_and_by_nobody_else(content: bytes) -> None:
    sealed = age.encrypt(content, [ALICE.recipient, BOB.recipient])
    assert ALICE.identity.decrypt(sealed) == BOB.identity.decrypt(sealed) == content
    with pytest.raises(CannotDecrypt) as refused:
        Person.new().identity.decrypt(sealed)
    assert not refused.value.damaged


def test_an_encrypted_file_is_text_that_git_can_show() -> None:
    sealed = age.encrypt(CONTENT, [ALICE.recipient])
    assert sealed.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert sealed.isascii()


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys_are_identities_and_recipients(kind: str) -> None:
    private, public = ssh_key(kind)
    sealed = age.encrypt(CONTENT, [public])
    assert Identity.parse(private, "here").decrypt(sealed) == CONTENT
    assert age.fits(sealed, [public])
    assert not age.fits(sealed, [public, ALICE.recipient])


# A key that ssh-keygen made for this test, under the passphrase `pw`; without its head and foot, by which scanners go.
UNDER_A_PASSPHRASE = """\
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDZxVV04l
Slb3GnEUw/ZAUDAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIL+pW+Ngos35k/n3
VwPMZ0ppXHjaM+Z93jatpFr/pSJTAAAAkLXTb2xtBiVObAb3XJ+s1Dmg31rneLCLPkOxDr
4xq39ztgNaaIbil1PBP/8j+uc/9cPNs6KejcWKZISqsKoWQpX3XcmXJnfZOo2hZKcJGdwg
oNFZmT1wqy06HZim+TdUXsxgE1uYtRguoJmaYOKUiOWwl7f0QLrMJBU656XeGxUBnqeKaS
c8Wyd/NqlZbHjztQ==
"""


def test_an_ssh_key_with_a_passphrase_is_told_as_such() -> None:
    dashes, what = "-" * 5, "OPENSSH PRIVATE KEY"
    private = f"{dashes}BEGIN {what}{dashes}\n{UNDER_A_PASSPHRASE}{dashes}END {what}{dashes}\n"
    with pytest.raises(VaultError, match="protected by a passphrase"):
        Identity.parse(private, "here")


def test_an_identity_file_may_hold_several_keys_and_comments() -> None:
    both = Identity.parse(f"# two\n\n{ALICE.text}\n{BOB.text}", "here")
    assert both.recipients == (ALICE.recipient, BOB.recipient)
    assert both.decrypt(age.encrypt(CONTENT, [BOB.recipient])) == CONTENT


@pytest.mark.parametrize(
    "text",
    [
        "AGE-SECRET-KEY-1NONE",
        "hunter2",
        "age1abc",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n",
        "# none\n",
    ],
)
def test_what_is_no_identity_is_not_repeated(text: str) -> None:
    with pytest.raises(VaultError, match="no age identity") as refused:
        Identity.parse(text, "here")
    assert "hunter2" not in str(refused.value)
    assert refused.value.where == "here"


def test_no_key_is_shown() -> None:
    key = ALICE.text.splitlines()[1]
    assert key.startswith("AGE-SECRET-KEY-1")
    assert key not in repr(ALICE.identity)


@pytest.mark.parametrize(
    "text", ["", "age1abc", "ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 AAAA", "alice@example.com"]
)
def test_what_is_no_recipient(text: str) -> None:
    with pytest.raises(NotARecipient, match="it must be age1"):
        age.check_recipient(text)


def test_an_identity_in_the_place_of_a_recipient_is_told_and_not_repeated() -> None:
    key = ALICE.text.splitlines()[1]
    for text in (key, key.lower()):
        with pytest.raises(NotARecipient, match="secret") as refused:
            age.check_recipient(text)
        assert key.lower() not in str(refused.value).lower()


# Where an identity is looked for


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "identity.txt"
    file.write_text(BOB.text)
    environ = {age.IDENTITY_FILE_VARIABLE: str(file)}
    found = age.find_identity({**environ, **ALICE.environ})
    assert found is not None
    assert found.recipients == (ALICE.recipient,)
    # A CI system gives an empty text where it has no such secret.
    found = age.find_identity({**environ, age.IDENTITY_VARIABLE: " \n"})
    assert found is not None
    assert found.recipients == (BOB.recipient,)
    assert found.source == str(file)


def test_without_either_the_file_lies_in_the_config_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert age.identity_file({}) == tmp_path / ".config/hotdash/age-identity.txt"
    assert age.identity_file({"XDG_CONFIG_HOME": "relative"}) == age.identity_file({})
    assert age.identity_file({"XDG_CONFIG_HOME": "/etc"}) == Path("/etc/hotdash/age-identity.txt")
    assert age.identity_file({age.IDENTITY_FILE_VARIABLE: "~/mine.txt"}) == tmp_path / "mine.txt"
    assert age.find_identity({}) is None
    assert "~/.config/hotdash/age-identity.txt" in age.how_to_get_an_identity({})


def test_an_identity_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="cannot be read: Is a directory"):
        age.find_identity({age.IDENTITY_FILE_VARIABLE: str(tmp_path)})
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(VaultError, match="cannot be read: it is no text"):
        age.find_identity({age.IDENTITY_FILE_VARIABLE: str(tmp_path / "bytes")})


# What a file tells


def test_a_list_that_has_grown_or_shrunk_does_not_fit() -> None:
    for recipients in ([ALICE.recipient], [ALICE.recipient, BOB.recipient]):
        sealed = age.encrypt(CONTENT, recipients)
        assert age.fits(sealed, recipients)
        assert not age.fits(sealed, [*recipients, Person.new().recipient])
    assert not age.fits(sealed, [ALICE.recipient])


@pytest.mark.parametrize("armored", [True, False])
def test_damage_is_told_from_a_wrong_identity(armored: bool) -> None:
    import pyrage  # type: ignore[import-untyped]

    recipient = pyrage.x25519.Recipient.from_str(ALICE.recipient)
    sealed: bytes = pyrage.encrypt(CONTENT * 20, [recipient], armored=armored)
    assert ALICE.identity.decrypt(sealed) == CONTENT * 20
    middle = len(sealed) // 2
    swapped = sealed[:middle] + bytes([sealed[middle] ^ 1]) + sealed[middle + 1 :]
    for damaged in (b"", b"KEY=value\n", sealed[:60], sealed[:-40], swapped):
        with pytest.raises(CannotDecrypt) as refused:
            ALICE.identity.decrypt(damaged)
        assert refused.value.damaged
        age.fits(damaged, [ALICE.recipient])  # says something, and does not fail
