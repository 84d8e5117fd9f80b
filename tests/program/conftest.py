"""Stacks for the tests of this folder.

    def test_x(stack: Stack): ...       a seeded world, and a stack that was never applied
    def test_y(applied: Stack): ...     the same with the stack applied, nothing differing

One sandbox a session, because starting it costs more than resetting it. `applied` is handed on as it is from a test
that ended with `stack.expect_clean()` or changed nothing; after any other it is made anew.
"""

from collections.abc import Iterator

import pytest

from tests.program.stack import ENGINE, Stack
from tests.world import World, still_alive


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A seeded world for the tests of this folder."""
    world = World(tmp_path_factory.mktemp("program") / "world")
    world.up()
    try:
        yield world
    finally:
        world.up()
        processes = world.processes()
        world.down()
    assert still_alive(processes) == []


@pytest.fixture(scope="session")
def _shared(sandbox: World, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    if not (ENGINE / "pulumi").exists():
        pytest.fail(f"there is no engine in {ENGINE}: run `make setup` first", pytrace=False)
    return Stack(sandbox, tmp_path_factory.mktemp("stack"))


@pytest.fixture
def stack(_shared: Stack) -> Stack:
    _shared.renew()
    return _shared


@pytest.fixture
def applied(_shared: Stack) -> Stack:
    if not _shared.clean:
        _shared.renew()
        _shared.up().ok()
    _shared.hand_over(began_clean=True)
    return _shared
