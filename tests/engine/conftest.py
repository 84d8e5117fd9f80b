from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import project


@pytest.fixture
def tiny(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[project.Project]:
    """A project of its own with an empty stack `dev`. Parametrize it with "cold" to do without the warm interpreter."""
    extra = {"HOTDASH_WARM_PYTHON": "off"} if getattr(request, "param", "warm") == "cold" else {}
    yield from project.made(tmp_path, extra)
