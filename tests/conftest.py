"""A seeded sandbox for any test that wants one.

    def test_x(sandbox: World) -> None:
        sandbox.reset()                       # well under a second: the seeded world, all healthy
        sandbox.break_("wrong-password")      # returns when it can be seen
        assert sandbox.answer() == 503

`sandbox` is started once a module and shared by its tests. Postgres, Redis and the machines are real processes in a
directory of the module's own, on free ports; all of them are gone after the module. See tests/world.py for what it
can do.
"""

import signal
from collections.abc import Iterator

import pytest

from tests.world import World, still_alive

# A job in the background ignores Ctrl-C, and whatever it starts would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A seeded world, up and healthy, for the tests of one module."""
    world = World(tmp_path_factory.mktemp("sandbox") / "world")
    world.up()
    try:
        world.wait_healthy()
        yield world
    finally:
        world.up()  # a test may have killed it, and left what is to be looked at
        processes = world.processes()
        world.down()
    assert still_alive(processes) == []
