"""Everything that is wrong with a vault, at once: what a stack needs of it, and who else can see it.

Above the rest of the package, because it knows what a stack is.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from hotdash.errors import HotdashError, VaultError, WrongDatabase
from hotdash.stack.settings import SecretSource, Settings
from hotdash.stack.values import refuse_forbidden, value_of
from hotdash.vault import age, recipients
from hotdash.vault.folder import Folder
from hotdash.vault.git import tracked_plain_files
from hotdash.vault.reading import Lack, Vault, command, lack_of
from hotdash.vault.reference import Reference

TOKEN: Final = "the Fly token"  # noqa: S105 - what it is called
_OTHERS: Final = 0o077
_PUBLIC: Final = frozenset({recipients.FILE, ".gitignore", "README.md"})


class Level(StrEnum):
    PROBLEM = "problem"
    NOTE = "note"


class Kind(StrEnum):
    """What can be wrong. Programs may go by these: they do not change."""

    NO_VAULT = "no-vault"
    MISSING_FILE = "missing-file"
    MISSING_KEY = "missing-key"
    EMPTY = "empty"
    PLACEHOLDER = "placeholder"
    UNREADABLE = "unreadable"
    UNUSABLE = "unusable"
    WRONG_DATABASE = "wrong-database"
    LINK = "link"
    OPEN = "open-to-others"
    TRACKED = "tracked-by-git"
    RECIPIENTS = "recipients"
    PLAIN = "plain"
    OUTDATED = "encrypted-for-others"
    UNUSED = "unused"
    LEFT_OVER = "left-over"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Args:
        file: from the vault's root; of a pair, the plain name.
        key: the key in it; empty where the whole file is meant.
        said: what is wrong, as the rest of a sentence that begins with the file and the key.
        mend: what to do.
        needed_by: the secrets that want it.
    """

    level: Level
    kind: Kind
    file: str
    key: str
    said: str
    mend: str
    needed_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Need:
    """What one secret of a stack needs.

    Args:
        optional: what stands in for it now; empty where nothing does.
        forbidden: whose database it leads to, which no secret may lead to; empty for a secret.
    """

    name: str
    source: SecretSource
    optional: str = ""
    forbidden: str = ""


def needs_of(settings: Settings, token_given_by: str = "") -> tuple[Need, ...]:
    """What a stack needs of its vault.

    Args:
        token_given_by: what gives the Fly token without the vault, if anything does.
    """
    needs = [Need(name, source) for name, source in settings.secrets.items()]
    for label, reference in settings.forbidden_databases.items():
        needs.append(Need(f"forbiddenDatabases {label}", SecretSource(reference), forbidden=label))
    if settings.token is not None:
        needs.append(Need(TOKEN, SecretSource(settings.token), token_given_by))
    return tuple(needs)


def check(vault: Vault, needs: Sequence[Need] | None, *, placeholders: bool = False) -> tuple[Finding, ...]:
    """Everything that is wrong, problems first; in each, file by file.

    Args:
        vault: one that lets placeholders through; nothing is changed in it.
        needs: what a stack needs; None: whatever is there is looked at.
        placeholders: the stack wants them, so they are nothing wrong.
    """
    if not vault.root.is_dir():
        mend = f"`{command(vault.shown, 'init')}`"
        return (Finding(Level.PROBLEM, Kind.NO_VAULT, "", "", "is not there: there is no such folder", mend),)
    found = list(dict.fromkeys(_Check(vault, needs, placeholders=placeholders).all()))
    return tuple(sorted(found, key=lambda f: (f.level is Level.NOTE, f.file, f.key, f.kind)))


