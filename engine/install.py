"""`python -m engine.install`: see that `.engine/bin` holds a Pulumi engine; decide, say what will be done, do it.

A `pulumi` on PATH that satisfies Pulumi.yaml and brings its Python language host is used as it is. Else the pinned
official release is fetched, and where that cannot be reached the same version is built from Go modules.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from engine import choose, places, release
from engine.gobuild import Go, GoCommand
from engine.kept import forget_others, made_whole, one_at_a_time, point
from engine.onpath import Versions
from engine.terminal import SetupError, say

SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"
"""The SDK's script that runs a program; taken from the SDK's Go module, as its wheel lacks it."""

LAUNCHERS = places.ROOT / "engine" / "language_host"


def pulumi_command() -> GoCommand:
    """The engine as it is built from source: stripped, and stamped with its version as a release is."""
    version = places.pinned(places.ENGINE_MODULE, places.PULUMI_PACKAGE)
    return GoCommand(
        name=f"pulumi {version}",
        package=f"{places.PULUMI_PACKAGE}/cmd/pulumi",
        module=places.ENGINE_MODULE,
        ldflags=f"-s -w -X {SDK_MODULE}/go/common/version.Version=v{version}",
    )


def main() -> int:
    try:
        with one_at_a_time(places.KEPT):
            install()
    except SetupError as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nengine: interrupted; run the command again to go on", file=sys.stderr)
        return 130
    return 0


def install() -> None:
    """Make `.engine/bin` name an engine. Raises `SetupError`."""
    command = pulumi_command()
    version = places.pinned(places.ENGINE_MODULE, places.PULUMI_PACKAGE)
    required = places.required_pulumi_version()
    released = places.KEPT / f"release-{version}"
    built = places.KEPT / f"pulumi-{version}-{command.key}"
    choice = choose.choose(
        path=os.environ.get("PATH", os.defpath),
        required=required,
        kept=places.KEPT,
        finished=(released / "bin", built),
        version_of=Versions(places.KEPT / "versions.json").of,
    )
    match choice:
        case choose.UseOnPath(executable, found):
            say(f"engine: pulumi {found}, the one on PATH ({executable})")
            use_on_path(executable)
            return
        case choose.UseKept(folder):
            say(f"engine: pulumi {version}, already in {_shown(folder)}")
        case choose.GetOne(passed_over):
            for reason in passed_over:
                say(f"engine: {reason}: not used")
            folder = _get(released, built, command)
    if folder == built:
        place_language_host(built)
    point(places.ENGINE_BIN, folder)
    forget_others(places.KEPT, "pulumi-", keep=built)


def _get(released: Path, built: Path, command: GoCommand) -> Path:
    version = places.pinned(places.ENGINE_MODULE, places.PULUMI_PACKAGE)
    say(f"engine: fetching the official release of pulumi {version} into {_shown(released)}")
    try:
        release.fetch(version, released)
        return released / "bin"
    except release.Unreachable as error:
        say(f"engine: the release cannot be fetched ({error})")
    say(
        f"engine: building pulumi {version} from Go modules into {_shown(built)}; "
        "this takes about 4 minutes on 2 cores, once"
    )
    try:
        go = Go.find(command.module)
    except SetupError as error:
        raise SetupError(
            f"{error}\nOr install Pulumi itself ({places.required_pulumi_version()}), which is then used as it is:\n"
            "  macOS            brew install pulumi/tap/pulumi\n"
            "  Linux            curl -fsSL https://get.pulumi.com | sh\n"
            "  others           https://www.pulumi.com/docs/install/"
        ) from None
    with made_whole(built) as folder:
        go.build(command, folder / "pulumi")
        sdk = go.folder_of(SDK_MODULE) / "python"
        _copy_executable(sdk / "cmd" / EXECUTOR, folder / EXECUTOR)
        place_language_host(folder)
    return built


def place_language_host(folder: Path) -> None:
    """Put the launchers of our language host beside a built engine; newer ones replace them without a new build."""
    for launcher in LAUNCHERS.glob("*.sh"):
        _copy_executable(launcher, folder / launcher.stem)


def use_on_path(executable: Path) -> None:
    """Let `.engine/bin` hold links to the engine on PATH and to what lies beside it, and to nothing else there."""
    beside = {path.name: path for path in executable.resolve().parent.glob("pulumi*")}
    beside |= {path.name: path for path in executable.parent.glob("pulumi*")}
    place = places.KEPT / "on-path"
    links = {name: path.absolute() for name, path in beside.items()}
    if not place.is_dir() or {link.name: link.readlink() for link in place.iterdir()} != links:
        with made_whole(place) as folder:
            for name, target in links.items():
                (folder / name).symlink_to(target)
    point(places.ENGINE_BIN, place)


def _copy_executable(source: Path, target: Path) -> None:
    text = source.read_bytes()
    if target.is_file() and target.read_bytes() == text and os.access(target, os.X_OK):
        return
    fresh = target.with_name(f".{target.name}-{os.getpid()}")
    shutil.copyfile(source, fresh)
    fresh.chmod(0o755)
    fresh.replace(target)


def _shown(path: Path) -> str:
    return os.path.relpath(path, places.ROOT)


if __name__ == "__main__":
    sys.exit(main())
