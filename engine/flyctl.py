"""`python -m engine.flyctl`: see that `.engine/flyctl/bin` holds a `flyctl`, for the tests and checks that need one.

The real command is what the sandbox is held to. One on PATH is used if it is new enough; else it is built from Go
modules, as the engine is.
"""

from __future__ import annotations

import os
import sys

from engine import onpath, places
from engine.gobuild import Go, GoCommand
from engine.kept import forget_others, made_whole, one_at_a_time, point
from engine.terminal import SetupError, say
from engine.versions import Range

REQUIRED = Range(">=0.4.0")
BUILD_DATE = "2026-01-01T00:00:00Z"
"""flyctl wants one and only shows it; a fixed one keeps the build the same every time."""


def flyctl_command() -> GoCommand:
    """flyctl as it is built from source: stripped, tagged and stamped with its version as a release is."""
    version = places.pinned(places.FLYCTL_MODULE, places.FLYCTL_PACKAGE)
    info = f"{places.FLYCTL_PACKAGE}/internal/buildinfo"
    return GoCommand(
        name=f"flyctl {version}",
        package=places.FLYCTL_PACKAGE,
        module=places.FLYCTL_MODULE,
        ldflags=f"-s -w -X {info}.buildVersion={version} -X {info}.buildDate={BUILD_DATE}",
        tags="production",
    )


def install() -> None:
    """Make `.engine/flyctl/bin` name a folder with `flyctl` in it. Raises `SetupError`."""
    command = flyctl_command()
    kept = places.FLYCTL_BIN.parent
    built = kept / f"{command.name.replace(' ', '-')}-{command.key}"
    versions = onpath.Versions(places.KEPT / "versions.json")
    for executable in onpath.candidates("flyctl", os.environ.get("PATH", os.defpath), leave_out=places.KEPT):
        version = versions.of(executable)
        if version is not None and REQUIRED.allows(version):
            say(f"flyctl: {version}, the one on PATH ({executable})")
            place = kept / "on-path"
            if not place.is_dir() or (place / "flyctl").readlink() != executable.absolute():
                with made_whole(place) as folder:
                    (folder / "flyctl").symlink_to(executable.absolute())
            point(places.FLYCTL_BIN, place)
            return
    if (built / "flyctl").is_file():
        say(f"flyctl: {command.name}, already in {os.path.relpath(built, places.ROOT)}")
    else:
        say(
            f"flyctl: building {command.name} from Go modules into {os.path.relpath(built, places.ROOT)}; "
            "this takes about 2 minutes on 2 cores, once"
        )
        go = Go.find(command.module)
        with made_whole(built) as folder:
            go.build(command, folder / "flyctl")
    if not (built / "fly").is_symlink():
        (built / "fly").symlink_to("flyctl")  # as its own installer does
    point(places.FLYCTL_BIN, built)
    forget_others(kept, "flyctl-", keep=built)


def main() -> int:
    try:
        with one_at_a_time(places.KEPT):
            install()
    except SetupError as error:
        print(f"flyctl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nflyctl: interrupted; run the command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
