"""What may be shown of a value: where it lies, and its fingerprint."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FILE = re.compile(r"[^\\:#\x00-\x1f]+\.env\Z")
"""No colon: behind one, a declared secret names the part of a URL that it is derived from."""
FINGERPRINT_HEX = 16
"""Length of a fingerprint in hex digits: 64 bits tell two values of one name apart, and give nothing back."""


@dataclass(frozen=True)
class Reference:
    """Where a value lies: a file below the vault's root, and a key in that file.

    The file is named as the plain one, `….env`, whether it lies there so or encrypted as `….env.age`.
    """

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
        if not KEY.match(key):
            raise ValueError("must name a key behind the #, such as occ/chatwoot/smtp.env#SMTP_PASSWORD")
        return cls(str(path), key)

    def __str__(self) -> str:
        return f"{self.file}#{self.key}"


def fingerprint(value: str, key: bytes) -> str:
    """Tell values apart without showing them: HMAC-SHA-256 under the stack's key, cut to 64 bits, as hex."""
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:FINGERPRINT_HEX]
