"""`.age-recipients`: for whom the vault is encrypted, one recipient a line, # comments. It is committed with the vault.

Who may write it decides who reads the next value that is set; so a change of it is worth a reviewer's look.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hotdash.errors import VaultError
from hotdash.vault import age
from hotdash.vault.folder import Folder

FILE: Final = ".age-recipients"
_HEAD: Final = "# Who can decrypt this vault. Change it with `hotdash vault recipients`, then encrypt anew.\n"


def recipients(folder: Folder) -> tuple[str, ...]:
    """The recipients in the file's order, each once; empty where there is no such file.

    Raises:
        VaultError: the file cannot be read, or a line of it is no recipient.
    """
    return tuple(dict.fromkeys(text for text in map(_recipient, _lines(folder)) if text))


def required(folder: Folder) -> tuple[str, ...]:
    """The recipients, one at least. Raises VaultError."""
    found = recipients(folder)
    if not found:
        raise VaultError(
            "the vault has no recipients to encrypt for",
            where=f"{folder.shown}/{FILE}",
            remedy="name them with `hotdash vault recipients add age1…`; "
            "`hotdash vault init --new-identity` makes a key of your own",
        )
    return found


def add(folder: Folder, new: Iterable[str], *, comment: str = "") -> tuple[str, ...]:
    """Add those that are not there yet, and return them. Raises VaultError."""
    wanted = [_checked(text, "the recipient") for text in dict.fromkeys(" ".join(t.split()) for t in new)]
    with folder.locked():
        there = {_identified(text) for text in recipients(folder)}
        added = tuple(text for text in wanted if _identified(text) not in there)
        if added:
            lines = _lines(folder) or [_HEAD]
            if not lines[-1].endswith("\n"):
                lines[-1] += "\n"
            note = " ".join(comment.split())
            lines += [f"# {note}\n"] if note else []
            _write(folder, [*lines, *(f"{text}\n" for text in added)])
    return added


def remove(folder: Folder, old: Iterable[str]) -> tuple[str, ...]:
    """Remove these, and return them. Raises VaultError: one is not there, or none would be left."""
    gone = {_identified(" ".join(text.split())) for text in old}
    with folder.locked():
        there = recipients(folder)
        removed = tuple(text for text in there if _identified(text) in gone)
        where = f"{folder.shown}/{FILE}"
        if len(removed) < len(gone):
            raise VaultError(
                "not all of these are recipients of the vault",
                where=where,
                meaning="nothing was changed",
                remedy="`hotdash vault recipients` lists them",
            )
        if len(removed) == len(there):
            raise VaultError(
                "no recipient would be left",
                where=where,
                meaning="nothing was changed: nobody could decrypt what is encrypted from now on",
                remedy="add another one first",
            )
        _write(folder, [line for line in _lines(folder) if _identified(_recipient(line)) not in gone])
    return removed


def _lines(folder: Folder) -> list[str]:
    content = folder.read(FILE)
    try:
        lines = (content or b"").decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise VaultError(
            "the file of recipients is no text in UTF-8",
            where=f"{folder.shown}/{FILE}",
            remedy="write one recipient a line",
        ) from None
    for number, line in enumerate(lines, 1):
        if text := _recipient(line):
            _checked(text, f"line {number}", f"{folder.shown}/{FILE}")
    return lines


def _write(folder: Folder, lines: Iterable[str]) -> None:
    folder.write(FILE, "".join(lines).encode())


def _recipient(line: str) -> str:
    text = line.strip()
    return "" if text.startswith("#") else text


def _identified(text: str) -> str:
    """A recipient without the comment that an SSH key may have behind it."""
    return " ".join(text.split()[:2])


def _checked(text: str, what: str, where: str = "") -> str:
    try:
        age.check_recipient(text)
    except age.NotARecipient as error:
        raise VaultError(
            f"{what} is no age recipient: {error}",
            where=where,
            meaning="nothing was changed; the text is not repeated here, because it may be an identity",
            remedy="give the public half. An identity that was given is in your shell's history, or in a file that is "
            "shared: do not use it any more",
        ) from None
    return text
