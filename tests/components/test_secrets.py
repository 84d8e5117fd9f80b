"""`fly.Secrets` without an engine: what it stages and when it refuses, on a real server."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from components.secret_properties import recorded_secrets
from components.secrets import SecretsProvider, drift
from hotdash.drift import Kind
from hotdash.errors import VaultError
from hotdash.stack.settings import SecretSource
from hotdash.stack.values import value_of
from hotdash.vault import Reference, Vault, fingerprint
from tests.components.conftest import KEY, Connect
from tests.sandbox.box import Box

VALUE = "s3cr3t-Value"
WRITE = "POST /v1/apps/{app}/secrets"


class Scene:
    """One app, one vault file, and the provider between them; what it kept last is `state`."""

    def __init__(self, box: Box, vault: Path, connect: Connect) -> None:
        self.box, self.app = box, box.app()
        self._vault, self._connect = vault, connect
        self.state: dict[str, Any] = {}

    def props(self, removes: bool = False, deletes: bool = False, **values: str) -> dict[str, Any]:
        """The inputs of a stack whose vault holds these values."""
        (self._vault / "a.env").write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
        secrets = {name: f"a.env#{name} {fingerprint(value, KEY.encode())}" for name, value in values.items()}
        return {"app": self.app, "secrets": secrets, "removeUndeclared": removes, "deleteOnDestroy": deletes}

    def provider(self) -> SecretsProvider:
        provider = SecretsProvider()
        provider._connection = self._connect()
        return provider

    def create(self, props: dict[str, Any]) -> None:
        self.state = dict(self.provider().create(props).outs or {})

    def refresh(self) -> dict[str, Any]:
        """What an engine shows as the inputs after a refresh."""
        read = self.provider().read(self.app, self.state)
        self.state = dict(read.outs or {})
        return dict(read.inputs or {})

    def update(self, props: dict[str, Any]) -> None:
        self.state = dict(self.provider().update(self.app, self.state, props).outs or {})

    def changes(self, props: dict[str, Any]) -> bool:
        return bool(self.provider().diff(self.app, self.state, props).changes)

    def kinds(self, props: dict[str, Any]) -> list[Kind]:
        return [item.kind for item in drift(self.state, props)]

    def names(self) -> list[str]:
        return list(self.box.status(self.app)["secrets"])

    def set_by_hand(self, **values: str | None) -> None:
        self.box.ok("POST", f"/v1/apps/{self.app}/secrets", {"values": values})

    def writes(self) -> int:
        entries = self.box.ok("GET", "/sandbox/requests")["requests"]
        return len(
            [e for e in entries if e["method"] == "POST" and e["path"] == f"/v1/apps/{self.app}/secrets"]
        )


@pytest.fixture
def scene(box: Box, vault: Path, connect: Connect) -> Scene:
    return Scene(box, vault, connect)


def test_all_secrets_are_staged_in_one_call_and_then_nothing_differs(scene: Scene) -> None:
    props = scene.props(A="1", B="2", C="3")
    scene.create(props)
    assert scene.names() == ["A", "B", "C"]
    assert scene.writes() == 1
    assert not scene.changes(props)
    assert scene.refresh()["secrets"] == props["secrets"]
    assert not scene.changes(props)


def test_no_value_is_in_what_is_kept_or_said(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.create(scene.props(A=VALUE))
    scene.set_by_hand(A=f"{VALUE}-2")
    shown = scene.refresh()
    scene.update(scene.props(A=f"{VALUE}-3"))
    said = capsys.readouterr()
    assert VALUE not in json.dumps([scene.state, shown]) + said.out + said.err
    assert "staged A" in said.err


def test_an_adoption_tells_values_that_were_right_from_those_that_were_not(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.set_by_hand(RIGHT="1", WRONG="x", FORGOTTEN="y")
    before = {s["name"]: s for s in scene.box.ok("GET", f"/v1/apps/{scene.app}/secrets")["secrets"]}
    scene.create(scene.props(RIGHT="1", WRONG="2", NEW="3"))
    assert "staged NEW, WRONG" in capsys.readouterr().err
    recorded = recorded_secrets(scene.state["recorded"])
    # Nothing has to move for what was right already: its value is as old as it was.
    assert recorded["RIGHT"].since is not None
    assert recorded["RIGHT"].since.isoformat()[:19] == before["RIGHT"]["updated_at"][:19]
    assert scene.state["acknowledged"] == ["FORGOTTEN"]
    assert scene.names() == ["FORGOTTEN", "NEW", "RIGHT", "WRONG"]


def test_each_kind_of_drift_is_seen_and_mended_with_no_more_than_it_takes(scene: Scene) -> None:
    props = scene.props(A="1", B="2", C="3")
    scene.create(props)
    scene.set_by_hand(A=None, B="tampered", X="forgotten")
    shown = scene.refresh()
    assert sorted(scene.kinds(props)) == sorted(
        [Kind.SECRET_MISSING, Kind.SECRET_CHANGED_ON_FLY, Kind.SECRET_UNDECLARED]
    )
    assert "A" not in shown["secrets"]
    assert shown["secrets"]["B"].startswith("secret-changed-on-fly since 20")
    assert shown["secrets"]["C"] == props["secrets"]["C"]
    assert shown["secrets"]["X"].startswith("secret-undeclared since 20")
    before = scene.state["recorded"]["C"]
    scene.update(props)
    assert scene.kinds(props) == []
    assert scene.names() == ["A", "B", "C", "X"]
    assert scene.state["recorded"]["C"] == before
    rotated = scene.props(A="1", B="2", C="4")
    assert scene.kinds(rotated) == [Kind.SECRET_CHANGED_IN_VAULT]
    scene.update(rotated)
    assert scene.kinds(rotated) == []


def test_what_is_not_declared_goes_only_where_the_stack_file_says_so(scene: Scene) -> None:
    scene.set_by_hand(X="forgotten")
    scene.create(scene.props(A="1"))
    assert scene.names() == ["A", "X"]
    removing = scene.props(A="1", removes=True)
    assert scene.kinds(removing) == [Kind.SECRET_UNDECLARED]
    scene.update(removing)
    assert scene.names() == ["A"]
    assert scene.kinds(removing) == []
    # It stays on record: machines that were made before still have it.
    gone = recorded_secrets(scene.state["recorded"])["X"]
    assert gone.digest == ""
    assert gone.since is not None


def test_what_is_ignored_is_neither_drift_nor_undeclared(scene: Scene) -> None:
    props = scene.props(A="1", B="2")
    scene.create(props)
    scene.set_by_hand(B="by hand, and meant")
    shown = scene.refresh()
    ignoring = {**props, "secrets": {**props["secrets"], "B": shown["secrets"]["B"]}}
    assert scene.kinds(props) == [Kind.SECRET_CHANGED_ON_FLY]
    assert scene.kinds(ignoring) == []


def test_a_vault_that_changed_since_the_preview_stops_everything(scene: Scene) -> None:
    planned = scene.props(A="1", B="2")
    scene.props(A="1", B=VALUE)
    with pytest.raises(Exception, match="vault's value of B is not the one that was planned") as caught:
        scene.create(planned)
    assert VALUE not in str(caught.value)
    assert type(caught.value).__name__ == "vault-changed"
    assert scene.names() == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (VALUE, "it is no Postgres URL"),
        (f"mysql://u:{VALUE}@h/d", "it is no Postgres URL"),
        (f"postgres://u:{VALUE}%zz@h/d", "it is no Postgres URL"),
    ],
)
def test_a_database_url_that_is_none_stops_everything(scene: Scene, url: str, said: str) -> None:
    with pytest.raises(Exception, match=r"DATABASE_URL \(a database URL\): refused") as caught:
        scene.create(scene.props(A="1", DATABASE_URL=url))
    assert said in str(caught.value)
    assert VALUE not in str(caught.value)
    assert "a.env#DATABASE_URL" in str(caught.value)
    assert type(caught.value).__name__ == "preflight-refused"
    assert scene.names() == []


def test_a_database_that_cannot_be_reached_from_here_is_told_and_set(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        scene.create(scene.props(OTHER_URL=f"postgres://u:{VALUE}@127.0.0.1:{bound.getsockname()[1]}/d"))
    said = capsys.readouterr().err
    assert "OTHER_URL: tried from here: could not tell from here: " in said
    assert VALUE not in said
    assert scene.names() == ["OTHER_URL"]


def test_an_app_that_is_gone_is_gone(scene: Scene) -> None:
    scene.create(scene.props(A="1"))
    scene.box.ok("DELETE", f"/v1/apps/{scene.app}")
    read = scene.provider().read(scene.app, scene.state)
    assert (read.id, read.outs) == ("", {})


def test_another_app_is_another_resource_and_a_new_word_on_deleting_is_kept(scene: Scene) -> None:
    props = scene.props(A="1")
    scene.create(props)
    assert scene.provider().diff("x", scene.state, {**props, "app": "other"}).replaces == ["app"]
    assert scene.changes({**props, "deleteOnDestroy": True})


def test_a_destroy_leaves_the_secrets(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.create(scene.props(A="1"))
    scene.provider().delete(scene.app, scene.state)
    assert scene.names() == ["A"]
    assert "left on Fly as they are" in capsys.readouterr().err


# Values


def test_parts_of_a_url(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text(
        f"URL=postgres://role:p%40{VALUE}@db.example:6543/chatwoot\nBARE=postgres://h\n"
    )
    vault = Vault(tmp_path, "vault")

    def part(key: str, name: str) -> str:
        return value_of(vault, f"POSTGRES_{name}", SecretSource(Reference("a.env", key), name))

    assert [part("URL", name) for name in ("host", "port", "database", "username", "password")] == [
        "db.example", "6543", "chatwoot", "role", f"p@{VALUE}",
    ]  # fmt: skip
    assert part("BARE", "port") == "5432"
    with pytest.raises(VaultError, match="names no password"):
        part("BARE", "password")


def test_a_part_of_what_is_no_url_is_refused_unseen(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text(f"URL={VALUE}\n")
    with pytest.raises(VaultError, match="is none: it does not begin with postgres://") as caught:
        value_of(Vault(tmp_path, "vault"), "POSTGRES_HOST", SecretSource(Reference("a.env", "URL"), "host"))
    assert VALUE not in str(caught.value)
