"""What docs/dsn.md shows of `hotdash dsn` is what it says. Its tables: see test_generated.py."""

import re

from click.testing import CliRunner

from hotdash.cli import main
from hotdash.dsn import explain
from tests.docs.pages import ROOT, words_in_code

PAGE = ROOT / "docs" / "dsn.md"
SHOWN = "postgres://postgres.abcdefghijklmnopqrst:x@aws-1-us-east-1.pooler.supabase.com:5432/postgres?sslmode=require"


def _section(title: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_answer_is_the_one_that_is_given() -> None:
    block = re.search(r"^```\n(.*?)^```", _section("Reading the answer"), re.DOTALL | re.MULTILINE)
    assert block
    answer = CliRunner().invoke(main, ["dsn", "explain", "-"], input=SHOWN, env={"COLUMNS": "100"})
    assert answer.output == block[1]


def test_every_key_of_the_json_is_told_in_order() -> None:
    rows = [line.split(" | ")[0] for line in _section("As JSON").splitlines() if line.startswith("| `")]
    told = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    assert told == list(explain(SHOWN).as_json())


def test_what_must_be_encoded_is_what_is_refused_or_found() -> None:
    section = _section("What is no database URL")
    plain = next(
        words for line in section.splitlines() if line.startswith("Letters") for words in words_in_code(line)
    )
    for character in plain:
        assert explain(SHOWN.replace(":x@", f":a{character}b@")).findings == explain(SHOWN).findings
    rows = re.findall(r"^\| `?(.|a space)`? \| `(%..)` \|$", section, re.MULTILINE)
    assert len(rows) == 7
    for character, written in rows:
        encoded = explain(SHOWN.replace(":x@", f":a{written}b@"))
        assert encoded.dsn.password == f"a{character.replace('a space', ' ')}b"
        assert encoded.findings == explain(SHOWN).findings
