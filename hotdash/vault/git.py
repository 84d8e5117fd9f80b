"""What git tracks of a vault. What it once tracked stays in its history, and is not seen here."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from hotdash.errors import VaultError

_TIMEOUT: Final = 20
"""Seconds. It takes milliseconds; a disk that is being waited for takes longer."""
_PLAIN: Final = re.compile(r"\.env(~|\.(bak|new|old|orig|save|swp))?\Z")
"""A dotenv file, or what editors make beside one."""
_COMMAND: Final = (
    "git",
    # Another's checkout, as in a container: git refuses it because its config could name programs to run. It names
    # one that this command would: fsmonitor.
    *("-c", "safe.directory=*", "-c", "core.fsmonitor=false"),
    *("ls-files", "-z"),
)


def tracked_plain_files(root: Path) -> tuple[str, ...]:
    """The vault's plain files that git tracks or is about to (its index has them), below the vault's root.

    Empty where there is no git, no repository or no such folder. One process, some milliseconds. GIT_DIR and its like
    in the environment, as a hook has them, are not heeded: the repository is the one that the folder lies in.

    Raises:
        VaultError: there is a repository and git cannot tell.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            _COMMAND,
            cwd=root,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except subprocess.TimeoutExpired:
        raise _unanswered(root, f"no answer within {_TIMEOUT} seconds") from None
    except OSError as error:
        raise _unanswered(root, error.strerror or type(error).__name__) from None
    said = os.fsdecode(done.stderr).strip()
    if done.returncode == 0:
        files = os.fsdecode(done.stdout).split("\0")
        return tuple(sorted(file for file in files if _PLAIN.search(file)))
    if "not a git repository" in said:
        return ()
    raise _unanswered(root, said.partition("\n")[0] or f"exit code {done.returncode}")


def _unanswered(root: Path, said: str) -> VaultError:
    return VaultError(
        "git cannot tell whether it tracks the vault in plain",
        where=str(root),
        meaning=f"asked, it said: {said}",
        remedy="mend what it complains of: `git ls-files` in that folder must answer",
    )
