"""What a provider's process works with: Fly, the vault, the fingerprint key, and what Fly answered already.

The engine starts one process for all providers and gives each of them the whole stack config; the first one makes the
connection, the others share it. Reads are asked once an app: all three lists at the same time, whichever comes first.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from hotdash.errors import HotdashError, NotFound, TokenMissing, VaultError
from hotdash.fly.model import App, Machine, Secret
from hotdash.fly.token import find_token
from hotdash.vault import Vault

if TYPE_CHECKING:
    from hotdash.fly.client import Fly
    from hotdash.fly.logs import FlyLogs
    from hotdash.plan import RolloutSettings
    from hotdash.preflight import Check, Demand
    from hotdash.stack.settings import SecretSource

READERS: Final = 16
DEBUG_VARIABLE: Final = "HOTDASH_DEBUG"

_LAST_UP: Final = (
    "if the stack file says so already: the engine refreshes and destroys by the settings of the last up, "
    "unless PULUMI_RUN_PROGRAM=true tells it to ask the program"
)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Snapshot:
    """One app's three lists, on their way. Each call waits for its own and raises what Fly answered."""

    app: Callable[[], App]
    secrets: Callable[[], tuple[Secret, ...]]
    machines: Callable[[], tuple[Machine, ...]]


class Connection:
    """Fly, the vault and the fingerprint key of one stack; made when first needed."""

    def __init__(self, config: Callable[[str], Any]) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}
        self._readers: ThreadPoolExecutor | None = None

    @functools.cached_property
    def vault(self) -> Vault:
        folder = str(self.setting("vault") or "vault")
        return Vault(Path(folder), folder)

    @functools.cached_property
    def fly(self) -> Fly:
        from hotdash.fly.client import Fly
        from hotdash.stack.settings import token_reference

        reference = token_reference({"fly": self.setting("fly") or {}})
        try:
            return Fly(find_token(self.vault, reference))
        except (TokenMissing, VaultError) as problem:
            problem.remedy += f"; {_LAST_UP}"
            raise

    @property
    def fingerprint_key(self) -> bytes:
        return str(self.setting("fingerprintKey")).encode()

    @property
    def rollout(self) -> RolloutSettings:
        from hotdash.stack.settings import rollout_settings

        return rollout_settings(self.setting("rollout") or {})

    def secrets(self) -> tuple[Mapping[str, SecretSource], Mapping[str, str]]:
        """Where each declared secret lies, and all their values.

        Raises:
            VaultError: with everything that the vault lacks.
        """
        from hotdash.stack.settings import secret_sources
        from hotdash.stack.values import values_of

        sources = secret_sources(
            {
                "secrets": self.setting("secrets") or {},
                "derivePostgresFrom": self.setting("derivePostgresFrom"),
            }
        )
        return sources, values_of(sources, self.vault)

    @property
    def logs(self) -> FlyLogs:
        from hotdash.fly.logs import FlyLogs
        from hotdash.stack.settings import token_reference

        return FlyLogs(find_token(self.vault, token_reference({"fly": self.setting("fly") or {}})))

    @property
    def strict_preflight(self) -> bool:
        from hotdash.stack.settings import strict_preflight

        return strict_preflight(self.setting("preflight"))

    def checks(self, app: str, values: Mapping[str, str]) -> tuple[Check, ...]:
        """What can be tried of an app's secrets from here, with what the stack and the app's machines say besides.

        Raises:
            VaultError: the URL of a database that must not be used cannot be read.
        """
        from hotdash.preflight import checks_for
        from hotdash.stack.settings import SecretSource, forbidden_databases
        from hotdash.stack.values import values_of

        forbidden = forbidden_databases(self.setting("forbiddenDatabases") or {})
        return checks_for(
            values,
            demand=self._demand(),
            forbidden=values_of({name: SecretSource(at) for name, at in forbidden.items()}, self.vault),
            env=self._env(app),
        )

    def _demand(self) -> Demand | None:
        from hotdash.stack.demand import demand_of
        from hotdash.stack.settings import connection_settings, groups_of

        groups = groups_of(self.setting("processGroups") or {})
        return demand_of(groups, connection_settings(self.setting("connections") or {})) if groups else None

    def _env(self, app: str) -> Mapping[str, str]:
        """What the app's machines have in their env besides its secrets: SMTP_PORT and the like."""
        try:
            machines = self.snapshot(app).machines()
        except NotFound:
            return {}
        return {name: str(value) for m in machines for name, value in (m.config.get("env") or {}).items()}

    def snapshot(self, app: str) -> Snapshot:
        """The app's lists, asked once in this process: for reads alone. What writes asks anew."""
        with self._lock:
            if app not in self._snapshots:
                fly = self.fly
                self._readers = self._readers or ThreadPoolExecutor(READERS, "fly")
                ask = self._readers.submit
                self._snapshots[app] = Snapshot(
                    _answer(ask(fly.app, app)),
                    _answer(ask(fly.secrets, app)),
                    _answer(ask(fly.machines, app)),
                )
            return self._snapshots[app]

    def setting(self, key: str) -> Any:
        """One of the stack's settings, by its key without `hotdash:`; None where it is not there."""
        return decoded(self._config(key))


def decoded(value: Any) -> Any:
    """A config value: objects and lists come as JSON text. A plain text may begin as one does."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _answer(future: Future[R]) -> Callable[[], R]:
    return future.result


_shared: Connection | None = None
_sharing = threading.Lock()


def connect(config: Callable[[str], Any]) -> Connection:
    """The process's one connection; `config` gives a key of the stack's settings."""
    global _shared
    with _sharing:
        if _shared is None:
            _shared = Connection(config)
        return _shared


def speaks_plainly(call: Callable[P, R]) -> Callable[P, R]:
    """Let errors leave a provider as their text, under their code: the engine shows all that is raised, names and
    tracebacks of Python included."""

    @functools.wraps(call)
    def plain(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except HotdashError as error:
            if os.environ.get(DEBUG_VARIABLE):
                raise
            sys.tracebacklimit = 0
            raise _named(error) from None

    return plain


def _named(error: HotdashError) -> Exception:
    # A traceback's last line names a class of module builtins without its module.
    kind: type[Exception] = type(error.code, (Exception,), {"__module__": "builtins"})
    return kind(str(error))


def tell(line: str) -> None:
    """A line of progress: the engine shows what a provider writes to stderr at once."""
    # In one piece: several machines of a rollout speak at once.
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def plain(properties: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named properties that are there."""
    return {name: properties[name] for name in names if name in properties}
