"""Pages that the program's tables and schemas tell are what the program says, and are noticed when they are not."""

import subprocess
import sys

import pytest

from docs import generate
from docs.tables import Undocumented, filled, table
from tests.docs.pages import ROOT


def test_every_page_is_what_the_program_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_that_is_behind_is_written_anew(name: str) -> None:
    there = (generate.DOCS / name).read_text(encoding="utf-8")
    row = next(line for line in there.splitlines(True) if line.startswith("| `"))
    assert generate.PAGES[name](there.replace(row, "")) == there


def test_a_table_has_a_line_for_each_row() -> None:
    assert table(("A", "B"), [("1", "2"), ("3", "4")]) == "| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n"


def test_tables_are_put_between_their_marks_and_nothing_else_is_touched() -> None:
    page = "before\n<!-- a: of x -->\nold\n<!-- end of a -->\nafter\n"
    assert filled(page, {"a": "new\n"}) == page.replace("old", "new")


@pytest.mark.parametrize(
    "page", ["", "<!-- a: x -->\n", "<!-- b: x -->\n<!-- end of b -->", "<!-- end of a -->"]
)
def test_a_page_without_a_place_for_a_table_is_an_error(page: str) -> None:
    with pytest.raises(Undocumented, match="no place marked a"):
        filled(page, {"a": ""})
