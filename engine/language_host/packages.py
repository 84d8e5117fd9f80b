"""What is installed in a program's Python: its dependencies, and the Pulumi plugins that they ask for.

Read from the metadata on disk; `pip list` would cost half a second on the path of every command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Package:
    """An installed distribution."""

    name: str
    version: str


@dataclass(frozen=True)
class Plugin:
    """A resource plugin that an installed package drives, as its `pulumi-plugin.json` says."""

    name: str
    version: str
    server: str


def plugins(folders: Iterable[Path]) -> list[Plugin]:
    """The resource plugins that the packages in `folders` need. The SDK itself and policy packs need none."""
    found = []
    for folder in folders:
        for description in sorted(folder.glob("pulumi_*/pulumi-plugin.json")):
            told = json.loads(description.read_text())
            if not told.get("resource"):
                continue
            module = description.parent.name
            version = told.get("version") or _version_of(folder, module)
            if version:
                name = told.get("name") or module.removeprefix("pulumi_").replace("_", "-")
                found.append(Plugin(name, version, told.get("server") or ""))
    return found


def installed(folders: Iterable[Path], *, transitive: bool) -> list[Package]:
    """Every package in `folders`; without `transitive`, only those that no other one requires."""
    from importlib.metadata import distributions

    found: dict[str, Package] = {}
    required: set[str] = set()
    for distribution in distributions(path=[str(folder) for folder in folders]):
        name = _normal(distribution.metadata["Name"])
        found[name] = Package(name, distribution.version)
        required |= {
            _normal(match.group())
            for line in distribution.requires or ()
            if "extra ==" not in line and (match := re.match(r"[\w.-]+", line))
        }
    return sorted(package for name, package in found.items() if transitive or name not in required)


def _version_of(folder: Path, module: str) -> str:
    """The version of the distribution of `module`, if a plugin's version can be told from it: a pre-release's
    cannot."""
    for metadata in folder.glob(f"{module}-*.dist-info"):
        version = metadata.name.removeprefix(f"{module}-").removesuffix(".dist-info")
        if re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
            return version
    return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
