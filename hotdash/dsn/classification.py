"""What a DSN leads to, as its text alone tells: a Postgres itself, or a pooler before one, and which database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hotdash.dsn.model import Dsn, Place
from hotdash.dsn.rule import Certainty, Pooling, Rule, Target
from hotdash.dsn.rules import PROVIDERS, RULES
from hotdash.dsn.text import DEFAULT_PORT


@dataclass(frozen=True)
class Classification:
    """What is known of a DSN. It holds no password.

    Args:
        pooling: unknown is not direct.
        provider: a stable id; `provider_title` is for people.
        rule: the stable id of the rule that told.
        certainty: how far `pooling` can be relied on.
        why: one line.
        direct_form: where the same database is reached without the pooler (or the replica), with the same password:
            `Dsn.at` goes there. None where the DSN is that already, and where it cannot be known from it.
        identity: which database it is. DSNs of one database have the same, whichever way they take; None where it
            cannot be told. Compare two with `same_database`.
    """

    pooling: Pooling
    provider: str
    rule: str
    certainty: Certainty
    why: str
    direct_form: Place | None = None
    identity: str | None = None

    @property
    def provider_title(self) -> str:
        return PROVIDERS[self.provider]


def classify(dsn: Dsn) -> Classification:
    """Ask the rules. Never fails: what none of them knows is unknown. Of several hosts the first is asked about."""
    target = Target.of(dsn)
    rule = _rule_for(target)
    direct = rule.direct_form(target) if rule.direct_form else None
    # Two rules may know one name: an app that is called like a pooler has no direct form that could be trusted.
    if direct and _rule_for(Target.of(dsn.at(direct))).pooling not in (Pooling.DIRECT, Pooling.UNKNOWN):
        direct = None
    return Classification(
        rule.pooling,
        rule.provider,
        rule.id,
        rule.certainty,
        rule.why,
        direct,
        None if len(dsn.hosts) > 1 else _identity(rule, target, direct),
    )


def same_database(one: Dsn, other: Dsn) -> bool | None:
    """Whether two DSNs lead to one database, as far as their texts tell.

    Returns:
        True: they do. False: they surely do not. None: only the servers can tell; two unknown hosts may be one, and one
        tunnel on this machine may be another tomorrow.
    """
    if _written_alike(one) == _written_alike(other):
        return True
    first, second = classify(one), classify(other)
    if first.identity is None or second.identity is None:
        return None
    if first.identity == second.identity:
        return True
    return False if first.certainty is second.certainty is Certainty.CERTAIN else None


def _written_alike(dsn: Dsn) -> tuple[object, ...]:
    # The role and the options belong to it: a pooler may take its tenant from either.
    hosts = tuple((host.name.lower(), host.port or DEFAULT_PORT) for host in dsn.hosts)
    return hosts, dsn.database, dsn.username, dsn.parameters.get("options")


def _identity(rule: Rule, target: Target, direct: Place | None) -> str | None:
    if rule.identity:
        return rule.identity(target)
    if not target.database:
        return None
    if direct:
        return f"{direct.host}:{direct.port}/{direct.database}"
    if rule.pooling is Pooling.DIRECT:
        return f"{target.host}:{target.port}/{target.database}"
    return None


# Finding the rule. Most rules belong to the end of a host name: those that cannot fit are not asked.


def _by_tail() -> tuple[Mapping[str, tuple[Rule, ...]], tuple[Rule, ...]]:
    """The rules for each end of a host name (its last two labels, or the last one), and those for all others."""
    keys = {_last_labels(tail) for rule in RULES for tail in rule.tails}
    table = {
        key: tuple(
            rule
            for rule in RULES
            if not rule.tails or any(f".{key}".endswith(f".{_last_labels(tail)}") for tail in rule.tails)
        )
        for key in keys
    }
    return table, tuple(rule for rule in RULES if not rule.tails)


def _last_labels(host: str) -> str:
    return ".".join(host.rsplit(".", 2)[-2:])


_TABLE, _ANY_HOST = _by_tail()
_LAST: Final = RULES[-1]


def _rule_for(target: Target) -> Rule:
    """The first rule of the table that fits."""
    _, _, last = target.host.rpartition(".")
    rules = _TABLE.get(_last_labels(target.host)) or _TABLE.get(last) or _ANY_HOST
    for rule in rules:
        if rule.applies(target):
            return rule
    return _LAST
