"""No secret value is found anywhere but where it belongs: in the vault, on Fly, in the machines."""

import base64
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.seed import VAULT
from tests.program.canary import Canary, watched_argv
from tests.program.stack import DRIFT, Stack, own_vault, vault_values

KEY = "the stack's fingerprint key"
PLACES = {"SMTP_ADDRESS", "STORAGE_BUCKET_NAME"}
"""Secrets on Fly by habit alone: they say where something is, and preflight names them in clear, as it does the host
of a database."""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A place for temporary files with a short name, because sockets are made there."""
    with tempfile.TemporaryDirectory(prefix="c") as folder:
        yield Path(folder)


def plant(stack: Stack, folder: Path) -> Canary:
    """A vault in which every value is one of a kind, a fingerprint key and a token of its own."""
    real = vault_values(stack.world)
    values = {key: f"canary.{secrets.token_urlsafe(18)}.example" for keys in VAULT.values() for key in keys}
    # What the machines and the trial log in with must be right; these are random as they are.
    values |= {name: real[name] for name in ("DATABASE_URL", "REDIS_URL")}
    token = stack.world.api.call("POST", "/sandbox/tokens", {"user": "ci@hotdash.example"})["token"]
    key = secrets.token_hex(24)

    vault = own_vault(stack, folder)
    for file, keys in VAULT.items():
        (vault / file).write_text("".join(f"{name}={values[name]}\n" for name in keys))
    (vault / "occ/fly/api_token.env").write_text(f"FLY_API_TOKEN={token}\n")
    # The token comes from the vault: in the environment it would be for all child processes to see.
    stack.env["FLY_API_TOKEN"] = None
    stack.set_secret_config("hotdash:fingerprintKey", key)
    return Canary(
        {
            **{name: value for name, value in values.items() if name not in PLACES},
            "POSTGRES_PASSWORD": real["POSTGRES_PASSWORD"],
            "the Fly token": token,
            "the sandbox's own token": stack.world.token,
            KEY: key,
        }
    )


def test_a_planted_value_is_found_nowhere(stack: Stack, tmp_path: Path, temporary: Path) -> None:
    world, outputs, logs, plan = stack.world, tmp_path / "outputs", tmp_path / "logs", tmp_path / "plan.json"
    canary = plant(stack, tmp_path)
    stack.env["TMPDIR"] = str(temporary)
    outputs.mkdir()
    logs.mkdir()

    def run(name: str, *words: str, code: int = 0, config: bool = True) -> str:
        answer = stack.pulumi(*words, config=config)
        assert answer.code == code, answer.output
        (logs if chatty[0] in words else outputs).joinpath(name).write_text(answer.output)
        return answer.output

    chatty = ("-v=9", "--logtostderr")
    with watched_argv() as argv:
        # Adopted: eight of the values are new to Fly, so that they travel.
        run("preview-first", "preview", "--diff")
        run("up-first", "up", "--yes", "--skip-preview", "--diff", *chatty)
        assert all(m["secrets_not_live"] == [] for m in world.status()["machines"])
        for name in ("SMTP_PASSWORD", "STORAGE_SECRET_ACCESS_KEY"):
            world.set_secret(name, "set by hand")
        world.set_secret("FORGOTTEN", "left here by somebody")

        seen = json.loads(run("preview-json", "preview", "--json"))
        assert {"update"} < {step["op"] for step in seen["steps"]}
        run("preview-diff", "preview", "--diff", "--expect-no-changes", *chatty, code=DRIFT)
        run("refresh", "refresh", "--preview-only", "--diff")
        run("plan", "preview", "--save-plan", str(plan))
        run("up-json", "up", "--yes", "--skip-preview", "--json", "--plan", str(plan))
        run("again", "preview", "--expect-no-changes")
        run("export", "stack", "export", config=False)
        run("outputs", "stack", "output", "--show-secrets", "--json", config=False)
        run("history", "stack", "history", "--show-secrets", "--json", config=False)
        shown = stack.pulumi("stack", "export", "--show-secrets", config=False).ok().output
        run("destroy", "destroy", "--yes", "--skip-preview", *chatty)

    assert canary.in_files(outputs, plan) == {}
    assert canary.in_files(stack.backend, stack.folder / "home", stack.file, temporary) == {}
    assert canary.in_files(world.dir / "log") == {}
    assert argv.looks > 50
    assert canary.in_bytes(b"\n".join(argv.lines)) == set()
    # The key is the stack's own and opens nothing: it tells whether a guess at a value is right. Who has the passphrase
    # and asks for it is given it, and the engine itself writes what it hands to a provider into its log of every call.
    assert canary.in_text(shown) <= {KEY}
    assert set().union(*canary.in_files(logs).values()) <= {KEY}


def test_what_goes_wrong_shows_no_value(stack: Stack, tmp_path: Path) -> None:
    canary = plant(stack, tmp_path)
    vault = tmp_path / "vault"
    stack.up().ok()
    url = vault_values(stack.world)["DATABASE_URL"]
    hidden = f"canary{secrets.token_hex(12)}"
    more = Canary({"the wrong password": hidden})
    login, _, place = url.rpartition("@")
    user = login.rpartition(":")[0]

    said = []
    for text in (
        f"DATABASE_URL={user}:{hidden}@{place}",  # refused by the server
        f"DATABASE_URL={user}:{hidden}@no-such-host.invalid:1/x?sslmode={hidden}",  # refused by the vault's reader
        f"DATABASE_URL=postgres://{hidden}/@/{hidden}:{hidden}",  # no URL at all
        f"DATABASE_URL='{hidden}",  # not closed
        f"{hidden}",  # a value without its key
        f"{hidden}==",
    ):
        (vault / "occ/chatwoot/database_url.env").write_text(f"{text}\n")
        stack.env["HOTDASH_DEBUG"] = "1" if "sslmode" in text else None
        answer = stack.up()
        assert answer.code, text
        said.append(answer.output)
    (vault / "occ/chatwoot/database_url.env").write_text(f"DATABASE_URL={url}\n")
    (vault / "occ/fly/api_token.env").write_text(f"FLY_API_TOKEN={hidden}\n")
    said.append(stack.preview().failed("fly-token-refused").output)
    assert more.in_files(stack.backend, stack.world.dir / "log") == {}
    # In the stack file it is out already; what is said of it does not carry it further.
    stack.config["hotdash:secrets"]["REDIS_URL"] = hidden
    said.append(stack.up().failed("code settings").output)

    assert canary.in_text("\n".join(said)) == set()
    assert more.in_text("\n".join(said)) == set()


def test_the_search_would_find_them(stack: Stack, tmp_path: Path) -> None:
    canary = plant(stack, tmp_path)
    stack.up().ok()

    in_vault = set().union(*canary.in_files(tmp_path / "vault").values())
    assert {
        "DATABASE_URL",
        "SMTP_PASSWORD",
        "SECRET_KEY_BASE",
        "POSTGRES_PASSWORD",
        "the Fly token",
    } <= in_vault
    on_fly = set().union(*canary.in_files(stack.world.dir / "state.json").values())
    assert {"DATABASE_URL", "SMTP_PASSWORD", "SECRET_KEY_BASE", "REDIS_URL"} <= on_fly

    value = secrets.token_urlsafe(21)
    planted = Canary({"it": value})
    for shift in range(3):
        (tmp_path / "encoded").write_bytes(base64.b64encode(b"x" * shift + value.encode() + b"and more"))
        assert planted.in_files(tmp_path / "encoded") != {}
    with watched_argv() as argv:
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()", value], stdin=subprocess.PIPE
        )
        stack.world.api.until(
            lambda: planted.in_bytes(b"\n".join(list(argv.lines))), "the argument to be seen"
        )
        process.communicate(timeout=10)
    assert planted.in_bytes(b"\n".join(argv.lines)) == {"it"}
