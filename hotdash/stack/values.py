"""What a stack's vault holds for it, and as much of that as anyone may see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from hotdash.chatwoot import DATABASE_URLS
from hotdash.dsn import Dsn, Explanation, MalformedDsn, Severity, explain, is_meant_as_url, same_database
from hotdash.errors import VaultError, WrongDatabase
from hotdash.stack.settings import SecretSource, Settings
from hotdash.vault import Vault, fingerprint

T = TypeVar("T")


@dataclass(frozen=True)
class Declaration:
    """The declared secrets without their values.

    Args:
        fingerprints: by secret; see `hotdash.vault.fingerprint`.
        databases: for each secret that is the URL of a Postgres, what it leads to, in clear; see `Databases`.
        unreadable: for each that is meant as one and cannot be read, why; see `Databases`.
    """

    fingerprints: Mapping[str, str]
    databases: Mapping[str, Mapping[str, Any]]
    unreadable: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def declaration(settings: Settings, vault: Vault) -> Declaration:
    """Read all that the stack declares.

    Raises:
        VaultError: with everything that the vault lacks, not the first alone.
        WrongDatabase: a database URL leads where it must not.
    """
    # A label may be spelt like a secret's name, but no secret's name has a blank.
    unwanted = {f"forbidden {label}": SecretSource(at) for label, at in settings.forbidden_databases.items()}
    values = values_of({**settings.secrets, **unwanted}, vault)
    forbidden = {label: values.pop(f"forbidden {label}") for label in settings.forbidden_databases}
    refuse_forbidden(values, settings.secrets, forbidden)
    return Declaration(
        {name: fingerprint(value, settings.fingerprint_key) for name, value in values.items()},
        *databases_of(values),
    )


def values_of(sources: Mapping[str, SecretSource], vault: Vault) -> dict[str, str]:
    """The values by name. Raises VaultError: with everything that the vault lacks."""
    return _all_of(sources, lambda name: value_of(vault, name, sources[name]))


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


class Databases(NamedTuple):
    """What values lead to that are meant as the URL of a Postgres, by name. Nothing that is secret is in it.

    Args:
        readable: host, port, database, role, provider, pooling and how certain that is, sslmode (empty: not given), and
            the codes of what is wrong with it.
        unreadable: those that cannot be read: why (`unreadable`) and what to do (`mend`).
    """

    readable: dict[str, dict[str, Any]]
    unreadable: dict[str, dict[str, str]]


def databases_of(values: Mapping[str, str], meant: Collection[str] = DATABASE_URLS) -> Databases:
    """Args:
    meant: names whose values are meant as one, whatever they begin with.
    """
    explained, problems = _explained(values, meant)
    return Databases(
        {name: _properties(found) for name, found in explained.items()},
        {name: {"unreadable": str(why), "mend": why.remedy} for name, why in problems.items()},
    )


def databases_in(values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Those of `databases_of` that can be read."""
    return databases_of(values).readable


def database_text(properties: Mapping[str, Any]) -> str:
    """One of `databases_in` in a line."""
    port = int(properties["port"])  # the engine gives numbers back as floats
    place = f"{properties['host']}:{port}/{properties['database']} as {properties['role']}"
    return f"{place} ({properties['provider']}, {properties['pooling']})"


def refuse_forbidden(
    values: Mapping[str, str], sources: Mapping[str, SecretSource], forbidden: Mapping[str, str]
) -> None:
    """Compare where database URLs lead, as far as their texts tell, with where none must.

    Raises:
        WrongDatabase: one of `values` leads to one of `forbidden`.
    """
    unwanted, _ = _explained(forbidden, forbidden)
    for name, found in _explained(values)[0].items():
        for label, other in unwanted.items():
            if same_database(found.dsn, other.dsn):
                raise WrongDatabase(
                    f"{name} leads to {label}'s database, which Chatwoot must not use",
                    where=f"vault {sources[name]}: {database_text(_properties(found))}",
                    meaning="Chatwoot's migrations would create and drop tables there; nothing was changed",
                    remedy=f"put the URL of Chatwoot's own database there; {label}'s is named under "
                    "hotdash:forbiddenDatabases",
                )


def _explained(
    values: Mapping[str, str], meant: Collection[str] = DATABASE_URLS
) -> tuple[dict[str, Explanation], dict[str, MalformedDsn]]:
    """Those that can be read, and why the others cannot."""
    found: dict[str, Explanation] = {}
    problems: dict[str, MalformedDsn] = {}
    for name, value in values.items():
        if name in meant or is_meant_as_url(value):
            try:
                found[name] = explain(value)
            except MalformedDsn as why:
                problems[name] = why
    return found, problems


def _properties(found: Explanation) -> dict[str, Any]:
    dsn, known = found.dsn, found.classification
    return {
        "host": ", ".join(host.name for host in dsn.hosts),
        "port": dsn.port,
        "database": dsn.database,
        "role": dsn.role,
        "provider": known.provider_title,
        "pooling": known.pooling.value,
        "certainty": known.certainty.value,
        "rule": known.rule,
        "sslmode": dsn.parameters.get("sslmode", ""),
        "findings": [f.code for f in found.findings if f.severity is not Severity.NOTE],
    }


def _all_of(names: Iterable[str], read: Callable[[str], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    problems: list[VaultError] = []
    for name in names:
        try:
            found[name] = read(name)
        except VaultError as problem:
            problems.append(problem)
    if problems:
        raise _together(problems)
    return found


def _together(problems: Sequence[VaultError]) -> VaultError:
    # One file that is missing fails every secret in it: told once.
    told = list({(p.summary, p.where): p for p in problems}.values())
    if len(told) == 1:
        return told[0]
    listed = "\n".join(f"  - {problem.where}: {problem.summary}; {problem.remedy}" for problem in told)
    return VaultError(f"the vault cannot give {len(told)} of the things that the stack declares:\n{listed}")
