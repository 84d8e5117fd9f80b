"""A stack's fingerprint key. The engine alone can decrypt it, so the engine is asked; the answer stays in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hotdash.errors import SettingsError

_KEY: Final = "hotdash:fingerprintKey"
_OURS: Final = Path(".engine/bin/pulumi")
_TIMEOUT: Final = 120
"""Seconds: the state's back end may be far away."""


def fingerprint_key(stack: str, root: Path, environ: Mapping[str, str] = os.environ) -> bytes:
    """The key under which the stack's secrets are fingerprinted.

    Args:
        stack: its name, as Pulumi knows it.
        root: the project's folder.

    Raises:
        SettingsError: no engine, no such stack in its back end, no passphrase, no such key.
    """
    engine = shutil.which("pulumi", path=environ.get("PATH")) or _in_checkout(root)
    where = f"stack {stack}"
    try:
        done = subprocess.run(
            [engine, "config", "get", _KEY, "--stack", stack, "--non-interactive"],
            cwd=root,
            env={**environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SettingsError(
            f"the engine did not tell the fingerprint key within {_TIMEOUT} seconds",
            where=where,
            remedy="see that the back end of its state can be reached: `pulumi stack ls`",
        ) from None
    except OSError as error:
        raise SettingsError(f"the engine cannot be run: {error.strerror}", where=engine) from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split()).removeprefix("error: ")[:300]
        raise SettingsError(
            "the engine did not tell the fingerprint key",
            where=where,
            meaning=f"it said: {said or f'nothing (exit code {done.returncode})'}",
            remedy=_remedy(said, stack),
        )
    return done.stdout.removesuffix(b"\n")


def _in_checkout(root: Path) -> str:
    ours = root / _OURS
    if not ours.exists():
        raise SettingsError(
            "there is no pulumi on PATH, and none in .engine",
            meaning="the fingerprint key lies encrypted in the stack file, and the engine alone decrypts it",
            remedy="run `make engine`, or install Pulumi",
        )
    return str(ours)


def _remedy(said: str, stack: str) -> str:
    if "passphrase" in said:
        return "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE as for `pulumi preview`, then try again"
    if "configuration key" in said:
        return f"make one: `openssl rand -hex 32 | pulumi config set --secret {_KEY} --stack {stack}`"
    return (
        "mend what it says: `pulumi preview` must work here, with the same PULUMI_BACKEND_URL and passphrase"
    )
