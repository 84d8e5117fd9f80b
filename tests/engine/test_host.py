"""The language host asked directly, as the engine asks it."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from tests.engine.project import engine_bin


class Host:
    """A language host that this process started in the engine's place."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [engine_bin() / "pulumi-language-python", "127.0.0.1:1"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
            text=True,
        )
        assert self.process.stdout is not None
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self.calls = language_pb2_grpc.LanguageRuntimeStub(self._channel)

    def close(self) -> None:
        self._channel.close()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    running = Host(tmp_path)
    yield running
    running.close()


def _info(root: Path, **options: str) -> language_pb2.ProgramInfo:
    info = language_pb2.ProgramInfo(root_directory=str(root), program_directory=str(root), entry_point=".")
    info.options.update(options)
    return info


def _virtualenv(folder: Path) -> Path:
    """A virtual environment with packages that ask for Pulumi plugins, and some that do not."""
    packages = folder / "venv" / "lib" / "python3.11" / "site-packages"
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").symlink_to(sys.executable)
    for name, version, description in (
        ("pulumi_cloud", "1.2.3", {"resource": True, "server": "https://example.org"}),
        ("pulumi_named", "1.0.0", {"resource": True, "name": "other-name", "version": "2.0.0"}),
        ("pulumi_early", "1.0.0rc1", {"resource": True}),
        ("pulumi_plain", "1.0.0", {"resource": False}),
        ("unrelated", "1.0.0", None),
    ):
        (packages / name).mkdir(parents=True)
        if description is not None:
            (packages / name / "pulumi-plugin.json").write_text(json.dumps(description))
        metadata = packages / f"{name}-{version}.dist-info"
        metadata.mkdir()
        needs = "Requires-Dist: unrelated>=1\n" if name == "pulumi_plain" else ""
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
    return folder / "venv"


def test_the_plugins_of_installed_packages_are_asked_for(host: Host, tmp_path: Path) -> None:
    _virtualenv(tmp_path)
    request = language_pb2.GetRequiredPackagesRequest(info=_info(tmp_path, virtualenv="venv"))
    asked = [(p.name, p.kind, p.version, p.server) for p in host.calls.GetRequiredPackages(request).packages]
    assert asked == [
        ("cloud", "resource", "1.2.3", "https://example.org"),
        ("other-name", "resource", "2.0.0", ""),
    ]


@pytest.mark.parametrize(
    ("transitive", "names"),
    [
        (False, ["pulumi-cloud", "pulumi-early", "pulumi-named", "pulumi-plain"]),
        (True, ["pulumi-cloud", "pulumi-early", "pulumi-named", "pulumi-plain", "unrelated"]),
    ],
)
def test_dependencies_are_those_that_nothing_else_brought(
    host: Host, tmp_path: Path, transitive: bool, names: list[str]
) -> None:
    _virtualenv(tmp_path)
    request = language_pb2.GetProgramDependenciesRequest(
        info=_info(tmp_path, virtualenv="venv"), transitiveDependencies=transitive
    )
    assert [d.name for d in host.calls.GetProgramDependencies(request).dependencies] == names


def test_what_only_an_official_release_can_do_is_refused_with_a_way_out(host: Host) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        host.calls.GenerateProgram(language_pb2.GenerateProgramRequest())
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "https://www.pulumi.com/docs/install/" in refused.value.details()


def test_installing_makes_the_virtual_environment_and_says_so(host: Host, tmp_path: Path) -> None:
    request = language_pb2.InstallDependenciesRequest(info=_info(tmp_path, virtualenv="new"))
    said = b"".join(answer.stdout + answer.stderr for answer in host.calls.InstallDependencies(request))
    assert b"Making the virtual environment new" in said
    assert (tmp_path / "new" / "bin" / "python").exists()
    assert list(host.calls.InstallDependencies(request)) == []


def test_requirements_that_cannot_be_installed_fail_with_pips_own_words(host: Host, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("./not-there\n")
    answers = host.calls.InstallDependencies(
        language_pb2.InstallDependenciesRequest(info=_info(tmp_path, virtualenv=sys.prefix))
    )
    said: list[bytes] = []
    with pytest.raises(grpc.RpcError, match=r"requirements\.txt failed"):
        said.extend(answer.stdout + answer.stderr for answer in answers)
    assert b"not-there" in b"".join(said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_told_to(host: Host, number: signal.Signals) -> None:
    host.process.send_signal(number)
    assert host.process.wait(timeout=30) == 0


def test_it_ends_when_the_engine_lets_go_of_it(host: Host) -> None:
    assert host.process.stdin is not None
    host.process.stdin.close()
    assert host.process.wait(timeout=30) == 0


def test_only_an_engine_gets_a_warm_interpreter(host: Host) -> None:
    """This process is none, and a warm interpreter would live as long as this one."""
    assert host.calls.Handshake(language_pb2.LanguageHandshakeRequest()) is not None
    assert psutil.Process(host.process.pid).children() == []
    warm = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that another test has left is ending
            warm += [process] if "warm.py" in " ".join(process.cmdline()) else []
    assert warm == []
