"""One app, as `make sandbox` gives it: what a preview costs, and what an up waits for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.clock import medians, timed
from bench.report import Result
from hotdash.fly.wire import parse_duration
from sandbox import seed, shell
from tests.world import World

RUNS = 7
UPS = 3
HERE = Path(__file__).parent
CHECKOUT = HERE.parent
PREVIEW_LIMIT = 1.8
CALLS_LIMIT = 3
RESTARTS_LIMIT = 1
UP_LIMIT = 1.3


def measure(directory: Path) -> list[Result]:
    """Start the sandbox in `directory`, adopt its app, and measure."""
    world = World(directory / "world", seed.Design())
    world.up()
    try:
        world.wait_healthy()
        return _measure(world)
    finally:
        world.down()


def _measure(world: World) -> list[Result]:
    shell.ensure_stack(world.dir)
    environment = {**os.environ, **world.env}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    stack_file = world.write_stack_file()
    pulumi = str(CHECKOUT / ".engine" / "bin" / "pulumi")

    def run(*arguments: str) -> float:
        command = [pulumi, *arguments, "--config-file", str(stack_file)]
        return timed(command, cwd=CHECKOUT, environment=environment)

    run("up", "--yes", "--skip-preview")
    empty_environment = {**environment, "PULUMI_STACK": "empty"}

    def empty(*arguments: str) -> float:
        return timed([pulumi, *arguments], cwd=HERE / "empty", environment=empty_environment)

    empty("stack", "init", "empty", "--no-select")
    empty("up", "--yes", "--skip-preview")
    plain_environment = {k: v for k, v in environment.items() if k != "PULUMI_RUN_PROGRAM"}

    def plain() -> float:
        command = [pulumi, "preview", "--config-file", str(stack_file)]
        return timed(command, cwd=CHECKOUT, environment=plain_environment)

    floor, ours, refreshed_first = medians(
        RUNS, lambda: empty("preview"), lambda: run("preview", "--expect-no-changes"), plain
    )
    world.clear_requests()
    run("preview", "--expect-no-changes")
    calls = len(world.requests())
    ups, restarts = _ups(world, run)
    chain = _chain(world.stack_config())
    return [
        Result(
            "no-change preview / empty program's preview",
            ours / floor,
            PREVIEW_LIMIT,
            "×",
            f"{ours:.2f} s / {floor:.2f} s (without PULUMI_RUN_PROGRAM {refreshed_first:.2f} s)",
        ),
        Result("Fly calls of a no-change preview", calls, CALLS_LIMIT, "", "app, secrets, machines"),
        Result(
            "restarts of a machine, when secrets, memory and check path all change",
            restarts,
            RESTARTS_LIMIT,
            "",
            "most of any machine",
        ),
        Result(
            "up / what boots, grace and settling impose",
            ups / chain,
            UP_LIMIT,
            "×",
            f"{ups:.1f} s / {chain:.1f} s",
        ),
    ]


def _ups(world: World, run: Callable[..., float]) -> tuple[float, int]:
    """The median time of an up that mends secrets, memory and check path of every machine, and the most restarts."""
    most = 0

    def mend() -> float:
        nonlocal most
        world.break_("wrong-password", "check-path", "worker-oom")
        world.clear_requests()
        seconds = run("up", "--yes", "--skip-preview")
        most = max(most, _most_updates(world))
        return seconds

    return medians(UPS, mend)[0], most


def _most_updates(world: World) -> int:
    updates: dict[str, int] = {}
    for request in world.requests():
        if request["method"] == "POST" and request["route"] in (
            "/v1/apps/{app}/machines/{machine}",
            "/v1/apps/{app}/machines/{machine}/restart",
            "/v1/apps/{app}/machines/{machine}/start",
        ):
            updates[request["path"]] = updates.get(request["path"], 0) + 1
    return max(updates.values(), default=0)


def _chain(config: Mapping[str, Any]) -> float:
    """Seconds that the settings impose: web's machines one after the other, then the worker's."""
    design = seed.Design()
    web = config["hotdash:processGroups"]["web"]
    serving = max(design.boot_seconds, parse_duration(web["check"]["gracePeriod"]))
    settling = parse_duration(config["hotdash:rollout"]["settle"])
    return design.webs * serving + design.workers * settling
