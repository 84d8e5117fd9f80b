"""`hotdash preflight`, on a stack whose vault and Fly are a sandbox's."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from tests.servers.silent import silent
from tests.world import CHECKOUT, DESIGN, World

SECONDS = "60"


class Stack:
    """A project with one stack, and a copy of the sandbox's vault to change."""

    def __init__(self, world: World, root: Path) -> None:
        self.world = world
        self.root = root
        self.vault = root / "vault"
        shutil.copytree(world.vault, self.vault)
        (root / "stacks").mkdir()
        shutil.copy(CHECKOUT / "Pulumi.yaml", root)
        self.config = {**world.stack_config(), "hotdash:vault": "vault"}
        self.env = {
            **{name: value for name, value in world.env.items() if not name.startswith("PULUMI")},
            "PYTHONPATH": str(CHECKOUT),
        }

    def write(self, file: str, text: str) -> None:
        path = self.vault / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def value(self, file: str) -> str:
        return (self.vault / file).read_text().partition("=")[2].strip()

    def run(self, *words: str, code: int) -> str:
        (self.root / "stacks" / "Pulumi.here.yaml").write_text(yaml.safe_dump({"config": self.config}))
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from hotdash.cli import main; main()",
                "preflight",
                "--stack",
                "here",
                *words,
            ],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == code, output
        assert "Traceback" not in output
        for secret in self.secrets():
            assert secret not in output
        return output

    def json(self, *words: str, code: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("--json", *words, code=code))
        return found

    def secrets(self) -> set[str]:
        """Every password and key in the vault."""
        found = {self.world.token}
        for file in self.vault.rglob("*.env"):
            for line in file.read_text().splitlines():
                name, _, value = line.partition("=")
                if re.search(r"PASSWORD|SECRET|TOKEN", name):
                    found.add(value.strip("'"))
                if "://" in value and "@" in value:
                    found.add(value.partition("://")[2].rpartition("@")[0].partition(":")[2])
        return found - {""}


@pytest.fixture
def stack(sandbox: World, tmp_path: Path) -> Stack:
    return Stack(sandbox, tmp_path)


def rows(output: str) -> dict[str, str]:
    """The verdict's word by check."""
    found = re.findall(r"^(proved|refused|unclear) +(\S+)", output, re.MULTILINE)
    return {check: word for word, check in found}


def test_a_sound_stack_is_proved_but_for_what_cannot_be_had_there(stack: Stack) -> None:
    output = stack.run("--timeout", SECONDS, code=0)
    assert rows(output) == {
        "DATABASE_URL": "proved",
        "REDIS_URL": "proved",
        "SECRET_KEY_BASE": "proved",
        "SMTP": "unclear",
        "storage": "unclear",
        "FLY_API_TOKEN": "proved",
    }
    assert "does not resolve here" in output
    assert "declare STORAGE_ENDPOINT" in output
    assert "not tried, because nothing can tell whether they are right: CHATWOOT_WEBHOOK_SECRET" in output
    assert "4 proved, 2 could not be told from here" in output
    # The extensions are there, if only by name.
    assert "pg_trgm" not in output


def test_what_is_unclear_fails_under_strict_alone(stack: Stack) -> None:
    output = stack.run("--strict", "--only", "SMTP_PASSWORD", code=3)
    assert rows(output) == {"SMTP": "unclear"}
    assert "not enough where preflight is strict" in output
    stack.run("--only", "SMTP", code=0)
    stack.run("--strict", "--only", "REDIS_URL", "--only", "SECRET_KEY_BASE", code=0)
    stack.config["hotdash:preflight"] = "strict"
    stack.run("--only", "SMTP", code=3)


def test_what_is_refused_says_why_where_and_what_next(stack: Stack) -> None:
    file = "occ/chatwoot/database_url.env"
    right = stack.value(file)
    stack.write(file, "DATABASE_URL=" + re.sub(r":[^:@]*@", ":Wr0ng-Passw0rd@", right) + "\n")
    output = stack.run("--timeout", SECONDS, code=2)
    assert rows(output)["DATABASE_URL"] == "refused"
    assert "why   FATAL: password authentication failed" in output
    assert f"where vault/{file}: DATABASE_URL" in output
    assert "next  put the right password into the vault" in output
    assert "1 refused" in output


def test_the_json_is_as_documented(stack: Stack) -> None:
    found = stack.json("--timeout", SECONDS, code=0)
    assert set(found) == {"stack", "exit", "seconds", "demand", "outcomes", "untried"}
    assert found["stack"] == "here"
    assert found["exit"] == 0
    assert found["demand"]["text"] == "2 web × 5 + 1 worker × 10 + 1 migration = 21"
    assert found["untried"] == ["CHATWOOT_WEBHOOK_SECRET"]
    first = found["outcomes"][0]
    assert set(first) == {
        "check",
        "subject",
        "verdict",
        "code",
        "said",
        "facts",
        "warnings",
        "next",
        "seconds",
    }
    assert (first["check"], first["verdict"], first["facts"]["pooling"].split()[0]) == (
        "DATABASE_URL",
        "proved",
        "direct",
    )


def test_the_machines_env_is_asked_for(stack: Stack) -> None:
    # SMTP_PORT is no secret of the stack: its machines have it in their env.
    design = replace(DESIGN, env={**DESIGN.env, "SMTP_PORT": "2525"})
    stack.world.reset(design)
    try:
        found = stack.json("--only", "SMTP", code=0)
    finally:
        stack.world.reset()
    assert found["outcomes"][0]["subject"].endswith(":2525")


