"""A vault folder that can be written to, and people with age identities."""

import dataclasses
from pathlib import Path

import pytest

from hotdash.vault import age
from hotdash.vault.age import Identity
from hotdash.vault.folder import Folder

VALUE = "s3cr3t-Value"


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody with an age identity, and the environment in which commands of theirs run."""

    identity: Identity
    text: str = dataclasses.field(repr=False)

    @classmethod
    def new(cls) -> "Person":
        return cls(*Identity.generate())

    @property
    def recipient(self) -> str:
        return self.identity.recipients[0]

    @property
    def environ(self) -> dict[str, str]:
        return {age.IDENTITY_VARIABLE: self.text}


@pytest.fixture(autouse=True)
def nobody(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment without an identity: neither a test nor its subprocess finds the one of whoever runs it."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config"))}
    monkeypatch.delenv(age.IDENTITY_VARIABLE, raising=False)
    monkeypatch.delenv(age.IDENTITY_FILE_VARIABLE, raising=False)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", environ["XDG_CONFIG_HOME"])
    return environ


@pytest.fixture
def alice() -> Person:
    return Person.new()


@pytest.fixture
def bob() -> Person:
    return Person.new()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "vault", "vault")
    folder.make()
    return folder
