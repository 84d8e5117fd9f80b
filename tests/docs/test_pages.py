"""What the pages say of kinds, errors, breaks, faults and commands is what there is."""

import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from engine import places
from hotdash import errors
from hotdash.cli import main
from hotdash.drift import Kind
from sandbox import breaks, faults, shell
from tests.docs.pages import PAGES, ROOT, anchors, bare, commands, links, name, table, words_in_code

ARCHITECTURE = ROOT / "docs" / "architecture.md"
REAL_FLY = ROOT / "docs" / "real-fly.md"
SANDBOX = ROOT / "docs" / "sandbox.md"
FLYCTL = places.FLYCTL_BIN / "flyctl"


def test_architecture_explains_every_kind_of_drift_in_order() -> None:
    assert [bare(row[0]) for row in table(ARCHITECTURE, "kinds")] == [kind.value for kind in Kind]


def test_readme_names_every_kind_of_drift() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [kind.value for kind in Kind if f"`{kind.value}`" not in readme] == []


def test_every_error_code_has_advice() -> None:
    rows = table(REAL_FLY, "codes")
    assert sorted(bare(row[0]) for row in rows) == sorted(error.code for error in _tree(errors.HotdashError))
    assert all(len(row) == 2 and bare(row[1]) for row in rows)


def _tree(root: type[errors.HotdashError]) -> Iterator[type[errors.HotdashError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def test_every_break_is_explained_with_its_kinds() -> None:
    told = {bare(row[0]): words_in_code(row[2]) for row in table(SANDBOX, "breaks")}
    assert told == {entry.name: set(entry.kinds) for entry in breaks.explain()}


def test_every_fault_is_explained() -> None:
    named = {bare(row[0]) for row in table(SANDBOX, "faults")}
    assert named == {*faults.NAMED_KINDS, "a status, 400 to 599"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


# Commands: what is written must at least be understood by the program that it calls.


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_hotdash_commands_parse(page: Path) -> None:
    for words in commands(page):
        if words[0].rpartition("/")[2] == "hotdash":
            _parse(main, words[1:])


def _parse(command: click.Command, words: list[str]) -> None:
    with command.make_context(command.name, list(words)) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            _, sub, rest = command.resolve_command(context, rest)
            assert sub is not None
            _parse(sub, rest)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    called = {word for words in commands(page) if words[0] == "make" for word in words[1:]}
    assert called <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pulumi_and_fly_commands_have_their_flags(page: Path) -> None:
    programs = {"pulumi": shell.engine(), "fly": str(FLYCTL), "flyctl": str(FLYCTL)}
    unknown = []
    for program, *words in commands(page):
        executable = programs.get(program)
        if executable is None:
            continue
        nouns = []
        for word in words:
            if word.startswith("-") or not re.fullmatch(r"[a-z][a-z0-9-]*", word):
                break
            nouns.append(word)
        text = _help(executable, tuple(nouns))
        flags = {word.partition("=")[0] for word in words if word.startswith("-")}
        unknown += [f"{program} {' '.join(words)}: {f}" for f in flags if not re.search(rf"{f}\b", text)]
    assert unknown == []


@functools.cache
def _help(executable: str, nouns: tuple[str, ...]) -> str:
    """The help of the deepest command that `nouns` name: what follows it are arguments."""
    done = subprocess.run([executable, *nouns, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{executable} {' '.join(nouns)}: {done.stderr.strip()}"
    return done.stdout
