"""docs/settings.md says what the loader does. That it is what the schema makes of it: see test_generated.py."""

import re
from typing import Any

import pytest
import yaml

from hotdash.errors import SettingsError
from hotdash.stack.settings import load
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "settings.md"


def _page_example() -> dict[str, Any]:
    block = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    config = yaml.safe_load(block[1])["config"]
    return {key.removeprefix("hotdash:"): value for key, value in config.items()} | {
        "fingerprintKey": "x" * 16
    }


def test_the_least_that_a_file_can_say_is_enough() -> None:
    assert load(_page_example(), file="").app.name == "hotdash-chatwoot"


def test_the_least_is_the_least() -> None:
    for key in _page_example():
        values = _page_example()
        del values[key]
        with pytest.raises(SettingsError):
            load(values, file="")


def _sizes() -> list[tuple[str, list[int], int, int, int]]:
    """Kind, counts of cpus, step, least and most MB for each cpu, as the page has them."""
    pattern = r"\| `(\w+)` \| ([\d, ]+) \| a multiple of (\d+), from (\d+) × cpus to (\d+) × cpus \|"
    rows = re.findall(pattern, PAGE.read_text(encoding="utf-8"))
    return [(k, [int(n) for n in c.split(", ")], int(s), int(low), int(high)) for k, c, s, low, high in rows]


def _fits(kind: str, cpus: int, memory: int) -> bool:
    values = _page_example()
    values["processGroups"]["web"] |= {"cpuKind": kind, "cpus": cpus, "memoryMb": memory}
    try:
        load(values, file="")
    except SettingsError:
        return False
    return True


def test_the_sizes_are_the_ones_that_the_loader_takes() -> None:
    assert [kind for kind, *_ in _sizes()] == ["shared", "performance"]
    for kind, counts, step, least, most in _sizes():
        for cpus in range(1, 130):
            assert _fits(kind, cpus, least * cpus) == (cpus in counts)
        for cpus in (counts[0], counts[-1]):
            assert _fits(kind, cpus, most * cpus)
            assert not _fits(kind, cpus, least * cpus - step)
            assert not _fits(kind, cpus, most * cpus + step)
            assert not _fits(kind, cpus, least * cpus + step // 2)


def test_the_refused_paths_are_refused() -> None:
    paths = re.findall(
        r"^\| `(/\S+)` \|", PAGE.read_text(encoding="utf-8").partition("## Paths")[2], re.MULTILINE
    )
    assert len(paths) == 3
    for path in paths:
        values = _page_example()
        values["processGroups"]["web"]["check"]["path"] = path
        with pytest.raises(SettingsError, match=re.escape(path)):
            load(values, file="")
        values["processGroups"]["web"]["check"]["pathIsServed"] = True
        load(values, file="")
