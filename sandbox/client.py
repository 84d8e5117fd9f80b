"""A client of a running sandbox, for its own commands and tests: Fly's API as a person's tools use it, and the admin
door. Not for the project's own work on Fly, which has a client that must stand more than this one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

LEASE_SECONDS = 30

T = TypeVar("T")


class SandboxError(Exception):
    """What a person at the terminal is told: what happened, and what to do."""


@dataclass(frozen=True)
class Check:
    """One check of a machine as the API shows it."""

    name: str
    status: str
    output: str


class SandboxClient:
    """Talks to the sandbox at `url` with its `token`."""

    def __init__(self, url: str, token: str, timeout: float = 70.0) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=timeout, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """One request; the JSON of its answer, or None.

        Raises:
            SandboxError: no answer, or a refusal; names the call and gives the refusal's text.
        """
        try:
            answer = self._http.request(method, path, json=body, **options)
        except httpx.HTTPError as error:
            raise SandboxError(
                f"the sandbox at {self.url} does not answer ({type(error).__name__})"
            ) from None
        if answer.is_error:
            raise SandboxError(
                f"{method} {path}: the sandbox answered {answer.status_code}: {_reason(answer)}"
            )
        return answer.json() if answer.content else None

    # Through Fly's API

    def machines(self, app: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/v1/apps/{app}/machines")
        return sorted(found, key=lambda machine: (machine["created_at"], machine["id"]))

    def machine(self, app: str, machine: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/v1/apps/{app}/machines/{machine}")
        return found

    def set_secrets(self, app: str, values: Mapping[str, str | None]) -> int:
        """Stage values (None unsets); the version that holds them."""
        answer = self.call("POST", f"/v1/apps/{app}/secrets", {"values": dict(values)})
        return int(answer["version"])

    def update(
        self,
        app: str,
        machine: Mapping[str, Any],
        config: Mapping[str, Any],
        secrets_version: int | None = None,
    ) -> dict[str, Any]:
        """Give a machine a config, under a lease, as flyctl does; the machine as it is then, not yet started."""
        path = f"/v1/apps/{app}/machines/{machine['id']}"
        nonce = self.call("POST", f"{path}/lease", params={"ttl": LEASE_SECONDS})["data"]["nonce"]
        headers = {"fly-machine-lease-nonce": nonce}
        body: dict[str, Any] = {"config": dict(config), "region": machine["region"], "name": machine["name"]}
        if secrets_version is not None:
            body["min_secrets_version"] = secrets_version
        if machine["state"] in ("stopped", "suspended"):
            body["skip_launch"] = True
        try:
            updated: dict[str, Any] = self.call("POST", path, body, headers=headers)
        finally:
            self.call("DELETE", f"{path}/lease", headers=headers)
        return updated

    def wait_for_state(self, app: str, machine: str, state: str, seconds: float = 30.0) -> None:
        """Return once the machine is in `state`; SandboxError if it is not within `seconds`."""
        self.until(
            lambda: self.machine(app, machine)["state"] == state, f"machine {machine} to be {state}", seconds
        )

    # Through the admin door

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "/sandbox/status")
        return found

    def app(self, name: str) -> dict[str, Any] | None:
        """The admin door's view of one app; None if there is none of that name."""
        return next((app for app in self.status()["apps"] if app["name"] == name), None)

    def until(self, condition: Callable[[], T], what: str, seconds: float = 30.0) -> T:
        """Ask until `condition` gives something true, and return that.

        Raises:
            SandboxError: it did not within `seconds`; names `what` was waited for.
        """
        asking = Retrying(
            retry=retry_if_result(lambda found: not found),
            wait=wait_exponential(multiplier=0.02, exp_base=1.5, max=0.2),
            stop=stop_after_delay(seconds),
        )
        try:
            return asking(condition)
        except RetryError:
            raise SandboxError(f"waited {seconds:g} s for {what}, in vain") from None


def checks_of(machine: Mapping[str, Any]) -> tuple[Check, ...]:
    """The machine's check results as the API shows them."""
    return tuple(Check(c["name"], c["status"], c["output"]) for c in machine.get("checks") or ())


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("error", ""))
    except (ValueError, AttributeError):
        return answer.text[:200]
