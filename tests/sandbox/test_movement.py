"""Orders that overtake each other: wherever they cut in, process and record agree in the end."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import machine_config
from sandbox.host import Exit, LaunchSpec, NullChecks, NullHost
from sandbox.lifecycle import Lifecycle, Order
from sandbox.refusal import Refusal
from sandbox.state import App, Machine, add_app
from sandbox.store import Store

ORDERS = (
    "update",
    "update-quietly",
    "update-missing",
    "start",
    "stop",
    "suspend",
    "restart",
    "oom",
    "crash",
    "destroy",
)


class SlowHost(NullHost):
    """Takes a few turns of the loop for everything, so that orders come in between."""

    def __init__(self, pauses: random.Random) -> None:
        super().__init__()
        self._pauses = pauses

    async def launch(self, spec: LaunchSpec) -> None:
        assert spec.machine_id not in self.running, "launched twice"
        await self._pause()
        await super().launch(spec)
        await self._pause()

    async def stop(self, machine_id: str, *, signal: int = 2, timeout: float = 5.0) -> Exit:
        await self._pause()
        exit = await super().stop(machine_id)
        await self._pause()
        return exit

    async def _pause(self) -> None:
        for _ in range(self._pauses.randrange(4)):
            await asyncio.sleep(0)


class MemoryStore(Store):
    """Saves at the next turn of the loop, and nothing to disk."""

    async def commit(self) -> None:
        await asyncio.sleep(0)


async def give(lifecycle: Lifecycle, app: App, machine: Machine, word: str) -> None:
    image = "a:missing" if word == "update-missing" else "a:1"
    order = Order(machine_config.accept({"image": image}), skip_launch=word == "update-quietly")
    if word.startswith("update"):
        await lifecycle.update(app, machine, order)
    elif word in ("stop", "suspend"):
        await lifecycle.stop(machine, None, None, suspend=word == "suspend")
    elif word == "start":
        await lifecycle.start(machine)
    elif word == "restart":
        await lifecycle.restart(machine, None, None)
    elif word == "oom":
        await lifecycle.kill_for_memory(machine)
    elif word == "crash":
        host = lifecycle.host
        assert isinstance(host, SlowHost)
        if (spec := host.running.pop(machine.id, None)) is not None:
            died = Exit(exit_code=1, signal=None, oom_killed=False, requested=False)
            await lifecycle.movement.on_exit(machine.id, spec.instance_id, died)
    else:
        await lifecycle.destroy(machine, force=True)


async def play(directory: Path, words: Sequence[tuple[str, int]], seed: int) -> None:
    store = MemoryStore(directory)
    host = SlowHost(random.Random(seed))
    lifecycle = Lifecycle(store, host)
    movement = lifecycle.movement
    movement.checks = NullChecks(movement.on_checks)
    movement.pull_seconds = movement.restart_delay_seconds = 0
    app = add_app(store.world, "app", "hotdash", "default", None)
    machine = await lifecycle.create(app, Order(machine_config.accept({"image": "a:1"})))
    for word, turns in words:
        try:
            await give(lifecycle, app, machine, word)
        except Refusal as refusal:
            assert refusal.status == 412  # noqa: PT017 - a refusal is one of the right outcomes
        for _ in range(turns):
            await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await movement.rest()

    resting = {
        "run": {"started"},
        "stop": {"stopped", "failed"},
        "suspend": {"suspended"},
        "destroy": {"destroyed"},
    }
    assert machine.state in resting[machine.goal], words
    if machine.state == "started":
        assert host.running[machine.id].instance_id == machine.instance_id
    else:
        assert machine.id not in host.running
    assert machine_config.can_be_pulled(machine.config) or machine.state != "started"
    assert all(
        older.instance_id < newer.instance_id
        for newer, older in zip(machine.versions, machine.versions[1:], strict=False)
    )


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(st.tuples(st.sampled_from(ORDERS), st.integers(0, 12)), max_size=8),
    seed=st.integers(0, 1_000_000),
)
def test_process_and_record_agree_in_the_end(words: list[tuple[str, int]], seed: int) -> None:
    with TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory), words, seed))
