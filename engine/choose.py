"""Which engine to use, decided before anything is done.

Pure but for reading PATH and `.engine/`: the decision can be printed, and tested with folders made for the purpose.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine import onpath
from engine.versions import Range, Version

LANGUAGE_HOST = "pulumi-language-python"


@dataclass(frozen=True)
class UseOnPath:
    """A `pulumi` on PATH will do."""

    executable: Path
    version: Version


@dataclass(frozen=True)
class UseKept:
    """What an earlier set-up made is what the pin asks for."""

    folder: Path


@dataclass(frozen=True)
class GetOne:
    """There is none yet: fetch the official release, or else build it. `passed_over` says what PATH had and lacked."""

    passed_over: tuple[str, ...] = ()


Choice = UseOnPath | UseKept | GetOne


def choose(
    *,
    path: str,
    required: Range,
    kept: Path,
    finished: tuple[Path, ...],
    version_of: Callable[[Path], Version | None],
) -> Choice:
    """Decide: one on `path` within `required` that brings its Python language host, else the first of `finished`
    (folders that the pin asks for, in `kept`) that is there, else a new one."""
    passed_over = []
    for executable in onpath.candidates("pulumi", path, leave_out=kept):
        version = version_of(executable)
        if version is None:
            passed_over.append(f"{executable} does not say its version")
        elif not required.allows(version):
            passed_over.append(f"{executable} is {version}, and Pulumi.yaml asks for {required}")
        elif not brings_language_host(executable):
            passed_over.append(f"{executable} has no {LANGUAGE_HOST} beside it")
        else:
            return UseOnPath(executable, version)
    for folder in finished:
        if (folder / "pulumi").is_file() and brings_language_host(folder / "pulumi"):
            return UseKept(folder)
    return GetOne(tuple(passed_over))


def brings_language_host(executable: Path) -> bool:
    """Whether the Python language host lies beside `executable`, or beside what it links to, as the engine looks."""
    places = (executable.parent, executable.resolve().parent)
    return any(os.access(place / LANGUAGE_HOST, os.X_OK) for place in places)
