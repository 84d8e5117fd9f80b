"""No planted value is found in anything that a gate writes, shows or leaves behind."""

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash.gate.formats import FORMATS
from tests.gate.gate import PACKS, Ran, gate
from tests.program.canary import Canary, watched_argv
from tests.program.stack import Stack, vault_values
from tests.program.test_canary import plant

EVERY_FORM = tuple(word for name in FORMATS for word in ("--format", name))


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A place for temporary files with a short name, because sockets are made there."""
    with tempfile.TemporaryDirectory(prefix="c") as folder:
        yield Path(folder)


def test_a_planted_value_is_found_in_no_form(stack: Stack, tmp_path: Path, temporary: Path) -> None:
    canary = plant(stack, tmp_path)
    stack.env["TMPDIR"] = str(temporary)
    stack.env["GITHUB_STEP_SUMMARY"] = str(tmp_path / "out" / "summary.md")
    runs = 0

    def look(*words: str) -> Ran:
        nonlocal runs
        runs += 1
        out = tmp_path / "out"
        ran = gate(stack, *EVERY_FORM, "--out", str(out / str(runs)), *words)
        (out / f"{runs}.said").write_text(ran.output)
        return ran

    with watched_argv() as argv:
        look("--plan", str(tmp_path / "out" / "plan.json")).ended(2)
        stack.up().ok()
        look("--policy-pack", str(PACKS / "refusing")).ended(3)
        for name in ("SMTP_PASSWORD", "STORAGE_SECRET_ACCESS_KEY"):
            stack.world.set_secret(name, "set by hand")
        stack.world.set_secret("FORGOTTEN", "left here by somebody")
        stack.world.break_("check-path", "worker-oom")
        look().ended(2)

    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == 3 * 5 + 2
    assert canary.in_files(tmp_path / "out") == {}
    assert canary.in_files(temporary, stack.backend, stack.folder / "home") == {}
    assert argv.looks > 50
    assert canary.in_bytes(b"\n".join(argv.lines)) == set()
    # Nothing of the gate's own is left: neither the drift nor the folder that it was in.
    assert list(temporary.glob("hotdash-gate-*")) == []


def test_what_prevents_a_gate_shows_no_value(stack: Stack, tmp_path: Path) -> None:
    canary = plant(stack, tmp_path)
    hidden = f"canary{secrets.token_hex(12)}"
    more = Canary({"what is wrong in the vault": hidden})
    file = tmp_path / "vault" / "occ/chatwoot/database_url.env"
    url = vault_values(stack.world)["DATABASE_URL"]
    said = []
    for text in (
        f"DATABASE_URL=postgres://{hidden}/@/{hidden}:{hidden}",
        f"DATABASE_URL='{hidden}",
        f"{hidden}==",
    ):
        file.write_text(f"{text}\n")
        said.append(gate(stack, "--format", "github").refused().output)
    file.write_text(f"DATABASE_URL={url}\n")
    (tmp_path / "vault" / "occ/fly/api_token.env").write_text(f"FLY_API_TOKEN={hidden}\n")
    said.append(gate(stack).refused("fly-token-refused").output)
    assert canary.in_text("\n".join(said)) == set()
    assert more.in_text("\n".join(said)) == set()
