"""What providers work with, on a sandbox whose machines are pretended; hypothesis runs as it does for the library."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.connection import Connection
from tests.hotdash.conftest import box as box
from tests.sandbox.box import Box

KEY = "0123456789abcdef"
Connect = Callable[..., Connection]


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    folder.mkdir()
    return folder


@pytest.fixture
def connect(box: Box, vault: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Makes the connection of a stack: to the sandbox, with the vault, and with whatever else its settings have."""
    monkeypatch.setenv("FLY_API_TOKEN", box.token)
    monkeypatch.delenv("FLY_ACCESS_TOKEN", raising=False)
    monkeypatch.setenv("FLY_FLAPS_BASE_URL", box.url)
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)  # a provider that fails cuts it, for good
    made: list[Connection] = []

    def connection(**settings: Any) -> Connection:
        values = {"vault": str(vault), "fingerprintKey": KEY, **settings}
        made.append(Connection(values.get))
        return made[-1]

    yield connection
    for one in made:
        if one._readers:
            one._readers.shutdown()  # what is on its way may be an answer that nobody wants
        if "fly" in vars(one):
            one.fly.close()
