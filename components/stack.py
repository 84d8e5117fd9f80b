"""The stack that runs: its settings as the engine gives them, and the fingerprints of what its vault holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pulumi
from pulumi.runtime.config import CONFIG

from components.connection import Connection, connect, decoded
from components.secrets import value_of
from components.settings import NAMESPACE, Settings, load
from hotdash.errors import VaultError
from hotdash.fly.token import find_token
from hotdash.vault import Vault, fingerprint

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


def fingerprints_of(settings: Settings, vault: Vault) -> dict[str, str]:
    """Fingerprints by secret. Raises VaultError: with everything that the vault lacks, not the first alone."""
    fingerprints: dict[str, str] = {}
    problems: list[VaultError] = []
    for name, source in settings.secrets.items():
        try:
            fingerprints[name] = fingerprint(value_of(vault, name, source), settings.fingerprint_key)
        except VaultError as problem:
            problems.append(problem)
    if problems:
        raise _together(problems)
    return fingerprints


def _together(problems: Sequence[VaultError]) -> VaultError:
    # One file that is missing fails every secret in it: told once.
    told = list({(p.summary, p.where): p for p in problems}.values())
    if len(told) == 1:
        return told[0]
    listed = "\n".join(f"  - {problem.where}: {problem.summary}; {problem.remedy}" for problem in told)
    return VaultError(f"the vault cannot give {len(told)} of the things that the stack declares:\n{listed}")
