"""`hotdash dsn` as a person or a script calls it: a pipe, a vault, exit codes, and nothing secret in any answer."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hotdash.cli import main
from hotdash.dsn.rules import RULES
from tests.hotdash.dsn.strategies import SECRET
from tests.world import CHECKOUT

REF = "abcdefghijklmnopqrst"
GOOD = f"postgres://app:{SECRET}@chatwoot-db.flycast:5432/chatwoot"
WRONG = f"postgres://postgres:{SECRET}@aws-1-us-east-1.pooler.supabase.com:5432/postgres"


def run(*words: str, stdin: str | bytes = "") -> tuple[int, str]:
    """Exit code and all that is said, on either stream."""
    result = CliRunner().invoke(main, ["dsn", *words], input=stdin)
    assert not isinstance(result.exception, Exception), result.exception
    assert SECRET not in result.output
    return result.exit_code, result.output


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    folder = tmp_path / "vault" / "occ"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "database_url.env").write_text(f"DATABASE_URL={GOOD}\nOTHER='{WRONG}'\nEMPTY=\n")
    return tmp_path / "vault"


# From a pipe


@pytest.mark.parametrize("words", [("explain", "-"), ("explain",)])
def test_a_url_is_read_from_a_pipe(words: tuple[str, ...]) -> None:
    code, said = run(*words, stdin=f"\ufeff{GOOD}\n")
    assert code == 0
    assert said.startswith("fly:chatwoot-db/chatwoot\n")
    assert "nothing to object to" in said


def test_an_error_among_the_findings_is_exit_1() -> None:
    code, said = run("explain", "-", stdin=WRONG)
    assert code == 1
    assert "supabase-role-without-project" in said


def test_what_is_malformed_is_exit_1_with_the_mend() -> None:
    code, said = run("explain", "-", stdin=f"postgres://u:{SECRET}/x@h/d")
    assert code == 1
    assert said.startswith("Error: this is no database URL: there is an @ behind its host")
    assert "  next   write / as %2F" in said


def test_a_whole_file_is_told_for_what_it_is() -> None:
    code, said = run("explain", "-", stdin=f"# Chatwoot's\nDATABASE_URL={GOOD}\n")
    assert code == 1
    assert "name it as REF" in said


def test_nothing_in_the_pipe_is_told() -> None:
    assert run("explain", "-", stdin=" \n")[0] == 1
    assert run("explain", "-", stdin=b"\0\xff")[0] == 1


def test_json_is_json_whatever_comes() -> None:
    code, said = run("explain", "--json", stdin=GOOD)
    assert (code, json.loads(said)["identity"]) == (0, "fly:chatwoot-db/chatwoot")
    code, said = run("explain", "--json", stdin=f"prisma://h/?api_key={SECRET}")
    assert (code, list(json.loads(said)["malformed"])) == (1, ["reason", "remedy"])


# From the vault


def test_a_reference_is_read_from_the_vault(vault: Path) -> None:
    assert run("explain", "occ/database_url.env", "--vault", str(vault))[0] == 0
    assert run("explain", "occ/database_url.env#OTHER", "--vault", str(vault))[0] == 1


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("occ/database_url.env#NOPE", "the vault file has no key NOPE"),
        ("occ/database_url.env#EMPTY", "empty value"),
        ("occ/nope.env", "the vault file does not exist"),
    ],
)
def test_what_the_vault_lacks_is_told(vault: Path, reference: str, said: str) -> None:
    code, output = run("explain", reference, "--vault", str(vault))
    assert code == 1
    assert said in output
    assert "  next   " in output


def test_a_placeholder_can_be_explained() -> None:
    reference = "occ/chatwoot/database_url.env"
    assert "fake-database.invalid" in run("explain", reference, "--vault", str(CHECKOUT / "vault.example"))[1]


# Arguments


@pytest.mark.parametrize(
    "words",
    [
        ("explain", GOOD),
        ("explain", "-", GOOD),
        ("explain", "host=h", f"password={SECRET}"),
        ("explain", f"host=h password={SECRET}"),
        ("explain", f"DATABASE_URL={GOOD}"),
        (GOOD,),
        (f"password={SECRET}",),
    ],
)
def test_a_dsn_is_not_taken_as_an_argument_and_not_repeated(words: tuple[str, ...]) -> None:
    code, said = run(*words)
    assert code == 2
    assert "everyone on this machine can read those" in said
    assert "flycast" not in said


@pytest.mark.parametrize("word", [SECRET, f"{SECRET}.txt", f"/{SECRET}.env", f"a.env#{SECRET}"])
def test_what_is_no_reference_is_not_repeated(word: str) -> None:
    code, said = run("explain", word)
    assert code == 2
    assert "must name" in said


def test_two_references_are_one_too_many() -> None:
    assert run("explain", "a.env", "b.env")[0] == 2
    assert run("nope")[0] == 2


def on_a_terminal(*words: str, typed: str = "") -> tuple[int, str]:
    """Exit code and all that stands on the terminal then, what was typed included where it is echoed."""
    ours, theirs = pty.openpty()
    program = f"from hotdash.cli import main; main({['dsn', *words]!r})"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal, on Linux
            while piece := os.read(ours, 65536):
                shown += piece
                if typed and b"not shown" in shown:
                    os.write(ours, f"{typed}\n".encode())
                    typed = ""
        os.close(ours)
        return process.wait(60), shown.decode()


def test_on_a_terminal_a_reference_is_asked_for() -> None:
    code, shown = on_a_terminal("explain")
    assert code == 2
    assert "name a REF, pipe the URL in" in shown


def test_on_a_terminal_the_url_can_be_typed_unseen() -> None:
    code, shown = on_a_terminal("explain", "-", typed=GOOD)
    assert code == 0
    assert "fly:chatwoot-db/chatwoot" in shown
    assert SECRET not in shown


# Rules


def test_the_rules_are_shown_in_their_order() -> None:
    code, said = run("rules")
    assert code == 0
    shown = [line.split()[0] for line in said.splitlines() if not line.startswith(" ")]
    assert shown == [rule.id for rule in RULES]
    assert all(str(rule.source) in said for rule in RULES)


def test_the_rules_are_json_too() -> None:
    rows = json.loads(run("rules", "--json")[1])
    assert [row["id"] for row in rows] == [rule.id for rule in RULES]
    assert all(row["examples"] and row["source"] and row["ground"] for row in rows)


def test_every_command_has_a_whole_line_of_help() -> None:
    code, said = run("--help")
    assert code == 0
    assert "..." not in said.partition("Commands:")[2]
    command = main.get_command(click.Context(main), "dsn")
    assert isinstance(command, click.Group)
    assert set(command.commands) == {"explain", "rules"}
