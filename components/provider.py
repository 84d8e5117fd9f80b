"""What the dynamic providers have in common: how they are configured, and where an unknown value is told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CheckResult, ConfigureRequest, ResourceProvider
from pulumi.output import Unknown

from components.connection import Connection, connect


class Provider(ResourceProvider):
    """Base of the providers. Kept by reference in the state: it has no attributes of its own to serialize."""

    serialize_as_secret_always = False

    _connection: Connection

    def configure(self, req: ConfigureRequest) -> None:
        self._connection = connect(lambda key: req.config.get(f"hotdash:{key}"))

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return CheckResult(news, [])


def known(value: Any) -> Any:
    """The value, or None where the engine does not know it yet."""
    return None if isinstance(value, Unknown) else value


def deletes_otherwise(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether the stack file says something else of deleting than when it was last applied.

    A destroy does not run the program: it goes by what the state holds, so that must follow the stack file.
    """
    return bool(olds.get("deleteOnDestroy")) != bool(news.get("deleteOnDestroy"))
