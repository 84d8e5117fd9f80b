"""The stack that runs: its settings as the engine gives them, and the fingerprints of what its vault holds."""

from __future__ import annotations

from typing import Any, Final

import pulumi
from pulumi.runtime.config import CONFIG

from components.connection import Connection, connect, decoded
from hotdash.fly.token import find_token
from hotdash.stack.checking import NAMESPACE
from hotdash.stack.settings import Settings, load
from hotdash.stack.values import fingerprints_of

TOLD: Final = 32
"""The exit code that tells the engine's language host: the program has said why it ends, add nothing."""


def read() -> tuple[Settings, dict[str, str], Connection]:
    """Settings, fingerprints by secret, and the connection of this process.

    Raises:
        SettingsError, VaultError, TokenMissing: before anything is declared, so nothing is changed.
    """
    values = raw_values()
    settings = load(values, file=f"stacks/Pulumi.{pulumi.get_stack()}.yaml")
    connection = connect(values.get)
    find_token(connection.vault, settings.token)
    return settings, fingerprints_of(settings, connection.vault), connection


def raw_values() -> dict[str, Any]:
    """The keys of our namespace, without it; objects read from their JSON."""
    prefix = f"{NAMESPACE}:"
    return {
        key.removeprefix(prefix): decoded(value)
        for key, value in CONFIG.get().items()
        if key.startswith(prefix)
    }
