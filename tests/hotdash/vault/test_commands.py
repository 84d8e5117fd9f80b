"""`hotdash vault` as a person and a program use it; and that no command but one gives a value out."""

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hotdash.cli import main
from hotdash.cli.vault import vault as group
from hotdash.cli.vault_given import LARGEST, LONGEST_LINE
from hotdash.vault import Reference, Vault, age
from hotdash.vault.checking import Kind
from hotdash.vault.folder import Folder
from tests.docs import pages
from tests.hotdash.vault.conftest import VALUE, Person
from tests.world import CHECKOUT

REF = "occ/smtp.env#SMTP_PASSWORD"
FILE = "occ/smtp.env"
STACK = """\
config:
  hotdash:app: {name: hotdash-chatwoot, organization: hotdash}
  hotdash:vault: secrets/vault
  hotdash:fly: {token: fly/token.env}
  hotdash:secrets:
    DATABASE_URL: occ/db.env
    SMTP_PASSWORD: occ/smtp.env
    SMTP_USERNAME: occ/smtp.env
  hotdash:derivePostgresFrom: DATABASE_URL
  hotdash:processGroups:
    web: {count: 1, memoryMb: 2048}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one stack, in which the commands run."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: hotdash\n")
    (tmp_path / "stacks/Pulumi.tried.yaml").write_text(STACK)
    (tmp_path / "vault.example/occ").mkdir(parents=True)
    (tmp_path / "vault.example/occ/smtp.env").write_text("# mail\nSMTP_PASSWORD=FAKE_PASSWORD\n")
    monkeypatch.chdir(tmp_path)
    for name in ("FLY_API_TOKEN", "FLY_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(
    *words: str, given: str | bytes = "", code: int = 0, environ: Mapping[str, str] | None = None
) -> Result:
    result = CliRunner().invoke(main, ["vault", *words], input=given, env=environ)
    assert not isinstance(result.exception, Exception), result.exception
    assert result.exit_code == code, result.output
    return result


def value(file: str = FILE, key: str = "SMTP_PASSWORD", root: str = "vault", **environ: str) -> str:
    return Vault(Path(root), root, environ=environ).read(Reference(file, key))


def hotdash(*words: str, first: str = "pass") -> list[str]:
    return [sys.executable, "-c", f"{first}\nfrom hotdash.cli import main; main()", "vault", *words]


# set


def test_a_value_comes_through_a_pipe_of_a_real_shell(project: Path) -> None:
    done = subprocess.run(
        hotdash("set", REF),
        input=f"{VALUE}\nsecond line\n\n".encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=True,
        timeout=120,
    )
    # One line break at the end is the pipe's; the rest is the value's.
    assert value() == f"{VALUE}\nsecond line\n"
    assert done.stdout.decode() == "vault/occ/smtp.env: SMTP_PASSWORD added\n"
    assert done.stderr == b""


class Terminal:
    """A terminal that a command runs in; `shown` is all that it printed."""

    def __init__(self, *words: str) -> None:
        self.shown = ""
        self._seen = 0
        self.screen, inside = pty.openpty()
        # The session that `start_new_session` makes takes the terminal for its own, so that Ctrl-C is a signal.
        program = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
        self._process = subprocess.Popen(
            hotdash(*words, first=program),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )
        os.close(inside)

    def expect(self, text: str) -> None:
        """Wait until it prints this, anew."""
        while text not in self.shown[self._seen :]:
            assert self._read(), self.shown
        self._seen = self.shown.index(text, self._seen) + len(text)

    def type(self, text: str) -> None:
        os.write(self.screen, f"{text}\n".encode())

    def end(self) -> int:
        """Wait for the end; the exit code."""
        while self._read():
            pass
        os.close(self.screen)
        return self._process.wait(120)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.screen], [], [], 120)
        if not ready:
            self._process.kill()
            raise AssertionError(f"nothing more came:\n{self.shown}")
        try:
            more = os.read(self.screen, 4096)
        except OSError:  # it has ended, as Linux tells it
            return False
        self.shown += more.decode()
        return bool(more)


def test_a_value_is_typed_twice_and_never_seen() -> None:
    terminal = Terminal("set", REF)
    terminal.expect("SMTP_PASSWORD (unseen): ")
    terminal.type(f"  {VALUE} # ")
    terminal.expect("the same again: ")
    terminal.type("something else")
    terminal.expect("do not match")
    terminal.expect("SMTP_PASSWORD (unseen): ")
    terminal.type(f"  {VALUE} # ")
    terminal.expect("the same again: ")
    terminal.type(f"  {VALUE} # ")
    assert terminal.end() == 0
    assert "SMTP_PASSWORD added" in terminal.shown
    assert VALUE not in terminal.shown
    assert value() == f"  {VALUE} # "


def test_a_prompt_that_is_left_changes_nothing() -> None:
    terminal = Terminal("set", REF)
    terminal.expect("SMTP_PASSWORD (unseen): ")
    os.write(terminal.screen, b"\x03")
    assert terminal.end() == 1
    assert not Path("vault").exists()


def test_a_value_that_the_terminal_cut_off_is_not_taken() -> None:
    terminal = Terminal("set", REF)
    for prompt in ("SMTP_PASSWORD (unseen): ", "the same again: "):
        terminal.expect(prompt)
        terminal.type("x" * (LONGEST_LINE + 10))
    assert terminal.end() == 1
    assert "longer than a line that a terminal takes" in terminal.shown
    assert not Path("vault").exists()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (VALUE, VALUE),
        (f"{VALUE}\n", VALUE),
        (f"{VALUE}\r\n", VALUE),
        (f"{VALUE}\n\n", f"{VALUE}\n"),
        (f" {VALUE}", f" {VALUE}"),
    ],
)
def test_one_line_break_at_the_end_is_the_pipes(given: str, wanted: str) -> None:
    run("set", REF, given=given)
    assert value() == wanted


def test_what_was_done_is_told() -> None:
    assert run("set", REF, given=VALUE).output == "vault/occ/smtp.env: SMTP_PASSWORD added\n"
    assert run("set", REF, given=VALUE).output == "vault/occ/smtp.env: SMTP_PASSWORD unchanged\n"
    assert run("set", REF, given=f"{VALUE}2").output == "vault/occ/smtp.env: SMTP_PASSWORD changed\n"


@pytest.mark.parametrize(
    "words",
    [
        ("set", REF, VALUE),
        ("set", VALUE),
        ("set", f"postgres://u:{VALUE}@h/x"),
        ("set", REF, "--value", VALUE),
        ("set", REF, f"--value={VALUE}"),
        ("set", f"-{VALUE}"),
        ("set", REF, f"-p{VALUE}"),
        ("fingerprint", f"postgres://u:{VALUE}@h/x", "--stack", "tried"),
        ("encrypt", VALUE),
        ("decrypt-to-stdout", VALUE),
        ("recipients", "add", VALUE),
        ("recipients", "remove", VALUE),
        ("init", "--age", VALUE),
    ],
)
def test_a_value_on_the_command_line_is_refused_and_not_repeated(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["vault", *words])
    assert result.exit_code in (1, 2), result.output
    assert VALUE not in result.output
    assert "Traceback" not in result.output
    assert not (Path("vault") / FILE).exists()


def test_no_option_takes_a_value() -> None:
    for name, command in group.commands.items():
        names = {option for parameter in command.params for option in parameter.opts}
        assert not names & {"--value", "--password", "--secret", "--passphrase"}, name


@pytest.mark.parametrize(
    "given", ["", "\n", "  \n", "FAKE_PASSWORD", "x" * (LARGEST + 1), b"\xff\xfe", "nul\0"]
)
def test_what_is_no_value_is_refused(given: str | bytes) -> None:
    run("set", REF, given=given, code=1)
    assert not (Path("vault") / FILE).exists()


def test_a_placeholder_is_set_where_it_is_meant() -> None:
    run("set", REF, "--force", given="FAKE_PASSWORD")
    assert "FAKE_PASSWORD" in (Path("vault") / FILE).read_text()


def test_with_a_stack_a_secrets_name_will_do() -> None:
    stack = ("--stack", "tried")
    assert run("set", "SMTP_PASSWORD", *stack, given=VALUE).output == (
        "secrets/vault/occ/smtp.env: SMTP_PASSWORD added\n"
    )
    run("set", "occ/db.env", *stack, given="postgres://u:p@h/x")
    assert value("occ/db.env", "DATABASE_URL", root="secrets/vault") == "postgres://u:p@h/x"
    assert "add one of #SMTP_PASSWORD, #SMTP_USERNAME" in run("set", FILE, *stack, given=VALUE, code=2).output
    told = run("set", "POSTGRES_HOST", *stack, given=VALUE, code=2).output
    assert "the host of a database URL: set the whole of it, occ/db.env#DATABASE_URL" in told
    run("set", "fly/token.env", given=VALUE, environ={"PULUMI_STACK": "tried"})
    assert value("fly/token.env", "FLY_API_TOKEN", root="secrets/vault") == VALUE


def test_the_vault_is_the_named_one_else_the_stacks_else_the_projects(project: Path) -> None:
    run("set", REF, "--vault", "mine/", "--stack", "tried", given="one-two-three")
    assert value(root="mine") == "one-two-three"
    (project / "below").mkdir()
    os.chdir(project / "below")
    run("set", REF, given="four-five-six")
    os.chdir(project)
    assert value(root="vault") == "four-five-six"


def test_a_stack_that_there_is_not_is_told_with_those_that_there_are() -> None:
    for words in (("check", "--stack", "nope"), ("fingerprint", REF, "--stack", "nope")):
        assert "there are: tried" in run(*words, code=1).output
    assert "no stack was named" in run("fingerprint", REF, code=1).output


# init, check


def test_a_vault_from_its_beginning_to_clean() -> None:
    stack = ("--stack", "tried")
    begun = run("init", *stack).output
    assert "secrets/vault/occ/smtp.env: made" in begun
    assert "next: hotdash vault check --stack tried --vault secrets/vault" in begun
    assert (
        Path("secrets/vault") / FILE
    ).read_text() == "# mail\nSMTP_PASSWORD=FAKE_PASSWORD\nSMTP_USERNAME=\n"
    told = run("check", *stack, code=1).output
    assert "hotdash vault set fly/token.env#FLY_API_TOKEN --vault secrets/vault" in told
    assert "occ/db.env#DATABASE_URL (for DATABASE_URL, POSTGRES_*)" in told
    assert told.endswith("secrets/vault/: 4 problems, 0 notes\n")
    for ref, text in (
        ("DATABASE_URL", "postgres://u:p@h/x"),
        ("SMTP_PASSWORD", VALUE),
        ("SMTP_USERNAME", "postmaster"),
        ("fly/token.env", "fm2_x"),
    ):
        run("set", ref, *stack, given=text)
    assert run("check", *stack).output == "secrets/vault/: all that stack tried needs is there\n"
    assert run("check", "--vault", "secrets/vault").output == (
        "secrets/vault/: nothing is wrong with what is there\n"
    )
    assert "kept as they were" in run("init", *stack).output
    assert run("check", *stack).exit_code == 0


def test_without_a_stack_the_example_is_the_shape() -> None:
    run("init")
    assert (Path("vault") / FILE).read_text() == "# mail\nSMTP_PASSWORD=FAKE_PASSWORD\n"


def test_check_for_programs() -> None:
    run("set", "SMTP_USERNAME", "--stack", "tried", given="postmaster")
    Path("secrets/vault", FILE).chmod(0o644)
    Path("secrets/vault/more.env").write_text("KEY=1\n")
    Path("secrets/vault/more.env").chmod(0o600)
    told = run("check", "--stack", "tried", "--json", code=1)
    answer: dict[str, Any] = json.loads(told.stdout)
    assert (answer["vault"], answer["stack"]) == ("secrets/vault", "tried")
    assert {p["kind"] for p in answer["problems"]} == {"missing-file", "missing-key", "open-to-others"}
    assert [(n["kind"], n["file"]) for n in answer["notes"]] == [("unused", "more.env")]
    missing = next(p for p in answer["problems"] if p["file"] == FILE and p["key"])
    assert missing == {
        "kind": "missing-key",
        "file": FILE,
        "key": "SMTP_PASSWORD",
        "said": "is missing",
        "mend": "`hotdash vault set occ/smtp.env#SMTP_PASSWORD --vault secrets/vault`",
        "neededBy": ["SMTP_PASSWORD"],
    }
    empty = json.loads(run("check", "--vault", "secrets/none", "--json", code=1).stdout)
    assert (empty["stack"], [p["kind"] for p in empty["problems"]]) == (None, ["no-vault"])


def test_notes_do_not_fail_a_check(alice: Person) -> None:
    run("set", REF, given=VALUE)
    run("recipients", "add", alice.recipient)
    told = run("check").output
    assert "is plain in an encrypted vault" in told
    assert "nothing is wrong with what is there; 1 note" in told


def test_a_token_in_the_environment_stands_in_for_the_vaults() -> None:
    run("set", "SMTP_PASSWORD", "--stack", "tried", given=VALUE)
    told = json.loads(
        run("check", "--stack", "tried", "--json", code=1, environ={"FLY_API_TOKEN": VALUE}).stdout
    )
    assert [n["file"] for n in told["notes"]] == ["fly/token.env"]


# Encrypted


def test_an_encrypted_vault_from_its_beginning_on(nobody: dict[str, str], bob: Person) -> None:
    begun = run(
        "init", "--new-identity", "--age", bob.recipient, "--stack", "tried", "--vault", "vault"
    ).output
    path = age.identity_file(nobody)
    key = path.read_text().splitlines()[1]
    assert key.startswith("AGE-SECRET-KEY-1")
    assert key not in begun
    assert "encrypted for 2 recipients; 3 files to come" in begun
    assert run("set", REF, given=VALUE).output == "vault/occ/smtp.env.age: SMTP_PASSWORD added\n"
    assert list(Path("vault").rglob("*.env")) == []
    assert value(**nobody) == value(**bob.environ) == VALUE
    assert run("check").exit_code == 0
    assert VALUE in run("decrypt-to-stdout", FILE).output
    listed = run("recipients").output.splitlines()
    assert listed[0] == bob.recipient
    assert listed[1].endswith("(yours)")
    assert "already" in run("init", "--new-identity", code=1).output
    assert path.read_text().splitlines()[1] == key


def test_files_are_encrypted_and_told(alice: Person, bob: Person) -> None:
    run("set", REF, given=VALUE)
    run("set", "occ/db.env#DATABASE_URL", given=VALUE)
    assert "no recipients" in run("encrypt", "--all", code=1).output
    added = run("recipients", "add", alice.recipient, "--comment", "Alice").output
    assert "1 added" in added
    assert "hotdash vault encrypt --all" in added
    told = run("encrypt", "vault/occ/smtp.env", environ=alice.environ).output
    assert told == "vault/occ/smtp.env.age: encrypted for 1 recipient; occ/smtp.env is gone\n"
    told = run("encrypt", "--all", code=1).output
    assert "occ/db.env is still there, there is no age identity to read it back with" in told
    assert "vault/occ/smtp.env.age\n" in told  # nobody can encrypt that anew without one
    assert "1 file of 2 could not be encrypted" in told
    run("recipients", "add", bob.recipient)
    told = run("encrypt", "--all", environ=alice.environ).output
    assert "vault/occ/smtp.env.age: encrypted anew for 2 recipients" in told
    assert "vault/occ/db.env.age: encrypted for 2 recipients; occ/db.env is gone" in told
    assert value(**bob.environ) == VALUE
    told = run("recipients", "remove", bob.recipient).output
    assert "encrypt --all" in told
    assert "change every value" in told
    run("encrypt", "--all", environ=alice.environ)
    assert "for others" in run("decrypt-to-stdout", FILE, code=1, environ=bob.environ).output


def test_one_file_that_fails_does_not_keep_the_others(alice: Person) -> None:
    run("set", REF, given=VALUE)
    (Path("vault") / "bad.env").write_text(f"{VALUE}\n")
    run("recipients", "add", alice.recipient)
    told = run("encrypt", "--all", code=1, environ=alice.environ).output
    assert "vault/bad.env, line 1" in told
    assert "vault/occ/smtp.env.age: encrypted" in told
    assert "1 file of 2 could not be encrypted" in told
    assert VALUE not in told


def test_encrypt_is_told_what(alice: Person) -> None:
    run("recipients", "add", alice.recipient)
    for words in ((), ("--all", FILE)):
        assert "name the files to encrypt, or give --all" in run("encrypt", *words, code=2).output
    assert "nothing to encrypt" in run("encrypt", "--all").output


def test_values_are_shown_on_a_terminal_only_where_that_is_meant(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "--age", alice.recipient, "--vault", "vault")
    run("set", REF, given=VALUE)
    monkeypatch.setenv(age.IDENTITY_VARIABLE, alice.text)
    terminal = Terminal("decrypt-to-stdout", FILE)
    assert terminal.end() == 1
    assert VALUE not in terminal.shown
    assert "--show" in terminal.shown
    terminal = Terminal("decrypt-to-stdout", FILE, "--show")
    assert terminal.end() == 0
    assert VALUE in terminal.shown


def test_what_cannot_be_decrypted_is_told(alice: Person) -> None:
    run("set", REF, given=VALUE)
    assert "not encrypted" in run("decrypt-to-stdout", FILE, code=1).output
    assert "does not exist" in run("decrypt-to-stdout", "occ/none.env", code=1).output
    run("recipients", "add", alice.recipient)
    run("encrypt", "--all", environ=alice.environ)
    assert "no age identity" in run("decrypt-to-stdout", FILE, code=1).output


# No value in what is printed


@pytest.fixture
def planted(alice: Person, bob: Person) -> Person:
    """A vault of every kind of file, each with a value of one kind; the environment has Alice's identity."""
    folder = Folder(Path("vault"), "vault")
    folder.make()
    plain = f"A={VALUE}\nB='{VALUE} 2'\nC=FAKE-{VALUE}\nD=\n".encode()
    for name in ("plain.env", "pair.env", "same.env"):
        folder.write(name, plain)
    folder.write("bad.env", f"{VALUE}\n".encode())
    folder.write("bytes.env", f"{VALUE}\xff".encode("latin-1"))
    folder.write(".age-recipients", f"{alice.recipient}\n".encode())
    folder.write("same.env.age", age.encrypt(plain, [alice.recipient]))
    folder.write("pair.env.age", age.encrypt(f"A={VALUE}-newer\n".encode(), [alice.recipient]))
    folder.write("sealed.env.age", age.encrypt(plain, [alice.recipient]))
    folder.write("foreign.env.age", age.encrypt(plain, [bob.recipient]))
    folder.write("url.env", f"DATABASE_URL=postgres://u:{VALUE}@/x\n".encode())
    return alice


