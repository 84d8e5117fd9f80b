"""What the providers of one run share: Fly asked once, errors that leave as text, lines in one piece."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components import connection
from components.connection import Connection, plain, speaks_plainly, tell
from hotdash.errors import (
    Forbidden,
    HotdashError,
    NotFound,
    SettingsError,
    TokenMissing,
    TokenRefused,
    VaultError,
)
from hotdash.stack.settings import load
from hotdash.stack.values import declaration
from hotdash.vault import Vault, fingerprint
from tests.components.conftest import KEY, Connect
from tests.hotdash.test_settings import good
from tests.sandbox.box import Box

VALUE = "s3cr3t-Value"


# Asking


def asked(box: Box, app: str) -> list[str]:
    entries = box.ok("GET", "/sandbox/requests")["requests"]
    return sorted(e["route"].rpartition("/")[2] for e in entries if f"/apps/{app}" in e["path"])


def test_each_list_of_an_app_is_asked_once_however_many_want_it(box: Box, connect: Connect) -> None:
    app = box.app()
    box.machine(app)
    box.call("POST", "/sandbox/requests/clear")
    made = connect()
    together = threading.Barrier(12)

    def read(number: int) -> Any:
        together.wait()
        snapshot = made.snapshot(app)
        return [snapshot.app, snapshot.secrets, snapshot.machines][number % 3]()

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(read, range(12)))
    assert asked(box, app) == ["machines", "secrets", "{app}"]
    assert found[0].name == app
    assert len(found[2]) == 1


def test_each_list_fails_by_itself(box: Box, connect: Connect) -> None:
    app = box.app()
    # Both were asked at once; only one is refused.
    box.ok("POST", "/sandbox/faults", {"kind": "403", "route": "GET /v1/apps/{app}/secrets"})
    snapshot = connect().snapshot(app)
    with pytest.raises(Forbidden):
        snapshot.secrets()
    assert snapshot.machines() == ()
    with pytest.raises(NotFound):
        connect().snapshot("no-such-app").app()


def test_nothing_is_asked_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLY_API_TOKEN", "FLY_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made = Connection({"fingerprintKey": KEY}.get)
    assert made.fingerprint_key == KEY.encode()
    with pytest.raises(TokenMissing) as caught:
        made.snapshot("a")
    assert "settings of the last up" in caught.value.remedy


def test_a_token_may_come_from_the_vault(
    box: Box, connect: Connect, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLY_API_TOKEN")
    (vault / "fly.env").write_text(f"FLY_API_TOKEN={box.token}\nWRONG={VALUE}\n")
    app = box.app()
    assert connect(fly='{"token": "fly.env"}').snapshot(app).app().name == app
    with pytest.raises(TokenRefused) as caught:
        connect(fly='{"token": "fly.env#WRONG"}').snapshot(app).app()
    assert "fly.env#WRONG" in caught.value.meaning
    assert VALUE not in str(caught.value)
    with pytest.raises(VaultError):
        connect(fly='{"token": "none.env"}').snapshot(app)


def test_the_rollouts_settings_are_read_from_the_stack(connect: Connect) -> None:
    assert connect(rollout='{"settle": "2s", "maxUnavailable": 2}').rollout.settle == 2.0
    assert connect().rollout.lease_wait == 60.0


def test_a_process_has_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_shared", None)
    first = connection.connect(lambda key: None)
    assert connection.connect(lambda key: "another") is first


# Speaking


def failing() -> None:
    raise SettingsError("it is wrong", where="stacks/x", remedy="mend it")


def test_an_error_leaves_a_provider_as_its_text_under_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.tracebacklimit", 1000, raising=False)
    monkeypatch.delenv(connection.DEBUG_VARIABLE, raising=False)
    with pytest.raises(Exception, match="it is wrong") as caught:
        speaks_plainly(failing)()
    error = caught.value
    assert not isinstance(error, HotdashError)
    # A traceback's last line is the class with its module; of `builtins` none is written.
    assert (type(error).__name__, type(error).__module__) == ("settings", "builtins")
    assert str(error) == str(SettingsError("it is wrong", where="stacks/x", remedy="mend it"))
    monkeypatch.setenv(connection.DEBUG_VARIABLE, "1")
    with pytest.raises(SettingsError):
        speaks_plainly(failing)()


def test_a_mistake_of_ours_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        speaks_plainly(lambda: 1 / 0)()


def test_lines_of_several_at_once_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: tell(f"line {number} " + "x" * 200), range(200)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 200
    assert all(line.endswith("x" * 200) and line.count("line") == 1 for line in lines)


def test_only_what_is_named_and_there_is_kept() -> None:
    assert plain({"a": 1, "b": 2}, "b", "c") == {"b": 2}


# The vault as a whole


def test_everything_that_the_vault_lacks_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("GOOD=1\nEMPTY=\n")
    (tmp_path / "broken.env").write_text(f"KEY=1\n{VALUE}\n")
    secrets = {
        "GOOD": "a.env", "EMPTY": "a.env", "NONE": "a.env",
        "ONE": "missing.env", "TWO": "missing.env#TWO",
        "B": "broken.env#KEY", "C": "broken.env#OTHER",
    }  # fmt: skip
    settings = load(good(secrets=secrets), file="x")
    with pytest.raises(VaultError) as caught:
        declaration(settings, Vault(tmp_path, "vault"))
    text = str(caught.value)
    assert text.startswith("the vault cannot give 4 of the things that the stack declares:")
    assert text.count("missing.env") == 1
    assert text.count("broken.env, line 2") == 1
    assert "key EMPTY" in text
    assert "no key NONE" in text
    assert VALUE not in text


def test_fingerprints_are_of_the_values_and_of_the_parts(tmp_path: Path) -> None:
    url = f"postgres://role:{VALUE}@h:6543/d"
    (tmp_path / "a.env").write_text(f"DATABASE_URL={url}\n")
    values = good(secrets={"DATABASE_URL": "a.env"}, derivePostgresFrom="DATABASE_URL")
    found = declaration(load(values, file="x"), Vault(tmp_path, "vault")).fingerprints
    expected = {
        "DATABASE_URL": url, "POSTGRES_HOST": "h", "POSTGRES_PORT": "6543", "POSTGRES_DATABASE": "d",
        "POSTGRES_USERNAME": "role", "POSTGRES_PASSWORD": VALUE,
    }  # fmt: skip
    assert found == {name: fingerprint(value, KEY.encode()) for name, value in expected.items()}
