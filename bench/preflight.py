"""Preflight: what it costs to try everything, when every server answers."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.clock import medians, timed
from bench.report import Result
from hotdash.fly.token import Token
from hotdash.preflight import Check, Demand, Verdict, checks_for, fly_check, run
from sandbox import seed
from tests.servers.mail import PASSWORD, USERNAME, mail_server
from tests.servers.pgbouncer import pgbouncer
from tests.servers.storage import storage
from tests.world import World

RUNS = 9
RATIO_LIMIT = 1.2
SECONDS_LIMIT = 2.0
CHECKOUT = Path(__file__).parents[1]


class NotProved(Exception):
    """A check that must succeed did not: its time would mean nothing."""


def measure(directory: Path | None = None) -> list[Result]:
    """Start the servers in `directory`, or in one that is removed again, and try credentials on them."""
    with contextlib.ExitStack() as running:
        place = directory or Path(running.enter_context(tempfile.TemporaryDirectory()))
        world = World(place / "world", seed.Design())
        world.up()
        running.callback(world.down)
        checks = _checks(world, running)
        return [_side_by_side(checks), _command(world)]


def _checks(world: World, running: contextlib.ExitStack) -> tuple[Check, ...]:
    found = seed.load(world.dir)
    assert found
    database = found.secrets
    pooler = running.enter_context(
        pgbouncer(
            int(database["POSTGRES_PORT"]),
            "transaction",
            {database["POSTGRES_USERNAME"]: database["POSTGRES_PASSWORD"]},
        )
    )
    mail = running.enter_context(mail_server())
    bucket = running.enter_context(storage())
    values = {
        "DATABASE_URL": database["DATABASE_URL"].replace(f":{database['POSTGRES_PORT']}/", f":{pooler}/"),
        "DIRECT_DATABASE_URL": database["DATABASE_URL"],
        "REDIS_URL": database["REDIS_URL"],
        "SECRET_KEY_BASE": database["SECRET_KEY_BASE"],
        "SMTP_ADDRESS": "127.0.0.1",
        "SMTP_PORT": str(mail.port),
        "SMTP_USERNAME": USERNAME,
        "SMTP_PASSWORD": PASSWORD,
        **bucket.settings,
    }
    token = Token(world.token, "the sandbox")
    return (
        *checks_for(values, demand=Demand(web=2, workers=1)),
        fly_check(lambda: token, app=world.app, organization=seed.ORG, base_url=world.url),
    )


def _side_by_side(checks: tuple[Check, ...]) -> Result:
    walls, slowest = [], []
    # The first round loads the drivers.
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        outcomes = run(checks)
        walls.append(time.perf_counter() - began)
        slowest.append(max(outcome.seconds for outcome in outcomes))
        if failed := [outcome for outcome in outcomes if outcome.verdict is not Verdict.PROVED]:
            raise NotProved(f"{failed[0].check}: {failed[0].said}")
    ratio = statistics.median(wall / one for wall, one in zip(walls[1:], slowest[1:], strict=True))
    wall, one = statistics.median(walls[1:]), statistics.median(slowest[1:])
    behind = f"{len(checks)} checks, {wall:.2f} s / {one:.2f} s"
    return Result("preflight / its slowest check", ratio, RATIO_LIMIT, "×", behind)


def _command(world: World) -> Result:
    command = [str(Path(sys.executable).with_name("hotdash")), "preflight", "--stack", "sandbox"]
    command += ["--vault", str(world.vault)]
    environment = {**os.environ, **world.env}
    seconds = medians(RUNS, lambda: timed(command, cwd=CHECKOUT, environment=environment))[0]
    return Result("hotdash preflight, the whole command", seconds, SECONDS_LIMIT, " s", "the sandbox's stack")
