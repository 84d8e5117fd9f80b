"""What the commands of `hotdash vault` are given: a vault and its stack, a REF, and a value that comes unseen."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from hotdash.dsn import PARTS
from hotdash.errors import SettingsError, VaultError
from hotdash.stack.file import STACK_VARIABLE, chosen_stack, project_root, read_settings
from hotdash.stack.settings import SecretSource, Settings
from hotdash.vault.checking import needs_of
from hotdash.vault.folder import Folder
from hotdash.vault.reading import DEFAULT_FOLDER
from hotdash.vault.reference import Reference

LARGEST: Final = 1_000_000
"""Bytes of a value. What is larger is no credential but the wrong file, or a device."""
LONGEST_LINE: Final = 1024 if sys.platform == "darwin" else 4096
"""Bytes of a line typed at a terminal; it cuts off the rest (MAX_CANON of macOS; N_TTY_BUF_SIZE of Linux)."""


@dataclass(frozen=True)
class Chosen:
    """The vault that a command is about, and the stack, if one was chosen."""

    folder: Folder
    project: Path | None
    stack: str
    settings: Settings | None

    @property
    def placeholders(self) -> bool:
        """Whether the stack's vault is to hold stand-ins."""
        return self.settings is not None and self.settings.placeholders


def about_a_vault(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --vault and --stack, and hand it what they choose."""

    @click.option(
        "--vault",
        "vault_",
        metavar="DIR",
        default=None,
        help=f"The vault's folder (default: the stack's, else {DEFAULT_FOLDER} in the project).",
    )
    @click.option(
        "--stack",
        metavar="STACK",
        default=None,
        help=f"The stack that it belongs to (default: {STACK_VARIABLE}'s, if it is set).",
    )
    @functools.wraps(function)
    def with_choice(*, vault_: str | None, stack: str | None, **given: Any) -> Any:
        ctx = click.get_current_context()
        above = ctx.obj if isinstance(ctx.obj, dict) else {}
        vault_, stack = vault_ or above.get("vault"), stack or above.get("stack")
        ctx.obj = {"vault": vault_, "stack": stack}
        if ctx.invoked_subcommand is not None:
            return None  # it chooses by itself
        return function(_choose(vault_, stack), **given)

    return with_choice


def _choose(vault: str | None, stack: str | None) -> Chosen:
    try:
        project = project_root()
    except SettingsError:
        if stack:
            raise
        project = None
    name, settings = "", None
    if project is not None and (stack or os.environ.get(STACK_VARIABLE)):
        name = chosen_stack(stack, project)
        settings = read_settings(name, project)
    if vault is None:
        shown = settings.vault if settings else DEFAULT_FOLDER
        return Chosen(Folder((project or Path.cwd()) / shown, shown), project, name, settings)
    return Chosen(Folder(Path(vault), vault.rstrip("/") or "/"), project, name, settings)


def source_of(text: str, chosen: Chosen, *, for_writing: bool = False) -> SecretSource:
    """What REF means. Raises UsageError; the message never repeats the text, which may be a value."""
    secrets = chosen.settings.secrets if chosen.settings else {}
    keys = [] if "#" in text else _keys_of(text, chosen.settings)
    if len(keys) > 1:
        raise click.UsageError(f"the stack takes several keys from this file: add one of #{', #'.join(keys)}")
    try:
        source = (
            secrets[text]
            if text in secrets
            else SecretSource(Reference.parse(text, default_key=keys[0]))
            if keys
            else _parsed(text)
        )
    except ValueError as error:
        raise click.UsageError(
            f"REF {error}\nIf it was a value: the shell's history has it now, so change it where it came from"
        ) from None
    if source.part and for_writing:
        raise click.UsageError(
            f"this is the {source.part} of a database URL: set the whole of it, {source.reference}"
        )
    return source


def _parsed(text: str) -> SecretSource:
    """FILE#KEY, or FILE#KEY:PART for a part of the URL that lies there. Raises ValueError, without the text."""
    if ":" in text and text.rpartition(":")[2] not in PARTS:
        raise ValueError(f"must end in #KEY, or behind it in one of :{', :'.join(PARTS)}")
    return SecretSource.parse(text)


def _keys_of(file: str, settings: Settings | None) -> list[str]:
    return sorted({reference.key for reference in references_of(settings) if reference.file == file})


def references_of(settings: Settings | None) -> list[Reference]:
    """What a stack takes from its vault, each once."""
    if settings is None:
        return []
    return list(dict.fromkeys(need.source.reference for need in needs_of(settings)))


def value_for(reference: Reference) -> str:
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        value: str = click.prompt(
            f"{reference.key} (unseen)", hide_input=True, confirmation_prompt="the same again", err=True
        )
        if len(value.encode()) >= LONGEST_LINE - 1:
            raise VaultError(
                "the value is longer than a line that a terminal takes, so its end was probably cut off",
                meaning="nothing was changed",
                remedy="pipe it in: from a file, or `pbpaste |`, `wl-paste |`, `xclip -o |`",
            )
        return value
    content = sys.stdin.buffer.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise VaultError(
            "what came through the pipe is too large for a credential", meaning="nothing was changed"
        )
    try:
        value = content.decode("utf-8")
    except UnicodeDecodeError:
        raise VaultError(
            "what came through the pipe is not text in UTF-8",
            meaning="nothing was changed",
            remedy="an environment variable is text; a binary key is usually wanted in base64 or hex",
        ) from None
    return value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