def test_no_command_but_one_prints_a_value(planted: Person) -> None:
    Path("stacks/Pulumi.tried.yaml").write_text(
        STACK.replace("occ/db.env", "url.env")
        .replace("secrets/vault", "vault")
        .replace("occ/smtp.env", "plain.env")
    )
    said = []
    for words in (
        ("check",),
        ("check", "--json"),
        ("check", "--stack", "tried"),
        ("check", "--stack", "tried", "--json"),
        *(
            ("set", f"{name}.env#A")
            for name in ("plain", "pair", "same", "bad", "bytes", "sealed", "foreign", "new")
        ),
        *(
            ("encrypt", f"{name}.env", "--keep-plain")
            for name in ("plain", "bad", "bytes", "sealed", "foreign")
        ),
        ("encrypt", "--all"),
        ("recipients",),
        ("fingerprint", "plain.env#A", "--stack", "tried"),
        ("fingerprint", "POSTGRES_HOST", "--stack", "tried"),
        ("init",),
        ("init", "--stack", "tried"),
    ):
        for environ in (planted.environ, {}):
            result = CliRunner().invoke(main, ["vault", *words], input=f"{VALUE}-set\n", env=environ)
            assert not isinstance(result.exception, Exception), (words, result.exception)
            said.append(result.output)
    text = "\n".join(said)
    assert VALUE not in text
    assert planted.text.splitlines()[1] not in text
    # Something was said of each file.
    for name in ("plain", "pair", "same", "bad", "bytes", "sealed", "foreign", "new"):
        assert f"{name}.env" in text
    assert VALUE in run("decrypt-to-stdout", "sealed.env", environ=planted.environ).output


