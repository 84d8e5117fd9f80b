"""A new vault: the folder in the shape that is needed, for whom it is encrypted, and an identity of one's own.

What is there already is never overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hotdash.errors import VaultError
from hotdash.vault import age, dotenv, recipients
from hotdash.vault.folder import Folder

IGNORES: Final = ".gitignore"
_IGNORED: Final = """\
# Plain credentials never enter git; encrypted files and the list of who can decrypt them do.
*
!*/
!*.env.age
!.age-recipients
!.gitignore
"""


@dataclass(frozen=True)
class Begun:
    """What `begin` did; files are named from the vault's root.

    Args:
        made: files that are new.
        kept: files that were there, and stay as they were.
        recipients: for whom the vault is encrypted; empty for a plain one.
        missing: files that are needed and not there. An encrypted vault's are made by setting their values.
    """

    made: tuple[str, ...]
    kept: tuple[str, ...]
    recipients: tuple[str, ...]
    missing: tuple[str, ...]


def begin(folder: Folder, shape: Mapping[str, str], new_recipients: Sequence[str] = ()) -> Begun:
    """Make what is missing of a vault.

    Args:
        shape: the files that are needed, each with the text to begin with.
        new_recipients: for whom it is encrypted besides those who are named in it already.

    Raises VaultError.
    """
    folder.make()
    if new_recipients:
        recipients.add(folder, new_recipients)
    with folder.locked():
        made, kept, missing = [], [], []
        if folder.read(IGNORES) is None:
            folder.write(IGNORES, _IGNORED.encode())
        for_whom = recipients.recipients(folder)
        for file, text in sorted(shape.items()):
            if folder.read(file) is not None or folder.read(file + age.SUFFIX) is not None:
                kept.append(file)
            elif for_whom:
                # A plain file of placeholders would only have to be filled in the open and encrypted afterwards.
                missing.append(file)
            else:
                folder.write(file, text.encode())
                made.append(file)
    return Begun(tuple(made), tuple(kept), for_whom, tuple(missing))


def shape_of(example: Path) -> dict[str, str]:
    """The files of an example folder, with their texts. Empty where there is none."""
    files = sorted(example.rglob("*.env"))
    return {file.relative_to(example).as_posix(): file.read_text(encoding="utf-8") for file in files}


def shape_for(needed: Mapping[str, Sequence[str]], example: Mapping[str, str]) -> dict[str, str]:
    """The files that are needed, with every key that is: as the example has them, else with nothing behind the =."""
    shape: dict[str, str] = {}
    for file, keys in needed.items():
        text = example.get(file, "")
        there = dotenv.parse(text)
        end = "" if not text or text.endswith("\n") else "\n"
        shape[file] = text + end + "".join(f"{key}=\n" for key in keys if key not in there)
    return shape


def make_identity(environ: Mapping[str, str]) -> tuple[Path, str]:
    """Make an age identity where identities are looked for, mode 0600; its path and its recipient.

    Raises:
        VaultError: there is one already, in the environment or in the file.
    """
    path = age.identity_file(environ)
    there = age.find_identity(environ)
    if there is not None:
        mine = " ".join(there.recipients) or "the line in its .pub file"
        raise VaultError(
            "there is an age identity already",
            where=there.source,
            meaning="it was left as it is: what is encrypted for it could not be decrypted without it",
            remedy=f"use it: `hotdash vault init --age {mine}`",
        )
    identity, text = age.Identity.generate()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a path cannot hold a descriptor
            os.fchmod(descriptor, 0o600)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise VaultError(
            f"the age identity cannot be written: {error.strerror}",
            where=age.shown_path(path),
            remedy=f"name a file that can be made, in {age.IDENTITY_FILE_VARIABLE}",
        ) from None
    return path, identity.recipients[0]
