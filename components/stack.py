"""The stack that runs: its settings as the engine gives them, and what its vault holds, without the values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pulumi
from pulumi.runtime.config import CONFIG

from components.connection import Connection, connect, decoded
from hotdash.errors import VaultError
from hotdash.fly.token import find_token
from hotdash.stack.checking import NAMESPACE
from hotdash.stack.settings import Settings, load
from hotdash.stack.values import Declaration, declaration
from hotdash.vault import Vault, tracked_plain_files
from hotdash.vault.reading import lack_of

TOLD: Final = 32
"""The exit code that tells the engine's language host: the program has said why it ends, add nothing."""


def read() -> tuple[Settings, Declaration, Connection]:
    """Settings, what the vault declares, and the connection of this process.

    Raises:
        SettingsError, VaultError, WrongDatabase, TokenMissing: before anything is declared, so nothing is changed.
    """
    values = raw_values()
    settings = load(values, file=f"stacks/Pulumi.{pulumi.get_stack()}.yaml")
    connection = connect(values.get)
    find_token(connection.vault, settings.token)
    refuse_tracked(connection.vault, placeholders=settings.placeholders)
    # What is written is read through the connection's own vault, which lets no stand-in through.
    vault = replace(connection.vault, placeholders=settings.placeholders)
    return settings, declaration(settings, vault), connection


def refuse_tracked(vault: Vault, *, placeholders: bool = False) -> None:
    """Raises VaultError where git tracks a vault file that is not encrypted: its values are in every clone.

    Args:
        placeholders: a file that holds nothing but stand-ins may be tracked.
    """
    tracked = [
        file
        for file in tracked_plain_files(vault.root)
        if not (placeholders and all(map(lack_of, vault.values(file).values())))
    ]
    if tracked:
        raise VaultError(
            f"git tracks the vault in plain: {', '.join(tracked)}",
            where=f"{vault.shown}/",
            meaning="whoever can read the repository has these credentials; nothing was changed",
            remedy="`git rm --cached` the files and rotate what they hold; `hotdash vault encrypt` makes files that "
            "can be committed (docs/vault.md)",
        )


def raw_values() -> dict[str, Any]:
    """The keys of our namespace, without it; objects read from their JSON."""
    prefix = f"{NAMESPACE}:"
    return {
        key.removeprefix(prefix): decoded(value)
        for key, value in CONFIG.get().items()
        if key.startswith(prefix)
    }
