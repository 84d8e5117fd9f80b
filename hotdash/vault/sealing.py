"""Plain files encrypted, and encrypted ones encrypted anew for those who are recipients now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hotdash.errors import VaultError
from hotdash.vault import age, recipients
from hotdash.vault.folder import Folder
from hotdash.vault.reading import Vault, command, parsed
from hotdash.vault.reference import Reference


@dataclass(frozen=True)
class Encrypted:
    """What `encrypt_file` did.

    Args:
        file: the encrypted one, from the vault's root.
        recipients: for how many it is.
        again: it was encrypted before, and there was no plain one.
        plain_kept: why the plain one is still there; empty where it is not.
    """

    file: str
    recipients: int
    again: bool
    plain_kept: str = ""


def encrypt_file(
    folder: Folder,
    file: str,
    environ: Mapping[str, str],
    *,
    plain_wins: bool = False,
    keep_plain: bool = False,
    force: bool = False,
) -> Encrypted:
    """Encrypt one file for all recipients, and remove the plain one once the encrypted one was read back.

    Args:
        file: its plain name, whether it lies there plain, encrypted or both.
        environ: where the age identity is looked for. A plain file is encrypted without one, and then kept.
        plain_wins: of a pair that differs, take the plain one.
        keep_plain: never remove the plain one.
        force: do without the proof that whoever runs this can decrypt what comes out.

    Raises:
        VaultError: no such file, no recipients, no dotenv; a pair that differs; nothing left that you could read.
    """
    sealed_name = file + age.SUFFIX
    where = f"{folder.shown}/{sealed_name}"
    with folder.locked():
        for_whom = recipients.required(folder)
        plain, sealed = folder.read(file), folder.read(sealed_name)
        vault = Vault(folder.root, folder.shown, environ=environ)
        if plain is None or (sealed is not None and not plain_wins):
            vault.values(
                file
            )  # a missing file, one that does not open, a pair that differs: it says what to do
        content = plain if plain is not None else _decrypted(vault, sealed, where)
        parsed(content, where.removesuffix(age.SUFFIX) if plain is not None else where)
        new = age.encrypt(content, for_whom)
        doubt = _doubt(new, content, vault.identity)
        if doubt and plain is None and not force:
            raise VaultError(
                f"the file was not encrypted anew: {doubt}",
                where=where,
                meaning="you could not read it any more. It is as it was",
                remedy="add the identity's recipient with `hotdash vault recipients add`, or use --force",
            )
        folder.write(sealed_name, new)
        if folder.read(sealed_name) != new:
            raise VaultError(
                "the encrypted file is not what was written",
                where=where,
                meaning="something else writes there, or the disk fails; the plain file, if there is one, was kept",
                remedy="look after that, then run this again",
            )
        kept = ""
        if plain is not None:
            kept = "as you asked" if keep_plain else "" if force else doubt
            if not kept:
                folder.remove(file)
        return Encrypted(sealed_name, len(for_whom), plain is None, kept)


def _decrypted(vault: Vault, sealed: bytes | None, where: str) -> bytes:
    identity = vault.identity
    assert sealed is not None, "the vault has read this file"
    assert identity is not None, "the vault has decrypted this file with it"
    return age.unsealed(sealed, identity, where=where)


def _doubt(sealed: bytes, content: bytes, identity: age.Identity | None) -> str:
    """Why it is not proved that whoever runs this can decrypt it; empty where it is."""
    if identity is None:
        return "there is no age identity to read it back with"
    try:
        return "" if identity.decrypt(sealed) == content else "it does not read back as it was"
    except age.CannotDecrypt:
        return f"your identity ({identity.source}) is not among the recipients"


def file_named(text: str, folder: Folder) -> str:
    """The vault file that a person means: named from the vault's root or as a path from here, with .age or without.

    Raises VaultError; the message does not repeat the text.
    """
    name = text.removesuffix(age.SUFFIX)
    root, path = folder.root.absolute(), Path(name).absolute()
    if path.is_relative_to(root):
        name = path.relative_to(root).as_posix()
    try:
        return Reference.parse(name, default_key="KEY").file
    except ValueError:
        raise VaultError(
            "this is no file of the vault",
            where=f"{folder.shown}/",
            remedy=f"name a .env file in it, such as occ/chatwoot/smtp.env; `{command(folder.shown, 'check')}` lists "
            "what is there",
        ) from None
