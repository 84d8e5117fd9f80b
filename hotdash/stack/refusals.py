"""What a stack may not do, decided from what is declared alone: it can be refused before anything is asked of Fly.

The policy pack's rules and the program ask the same functions. A policy that meets a value which is not known yet
becomes advice: what must never pass is refused by the program too, or by a provider's check.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from hotdash.chatwoot import main_database
from hotdash.dsn import Pooling, classify
from hotdash.errors import SettingsError
from hotdash.literals import suspicion
from hotdash.stack.databases import Database
from hotdash.stack.policy import PolicyException, in_force, plain_dates, policy_exceptions

DATABASE_VARIABLE: Final = "DATABASE_URL"
MIGRATIONS_DIRECT: Final = "migrations-direct"
TRANSACTION_PREPARED: Final = "transaction-prepared"
SECRETS_FROM_VAULT: Final = "secrets-from-vault"
ENCRYPTION_KEYS_KEPT: Final = "encryption-keys-kept"
"""Rules of the policy pack that the program keeps to as well, by their ids."""
ENCRYPTION_PREFIX: Final = "ACTIVE_RECORD_ENCRYPTION_"
_UNPREPARED: Final = frozenset({"prepared-statements-unsupported", "prepared-statements"})
_REFERENCES: Final = frozenset({"secrets", "forbiddenDatabases"})
_NO_TEXTS: Final = frozenset({"fingerprintKey", "fly", "vault"})
"""Sections that hold no text of one's own: what stands there is a reference, or encrypted."""


@dataclass(frozen=True)
class Refusal:
    """One thing that may not be.

    Args:
        rule: the id of the policy pack's rule for it.
        subject: what it was found of: a secret, a group, a key of the stack file.
        found: what it is, in one sentence without a full stop.
        where: the key of the stack file.
        mend: what to do.
    """

    rule: str
    subject: str
    found: str
    where: str
    mend: str


def today() -> date:
    """Now, by UTC: an exception ends everywhere at once."""
    return datetime.now(UTC).date()


# The database


def pooled_migrations(
    name: str,
    databases: Mapping[str, Database],
    direct_hosts: Collection[str] = (),
    *,
    unknown_too: bool = True,
) -> Iterator[Refusal]:
    """Migrations that do not go to Postgres itself. What is not known to be direct is not, unless somebody vouches for
    its host.

    Args:
        name: the secret whose URL migrations take; nothing is said where that is no database's.
        direct_hosts: hosts that are direct, though no rule knows them.
        unknown_too: or only what is known to be a pooler.
    """
    database = databases.get(name)
    if database is None or database.is_direct:
        return
    if database.pooling in (Pooling.UNKNOWN, Pooling.DIRECT):
        if database.host in direct_hosts or not unknown_too:
            return
        found = f"migrations would go through {name}, and nothing tells whether that is Postgres itself: {database}"
        mend = (
            "name the secret with the direct URL under hotdash:migration.database; or, where you know that this one "
            f"is, its host under hotdash:policies.{MIGRATIONS_DIRECT}.directHosts"
        )
    else:
        found = f"migrations would go through a pooler ({database.pooling}): {name} leads to {database}"
        direct = classify(database.dsn).direct_form
        mend = (
            f"declare the direct URL{f' ({direct}, with the same password)' if direct else ''} as a secret of its own "
            "(DIRECT_DATABASE_URL: occ/chatwoot/direct_database_url.env), and name it under hotdash:migration.database"
        )
    yield Refusal(MIGRATIONS_DIRECT, name, found, "hotdash:migration.database", mend)


def prepared_through_pooler(databases: Mapping[str, Database]) -> Iterator[Refusal]:
    """Prepared statements through a pooler that shares connections between statements. Of the main database alone: what
    another outranks, nobody connects to."""
    name = main_database(databases)
    database = databases.get(name)
    if database is not None and not _UNPREPARED.isdisjoint(database.findings):
        yield Refusal(
            TRANSACTION_PREPARED,
            name,
            f"{name} leads to a pooler in {database.pooling} mode, with prepared statements on: {database}",
            f"hotdash:secrets.{name}",
            "add prepared_statements=false to the URL in the vault, or take the session pooler's or the direct URL",
        )


# Secrets


