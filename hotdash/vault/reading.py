"""The vault as it is read: values by reference, from plain files and encrypted ones alike."""

from __future__ import annotations

import difflib
import errno
import functools
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from hotdash.errors import VaultError
from hotdash.vault import age, dotenv
from hotdash.vault.reference import Reference, fingerprint

DEFAULT_FOLDER = "vault"
_UNQUOTED = re.compile(r"[\w@%+=:,./-][\w@%+=:,./#-]*")
"""What a shell takes as it stands; a # that does not begin a word too."""
_PLACEHOLDER = re.compile(r"(?<![A-Za-z0-9])FAKE|(?i:change[-_ ]?me|\.invalid(?![\w.-]))")
"""What vault.example/ has for values, and others have in its place; `.invalid` is a name that no host can have."""


def command(shown: str, *words: str) -> str:
    """A `hotdash vault` command about the vault that is shown so; for remedies."""
    about = [] if shown == DEFAULT_FOLDER else ["--vault", shown]
    return " ".join(
        word if _UNQUOTED.fullmatch(word) else shlex.quote(word)
        for word in ("hotdash", "vault", *words, *about)
    )


class Lack(StrEnum):
    """What makes a value none."""

    EMPTY = "empty"
    PLACEHOLDER = "placeholder"


def lack_of(value: str) -> Lack | None:
    """What is wrong with the value, in itself."""
    if not value.strip():
        return Lack.EMPTY
    return Lack.PLACEHOLDER if _PLACEHOLDER.search(value) else None


@dataclass(frozen=True)
class Vault:
    """A vault folder. Each file is read once for the life of the object.

    `X.env` may lie there as it is, or encrypted with age as `X.env.age`. Where both are, they must hold the same
    values: the plain one is somebody's working copy, and which of two is right is not for a program to guess.

    Args:
        root: the folder; need not exist until something is read.
        shown: how the folder is named in messages (the path as the stack file has it).
        placeholders: let values through that plainly are none, as vault.example/ has them.
        environ: where the age identity is looked for; asked only when a file is encrypted.
    """

    root: Path
    shown: str
    placeholders: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, compare=False)
    _files: dict[str, dict[str, str]] = field(default_factory=dict, repr=False, compare=False)

    def read(self, reference: Reference) -> str:
        """Return the value.

        Raises:
            VaultError: no such file or key, unreadable, malformed, an empty value or a placeholder; encrypted, and no
                identity that decrypts it; twice there, with different values. It names the mend.
        """
        values = self.values(reference.file)
        where = f"{self.shown}/{reference.file}, key {reference.key}"
        if reference.key not in values:
            # Its keys are not listed: a value without its KEY= can be read as one (`c2VjcmV0==`).
            close = difflib.get_close_matches(reference.key, values, 1, 0.5)
            raise VaultError(
                f"the vault file has no key {reference.key}",
                where=where,
                remedy=f"add the line {reference.key}=… to it, or name another key in the stack file"
                + (f": did you mean {close[0]}?" if close else ""),
            )
        value = values[reference.key]
        lack = lack_of(value)
        if lack is Lack.EMPTY:
            raise VaultError(
                f"the vault has an empty value for {reference.key}",
                where=where,
                meaning="an empty value is never sent to Fly: Chatwoot takes it for a setting",
                remedy="put the value in, or take the secret out of the stack file",
            )
        if lack is Lack.PLACEHOLDER and not self.placeholders:
            raise VaultError(
                f"the vault has a placeholder for {reference.key}",
                where=where,
                meaning="it would take the place of the value that Fly has, which Fly never gives back",
                remedy="put the real value in, or take the secret out of the stack file",
            )
        return value

    def fingerprint(self, reference: Reference, key: bytes) -> str:
        """Fingerprint the value that the reference points at. Raises as `read` does."""
        return fingerprint(self.read(reference), key)

    def values(self, file: str) -> Mapping[str, str]:
        """All values of one file (`….env`) by key, empty ones and placeholders too. Raises VaultError."""
        if file not in self._files:
            self._files[file] = self._load(file)
        return self._files[file]

    @functools.cached_property
    def identity(self) -> age.Identity | None:
        """The age identity, found when first needed. Raises VaultError."""
        return age.find_identity(self.environ)

    def _load(self, file: str) -> dict[str, str]:
        plain, sealed = self._content(file), self._content(file + age.SUFFIX)
        if sealed is None:
            if plain is None:
                raise self._missing(file)
            return parsed(plain, f"{self.shown}/{file}")
        identity = self.identity
        if identity is None:
            raise self._no_identity(file, twice=plain is not None)
        where = f"{self.shown}/{file}{age.SUFFIX}"
        values = parsed(age.unsealed(sealed, identity, where=where), where)
        if plain is not None and parsed(plain, f"{self.shown}/{file}") != values:
            raise VaultError(
                "the vault has this file twice, and the plain one and the encrypted one differ",
                where=f"{self.shown}/{file} and {file}{age.SUFFIX}",
                meaning="neither is used: only you can know which of them is right",
                remedy=f"if the plain one is right: `{command(self.shown, 'encrypt', file)}`; "
                "if the encrypted one is: delete the plain one",
            )
        return values

    def _content(self, file: str) -> bytes | None:
        """The file's bytes; None where there is no such file. Raises VaultError."""
        where = f"{self.shown}/{file}"
        try:
            resolved = (self.root / file).resolve(strict=True)
            if not resolved.is_relative_to(self.root.resolve()):
                raise VaultError(
                    "the vault file is a link that leads out of the vault",
                    where=where,
                    remedy="put the file itself into the vault",
                )
            return resolved.read_bytes()
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError) as error:
            # A link that leads to itself is a RuntimeError before Python 3.13, and then an OSError.
            circular = isinstance(error, RuntimeError) or error.errno == errno.ELOOP
            why = "its link leads to itself" if circular else getattr(error, "strerror", "")
            raise VaultError(
                f"the vault file cannot be read: {why}",
                where=where,
                remedy="it should be a plain file, mode 0600, owned by whoever runs this",
            ) from None

    def _missing(self, file: str) -> VaultError:
        there = self.root.is_dir()
        return VaultError(
            "the vault file does not exist" if there else "there is no vault folder",
            where=f"{self.shown}/{file}" if there else f"{self.shown}/",
            remedy=(
                "put the value in with `hotdash vault set`, or name another file in the stack file"
                if there
                else "begin one with `hotdash vault init`, or name another folder in the stack file"
            )
            + "; vault.example/ shows the vault's shape",
        )

    def _no_identity(self, file: str, *, twice: bool) -> VaultError:
        return VaultError(
            "the vault has this file plain and encrypted, and there is no age identity to compare them with"
            if twice
            else "the vault file is encrypted, and there is no age identity to decrypt it with",
            where=f"{self.shown}/{file}{age.SUFFIX}",
            meaning="the plain one is not used unseen: the encrypted one may be newer" if twice else "",
            remedy=age.how_to_get_an_identity(self.environ),
        )


def parsed(content: bytes, where: str) -> dict[str, str]:
    """A plain file's values by key. Raises VaultError: no dotenv."""
    try:
        return dotenv.parse(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise VaultError(
            "the vault file is not text in UTF-8",
            where=where,
            remedy="write it as dotenv: one KEY=value a line",
        ) from None
    except dotenv.Malformed as malformed:
        raise VaultError(
            "the vault file is malformed",
            where=f"{where}, line {malformed.line}",
            remedy="write it as dotenv: one KEY=value a line; quote a value that holds spaces, # or quotes",
        ) from None
