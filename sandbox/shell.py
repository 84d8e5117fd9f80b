"""The environment in which plain `pulumi` and `fly` mean this sandbox, and the Pulumi state that goes with it.

The state is a file back end in DIR/pulumi. Nothing that git tracks is written here."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sandbox.client import SandboxError
from sandbox.instance import CHECKOUT, Running

STACK = "sandbox"
PASSPHRASE = "sandbox"
"""Of the stack file stacks/Pulumi.sandbox.yaml; it guards nothing."""


def environment(running: Running, path: str) -> dict[str, str]:
    """The variables to set; `path` is the PATH to put the engine's and the environment's programs in front of."""
    directory = running.directory
    ours = [str(CHECKOUT / folder) for folder in (".engine/bin", ".venv/bin", ".engine/flyctl/bin")]
    # As often as it is called: each of ours once, and in front.
    rest = [entry for entry in path.split(os.pathsep) if entry and entry not in ours]
    return {
        "PATH": os.pathsep.join([*ours, *rest]),
        "FLY_API_TOKEN": running.token,
        "FLY_API_BASE_URL": running.url,
        "FLY_FLAPS_BASE_URL": running.url,
        "FLY_UIEX_BASE_URL": running.url,
        "FLY_CONFIG_DIR": str(directory / "fly"),
        "FLY_SEND_METRICS": "0",
        "FLY_NO_UPDATE_CHECK": "1",
        "FLY_NO_INCIDENTS_CHECK": "1",
        "HOTDASH_SANDBOX_DIR": str(directory),
        **pulumi_environment(directory),
    }


def pulumi_environment(directory: Path) -> dict[str, str]:
    """What `pulumi` needs to work on the sandbox's stack."""
    return {
        "PULUMI_BACKEND_URL": f"file://{directory / 'pulumi'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_STACK": STACK,
        "PULUMI_HOME": str(directory / "pulumi-home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Refresh while the program runs, not before: one provider process instead of two.
        "PULUMI_RUN_PROGRAM": "true",
    }


def exports(variables: Mapping[str, str]) -> str:
    """Lines for `eval` in sh, bash, zsh and fish. The semicolons are for fish, which joins the lines."""
    return "".join(f"export {name}={shlex.quote(value)};\n" for name, value in variables.items())


def ensure_stack(directory: Path) -> bool:
    """Make the sandbox's stack, if its back end has none yet; False if there is no `pulumi` to do it.

    Works on copies of Pulumi.yaml and the stack file: `pulumi stack init` writes a salt into a stack file that has
    none, and may write the file anew.

    Raises:
        SandboxError: `pulumi` refused; with its words.
    """
    backend = directory / "pulumi"
    backend.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any((backend / ".pulumi" / "stacks").glob(f"*/{STACK}.json*")):
        return True
    pulumi = engine()
    if pulumi is None:
        return False
    import yaml

    project = (CHECKOUT / "Pulumi.yaml").read_text()
    stacks = yaml.safe_load(project).get("stackConfigDir", ".")
    stack_file = CHECKOUT / stacks / f"Pulumi.{STACK}.yaml"
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        (copy / "Pulumi.yaml").write_text(project)
        (copy / stacks).mkdir(exist_ok=True)
        if stack_file.exists():
            shutil.copy(stack_file, copy / stacks)
        done = subprocess.run(
            [pulumi, "stack", "init", STACK, "--non-interactive", "--no-select", "--color", "never"],
            cwd=copy,
            env={**os.environ, **pulumi_environment(directory), "PULUMI_STACK": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        raise SandboxError(f"the sandbox's Pulumi stack could not be made:\n{done.stdout.strip()}")
    return True


def forget_stack(directory: Path) -> None:
    """Remove the sandbox stack's state, as if nothing had ever been applied."""
    shutil.rmtree(directory / "pulumi", ignore_errors=True)


def engine() -> str | None:
    """The `pulumi` of this checkout, else the one on PATH."""
    own = CHECKOUT / ".engine" / "bin" / "pulumi"
    return str(own) if own.exists() else shutil.which("pulumi")
