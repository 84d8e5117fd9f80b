"""`python -m sandbox.chatwoot web|worker|sleep|task|nothing`, with the environment of a machine.

The machine's own command is in SANDBOX_COMMAND (JSON), for a task to look at."""

import importlib
import json
import os
import sys
import threading

from sandbox.chatwoot import process, settings
from sandbox.chatwoot.log import Log
from sandbox.chatwoot.settings import BootError


def main(arguments: list[str]) -> int:
    env = dict(os.environ)
    log = Log(env)
    process.end_on_signal(log)
    process.end_with_parent()
    role = arguments[0] if arguments else "nothing"
    try:
        if role in ("web", "worker"):
            configured = settings.read(env)
            with process.boot(env):
                program = importlib.import_module(f"sandbox.chatwoot.{role}")
            return int(program.run(configured, env, log))
    except BootError as error:
        log(f"! Unable to load application: {error}")
        return 1
    if role == "sleep":
        threading.Event().wait()
    if role == "task":
        from sandbox.chatwoot import task

        return task.follow(json.loads(env.get("SANDBOX_COMMAND", "[]")), env, log)
    log("! The machine has no command to run, and the image brings none (neither ENTRYPOINT nor CMD)")
    return 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Not sys.exit: a thread is still waiting on standard input.
    os._exit(code)
