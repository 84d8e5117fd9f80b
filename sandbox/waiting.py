"""Waiting for a machine to come to a state: what the API's long poll rests on."""

import asyncio

from sandbox.refusal import Refusal, bad_request
from sandbox.state import SETTLED, Machine


class Waiters:
    """Those who wait for machines. Whoever changes one's state wakes them."""

    def __init__(self) -> None:
        self._turned: dict[str, asyncio.Event] = {}

    def wake(self, machine: Machine) -> None:
        """Let everybody who waits for this machine look again."""
        if (turned := self._turned.pop(machine.id, None)) is not None:
            turned.set()

    async def wait(
        self,
        machine: Machine,
        states: frozenset[str],
        version: str | None,
        from_event: str | None,
        timeout: float,
    ) -> str:
        """The state that fulfilled the wish, once one of `states` is reached; Refusal 408 after `timeout` seconds."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            turned = self._turned.setdefault(machine.id, asyncio.Event())
            if (reached := _reached(machine, states, version, from_event)) is not None:
                return reached
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(turned.wait(), max(left, 0))
            except TimeoutError:
                wish = ",".join(sorted(states))
                raise Refusal(
                    408,
                    f"deadline_exceeded: machine failed to reach desired state, {wish}, currently {machine.state}",
                ) from None


def _reached(
    machine: Machine, states: frozenset[str], version: str | None, from_event: str | None
) -> str | None:
    if version is not None and version != machine.instance_id:
        # Another version's time is over once the machine is no longer busy replacing it.
        past = any(version == v.instance_id for v in machine.versions[1:])
        ended = past and machine.state != "replacing"
        return "stopped" if ended and states & {"stopped", "destroyed", "settled"} else None
    if from_event is not None and not any(
        e.id > from_event and e.status == machine.state for e in machine.events
    ):
        return None
    if machine.state in states:
        return machine.state
    return machine.state if "settled" in states and machine.state in SETTLED else None


def parse_states(values: list[str]) -> frozenset[str]:
    """The states of a wait's query, repeated or comma-separated; `started` if none. Refusal 400 for others."""
    known = {"started", "stopped", "suspended", "destroyed", "failed", "settled"}
    states = frozenset(s for value in values for s in value.split(",") if s) or frozenset({"started"})
    if unknown := states - known:
        raise bad_request(f"invalid_argument: unsupported wait state {sorted(unknown)[0]!r}")
    return states
