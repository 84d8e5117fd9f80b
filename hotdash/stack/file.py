"""A stack's file as commands read it that run without the engine: they need its settings, and none of its secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hotdash.errors import SettingsError

if TYPE_CHECKING:
    from hotdash.stack.settings import Settings

PROJECT_FILE: Final = "Pulumi.yaml"
STACK_VARIABLE: Final = "PULUMI_STACK"
_ENCRYPTED: Final = "encrypted in the stack file"
"""Stands for what the engine alone can decrypt, where a form must be kept to."""


def project_root(start: Path | None = None) -> Path:
    """The folder of Pulumi.yaml, from here upwards. Raises SettingsError."""
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise SettingsError(
        f"there is no {PROJECT_FILE} here or above",
        where=str(begin),
        remedy="run this inside a checkout of the project",
    )


def stack_names(root: Path) -> tuple[str, ...]:
    """The stacks that have a file, by name."""
    files = sorted((root / "stacks").glob("Pulumi.*.yaml"))
    return tuple(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in files)


def chosen_stack(named: str | None, root: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The stack that is meant: the named one, else PULUMI_STACK's. Raises SettingsError."""
    names = stack_names(root)
    stack = named or environ.get(STACK_VARIABLE, "")
    # A name may come with its organization and project before it.
    if (short := stack.rpartition("/")[2]) in names:
        return short
    raise SettingsError(
        f"there is no file of a stack {stack}" if stack else "no stack was named",
        where=str(root / "stacks"),
        remedy=f"name one with --stack, or in {STACK_VARIABLE}; there are: {', '.join(names) or 'none'}",
    )


def stack_file(stack: str) -> str:
    """How a stack's file is named in messages, and where it lies in the project."""
    return f"stacks/Pulumi.{stack}.yaml"


def read_settings(stack: str, root: Path) -> Settings:
    """The settings of stacks/Pulumi.STACK.yaml; its fingerprint key is not the real one.

    Raises:
        SettingsError: no such file, no YAML, or settings that cannot be.
    """
    import yaml  # here: the providers' processes, which load this package, have no use for it

    from hotdash.stack.settings import load  # here: who asks for a stack's name alone need not wait for it

    file = stack_file(stack)
    try:
        content = yaml.safe_load((root / file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no file of a stack {stack}", where=file) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the stack file cannot be read ({type(error).__name__})", where=file) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise SettingsError("the stack file is no YAML", where=f"{file}{line}") from None
    config = content.get("config") if isinstance(content, Mapping) else None
    if not isinstance(config, Mapping):
        raise SettingsError("the stack file has no config", where=file)
    return load(_values(config), file=file)


def _values(config: Mapping[Any, Any]) -> dict[str, Any]:
    from hotdash.stack.checking import NAMESPACE

    prefix = f"{NAMESPACE}:"
    values = {
        str(key).removeprefix(prefix): _ENCRYPTED
        if isinstance(value, Mapping) and "secure" in value
        else value
        for key, value in config.items()
        if str(key).startswith(prefix)
    }
    # Made once a stack, and perhaps not yet: nothing that reads the file alone has a use for it.
    return {"fingerprintKey": _ENCRYPTED, **values}
