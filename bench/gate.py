"""The gate against a preview: what the policy pack and the report cost on top of what everybody waits for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.clock import medians, timed
from bench.report import Result
from sandbox import seed, shell
from tests.world import World

RUNS = 7
CHECKOUT = Path(__file__).parents[1]
LIMIT = 1.35


def measure(directory: Path) -> list[Result]:
    """Start the sandbox in `directory`, adopt its app, and measure a gate that finds nothing."""
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
    file = ("--config-file", str(world.write_stack_file()))
    pulumi = str(CHECKOUT / ".engine" / "bin" / "pulumi")
    hotdash = str(Path(sys.executable).with_name("hotdash"))

    def run(*command: str) -> float:
        return timed([*command, *file], cwd=CHECKOUT, environment=environment)

    run(pulumi, "up", "--yes", "--skip-preview")
    without, with_pack, gate = medians(
        RUNS,
        lambda: run(pulumi, "preview", "--expect-no-changes"),
        lambda: run(pulumi, "preview", "--expect-no-changes", "--policy-pack", "policies"),
        lambda: run(hotdash, "gate"),
    )
    return [
        Result(
            "gate / preview without a policy pack",
            gate / without,
            LIMIT,
            "×",
            f"{gate:.2f} s / {without:.2f} s (a preview with the pack {with_pack:.2f} s)",
        )
    ]
