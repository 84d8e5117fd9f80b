"""What is known in clear of a database that a secret leads to, typed: out of what `hotdash.stack.values.databases_in`
gives, once it comes back from the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from hotdash.dsn import Certainty, Dsn, Host, Pooling
from hotdash.dsn.rules.anywhere import is_this_machine


class Agreement(StrEnum):
    """How a POSTGRES_* secret stands to the main database's URL; unknown where that is not declared or none."""

    DERIVED = "derived"
    EQUAL = "equal"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Database:
    """Args:
    host: all of them, where there are several, with commas between.
    provider: its readable name.
    rule: the id of the rule that told the pooling.
    sslmode: empty where none is given.
    findings: the codes of what is wrong with the URL, errors and warnings alone.
    """

    host: str
    port: int
    database: str
    role: str
    provider: str
    pooling: Pooling
    certainty: Certainty
    rule: str
    sslmode: str
    findings: tuple[str, ...]

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> Database:
        """Raises KeyError, TypeError, ValueError: no such properties."""
        texts = {key: properties[key] for key in ("host", "database", "role", "provider", "rule", "sslmode")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("a text is none")
        return cls(
            **texts,
            port=int(properties["port"]),
            pooling=Pooling(properties["pooling"]),
            certainty=Certainty(properties["certainty"]),
            findings=tuple(str(code) for code in properties["findings"]),
        )

    @property
    def is_direct(self) -> bool:
        """A guess does not count."""
        return self.pooling is Pooling.DIRECT and self.certainty is not Certainty.GUESS

    @property
    def on_this_machine(self) -> bool:
        return is_this_machine(self.host.lower())

    @property
    def dsn(self) -> Dsn:
        """As far as it is known: enough to compare with another."""
        return Dsn(
            tuple(Host(name.strip(), self.port) for name in self.host.split(",")),
            self.database,
            self.role,
            "",
        )

    def __str__(self) -> str:
        role = f"{quote(self.role, safe='')}@" if self.role else ""
        return f"{role}{self.host}:{self.port}/{self.database} ({self.provider}, {self.pooling})"