class _Check:
    def __init__(self, vault: Vault, needs: Sequence[Need] | None, *, placeholders: bool) -> None:
        self.vault = vault
        self.placeholders = placeholders
        self.needs = needs
        self.folder = Folder(vault.root, vault.shown)
        self.there = self.folder.files()
        self.wanted = sorted({need.source.reference.file for need in needs or ()})
        self.for_whom: tuple[str, ...] = ()
        self.values: dict[str, Mapping[str, str]] = {}

    def all(self) -> Iterator[Finding]:
        yield from self._recipients()
        for file in sorted({*self.there, *self.wanted}):
            yield from self._file(file)
        for need in self.needs or ():
            yield from self._need(need)
        yield from self._forbidden()
        yield from self._unused() if self.needs is not None else self._worthless()
        yield from self._places()
        yield from self._tracked()

    # Files

    def _recipients(self) -> Iterator[Finding]:
        try:
            self.for_whom = recipients.recipients(self.folder)
        except VaultError as error:
            yield self._problem(Kind.RECIPIENTS, recipients.FILE, error.summary, error.remedy)

    def _file(self, file: str) -> Iterator[Finding]:
        plain, sealed = (self._lies_there(name) for name in (file, file + age.SUFFIX))
        if not plain and not sealed:
            for key in sorted(self._keys_wanted(file)):
                yield self._lacking(
                    Kind.MISSING_FILE, Reference(file, key), "is missing: there is no such file"
                )
            return
        try:
            self.values[file] = self.vault.values(file)
        except VaultError as error:
            if not self._through_link(file):  # told by `_places`
                yield self._problem(Kind.UNREADABLE, file, self._cannot_be_used(error), error.remedy)
        if sealed and self.for_whom:
            yield from self._outdated(file)
        if plain and (sealed or self.for_whom):
            mend = f"`{command(self.vault.shown, 'encrypt', file)}`"
            said = "lies there plain beside the encrypted one" if sealed else "is plain in an encrypted vault"
            yield Finding(Level.NOTE, Kind.PLAIN, file, "", said, mend)

    def _lies_there(self, name: str) -> bool:
        return os.path.lexists(self.vault.root / name)

    def _through_link(self, file: str) -> bool:
        names = [file, file + age.SUFFIX, *map(str, PurePosixPath(file).parents[:-1])]
        return any((self.vault.root / name).is_symlink() for name in names)

    def _keys_wanted(self, file: str) -> set[str]:
        references = [need.source.reference for need in self.needs or ()]
        return {reference.key for reference in references if reference.file == file}

    def _cannot_be_used(self, error: VaultError) -> str:
        line = error.where.partition(", line ")[2]
        # What is wrong may lie elsewhere: the identity.
        elsewhere = "" if error.where.startswith(f"{self.vault.shown}/") else error.where
        place = f" (line {line})" if line else f" ({elsewhere})" if elsewhere else ""
        return f"cannot be used: {error.summary}{place}"

    def _outdated(self, file: str) -> Iterator[Finding]:
        name = file + age.SUFFIX
        try:
            sealed = self.folder.read(name)
        except VaultError:
            return  # told already
        if sealed is not None and not age.fits(sealed, self.for_whom):
            mend = f"`{command(self.vault.shown, 'encrypt', '--all')}`"
            said = f"is not encrypted for those whom {recipients.FILE} lists"
            yield Finding(Level.NOTE, Kind.OUTDATED, file, "", said, mend)

    # Values

    def _need(self, need: Need) -> Iterator[Finding]:
        reference = need.source.reference
        values = self.values.get(reference.file)
        if values is None:
            return  # missing, or it cannot be read: told already
        value = values.get(reference.key)
        if value is None:
            yield self._lacking(Kind.MISSING_KEY, reference, "is missing")
        elif (lack := self._lack_of(value)) is not None:
            yield self._lacking(Kind(lack), reference, _LACKS[lack])
        else:
            try:
                value = value_of(self.vault, need.name, need.source)
                if need.name == TOKEN:
                    from hotdash.fly.token import Token

                    Token(value, str(reference)).checked()
            except HotdashError as error:
                level, by = self._who(reference.file, reference.key)
                said = f"cannot be used: {error.summary}"
                yield Finding(level, Kind.UNUSABLE, reference.file, reference.key, said, error.remedy, by)

    def _lack_of(self, value: str) -> Lack | None:
        lack = lack_of(value)
        return None if self.placeholders and lack is Lack.PLACEHOLDER else lack

    def _forbidden(self) -> Iterator[Finding]:
        """URLs that lead to a database which is another's, as far as their texts tell."""
        values = {
            need: value
            for need in self.needs or ()
            if (value := self.values.get(need.source.reference.file, {}).get(need.source.reference.key))
        }
        forbidden = {need.forbidden: value for need, value in values.items() if need.forbidden}
        for need, value in values.items():
            try:
                if not need.forbidden and not need.source.part:
                    refuse_forbidden({need.name: value}, {need.name: need.source}, forbidden)
            except WrongDatabase as error:
                reference = need.source.reference
                yield Finding(
                    *(Level.PROBLEM, Kind.WRONG_DATABASE, reference.file, reference.key),
                    *("leads to a database that Chatwoot must not use", error.remedy, (need.name,)),
                )

    def _lacking(self, kind: Kind, reference: Reference, said: str) -> Finding:
        level, by = self._who(reference.file, reference.key)
        mend = f"`{command(self.vault.shown, 'set', str(reference))}`"
        return Finding(level, kind, reference.file, reference.key, said, mend, by)

    def _who(self, file: str, key: str) -> tuple[Level, tuple[str, ...]]:
        """How bad it is that this is wanting, and who wants it."""
        wanting = [need for need in self.needs or () if need.source.reference == Reference(file, key)]
        level = Level.NOTE if wanting and all(need.optional for need in wanting) else Level.PROBLEM
        return level, tuple(
            f"{need.name} (not needed now: {need.optional})" if need.optional else need.name
            for need in wanting
        )

    def _unused(self) -> Iterator[Finding]:
        for file, values in self.values.items():
            if file not in self.wanted:
                said = "is not used: the stack takes nothing from it"
                yield Finding(Level.NOTE, Kind.UNUSED, file, "", said, _UNUSED)
                continue
            for key in values.keys() - self._keys_wanted(file):
                if _can_be_shown(values[key]):
                    said = "is not used: no secret of the stack takes it"
                    yield Finding(Level.NOTE, Kind.UNUSED, file, key, said, _UNUSED)
                else:
                    yield Finding(Level.NOTE, Kind.EMPTY, file, "", _NO_VALUE, _NO_VALUE_MEND)

    def _worthless(self) -> Iterator[Finding]:
        for file, values in self.values.items():
            for key, value in values.items():
                lack = self._lack_of(value)
                if not _can_be_shown(value):
                    yield self._problem(Kind.EMPTY, file, _NO_VALUE, _NO_VALUE_MEND)
                elif lack is not None:
                    yield self._lacking(Kind(lack), Reference(file, key), _LACKS[lack])

    # Who else can see it

    def _places(self) -> Iterator[Finding]:
        for name, path in _walk(self.vault.root):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                said = "is a link: it may lead anywhere, and be seen by others"
                yield self._problem(Kind.LINK, name, said, "put the file or folder itself in its place")
            elif stat.S_ISREG(mode) and name.endswith(".env.new"):
                yield Finding(Level.NOTE, Kind.LEFT_OVER, name, "", _LEFT_OVER, "delete it")
            if not stat.S_ISLNK(mode) and mode & _OTHERS and self._holds_plain(name, mode):
                said = f"can be seen or changed by others than its owner (mode {stat.S_IMODE(mode):04o})"
                yield self._problem(Kind.OPEN, name, said, f"`chmod -R go= {shlex.quote(self.vault.shown)}`")
        yield from self._identity_file()

    def _holds_plain(self, name: str, mode: int) -> bool:
        if stat.S_ISDIR(mode):
            return any(
                self._lies_there(file) and (not name or PurePosixPath(file).is_relative_to(name))
                for file in self.there
            )
        return not name.endswith(age.SUFFIX) and PurePosixPath(name).name not in _PUBLIC

    def _identity_file(self) -> Iterator[Finding]:
        path = age.identity_file(self.vault.environ)
        encrypted = any(self._lies_there(file + age.SUFFIX) for file in self.there)
        try:
            mode = path.stat().st_mode
        except OSError:
            return
        if encrypted and mode & _OTHERS:
            shown = age.shown_path(path)
            said = f"the age identity can be seen by others than its owner (mode {stat.S_IMODE(mode):04o})"
            yield self._problem(Kind.OPEN, "", f"{said}: {shown}", f"`chmod 600 {shown}`")

    def _tracked(self) -> Iterator[Finding]:
        try:
            tracked = tracked_plain_files(self.vault.root)
        except VaultError as error:
            yield self._problem(Kind.TRACKED, "", f"{error.summary}: {error.meaning}", error.remedy)
            return
        for file in tracked:
            values = self.values.get(file)
            if values is not None and all(lack_of(value) for value in values.values()):
                continue  # vault.example
            untrack = shlex.join(["git", "rm", "--cached", f"{self.vault.shown}/{file}"])
            mend = f"`{untrack}`, and change the value: docs/vault.md, After a leak"
            yield self._problem(Kind.TRACKED, file, "is tracked by git in plain", mend)

    def _problem(self, kind: Kind, file: str, said: str, mend: str) -> Finding:
        return Finding(Level.PROBLEM, kind, file, "", said, mend)


_LACKS: Final = {Lack.EMPTY: "is empty", Lack.PLACEHOLDER: "is a placeholder"}
_UNUSED: Final = "leave it if another stack uses it; else take it out: what is not there cannot leak"
_LEFT_OVER: Final = "was left by a write that was interrupted, and may hold a value"
_NO_VALUE: Final = "has a line with nothing behind its =: a key without a value, or a value without its KEY="
_NO_VALUE_MEND: Final = "put the value behind the =, or KEY= in front of the line"


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Everything in the vault but git's own folder, the vault itself first; each with its name from the root."""
    yield "", root.resolve()
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name != ".git")
        for name in sorted([*below, *files]):
            path = Path(folder, name)
            yield path.relative_to(root).as_posix(), path


def _can_be_shown(value: str) -> bool:
    """Whether the key of this value can be: `c2VjcmV0==` is a value without its KEY=, and reads as a key."""
    return bool(value.strip("= "))
