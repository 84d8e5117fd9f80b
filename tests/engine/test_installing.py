"""Set-up as a user meets it: what is said, what is made, and what is left behind when it fails."""

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import kept, places, release
from engine.gobuild import Go, GoCommand
from engine.terminal import Progress, SetupError, elapsed
from engine.versions import Version

ROOT = places.ROOT


class Checkout:
    """A copy of what set-up needs, in a place of its own, with a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        (folder / "engine").symlink_to(ROOT / "engine")
        for name in ("sh", "env"):
            (self.bin / name).symlink_to(
                f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}"
            )

    def command(self, name: str, body: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def install(self, what: str = "install") -> subprocess.CompletedProcess[str]:
        # A link to the package would be resolved to this checkout's own place, so that is named by hand.
        code = (
            "import sys; from pathlib import Path; from engine import places;"
            f"places.ROOT = Path({str(self.folder)!r}); places.KEPT = places.ROOT / '.engine';"
            "places.ENGINE_BIN = places.KEPT / 'bin'; places.FLYCTL_BIN = places.KEPT / 'flyctl' / 'bin';"
            "from engine import release; release.REACH_SECONDS = 0.5;"
            f"from engine import {what}; sys.exit({what}.main())"
        )
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            # No way out: a proxy that nobody listens to.
            env={"PATH": str(self.bin), "HOME": str(self.folder), "https_proxy": "http://127.0.0.1:9"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_an_engine_on_path_is_linked_and_the_second_time_is_quick(checkout: Checkout) -> None:
    checkout.command("pulumi", "echo v3.259.1")
    checkout.command("pulumi-language-python", "")
    checkout.command("pulumi-resource-pulumi-python", "")
    done = checkout.install()
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"engine: pulumi 3.259.1, the one on PATH ({checkout.bin / 'pulumi'})\n"
    linked = checkout.folder / ".engine" / "bin"
    assert sorted(path.name for path in linked.iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-resource-pulumi-python",
    ]
    assert (linked / "pulumi").resolve() == checkout.bin / "pulumi"
    before = linked.stat().st_ino
    assert checkout.install().stdout == done.stdout
    assert linked.stat().st_ino == before


def test_without_go_and_without_a_download_it_says_what_to_install(checkout: Checkout) -> None:
    done = checkout.install()
    assert done.returncode == 1
    assert "fetching the official release" in done.stdout
    assert "the release cannot be fetched" in done.stdout
    assert "There is no `go` on PATH" in done.stderr
    assert "https://go.dev/dl/" in done.stderr
    assert "brew install pulumi/tap/pulumi" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (checkout.folder / ".engine").iterdir()) == ["lock"]


def test_a_go_that_is_too_old_is_named_with_its_own_reason(checkout: Checkout) -> None:
    checkout.command(
        "go", "echo 'go: go.mod requires go >= 1.25.11 (running go 1.19; GOTOOLCHAIN=local)' >&2; exit 1"
    )
    done = checkout.install()
    assert done.returncode == 1
    assert "requires go >= 1.25.11 (running go 1.19" in done.stderr
    assert "https://go.dev/dl/" in done.stderr


def test_an_engine_that_is_too_old_is_named_and_not_used(checkout: Checkout) -> None:
    checkout.command("pulumi", "echo v3.1.0")
    done = checkout.install()
    assert done.returncode == 1
    assert "is 3.1.0, and Pulumi.yaml asks for >=3.250.0" in done.stdout


GO = r"""
case "$1 $2" in
"list -m") echo module ;;
"list -mod=readonly")
  case "$*" in
  *-deps*) echo "go: downloading example.org/part v1.2.3" >&2; echo example.org/part; echo example.org/main ;;
  *) echo SDK ;;
  esac ;;
"build -v")
  echo example.org/part >&2; echo built >> BUILDS
  while [ "$1" != -o ]; do shift; done
  printf '#!/bin/sh\necho v3.259.0\n' > "$2"; /bin/chmod 755 "$2" ;;
