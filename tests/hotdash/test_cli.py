"""The `hotdash` command: what it loads and when, and how it says that something is wrong."""

import importlib.metadata
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from hotdash.cli import LOADED_WHEN_CALLED, main
from hotdash.errors import VaultError
from tests.world import CHECKOUT


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, words)
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("words", [("--help",), ("-h",)])
def test_help_names_every_command_with_a_whole_line(words: tuple[str, ...]) -> None:
    code, output = run(*words)
    assert code == 0
    widest = max(map(len, LOADED_WHEN_CALLED))
    for name, (_, _, line) in LOADED_WHEN_CALLED.items():
        assert f"  {name:<{widest}}  {line}\n" in output


def test_the_version_is_the_packages() -> None:
    assert run("--version") == (0, f"hotdash, version {importlib.metadata.version('hotdash-chatwoot')}\n")


def test_help_loads_nothing_of_what_it_names() -> None:
    program = (
        "import sys\nfrom hotdash.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'sandbox', 'httpx', 'pulumi', 'starlette'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_is_loaded_when_it_is_called() -> None:
    code, output = run("sandbox", "--help")
    assert code == 0
    assert "break" in output


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOADED_WHEN_CALLED, "sandbox", ("no_such_package.cli", "sandbox", "A line."))
    code, output = run("sandbox", "up")
    assert code == 1
    assert "no_such_package" in output
    assert "make setup" in output
    assert run("--help")[0] == 0


def test_an_error_is_its_text_and_no_traceback() -> None:
    @click.command()
    def failing() -> None:
        raise VaultError("there is no vault folder", where="vault/", remedy="make one")

    main.add_command(failing, "failing")
    try:
        code, output = run("failing")
    finally:
        del main.commands["failing"]
    assert code == 1
    assert output == "Error: there is no vault folder\n  where  vault/\n  next   make one\n  code   vault\n"


def test_an_unknown_command_is_told() -> None:
    code, output = run("nope")
    assert code == 2
    assert "No such command 'nope'" in output
