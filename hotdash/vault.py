"""The vault: a folder of dotenv files that hold the credentials, read by reference and never written here.

A reference names a file and a key in it: `occ/chatwoot/database_url.env#DATABASE_URL`. References and fingerprints
may be shown to anyone; values leave this module only towards Fly or towards the server that they open.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import hmac
import io
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hotdash.errors import VaultError

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FILE = re.compile(r"[^\\:#\x00-\x1f]+\.env\Z")
"""No colon: behind one, a declared secret names the part of a URL that it is derived from."""
_PLACEHOLDER = re.compile(r"(?<![A-Za-z0-9])FAKE|(?i:change[-_ ]?me|\.invalid(?![\w.-]))")
"""What vault.example/ has for values, and others have in its place; `.invalid` is a name that no host can have."""
FINGERPRINT_HEX = 16
"""Length of a fingerprint in hex digits: 64 bits tell two values of one name apart, and give nothing back."""


@dataclass(frozen=True)
class Reference:
    """Where a value lies: a file below the vault's root, and a key in that file."""

    file: str
    key: str

    @classmethod
    def parse(cls, text: str, *, default_key: str = "") -> Reference:
        """Read `file#KEY`, or `file` alone when there is a default key.

        Raises:
            ValueError: the text is not a reference. The message does not repeat it: it may be a value that somebody
                put where its reference belongs, which is also why a file must be named .env.
        """
        file, _, key = text.partition("#")
        key = key or default_key
        path = PurePosixPath(file)
        if not _FILE.match(file) or path.is_absolute() or ".." in path.parts:
            raise ValueError("must name a .env file below the vault, such as occ/chatwoot/database_url.env")
        if not _KEY.match(key):
            raise ValueError("must name a key behind the #, such as occ/chatwoot/smtp.env#SMTP_PASSWORD")
        return cls(str(path), key)

    def __str__(self) -> str:
        return f"{self.file}#{self.key}"


def fingerprint(value: str, key: bytes) -> str:
    """Tell values apart without showing them: HMAC-SHA-256 under the stack's key, cut to 64 bits, as hex."""
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:FINGERPRINT_HEX]


@dataclass(frozen=True)
class Vault:
    """A vault folder. Each file is read once for the life of the object.

    Args:
        root: the folder; need not exist until something is read.
        shown: how the folder is named in messages (the path as the stack file has it).
        placeholders: let values through that plainly are none, as vault.example/ has them.
    """

    root: Path
    shown: str
    placeholders: bool = False
    _files: dict[str, dict[str, str]] = field(default_factory=dict, repr=False, compare=False)

    def read(self, reference: Reference) -> str:
        """Return the value.

        Raises:
            VaultError: no such file or key, unreadable, malformed, an empty value or a placeholder; it names the mend.
        """
        values = self._load(reference.file)
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
        if not value.strip():
            raise VaultError(
                f"the vault has an empty value for {reference.key}",
                where=where,
                meaning="an empty value is never sent to Fly: Chatwoot takes it for a setting",
                remedy="put the value in, or take the secret out of the stack file",
            )
        if not self.placeholders and _PLACEHOLDER.search(value):
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

    def _load(self, file: str) -> dict[str, str]:
        if file not in self._files:
            self._files[file] = self._parse(file, self._text(file))
        return self._files[file]

    def _text(self, file: str) -> str:
        where = f"{self.shown}/{file}"
        path = self.root / file
        try:
            resolved = path.resolve(strict=True)
            if not resolved.is_relative_to(self.root.resolve()):
                raise VaultError(
                    "the vault file is a link that leads out of the vault",
                    where=where,
                    remedy="put the file itself into the vault",
                )
            return resolved.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
        except FileNotFoundError:
            there = self.root.is_dir()
            raise VaultError(
                "the vault file does not exist" if there else "there is no vault folder",
                where=where if there else f"{self.shown}/",
                remedy="vault.example/ shows the vault's shape: copy it and put the values in, "
                "or name another folder or file in the stack file",
            ) from None
        except UnicodeDecodeError:
            raise VaultError(
                "the vault file is not text in UTF-8",
                where=where,
                remedy="write it as dotenv: one KEY=value a line",
            ) from None
        except (OSError, RuntimeError) as error:
            # A link that leads to itself is a RuntimeError before Python 3.13, and then an OSError.
            circular = isinstance(error, RuntimeError) or error.errno == errno.ELOOP
            why = "its link leads to itself" if circular else getattr(error, "strerror", "")
            raise VaultError(
                f"the vault file cannot be read: {why}",
                where=where,
                remedy="it should be a plain file, mode 0600, owned by whoever runs this",
            ) from None

    def _parse(self, file: str, content: str) -> dict[str, str]:
        from dotenv.parser import parse_stream  # here, because a preview without secrets has no need of it

        values: dict[str, str] = {}
        for binding in parse_stream(io.StringIO(content)):
            text = binding.original.string
            line = binding.original.line + len(text) - len(text.lstrip("\n"))
            if binding.error or (
                binding.key is not None and (binding.value is None or not _KEY.match(binding.key))
            ):
                raise VaultError(
                    "the vault file is malformed",
                    where=f"{self.shown}/{file}, line {line}",
                    remedy="write it as dotenv: one KEY=value a line; quote a value that holds spaces, # or quotes",
                )
            if binding.key is not None and binding.value is not None:
                values[binding.key] = binding.value
        return values
