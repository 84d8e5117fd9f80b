"""A vault that is encrypted is read by preview and up as a plain one is, and by nobody without an identity."""

from pathlib import Path

import pytest

from hotdash.vault import Reference, Vault, age, recipients, storing
from hotdash.vault.folder import Folder
from hotdash.vault.sealing import encrypt_file
from tests.program.stack import Stack, own_vault

SMTP = Reference("occ/chatwoot/smtp.env", "SMTP_PASSWORD")


@pytest.fixture
def encrypted(applied: Stack, tmp_path: Path) -> Folder:
    """The stack's vault, every file encrypted; its identity is in the stack's environment."""
    identity, text = age.Identity.generate()
    path = own_vault(applied, tmp_path)
    folder = Folder(path, str(path))
    recipients.add(folder, identity.recipients)
    applied.env[age.IDENTITY_VARIABLE] = text
    for file in folder.files():
        assert encrypt_file(folder, file, {age.IDENTITY_VARIABLE: text}).plain_kept == ""
    assert list(path.rglob("*.env")) == []
    return folder


def test_an_encrypted_vault_is_read_as_a_plain_one(applied: Stack, encrypted: Folder) -> None:
    # The token comes from the vault, too.
    applied.env["FLY_API_TOKEN"] = None
    applied.preview("--expect-no-changes").ok()

    environ = {age.IDENTITY_VARIABLE: str(applied.env[age.IDENTITY_VARIABLE])}
    storing.set_value(encrypted, SMTP, "it's # new \\", environ)
    assert applied.drift().kinds == {"secret-changed-in-vault", "secret-not-live"}
    answer = applied.up().ok()
    assert "staged SMTP_PASSWORD" in answer.text
    assert "it's # new" not in answer.output
    assert Vault(encrypted.root, "vault", environ=environ).read(SMTP) == "it's # new \\"
    assert list(encrypted.root.rglob("*.env")) == []


def test_without_its_identity_nothing_is_asked_of_fly(applied: Stack, encrypted: Folder) -> None:
    assert encrypted.files()
    with applied.nothing_changed():
        applied.env[age.IDENTITY_VARIABLE] = None
        applied.env[age.IDENTITY_FILE_VARIABLE] = str(encrypted.root / "none")
        applied.up().failed(
            "there is no age identity to decrypt it with", age.IDENTITY_VARIABLE, "code vault"
        )
        _, stranger = age.Identity.generate()
        applied.env[age.IDENTITY_VARIABLE] = stranger
        refused = applied.up().failed(
            "encrypted for others than this identity", "recipients add", "code vault"
        )
        assert stranger.splitlines()[1] not in refused.output
