"""age: who can decrypt, and encrypting and decrypting in memory. No file is written here, and no plain text kept.

Two kinds of key: age's own (X25519; `AGE-SECRET-KEY-1…`, recipient `age1…`) and SSH's (Ed25519 and RSA, without a
passphrase; recipient as in `.pub`). Files are made armored, so that git and a pull request take them for text; binary
ones are read too. The format: https://age-encryption.org/v1.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hotdash.errors import VaultError

SUFFIX: Final = ".age"
IDENTITY_VARIABLE: Final = "HOTDASH_AGE_IDENTITY"
IDENTITY_FILE_VARIABLE: Final = "HOTDASH_AGE_IDENTITY_FILE"
_BEGIN: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
_SSH_BEGIN: Final = "-----BEGIN"
_SECRET: Final = "AGE-SECRET-KEY-"  # noqa: S105 - how every one of them begins
_KINDS: Final = {"age1": "X25519", "ssh-ed25519": "ssh-ed25519", "ssh-rsa": "ssh-rsa"}
"""How a recipient begins, and the kind of stanza that stands for it in a file."""


class NotARecipient(ValueError):
    """The text is no recipient. The message does not repeat it: it may be an identity."""


class CannotDecrypt(Exception):
    """The identity does not fit, or (`damaged`) nobody's would."""

    def __init__(self, *, damaged: bool) -> None:
        super().__init__("damaged" if damaged else "no identity fits")
        self.damaged = damaged


@dataclass(frozen=True)
class Identity:
    """One or more private keys.

    Args:
        source: where they were found, for messages.
        recipients: the public halves of age's own keys; an SSH key's is not known from here.
    """

    source: str
    recipients: tuple[str, ...]
    _keys: tuple[Any, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, source: str) -> Identity:
        """Read an age identity file's text (one key a line, # comments), or an SSH private key. Raises VaultError."""
        import pyrage  # type: ignore[import-untyped]  # here and below: needed only where a file is encrypted

        try:
            if text.lstrip().startswith(_SSH_BEGIN):
                return cls(source, (), (pyrage.ssh.Identity.from_buffer(text.encode()),))
            lines = [line.strip() for line in text.splitlines()]
            keys = tuple(
                pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
            )
        except pyrage.IdentityError as error:
            raise VaultError(
                "the age identity is protected by a passphrase, and nothing here asks for one"
                if "decrypted first" in str(error)
                else "this is no age identity",
                where=source,
                remedy="use one that age-keygen or `hotdash vault init --new-identity` makes (AGE-SECRET-KEY-1…), or "
                "an Ed25519 or RSA private key of SSH that has no passphrase",
            ) from None
        if not keys:
            raise VaultError(
                "there is no age identity in it",
                where=source,
                remedy="it should have a line AGE-SECRET-KEY-1…, or be an SSH private key",
            )
        return cls(source, tuple(str(key.to_public()) for key in keys), keys)

    @classmethod
    def generate(cls) -> tuple[Identity, str]:
        """A new identity, and the text of its file as age-keygen would write it."""
        import pyrage

        key = pyrage.x25519.Identity.generate()
        public = str(key.to_public())
        return cls("new", (public,), (key,)), f"# public key: {public}\n{key}\n"

    def decrypt(self, sealed: bytes) -> bytes:
        """Raises CannotDecrypt."""
        import pyrage

        try:
            content: bytes = pyrage.decrypt(sealed, list(self._keys))
        except pyrage.DecryptError as error:
            # The library has one exception for all; its words are those of the age crate.
            raise CannotDecrypt(damaged="No matching keys" not in str(error)) from None
        return content


def identity_file(environ: Mapping[str, str]) -> Path:
    """Where an identity's file lies unless the environment holds the key itself."""
    if named := environ.get(IDENTITY_FILE_VARIABLE, ""):
        return Path(named).expanduser()
    base = environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".config"
    return folder / "hotdash" / "age-identity.txt"


def find_identity(environ: Mapping[str, str] = os.environ) -> Identity | None:
    """The identity in the environment, else in its file; None where there is neither.

    Raises:
        VaultError: there is one, and it cannot be read or is none.
    """
    # A CI system gives an empty text for a secret that it does not have.
    if text := environ.get(IDENTITY_VARIABLE, "").strip():
        return Identity.parse(text, f"the environment's {IDENTITY_VARIABLE}")
    path = identity_file(environ)
    try:
        return Identity.parse(path.read_text(encoding="utf-8"), shown_path(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "it is no text"
        raise VaultError(
            f"the age identity cannot be read: {why}",
            where=shown_path(path),
            remedy="it should be a plain file of yours, mode 0600",
        ) from None


def how_to_get_an_identity(environ: Mapping[str, str]) -> str:
    return (
        f"put the identity's text into {IDENTITY_VARIABLE} (in CI), or its file at "
        f"{shown_path(identity_file(environ))} ({IDENTITY_FILE_VARIABLE} names another); "
        "if you have none yet: docs/vault.md, A new member of the team"
    )


def shown_path(path: Path) -> str:
    """A path as messages have it, with ~ for the home folder."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def unsealed(sealed: bytes, identity: Identity, *, where: str) -> bytes:
    """What the file holds. Raises VaultError."""
    try:
        return identity.decrypt(sealed)
    except CannotDecrypt as failed:
        if failed.damaged:
            raise VaultError(
                "the vault file is damaged: it is no age file, or was cut short or changed",
                where=where,
                meaning="no identity can decrypt it",
                remedy="take it from git again, or encrypt it anew from a plain one",
            ) from None
        mine = " ".join(identity.recipients) or "its public half"
        raise VaultError(
            "the vault file is encrypted for others than this identity",
            where=where,
            meaning=f"the identity in use is {identity.source}",
            remedy=f"use another identity, or ask one who can decrypt it for "
            f"`hotdash vault recipients add {mine}` and `hotdash vault encrypt --all`",
        ) from None


def encrypt(content: bytes, recipients: Iterable[str]) -> bytes:
    """Encrypt for all of them; armored. Raises NotARecipient."""
    import pyrage

    sealed: bytes = pyrage.encrypt(content, [_recipient(text) for text in recipients], armored=True)
    return sealed


def check_recipient(text: str) -> None:
    """Raises NotARecipient."""
    _recipient(text)


def _recipient(text: str) -> Any:
    import pyrage

    if text.upper().startswith(_SECRET):
        raise NotARecipient(
            "it is an identity, which is secret: a recipient begins with age1 (age-keygen -y tells it)"
        )
    try:
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise NotARecipient("it must be age1…, or ssh-ed25519 … or ssh-rsa … as in a .pub file") from None


def fits(sealed: bytes, recipients: Sequence[str]) -> bool:
    """Whether a file is encrypted for as many keys of each kind as are listed.

    For which ones a file does not tell; so False means that the list changed since, and True that it may not have.
    A file whose head cannot be read fits: that it is damaged is for others to say.
    """
    try:
        head = _binary(sealed).partition(b"\n---")[0].decode("ascii")
    except (ValueError, binascii.Error):
        return True
    stanzas = (line.split(" ")[1] for line in head.splitlines() if line.startswith("-> "))
    kinds = Counter(kind for kind in stanzas if kind in _KINDS.values())
    return kinds == Counter(
        kind for text in recipients for begin, kind in _KINDS.items() if text.startswith(begin)
    )


def _binary(sealed: bytes) -> bytes:
    if not sealed.lstrip().startswith(_BEGIN):
        return sealed
    return base64.b64decode(b"".join(sealed.split(b"\n")[1:]).partition(b"-----")[0])