def literal_credentials(values: Mapping[str, Any]) -> Iterator[Refusal]:
    """Texts of a stack file that look like credentials. `values` are its settings without `hotdash:`."""
    for path, name, text in _texts(values, ()):
        if reason := suspicion(name, text):
            key = ".".join(path)
            yield Refusal(
                SECRETS_FROM_VAULT,
                key,
                f"{key} seems to be a credential: {reason}",
                f"hotdash:{key}",
                "put it into the vault and declare it under hotdash:secrets; it stands in git now, so change it where "
                "it counts",
            )


def _texts(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Every text: its place, the name it stands under, and itself."""
    if isinstance(value, str):
        if path:
            name = next((part for part in reversed(path) if not part.isdecimal()), "")
            yield path, name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if path or key not in _REFERENCES | _NO_TEXTS:
                yield from _texts(item, (*path, str(key)))
    elif isinstance(value, Sequence):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, str(number)))


def dropped_keys(
    before: Mapping[str, str], now: Collection[str], *, removes: bool = False
) -> Iterator[Refusal]:
    """Keys of Active Record's encryption that were there and are to be no more: what they encrypted stays in the
    database, and nobody can read it.

    Args:
        before: the secrets as the state has them, name to text; the text of one that only Fly has begins with
            secret-undeclared.
        now: the names that are declared now.
        removes: what is not declared is removed from Fly.
    """
    for name, text in sorted(before.items()):
        only_on_fly = text.startswith("secret-undeclared")
        if name.startswith(ENCRYPTION_PREFIX) and name not in now and (removes or not only_on_fly):
            yield Refusal(
                ENCRYPTION_KEYS_KEPT,
                name,
                f"{name} is not declared any more"
                if not only_on_fly
                else f"{name} is not declared, and would be removed from Fly",
                f"hotdash:secrets.{name}",
                f"declare {name} again, with the value that it had",
            )


# Refusing


@dataclass(frozen=True)
class Terms:
    """What the stack file says to the refusals."""

    migration_database: str = DATABASE_VARIABLE
    exceptions: tuple[PolicyException, ...] = ()


def terms_of(value: Callable[[str], Any]) -> Terms:
    """From settings that were checked already; `value` gives one by its key without `hotdash:`, or None."""
    listed = plain_dates({"exceptions": value("exceptions") or []})["exceptions"]
    database = (value("migration") or {}).get("database") or main_database(value("secrets") or {})
    return Terms(database, policy_exceptions(listed))


def vouched_hosts(policies: Mapping[str, Any]) -> tuple[str, ...]:
    """The hosts that the stack file says are direct, though no rule knows them."""
    hosts = (policies.get(MIGRATIONS_DIRECT) or {}).get("directHosts") or ()
    return tuple(map(str, hosts)) if isinstance(hosts, Sequence) and not isinstance(hosts, str) else ()


def of_secrets(
    databases: Mapping[str, Mapping[str, Any]],
    terms: Terms,
    *,
    before: Mapping[str, str] | None = None,
    now: Collection[str] = (),
    removes: bool = False,
) -> Iterator[Refusal]:
    """All that may not be among a stack's secrets, whether the policy pack is asked or not. A host that nobody knows
    passes here: it is the pack that wants somebody to vouch for it.

    Args:
        databases: as `hotdash.stack.values.databases_in` gives them.
        before, now, removes: see `dropped_keys`; without `before`, nothing was there.
    """
    known = {name: Database.of(properties) for name, properties in databases.items()}
    yield from pooled_migrations(terms.migration_database, known, unknown_too=False)
    yield from prepared_through_pooler(known)
    yield from dropped_keys(before or {}, now, removes=removes)


def refuse(refusals: Iterable[Refusal], exceptions: Iterable[PolicyException], *, on: date) -> None:
    """Let pass what is excepted on that day.

    Raises:
        SettingsError: with all the others, each with its key and its mend.
    """
    listed = tuple(exceptions)
    found = [item for item in refusals if in_force(listed, item.rule, item.subject, on) is None]
    if not found:
        return
    rules = ", ".join(dict.fromkeys(item.rule for item in found))
    raise SettingsError(
        found[0].found if len(found) == 1 else "\n".join(_listed(found)),
        where=", ".join(dict.fromkeys(item.where for item in found)),
        meaning=f"refused ({rules}; docs/policies.md says why); nothing was changed",
        remedy=f"{found[0].mend if len(found) == 1 else 'mend each as it says'}; until then, an exception under "
        "hotdash:exceptions lets it pass",
    )


def _listed(found: Sequence[Refusal]) -> Iterator[str]:
    yield f"{len(found)} things may not be:"
    for item in found:
        yield f"  - {item.found}; {item.mend}"