# fingerprint


def test_a_fingerprint_is_as_previews_have_it(project: Path) -> None:
    from hotdash.vault import fingerprint

    # The engine's part, which tests of its own try with the real one.
    engine = project / ".engine/bin/pulumi"
    engine.parent.mkdir(parents=True)
    engine.write_text('#!/bin/sh\necho "$@" > asked\necho 0123456789abcdef\n')
    engine.chmod(0o755)
    run("set", "DATABASE_URL", "--stack", "tried", given=f"postgres://u:{VALUE}@h:5432/x")
    key = b"0123456789abcdef"
    for ref in ("POSTGRES_PASSWORD", "occ/db.env#DATABASE_URL:password"):
        told = run("fingerprint", ref, "--stack", "tried", environ={"PATH": "/usr/bin:/bin"}).output
        assert told == f"occ/db.env#DATABASE_URL:password {fingerprint(VALUE, key)}\n"
    assert "config get hotdash:fingerprintKey --stack tried" in (project / "asked").read_text()


# The page


def test_the_page_names_every_command_and_every_kind() -> None:
    page = pages.ROOT / "docs" / "vault.md"
    assert [pages.bare(row[0]) for row in pages.table(page, "kinds")] == [kind.value for kind in Kind]
    text = page.read_text(encoding="utf-8")
    assert [name for name in group.commands if f"| `hotdash vault {name}" not in text] == []
