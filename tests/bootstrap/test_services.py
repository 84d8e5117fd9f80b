"""What is seen to before the sandbox or the tests need it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bootstrap import services
from engine.terminal import SetupError
from sandbox.services.endpoints import ServiceError


class Program:
    """A program that is there or not, and perhaps there once it has been installed."""

    def __init__(self, there: bool, *, installs: bool = True) -> None:
        self.there = there
        self.installs = installs

    def find(self) -> Path:
        if not self.there:
            raise ServiceError("no PgBouncer found")
        return Path("/usr/sbin/pgbouncer")


def installed(monkeypatch: pytest.MonkeyPatch, program: Program) -> list[tuple[str, Mapping[str, str]]]:
    """What is installed from now on, with the sandbox's own programs there."""
    asked: list[tuple[str, Mapping[str, str]]] = []

    def install(what: str, packages: Mapping[str, str]) -> None:
        asked.append((what, packages))
        program.there = program.installs

    monkeypatch.setattr("bootstrap.system.install", install)
    monkeypatch.setattr(services, "FOR_SANDBOX", (("Redis", Program(True).find, {}),))
    (name, _, packages) = services.FOR_TESTS[0]
    monkeypatch.setattr(services, "FOR_TESTS", ((name, program.find, packages),))
    return asked


def test_what_tests_need_is_installed_for_tests_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = installed(monkeypatch, Program(False))
    assert services.main([]) == 0
    assert asked == []
    assert services.main(["--tests"]) == 0
    assert asked == [("PgBouncer, for the tests", {"apt-get": "pgbouncer", "brew": "pgbouncer"})]
    assert capsys.readouterr().out.splitlines() == [
        "services: there are Redis",
        "services: there are Redis, PgBouncer",
    ]


def test_what_is_there_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = installed(monkeypatch, Program(True))
    assert services.main(["--tests"]) == 0
    assert asked == []


def test_what_is_installed_and_still_not_found_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, Program(False, installs=False))
    assert services.main(["--tests"]) == 1
    assert "PgBouncer has been installed, but its programs are not" in capsys.readouterr().err


def test_other_arguments_are_refused() -> None:
    assert services.main(["--everything"]) == 2


def test_no_way_to_install_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, Program(False))

    def cannot(_what: str, _packages: Mapping[str, str]) -> None:
        raise SetupError("PgBouncer is missing")

    monkeypatch.setattr("bootstrap.system.install", cannot)
    assert services.main(["--tests"]) == 1
    assert capsys.readouterr().err == "services: PgBouncer is missing\n"