esac
"""


@pytest.fixture
def with_go(checkout: Checkout) -> Checkout:
    sdk = checkout.folder / "sdk"
    (sdk / "python" / "cmd").mkdir(parents=True)
    (sdk / "python" / "cmd" / "pulumi-language-python-exec").write_text("# runs programs\n")
    checkout.command("go", GO.replace("SDK", str(sdk)).replace("BUILDS", str(checkout.folder / "builds")))
    return checkout


def _builds(checkout: Checkout) -> int:
    return len((checkout.folder / "builds").read_text().splitlines())


def test_it_is_built_once_with_everything_in_one_folder(with_go: Checkout) -> None:
    done = with_go.install()
    assert done.returncode == 0, done.stderr
    assert "building pulumi 3.259.0 from Go modules" in done.stdout
    assert "about 4 minutes" in done.stdout
    bin_ = with_go.folder / ".engine" / "bin"
    assert sorted(path.name for path in bin_.iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    ]
    assert all(os.access(path, os.X_OK) for path in bin_.iterdir())
    again = with_go.install()
    assert re.fullmatch(
        r"engine: pulumi 3\.259\.0, already in \.engine/pulumi-3\.259\.0-[0-9a-f]{12}\n", again.stdout
    )
    assert _builds(with_go) == 1


def test_an_engine_that_comes_onto_path_later_wins(with_go: Checkout) -> None:
    assert with_go.install().returncode == 0
    with_go.command("pulumi", "echo v3.260.0")
    with_go.command("pulumi-language-python", "")
    assert "the one on PATH" in with_go.install().stdout
    assert (with_go.folder / ".engine" / "bin" / "pulumi").resolve() == with_go.bin / "pulumi"


def test_a_launcher_that_changed_is_placed_without_a_new_build(with_go: Checkout) -> None:
    assert with_go.install().returncode == 0
    launcher = with_go.folder / ".engine" / "bin" / "pulumi-language-python"
    launcher.write_text("of before")
    assert with_go.install().returncode == 0
    assert "of before" not in launcher.read_text()
    assert _builds(with_go) == 1


def test_a_build_that_fails_leaves_nothing_and_shows_the_end_of_what_go_said(checkout: Checkout) -> None:
    checkout.command(
        "go",
        '[ "$2" = -m ] && exit 0; echo "verifying example.org/part@v1.2.3: checksum mismatch" >&2; exit 1',
    )
    done = checkout.install()
    assert done.returncode == 1
    assert "checksum mismatch" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (checkout.folder / ".engine").iterdir()) == ["lock"]


def test_flyctl_on_path_is_used_if_it_is_new_enough(with_go: Checkout) -> None:
    with_go.command("flyctl", "echo flyctl v0.3.9 linux/amd64 Commit: 1")
    assert "building flyctl" in with_go.install("flyctl").stdout
    with_go.command("flyctl", "echo flyctl v0.5.0 linux/amd64 Commit: 1 BuildDate: 2026-01-01")
    assert "flyctl: 0.5.0, the one on PATH" in with_go.install("flyctl").stdout
    assert (with_go.folder / ".engine" / "flyctl" / "bin" / "flyctl").resolve() == with_go.bin / "flyctl"


def test_the_pins_of_the_engine_are_whole() -> None:
    """Every module of the engine and of flyctl has its checksum in the go.sum beside its go.mod."""
    for module, package in (
        (places.ENGINE_MODULE, places.PULUMI_PACKAGE),
        (places.FLYCTL_MODULE, places.FLYCTL_PACKAGE),
    ):
        version = places.pinned(module, package)
        assert f"{package} v{version} h1:" in (module / "go.sum").read_text()
    assert places.required_pulumi_version().allows(places.pinned(places.ENGINE_MODULE, places.PULUMI_PACKAGE))


def test_a_key_changes_with_every_part_of_the_pin(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module m\n")
    (tmp_path / "go.sum").write_text("")
    keys = {GoCommand("n", "p", tmp_path, "flags").key, GoCommand("n", "p", tmp_path, "flags", tags="t").key}
    (tmp_path / "go.sum").write_text("changed")
    keys.add(GoCommand("n", "p", tmp_path, "flags").key)
    assert len(keys) == 3


def test_no_go_is_a_set_up_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no `go` on PATH"):
        Go.find(tmp_path, path=str(tmp_path))


class TestFetchingTheRelease:
    def test_it_is_placed_whole(self, tmp_path: Path) -> None:
        place = tmp_path / "release"
        script = 'echo reached; mkdir -p "$0/bin"; echo > "$0/bin/pulumi"'
        release.fetch(Version(3, 259, 0), place, command=("sh", "-c", script))
        assert (place / "bin" / "pulumi").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["release"]

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("sleep 60", "no answer within 0.3 s"),
            ("echo 'name not known' >&2; exit 1", "name not known"),
            ("echo reached; touch $0/part; echo 'the connection broke' >&2; exit 1", "the connection broke"),
            ("echo reached; touch $0/part", "its installer ended with 0"),
        ],
        ids=["silent", "unreachable", "broken off", "empty"],
    )
    def test_what_fails_leaves_nothing(self, tmp_path: Path, script: str, reason: str) -> None:
        started = time.monotonic()
        with pytest.raises(release.Unreachable, match=re.escape(reason)):
            release.fetch(Version(3, 259, 0), tmp_path / "release", 0.3, command=("sh", "-c", script))
        assert time.monotonic() - started < 10
        assert list(tmp_path.iterdir()) == []


class TestProgress:
    def test_a_log_gets_a_line_now_and_then(self) -> None:
        out = io.StringIO()
        with Progress("pulumi", out, plain_interval=0.02) as progress:
            progress.doing = "compiling"
            while out.getvalue().count("\n") < 2:
                time.sleep(0.005)
        lines = out.getvalue().splitlines()
        assert lines[0] == "  pulumi: 0 s, compiling"
        assert lines[-1] == "  pulumi: done in 0 s"
        assert "\x1b" not in out.getvalue()

    def test_a_failure_is_not_called_done(self) -> None:
        out = io.StringIO()
        with pytest.raises(SetupError), Progress("pulumi", out):
            raise SetupError("no room")
        assert "done" not in out.getvalue()

    def test_time_is_told_in_minutes_and_seconds(self) -> None:
        assert [elapsed(5.9), elapsed(60), elapsed(215)] == ["5 s", "1 min 00 s", "3 min 35 s"]


def test_a_folder_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "place"

    def break_off() -> None:
        with kept.made_whole(place) as folder:
            (folder / "part").touch()
            raise OSError("half way")

    with pytest.raises(OSError, match="half way"):
        break_off()
    assert list(tmp_path.iterdir()) == []
    for _ in range(2):
        with kept.made_whole(place) as folder:
            (folder / "whole").touch()
    assert [path.name for path in place.iterdir()] == ["whole"]


def test_a_second_set_up_waits_for_the_first(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.kept import one_at_a_time\n"
        "with one_at_a_time(Path(sys.argv[1])): print('in', flush=True)"
    )
    with kept.one_at_a_time(tmp_path):
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert "waiting for another set-up" in other.stdout.readline()
    assert other.communicate(timeout=30)[0] == "in\n"
