"""Sandboxes for the tests of this folder, and the flyctl that the sandbox is held to."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.box import CHECKOUT, Box


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A sandbox whose machines are pretended, shared by the tests of one worker: each makes apps of its own."""
    started = Box(tmp_path_factory.mktemp("box") / "null").start()
    yield started
    assert started.stop() == 0, started.log()


@pytest.fixture
def own_box(tmp_path: Path) -> Iterator[Box]:
    """A sandbox whose machines are pretended, for this test alone: it may be killed, or changed as a whole."""
    started = Box(tmp_path / "own").start()
    yield started
    assert started.stop() == 0, started.log()


@pytest.fixture
def real_box(tmp_path: Path) -> Iterator[Box]:
    """A sandbox whose machines are processes, for this test alone."""
    started = Box(tmp_path / "real", runtime="process").start()
    yield started
    assert started.stop() == 0, started.log()


@pytest.fixture(scope="session")
def flyctl() -> Path:
    """The real flyctl. `FLYCTL` names another one than `make test` puts in place."""
    path = Path(os.environ.get("FLYCTL") or CHECKOUT / ".engine" / "flyctl" / "bin" / "flyctl")
    if not path.exists():
        pytest.fail(f"there is no flyctl at {path}: run `make test`, which builds it once", pytrace=False)
    return path