def test_another_app_is_refused(stack: Stack) -> None:
    stack.config["hotdash:app"] = {**stack.config["hotdash:app"], "name": "another-app"}
    found = stack.json("--only", "FLY_API_TOKEN", code=2)
    assert found["outcomes"][0]["code"] == "no-such-app"


def test_hotdashs_own_database_and_forbidden_ones_are_refused(stack: Stack) -> None:
    endpoints = json.loads((stack.world.dir / "services.json").read_text())
    port, own = endpoints["postgres_port"], endpoints["hotdash"]
    url = f"postgresql://hotdash:{own['password']}@localhost:{port}/hotdash"
    stack.write("occ/supabase/database_url_staging.env", f"DATABASE_URL={url}\n")
    stack.config["hotdash:forbiddenDatabases"] = {"hotdash": "occ/supabase/database_url_staging.env"}
    assert rows(stack.run("--only", "DATABASE_URL", code=0)) == {"DATABASE_URL": "proved"}
    stack.write("occ/chatwoot/database_url.env", f"DATABASE_URL={url.replace('localhost', '127.0.0.1')}\n")
    found = stack.json("--only", "DATABASE_URL", code=2)["outcomes"][0]
    assert found["code"] == "forbidden-database"
    assert "hotdash" in found["said"]
    del stack.config["hotdash:forbiddenDatabases"]
    assert stack.json("--only", "DATABASE_URL", code=2)["outcomes"][0]["code"] == "hotdash-database"


def test_no_token_is_could_not_tell_with_its_mend(stack: Stack) -> None:
    for name in ("FLY_API_TOKEN", "FLY_ACCESS_TOKEN"):
        stack.env.pop(name, None)
    del stack.config["hotdash:fly"]
    output = stack.run("--timeout", SECONDS, code=0)
    assert rows(output)["FLY_API_TOKEN"] == "unclear"
    assert "next  set FLY_API_TOKEN" in output
    assert rows(output)["DATABASE_URL"] == "proved"


def test_a_wrong_token_is_refused(stack: Stack) -> None:
    stack.env["FLY_API_TOKEN"] = "fo1_some_other_token"
    found = stack.json("--only", "FLY_API_TOKEN", code=2)
    assert found["outcomes"][0]["code"] == "wrong-token"
    assert "fo1_some_other_token" not in json.dumps(found)


def test_what_the_vault_lacks_is_told_at_once_and_tries_nothing(stack: Stack) -> None:
    (stack.vault / "occ/chatwoot/smtp.env").unlink()
    stack.write("occ/chatwoot/redis_staging.env", "REDIS_URL=\n")
    output = stack.run(code=1)
    assert "smtp.env" in output
    assert "redis_staging.env" in output
    assert rows(output) == {}
    # Who asks about another secret is not held up by that.
    assert rows(stack.run("--only", "DATABASE_URL", code=0)) == {"DATABASE_URL": "proved"}
    stack.run("--only", "REDIS_URL", code=1)


def test_another_vault(stack: Stack) -> None:
    shutil.move(stack.vault, stack.root / "elsewhere")
    assert "there is no vault folder" in stack.run(code=1)
    stack.vault = stack.root / "elsewhere"
    output = stack.run("--vault", "elsewhere", "--only", "SMTP", code=0)
    assert "where elsewhere/occ/chatwoot/smtp.env" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "NO_SUCH_THING"), "nothing tries NO_SUCH_THING"),
        (("--stack", "nowhere"), "there is no file of a stack nowhere"),
    ],
)
def test_a_wrong_call_is_told(stack: Stack, words: tuple[str, ...], said: str) -> None:
    assert said in stack.run(*words, code=1)


def test_settings_that_cannot_be_are_told(stack: Stack) -> None:
    del stack.config["hotdash:secrets"]
    assert "hotdash:secrets" in stack.run(code=1)


def test_verbose_tells_what_was_found(stack: Stack) -> None:
    output = stack.run("--verbose", "--only", "DATABASE_URL", code=0)
    assert "said  database chatwoot_production as chatwoot, direct" in output
    assert "server: Postgres" in output
    assert "connections: " in output


def test_a_terminal_shows_what_is_waited_for(stack: Stack) -> None:
    command = [sys.executable, "-c", "from hotdash.cli import main; main()", "preflight"]
    stack.run("--only", "SECRET_KEY_BASE", code=0)
    master, slave = os.openpty()
    with silent() as port, os.fdopen(master, "rb", buffering=0) as terminal:
        stack.write(
            "occ/chatwoot/database_url.env", f"DATABASE_URL=postgres://u:p4ssw0rd@127.0.0.1:{port}/d\n"
        )
        with subprocess.Popen(
            [*command, "--stack", "here", "--only", "DATABASE_URL", "--timeout", "2"],
            cwd=stack.root,
            env={**stack.env, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
        ) as process:
            os.close(slave)
            output = _all_of(terminal)
            assert process.wait(120) == 0
    assert "\x1b[33m" in output
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    assert "waiting for DATABASE_URL" in plain
    assert rows(plain.replace("\r", "")) == {"DATABASE_URL": "unclear"}


def _all_of(terminal: IO[bytes]) -> str:
    found = b""
    # Linux ends a terminal that nobody holds any more with an error.
    with contextlib.suppress(OSError):
        while data := terminal.read(65536):
            found += data
    return found.decode()
