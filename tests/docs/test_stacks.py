"""The stack files in git are right, and the vault's example has all that they ask for and nothing real."""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hotdash.errors import SettingsError
from hotdash.fly.token import find_token
from hotdash.stack.checking import NAMESPACE
from hotdash.stack.settings import Settings, load
from hotdash.stack.values import declaration
from hotdash.vault import Reference, Vault
from tests.docs import pages
from tests.docs.pages import ROOT

STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))
EXAMPLE = ROOT / "vault.example"
KEY = "a key for this test alone"


def _values(stack: Path) -> dict[str, Any]:
    config: Mapping[str, Any] = yaml.safe_load(stack.read_text(encoding="utf-8"))["config"]
    assert all(key.startswith(f"{NAMESPACE}:") for key in config)
    return {key.removeprefix(f"{NAMESPACE}:"): value for key, value in config.items()}


def _settings(stack: Path) -> Settings:
    return load({**_values(stack), "fingerprintKey": KEY}, file=stack.name)


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_stack_files_are_right(stack: Path) -> None:
    settings = _settings(stack)
    assert settings.app.name
    assert {group.declared.name for group in settings.groups} == {"web", "worker"}


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_only_the_fingerprint_key_is_left_to_make(stack: Path) -> None:
    values = _values(stack)
    key = values.pop("fingerprintKey", None)
    if key is not None:
        assert set(key) == {"secure"}, "a fingerprint key in plain text"
    with pytest.raises(SettingsError) as refused:
        load(values, file=stack.name)
    assert "1 problem:\n  - hotdash:fingerprintKey: is missing" in str(refused.value)


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_the_example_vault_has_what_the_stack_asks_for(stack: Path) -> None:
    settings, vault = _settings(stack), Vault(EXAMPLE, EXAMPLE.name, placeholders=True)
    assert set(declaration(settings, vault).fingerprints) == set(settings.secrets)
    assert find_token(vault, settings.token, environ={}).authorization


def test_the_example_vault_has_what_its_readme_lists() -> None:
    table = pages.table(EXAMPLE / "README.md", "files")
    listed = {(pages.bare(file), key) for file, keys, *_ in table for key in pages.words_in_code(keys)}
    assert {(file, key) for file, keys in _example().items() for key in keys} == listed


def test_what_the_readme_lists_as_taken_by_no_stack_is_taken_by_none() -> None:
    taken: set[str] = set()
    for stack in STACKS:
        settings = _settings(stack)
        references = [source.reference for source in settings.secrets.values()]
        references += [settings.token] if settings.token else []
        references += settings.forbidden_databases.values()
        taken |= {reference.file for reference in references}
    table = pages.table(EXAMPLE / "README.md", "files")
    assert {pages.bare(row[0]) for row in table if not row[2].startswith("no stack yet")} == taken


def test_every_value_in_the_example_is_plainly_fake() -> None:
    real = [key for keys in _example().values() for key, value in keys.items() if "fake" not in value.lower()]
    assert real == []


def test_nothing_but_values_in_the_example_says_fake() -> None:
    """`grep -rli fake vault` is how a reader finds what is left to replace."""
    for file in EXAMPLE.rglob("*.env"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert not line.startswith("#") or "fake" not in line.lower()


def _example() -> dict[str, dict[str, str]]:
    vault = Vault(EXAMPLE, EXAMPLE.name, placeholders=True)
    found: dict[str, dict[str, str]] = {}
    for file in EXAMPLE.rglob("*.env"):
        reference = file.relative_to(EXAMPLE).as_posix()
        keys = [line.partition("=")[0] for line in file.read_text().splitlines() if line[:1].isalpha()]
        found[reference] = {key: vault.read(Reference(reference, key)) for key in keys}
    return found


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("KEY=va$lue", "va$lue"),
        ("KEY=a#b", "a#b"),
        ("KEY=a b # note", "a b"),
        ("KEY='a b # c'", "a b # c"),
        (r"KEY='it\'s \n'", r"it's \n"),
        (r'KEY="a\nb"', "a\nb"),
        ("KEY=' a '", " a "),
        ("export KEY=a", "a"),
    ],
)
def test_the_examples_readme_tells_how_files_are_read(tmp_path: Path, written: str, read: str) -> None:
    (tmp_path / "x.env").write_text(f"{written}\n", encoding="utf-8")
    assert Vault(tmp_path, "vault").read(Reference("x.env", "KEY")) == read
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert f"| `{written}` |" in readme


def test_a_copy_of_the_example_is_for_its_owner_alone(tmp_path: Path) -> None:
    command = "(umask 077 && cp -R vault.example vault)"
    assert command in (EXAMPLE / "README.md").read_text(encoding="utf-8")
    there = command.replace("vault.example vault", f"vault.example {shlex.quote(str(tmp_path / 'vault'))}")
    subprocess.run(["sh", "-c", there], cwd=ROOT, check=True)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (tmp_path / "vault").rglob("*")}
    assert modes == {(True, 0o700), (False, 0o600)}
