"""Where things are: the project's root, what set-up keeps in `.engine/`, and the pins.

Everything is relative to the checkout, so that it can be moved and cloned.
"""

from __future__ import annotations

import re
from pathlib import Path

from engine.versions import Range, Version

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".engine"
"""Git-ignored; what set-up made and keeps between runs."""

ENGINE_BIN = KEPT / "bin"
"""The folder that holds `pulumi`, its language host and the dynamic providers' plugin."""

FLYCTL_BIN = KEPT / "flyctl" / "bin"

ENGINE_MODULE = ROOT / "engine" / "go"
FLYCTL_MODULE = ROOT / "engine" / "flyctl"

PULUMI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3"
FLYCTL_PACKAGE = "github.com/superfly/flyctl"


def pinned(module_folder: Path, package: str) -> Version:
    """The version of `package` that a go.mod asks for: the one place where a pin is written."""
    text = (module_folder / "go.mod").read_text()
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(package)}\s+(v\S+)", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"{module_folder / 'go.mod'} does not require {package}")
    return Version.parse(match.group(1))


def required_pulumi_version() -> Range:
    """`requiredPulumiVersion` of Pulumi.yaml; read without a YAML parser, as set-up has none yet."""
    text = (ROOT / "Pulumi.yaml").read_text()
    match = re.search(r"^requiredPulumiVersion:\s*[\"']?([^\"'#\n]+)", text, re.MULTILINE)
    return Range(match.group(1).strip() if match else "")
