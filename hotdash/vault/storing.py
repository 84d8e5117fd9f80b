"""One value set, in whichever file it lies: plain, encrypted, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hotdash.errors import VaultError
from hotdash.vault import age, dotenv, recipients
from hotdash.vault.folder import Folder
from hotdash.vault.reading import Lack, Vault, lack_of
from hotdash.vault.reference import Reference


class Outcome(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Stored:
    """What `set_value` did.

    Args:
        files: the files that hold the value now, from the vault's root; the encrypted one first.
        readable: whether a plain one is among them though the vault has recipients.
    """

    outcome: Outcome
    files: tuple[str, ...]
    readable: bool = False


def set_value(
    folder: Folder,
    reference: Reference,
    value: str,
    environ: Mapping[str, str],
    *,
    placeholders: bool = False,
) -> Stored:
    """Set the value, and leave the rest of its file byte for byte.

    An encrypted file stays encrypted, a plain one plain, a pair a pair. A new file is encrypted where the vault has
    recipients.

    Args:
        environ: where the age identity is looked for, if one is needed.
        placeholders: let a value through that plainly is none.

    Raises:
        VaultError: a value that is none, a file that is no dotenv, a link, no identity, a pair that differs.
    """
    _check(value, reference, folder.shown, placeholders=placeholders)
    folder.make()
    with folder.locked():
        plain, sealed = folder.read(reference.file), folder.read(reference.file + age.SUFFIX)
        for_whom = recipients.recipients(folder)
        vault = Vault(folder.root, folder.shown, environ=environ)
        # Reads the file, and compares a pair. What it raises says what is wrong with it.
        before = vault.values(reference.file) if plain is not None or sealed is not None else {}
        encrypted = sealed is not None or (plain is None and bool(for_whom))
        files = tuple(
            name
            for name, there in (
                (reference.file + age.SUFFIX, encrypted),
                (reference.file, plain is not None or not encrypted),
            )
            if there
        )
        stored = Stored(
            _outcome(before, reference.key, value), files, bool(for_whom) and reference.file in files
        )
        if stored.outcome is Outcome.UNCHANGED:
            return stored
        if encrypted:
            text = _decrypted(vault, sealed, f"{folder.shown}/{files[0]}") if sealed else ""
            text = _changed(text, reference, value, folder.shown)
            folder.write(files[0], age.encrypt(text.encode(), recipients.required(folder)))
        if reference.file in files:
            text = (plain or b"").decode("utf-8")
            folder.write(reference.file, _changed(text, reference, value, folder.shown).encode())
        return stored


def _check(value: str, reference: Reference, shown: str, *, placeholders: bool) -> None:
    where = f"{shown}/{reference.file}, key {reference.key}"
    lack = lack_of(value)
    if lack is Lack.EMPTY:
        raise VaultError(
            "an empty value is not set",
            where=where,
            meaning="it would be refused when it is read: nothing empty ever goes to Fly. Nothing was changed",
            remedy="if the value came through a pipe, see that what stands before it printed one",
        )
    if lack is Lack.PLACEHOLDER and not placeholders:
        raise VaultError(
            "this looks like a placeholder, not like a value",
            where=where,
            meaning="it would be refused when it is read. Nothing was changed",
            remedy="give the real value; if it is one, and only looks so, the reader refuses it too: choose another. "
            "--force sets it all the same, for a vault's example",
        )
    if "\0" in value:
        raise VaultError(
            "the value holds a NUL, which no environment variable can",
            where=where,
            meaning="nothing was changed",
            remedy="give it as text; a binary key is usually wanted in base64 or hex",
        )


def _outcome(before: Mapping[str, str], key: str, value: str) -> Outcome:
    if key not in before:
        return Outcome.ADDED
    return Outcome.UNCHANGED if before[key] == value else Outcome.CHANGED


def _decrypted(vault: Vault, sealed: bytes, where: str) -> str:
    identity = vault.identity
    assert identity is not None, "the vault has decrypted this file with it"
    return age.unsealed(sealed, identity, where=where).decode("utf-8")


def _changed(text: str, reference: Reference, value: str, shown: str) -> str:
    try:
        return dotenv.with_value(text, reference.key, value)
    except dotenv.Unwritable:
        raise VaultError(
            "this value cannot be written into the file so that it is read back the same",
            where=f"{shown}/{reference.file}, key {reference.key}",
            meaning="nothing was changed; something else in the file, a quote that is written oddly perhaps, is in the "
            "way",
            remedy="give the key a file of its own, or tidy the other lines",
        ) from None
