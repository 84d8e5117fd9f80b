"""docs/gate.md says what there is."""

import json
import re
from pathlib import Path

import click

from hotdash.cli.gate import gate
from hotdash.gate import report
from hotdash.gate.formats import FORMATS
from hotdash.gate.formats.markdown import MOST
from hotdash.gate.report import EXIT_CODES, Cause
from tests.docs.pages import bare, table, words_in_code
from tests.world import CHECKOUT

PAGE = CHECKOUT / "docs" / "gate.md"


def test_every_exit_code_is_told() -> None:
    told = {int(row[0].strip("| ")): bare(row[1]) for row in table(PAGE, "exit codes")}
    assert told == {code: verdict.value for verdict, code in EXIT_CODES.items()}


def test_every_key_of_the_json_is_told() -> None:
    schema = json.loads(Path(report.__file__).with_name("report.schema.json").read_text(encoding="utf-8"))
    rows = {row[0]: row[1] for row in table(PAGE, "json")}
    assert {key for cell in rows for key in words_in_code(cell)} == set(schema["properties"])
    parts = {
        "drift": "drift",
        "policy": "finding",
        "errors": "problem",
        "plan": "step",
        "rules": "rule",
        "summary": "",
    }
    for key, part in parts.items():
        given = schema["$defs"][part] if part else schema["properties"][key]
        (cell,) = [text for name, text in rows.items() if key in words_in_code(name)]
        assert words_in_code(cell) == set(given["properties"]), key


def _rows(head: str) -> dict[str, str]:
    """The rows of the table with this head, first cell to second."""
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"{head}\n")
    assert found, head
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return {cells[0].strip("| "): cells[1] for cells in (line.split(" | ", 1) for line in lines)}


def test_every_option_is_told() -> None:
    told = {bare(name).split(" ")[0] for name in _rows("| Option | |")}
    assert told == {parameter.opts[0] for parameter in gate.params if isinstance(parameter, click.Option)}


def test_every_form_and_cause_is_told() -> None:
    forms = _rows("| `--format` | For | What it does |")
    assert [bare(name) for name in forms] == ["text", "json", "sarif", "junit", "github", "markdown"]
    assert {bare(name) for name in forms} == set(FORMATS)
    assert {bare(name) for name in _rows("| `--fail-on` | Counts |")} == {*Cause}
    text = PAGE.read_text(encoding="utf-8")
    assert [item.file for item in FORMATS.values() if item.file and f"`{item.file}`" not in text] == []
    assert f"{MOST} characters" in text


def test_the_help_tells_every_code() -> None:
    assert gate.help is not None
    told = {int(code) for code in re.findall(r"\b([0-9]):", gate.help)}
    assert told == set(EXIT_CODES.values())
