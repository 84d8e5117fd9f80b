"""A Fly that plays a script, on a clock that only pauses move: what takes minutes there takes no time here."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx

from hotdash.clock import Clock
from hotdash.fly import wire
from hotdash.fly.client import Fly
from hotdash.fly.model import Machine
from hotdash.fly.token import Token
from tests.hotdash.strategies import NOW, rfc3339, ulid

OLD, NEW, OTHER = (ulid(NOW + timedelta(seconds=seconds)) for seconds in (-3600, 0, 7))
CHECK = {"type": "http", "path": "/api", "interval": "2s", "timeout": "1s", "grace_period": "3s"}


def body(instance_id: str = NEW, state: str = "started", **changes: Any) -> dict[str, Any]:
    """A machine as Fly shows it, of the version that the update has made; it has one check and no result."""
    config = {
        "image": "chatwoot:v4",
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512},
        "metadata": {"fly_process_group": "web"},
        "services": [{"internal_port": 3000, "checks": [CHECK]}],
    }
    return {"id": "m1", "instance_id": instance_id, "state": state, "config": config, **changes}


def result(status: str, seconds: float, output: str = "ok") -> dict[str, Any]:
    """What a check says, since so many seconds after the update."""
    since = rfc3339(NOW + timedelta(seconds=seconds))
    return {"name": "servicecheck-00-http-3000", "status": status, "output": output, "updated_at": since}


def ended(seconds: float, **exit_event: Any) -> dict[str, Any]:
    """The event that the machine's process ended so many seconds after the update."""
    stamp = int((NOW + timedelta(seconds=seconds)).timestamp() * 1000)
    return {"type": "exit", "timestamp": stamp, "request": {"exit_event": exit_event}}


def as_machine(shown: dict[str, Any]) -> Machine:
    return wire.machine(shown)


class Script:
    """A machine's life: what it looks like from which second on. Answers to anything else come from `others`."""

    def __init__(
        self,
        *scenes: tuple[float, dict[str, Any]],
        others: Callable[[httpx.Request], httpx.Response] | None = None,
    ) -> None:
        self._scenes = scenes
        self._others = others or (lambda _request: httpx.Response(200, json={}))
        self.seconds = 0.0
        self.looks: list[float] = []
        self.asked: list[httpx.Request] = []
        self.told: list[str] = []
        self.clock = Clock(lambda: self.seconds, self._sleep)
        self.fly = Fly(
            Token("fo1_test", "a test"),
            base_url="http://fly.test",
            transport=httpx.MockTransport(self._answer),
            clock=self.clock,
        )

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.seconds += seconds

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            self.asked.append(request)
            return self._others(request)
        self.looks.append(self.seconds)
        shown = [scene for since, scene in self._scenes if since <= self.seconds][-1]
        return httpx.Response(200, content=json.dumps(shown).encode())
