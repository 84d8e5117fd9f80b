"""The outage from end to end, as `make demo` shows it: broken, seen by a preview, mended by an up, proved mended.

Every step is a command that a person could type, run for real; the demo ends with exit 1 at the first that does not do
what it is said to do."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from hotdash import chatwoot
from sandbox import breaks, instance, seed, shell
from sandbox.instance import CHECKOUT

STEPS = 8
DRIFT = 7
"""The engine's exit code for changes where none were expected."""


class NotAsTold(Exception):
    """A step did not do what the demo says it does."""


def main() -> int:
    begun = time.monotonic()
    try:
        _play()
    except NotAsTold as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    print(_NEXT.format(seconds=time.monotonic() - begun))
    return 0


def _play() -> None:
    _step(1, "A Fly on this machine, and on it the Chatwoot that HotDash runs")
    _run(["hotdash", "sandbox", "up"], os.environ)
    running = instance.require(instance.default_directory())
    if breaks.active(running.directory):
        _run(["hotdash", "sandbox", "mend"], os.environ)
    shell.ensure_stack(running.directory)
    environment = {**os.environ, **shell.environment(running, os.environ.get("PATH", ""))}
    with running.client() as client:
        url = str((client.app(seed.APP) or {})["url"])

    _step(
        2,
        "The program takes it over: entries in Pulumi's state, and no machine restarts that is right already",
    )
    _run(["pulumi", "up", "--yes", "--skip-preview"], environment)
    _answers(url, 200)

    _step(
        3,
        "The outage: a wrong password on Fly, a check on a path that is 404, a worker with too little memory",
    )
    _run(["hotdash", "sandbox", "break", "outage"], environment)

    _step(4, "So customers get this")
    _answers(url, 503)

    _step(5, "`pulumi preview` says what differs from what is declared, since when, and what would be done")
    _run(["pulumi", "preview", "--expect-no-changes"], environment, expected=DRIFT)
    print(f"\n(exit {DRIFT}: there is drift, which is how CI sees it; nothing was changed)")

    _step(6, "`pulumi up` mends it: secrets staged, then one machine after the other, behind its checks")
    _run(["pulumi", "up", "--yes", "--skip-preview"], environment)

    _step(7, "And customers get this")
    _answers(url, 200)

    _step(8, "Nothing differs any more")
    _run(["pulumi", "preview", "--expect-no-changes"], environment)


def _step(number: int, what: str) -> None:
    print(f"\n━━ {number}/{STEPS}  {what}\n", flush=True)


def _run(command: Sequence[str], environment: Mapping[str, str], expected: int = 0) -> None:
    print(f"$ {' '.join(command)}", flush=True)
    program = CHECKOUT / ".venv" / "bin" / "hotdash" if command[0] == "hotdash" else shell.engine()
    done = subprocess.run([str(program), *command[1:]], env=environment, cwd=CHECKOUT)
    if done.returncode != expected:
        raise NotAsTold(f"`{' '.join(command)}` ended with exit code {done.returncode}, not {expected}")


def _answers(url: str, expected: int) -> None:
    answer = chatwoot.probe(url, chatwoot.DEEP_PATH)
    print(f"GET {url}{chatwoot.DEEP_PATH}: {answer}", flush=True)
    if answer.status != expected:
        raise NotAsTold(f"{url}{chatwoot.DEEP_PATH} should have answered {expected}")


_NEXT = """
━━ Done in {seconds:.0f} s. The sandbox still runs. What to try next

  eval "$(.venv/bin/hotdash sandbox env)"   plain pulumi now means the sandbox (and fly, after `make flyctl`)
  hotdash sandbox break --list              other troubles: break one, then pulumi preview, pulumi up
  hotdash preflight --stack sandbox         every credential, tried from here; nothing is written
  hotdash gate --stack sandbox              what stands against merging: drift, and what policies refuse
  hotdash sandbox status                    machines, checks, secrets
  hotdash sandbox down                      stop it; its state stays in .sandbox

  docs/real-fly.md                          the same against a real Fly app
"""


if __name__ == "__main__":
    sys.exit(main())
