"""What a stack's vault holds for it: the value of each declared secret, and its fingerprint."""

from __future__ import annotations

from collections.abc import Sequence

from hotdash.dsn import Dsn, MalformedDsn
from hotdash.errors import VaultError
from hotdash.stack.settings import SecretSource, Settings
from hotdash.vault import Vault, fingerprint


def value_of(vault: Vault, name: str, source: SecretSource) -> str:
    """The value that a secret is declared to have. Raises VaultError; never shows it."""
    value = vault.read(source.reference)
    if not source.part:
        return value
    where = f"{vault.shown}/{source.reference}"
    try:
        part = Dsn.parse(value).part(source.part)
    except MalformedDsn as error:
        raise VaultError(
            f"the database URL that POSTGRES_* are derived from is none: {error}",
            where=where,
            remedy="write postgres://user:password@host:port/database, special characters percent-encoded",
        ) from None
    if not part:
        raise VaultError(
            f"{name} is derived from a database URL that names no {source.part}",
            where=where,
            meaning="an empty value is never sent to Fly",
            remedy=f"put the {source.part} into the URL, or declare {name} by itself",
        )
    return part


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
