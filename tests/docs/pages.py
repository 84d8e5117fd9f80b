"""The pages as tests read them: tables, links, headings, and the commands in their shell blocks."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("vault.example/*.md")])
_OPERATORS = {"|", "||", "&&", ";", "(", ")", ">", ">>", "<", "&"}
_TAKES_FILE = {">", ">>", "<"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def table(page: Path, mark: str) -> list[list[str]]:
    """The rows of the table that follows the comment `<!-- mark: …`, without its head; cells without backticks."""
    text = page.read_text(encoding="utf-8")
    _, found, rest = text.partition(f"<!-- {mark}: ")
    assert found, f"{name(page)} has no table marked {mark}"
    body = rest.partition("-->")[2].partition("<!--")[0]
    return list(_rows(body))[1:]


def _rows(body: str) -> Iterator[list[str]]:
    for line in body.splitlines():
        if line.startswith("|") and not line.startswith("|-"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def bare(cell: str) -> str:
    return cell.strip("| `")


def words_in_code(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def links(page: Path) -> list[str]:
    text = _without_code(page.read_text(encoding="utf-8"))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Every simple command of the page's shell blocks as words, those inside `$(…)` too."""
    text = page.read_text(encoding="utf-8")
    found: list[list[str]] = []
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            found += _simple(line)
            for inner in re.findall(r"\$\(([^()]*)\)", line):
                found += _simple(inner)
    return found


def _simple(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    skip = False
    for word in lexer:
        if word in _OPERATORS:
            if words:
                yield words
            words, skip = [], word in _TAKES_FILE
        elif not skip:
            words.append(word)
    if words:
        yield words
