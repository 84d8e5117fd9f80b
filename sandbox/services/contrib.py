"""Stand-ins for the contrib extensions that Chatwoot's schema names: the wheel with Postgres' programs has none.

Each is a name, a version and a comment that says what it is; none of them does anything. Postgres 18 finds them beside
its own (`extension_control_path`); an older one cannot, and then what it has itself must do: Debian's and Homebrew's
Postgres come with the real ones."""

from pathlib import Path
from typing import Final

FOLDER: Final = "contrib"
SINCE: Final = 18
"""The major version that looks for extensions outside its own folder."""
VERSIONS: Final = {"pg_stat_statements": "1.12", "pg_trgm": "1.6", "pgcrypto": "1.4"}
"""Those of Postgres 18."""
TRUSTED: Final = frozenset({"pg_trgm", "pgcrypto"})
"""Those that whoever may create in a database may make there, as with the real ones."""
_CONTROL: Final = """\
# A stand-in of the sandbox, not {name}: it has the name and nothing else.
comment = 'stand-in of the sandbox: the name of {name}, and nothing of what it does'
default_version = '{version}'
relocatable = true
trusted = {trusted}
"""
_SCRIPT: Final = "-- A stand-in of the sandbox, not {name}: there is nothing to make.\n"


def write(data: Path) -> None:
    """Write them into a cluster's data folder, where the account that runs Postgres can read them."""
    folder = data / FOLDER / "extension"
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in VERSIONS.items():
        trusted = "true" if name in TRUSTED else "false"
        control = _CONTROL.format(name=name, version=version, trusted=trusted)
        (folder / f"{name}.control").write_text(control)
        (folder / f"{name}--{version}.sql").write_text(_SCRIPT.format(name=name))
    for path in (folder.parent, folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)


def options(data: Path, *, others: bool) -> list[str]:
    """What to start Postgres with so that it finds them.

    Args:
        others: Postgres runs as another account than this process, which perhaps cannot walk to the data folder; but
            that folder is the current one of all its processes.
    """
    path = f"/proc/self/cwd/{FOLDER}" if others else str(data / FOLDER)
    return ["-c", f"extension_control_path=$system:{path}"]
