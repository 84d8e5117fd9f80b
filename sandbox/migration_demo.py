"""A new image with its schema, as `make demo-migration` shows it: announced by a preview, migrated in a window, rolled
out; then one that fails, and leaves the app as it was.

Every step is a command that a person could type. The stack file is a copy with migrations declared; the sandbox is the
same as `make demo` has.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hotdash import chatwoot
from sandbox import instance, seed, shell
from sandbox.instance import CHECKOUT

DRIFT = 7
"""The engine's exit code for changes where none were expected."""
OLD, NEW, NEXT = (f"chatwoot/chatwoot:v4.{minor}.0" for minor in (11, 12, 13))
FAILS_AT = "20260309090000"
"""A migration of the third image."""


class NotAsTold(Exception):
    """A step did not do what the demo says it does."""


def main() -> int:
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _play(Path(folder) / "Pulumi.sandbox.yaml")
    except NotAsTold as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    print(
        f"\n━━ Done in {time.monotonic() - begun:.0f} s. The sandbox still runs: docs/migrations.md tells the rest\n"
    )
    return 0


def _play(stack_file: Path) -> None:
    _step(1, "A Fly on this machine, with Chatwoot 4.11, begun anew and taken over")
    _run(["hotdash", "sandbox", "up"], os.environ)
    _run(["hotdash", "sandbox", "reset"], os.environ)
    running = instance.require(instance.default_directory())
    shell.ensure_stack(running.directory)
    environment = {**os.environ, **shell.environment(running, os.environ.get("PATH", ""))}
    with running.client() as client:
        url = str((client.app(seed.APP) or {})["url"])
    up = ["pulumi", "up", "--yes", "--skip-preview", "--config-file", str(stack_file)]
    _declare(stack_file, OLD, url)
    _run(up, environment)

    _step(2, f"The stack file says {NEW}: a preview says that it migrates first, and how")
    _declare(stack_file, NEW, url)
    preview = ["pulumi", "preview", "--expect-no-changes", "--config-file", str(stack_file)]
    _run(preview, environment, expected=DRIFT)

    _step(
        3,
        "`pulumi up`: the worker stands still, the schema changes, the worker is back, then the image moves",
    )
    _run(up, environment)
    _answers(url)

    _step(
        4,
        f"{NEXT} brings a migration that fails: its reason is told, the window closes, the old image runs on",
    )
    with running.client() as client:
        client.call("PUT", "/sandbox/settings", {"migration": {"fail_at": FAILS_AT}})
    _declare(stack_file, NEXT, url)
    _run(up, environment, failing=True)
    _answers(url)

    _step(5, "What made it fail is mended: the same command ends it")
    with running.client() as client:
        client.call("PUT", "/sandbox/settings", {"migration": {}})
    _run(up, environment)
    _run([*preview], environment)


def _declare(stack_file: Path, image: str, url: str) -> None:
    content: dict[str, Any] = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.sandbox.yaml").read_text())
    config = content["config"]
    running = instance.require(instance.default_directory())
    config["hotdash:app"]["url"] = url
    config["hotdash:vault"] = str(running.directory / "vault")
    config["hotdash:secrets"]["DIRECT_DATABASE_URL"] = "occ/chatwoot/direct_database_url.env"
    config["hotdash:migration"] = {"database": "DIRECT_DATABASE_URL", "mode": "window"}
    for group in config["hotdash:processGroups"].values():
        group["image"] = image
    stack_file.write_text(yaml.safe_dump(content, sort_keys=False))


def _step(number: int, what: str) -> None:
    print(f"\n━━ {number}/5  {what}\n", flush=True)


def _run(
    command: Sequence[str], environment: Mapping[str, str], *, expected: int = 0, failing: bool = False
) -> None:
    print(f"$ {' '.join(command)}", flush=True)
    program = CHECKOUT / ".venv" / "bin" / "hotdash" if command[0] == "hotdash" else shell.engine()
    done = subprocess.run([str(program), *command[1:]], env=environment, cwd=CHECKOUT)
    if (done.returncode not in (0, DRIFT)) if failing else (done.returncode == expected):
        return
    raise NotAsTold(f"`{' '.join(command)}` ended with exit code {done.returncode}")


def _answers(url: str) -> None:
    answer = chatwoot.probe(url, chatwoot.DEEP_PATH)
    print(f"GET {url}{chatwoot.DEEP_PATH}: {answer}", flush=True)
    if answer.status != 200:
        raise NotAsTold(f"{url}{chatwoot.DEEP_PATH} should have answered 200")


if __name__ == "__main__":
    sys.exit(main())
