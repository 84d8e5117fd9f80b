"""Which engine is used, decided over folders made for the purpose."""

import os
from pathlib import Path

import pytest

from engine.choose import Choice, GetOne, UseKept, UseOnPath, choose
from engine.onpath import Versions
from engine.versions import Range, Version


class Machine:
    """Folders for PATH, filled with fake commands, and a folder of what set-up keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        self.path: list[Path] = []

    def has(self, name: str, version: str, *, language_host: bool = True) -> Path:
        """Put a `pulumi` that answers `version` into a folder of PATH called `name`."""
        bin_ = self.folder / name
        self.path.append(bin_)
        return self.engine(bin_, version, language_host)

    def engine(self, bin_: Path, version: str, language_host: bool = True) -> Path:
        bin_.mkdir(parents=True)
        _script(bin_ / "pulumi", f"echo {version}\necho asked >> {self.folder / 'asked'}")
        if language_host:
            _script(bin_ / "pulumi-language-python", "")
        return bin_ / "pulumi"

    def choose(self, *finished: Path) -> Choice:
        return choose(
            path=os.pathsep.join(str(folder) for folder in self.path),
            required=Range(">=3.250.0 <4.0.0"),
            kept=self.kept,
            finished=finished,
            version_of=Versions(self.kept / "versions.json").of,
        )


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_one_on_path_that_will_do_is_used(machine: Machine) -> None:
    executable = machine.has("local", "v3.260.1")
    assert machine.choose() == UseOnPath(executable, Version(3, 260, 1))


def test_the_first_one_on_path_that_will_do_is_used(machine: Machine) -> None:
    machine.has("old", "v3.100.0")
    machine.has("bare", "v3.260.0", language_host=False)
    good = machine.has("good", "v3.255.0")
    machine.has("later", "v3.259.0")
    assert machine.choose() == UseOnPath(good, Version(3, 255, 0))


def test_what_does_not_do_is_passed_over_with_the_reason(machine: Machine) -> None:
    old = machine.has("old", "v3.100.0")
    next_major = machine.has("next", "v4.0.0")
    bare = machine.has("bare", "v3.260.0", language_host=False)
    mute = machine.has("mute", "")
    assert machine.choose() == GetOne(
        (
            f"{old} is 3.100.0, and Pulumi.yaml asks for >=3.250.0 <4.0.0",
            f"{next_major} is 4.0.0, and Pulumi.yaml asks for >=3.250.0 <4.0.0",
            f"{bare} has no pulumi-language-python beside it",
            f"{mute} does not say its version",
        )
    )


def test_a_language_host_beside_what_a_link_names_counts(machine: Machine) -> None:
    real = machine.engine(machine.folder / "cellar" / "bin", "v3.259.0")
    bin_ = machine.folder / "bin"
    bin_.mkdir()
    (bin_ / "pulumi").symlink_to(real)
    machine.path.append(bin_)
    assert machine.choose() == UseOnPath(bin_ / "pulumi", Version(3, 259, 0))


def test_what_set_up_made_is_no_find_on_path(machine: Machine) -> None:
    machine.engine(machine.kept / "pulumi-3.259.0-key", "v3.259.0")
    (machine.kept / "bin").symlink_to("pulumi-3.259.0-key")
    machine.path += [machine.kept / "bin", machine.kept / "pulumi-3.259.0-key"]
    assert machine.choose() == GetOne()


def test_what_an_earlier_set_up_made_for_this_pin_is_used(machine: Machine) -> None:
    built = machine.kept / "pulumi-3.259.0-key"
    machine.engine(built, "v3.259.0")
    assert machine.choose(machine.kept / "release-3.259.0" / "bin", built) == UseKept(built)


def test_what_was_made_for_another_pin_is_not(machine: Machine) -> None:
    machine.engine(machine.kept / "pulumi-3.259.0-before", "v3.259.0")
    assert machine.choose(machine.kept / "pulumi-3.259.0-after") == GetOne()


def test_a_version_is_asked_for_once(machine: Machine) -> None:
    executable = machine.has("local", "v3.259.0")
    for _ in range(3):
        assert isinstance(machine.choose(), UseOnPath)
    assert (machine.folder / "asked").read_text().splitlines() == ["asked"]
    _script(executable, "echo v3.100.0")
    assert isinstance(machine.choose(), GetOne)


def test_a_command_that_fails_or_is_no_program_has_no_version(machine: Machine) -> None:
    executable = machine.has("local", "v3.259.0")
    _script(executable, "echo v3.259.0; exit 1")
    assert isinstance(machine.choose(), GetOne)
    executable.write_text("not a program")
    assert isinstance(machine.choose(), GetOne)
