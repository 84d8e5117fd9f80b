"""What a migration costs those who use the app: requests that are not answered 200 while it runs, online and in a
window, against the same by hand: worker stopped, the task by Fly's API, worker started, web restarted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx

from bench.report import Result
from hotdash.migration import one_off
from hotdash.migration.settings import MigrationSettings
from sandbox import seed
from tests.hotdash.migration.real import ONLINE, WINDOW, hang_up, migration, put_direct_url
from tests.world import World

PAUSE = 0.1
"""Seconds between two requests."""
SLOW = 0.5
"""Seconds of each of the image's three migrations."""
LIMIT = 0.2


def measure(directory: Path) -> list[Result]:
    """Start a sandbox in `directory`, and migrate it three times over."""
    world = World(directory / "world", replace(seed.Design(), boot_seconds=1.0, check_grace="1s"))
    world.up()
    try:
        ways: dict[str, Callable[[], object]] = {
            "by hand": lambda: _by_hand(world),
            "online": lambda: migration(world, ONLINE).run(),
            "window": lambda: migration(world, WINDOW).run(),
        }
        lost = {name: _lost(world, way) for name, way in ways.items()}
    finally:
        hang_up()
        world.down()
    by_hand, sent_by_hand = lost["by hand"]
    # Where nothing was lost by hand either, there is nothing to compare with: one request stands for that.
    floor = max(by_hand, 1) / sent_by_hand
    return [
        Result(
            f"requests lost while migrating, {mode} / by hand",
            lost[mode][0] / lost[mode][1] / floor,
            LIMIT,
            "×",
            f"{lost[mode][0]} of {lost[mode][1]} / {by_hand} of {sent_by_hand}",
        )
        for mode in ("online", "window")
    ]


def _lost(world: World, way: Callable[[], object]) -> tuple[int, int]:
    """How many requests were not answered 200 meanwhile, and how many were sent."""
    world.reset()
    put_direct_url(world)
    world.api.call("PUT", "/sandbox/settings", {"migration": {"slow": SLOW}})
    over = threading.Event()
    statuses: list[int] = []
    url = f"{world.app_url}/api"

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            while not over.is_set():
                try:
                    statuses.append(client.get(url).status_code)
                except httpx.HTTPError:
                    statuses.append(0)
                time.sleep(PAUSE)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        way()
        world.wait_healthy()
    finally:
        over.set()
        asking.join()
    return sum(status != 200 for status in statuses), len(statuses)


def _by_hand(world: World, settings: MigrationSettings = ONLINE) -> None:
    api, machines = world.api, f"/v1/apps/{world.app}/machines"
    [worker] = world.machines("worker")
    api.call("POST", f"{machines}/{worker['id']}/stop")
    web = world.machines("web")
    config = {
        **one_off.config(settings, settings.image, (), "by-hand"),
        "env": {**web[0]["config"]["env"], "RELEASE_COMMAND": "1"},
    }
    task = api.call("POST", machines, {"config": config})
    api.until(
        lambda: api.call("GET", f"{machines}/{task['id']}")["state"] == "destroyed", "the task to end", 60.0
    )
    api.call("POST", f"{machines}/{worker['id']}/start")
    for machine in web:
        api.call("POST", f"{machines}/{machine['id']}/restart")
