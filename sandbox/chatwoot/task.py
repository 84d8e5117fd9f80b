"""One-off commands: those of `fly machine exec`, and machines whose command is neither a server nor a worker.

Only what is modelled here is run. Nothing of the real machine's programs, whatever the command says."""

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from sandbox.chatwoot.command import NotModelled, Simple, rails_tasks, simple_commands
from sandbox.chatwoot.log import Log

NOT_MODELLED = 127
"""What a shell says for a program it cannot find."""
STARVING = "starving"
"""The file, in its machine's folder, by which a task says that it has come to where it needs too much memory."""


def follow(command: Sequence[str], env: Mapping[str, str], log: Log) -> int:
    """Run what a machine's command says, with its output in the log as it comes; the exit code of the last."""

    def one(simple: Simple) -> int:
        if tasks := rails_tasks(simple.words):
            from sandbox.chatwoot import migration

            return migration.run(tasks, simple.env, log)
        code, output, errors = _run(simple.words, simple.env, None)
        for line in (output + errors).splitlines():
            log(line)
        return code

    try:
        return _in_turn(simple_commands(command, env), one)
    except NotModelled as error:
        log(_shell_is_small(error))
        return NOT_MODELLED


def is_of_rails(command: Sequence[str]) -> bool:
    """Whether a process of its own must run it."""
    try:
        return any(rails_tasks(simple.words) for simple in simple_commands(command, {}))
    except NotModelled:
        return False


def run(command: Sequence[str], env: Mapping[str, str], port: int | None = None) -> tuple[int, str, str]:
    """Exit code, output and error output of `command` inside a machine whose web server is on local `port`. Rails'
    tasks are not for here: see `is_of_rails`."""
    outputs, errors = [], []

    def one(simple: Simple) -> int:
        code, output, error = _run(simple.words, simple.env, port)
        outputs.append(output)
        errors.append(error)
        return code

    try:
        code = _in_turn(simple_commands(command, env), one)
    except NotModelled as error:
        return NOT_MODELLED, "", _shell_is_small(error) + "\n"
    return code, "".join(outputs), "".join(errors)


def _in_turn(commands: Sequence[Simple], one: Callable[[Simple], int]) -> int:
    code = 0
    for simple in commands:
        if code == 0 or simple.after != "&&":
            code = one(simple)
    return code


def _shell_is_small(error: NotModelled) -> str:
    return f"sandbox: the stand-in's shell knows quotes, $VAR, assignments, && and ;, but not {error}"


def _run(words: Sequence[str], env: Mapping[str, str], port: int | None) -> tuple[int, str, str]:
    program = words[0].rpartition("/")[2] if words else ""
    if program in ("true", ":", "cd", "set"):
        return 0, "", ""
    if program == "false":
        return 1, "", ""
    if program == "echo":
        return 0, " ".join(words[1:]) + "\n", ""
    if program == "hostname":
        return 0, env.get("FLY_MACHINE_ID", "localhost") + "\n", ""
    if program == "date":
        return 0, time.strftime("%a %b %e %H:%M:%S UTC %Y\n", time.gmtime()), ""
    if program in ("env", "printenv"):
        return _environment(words[1:], env)
    if program == "curl" and port:
        return _curl(words, port)
    return (
        NOT_MODELLED,
        "",
        f"sandbox: {program or 'an empty command'}: not found (the stand-in knows no such program)\n",
    )


def _environment(names: Sequence[str], env: Mapping[str, str]) -> tuple[int, str, str]:
    shown = {name: value for name, value in env.items() if not name.startswith(("SANDBOX_", "PYTHON"))}
    if not names:
        return 0, "".join(f"{name}={value}\n" for name, value in sorted(shown.items())), ""
    found = [shown[name] for name in names if name in shown]
    return 0 if len(found) == len(names) else 1, "".join(f"{value}\n" for value in found), ""


def _curl(words: Sequence[str], port: int) -> tuple[int, str, str]:
    """`curl URL`, and with it `-w '%{http_code}'` for the status and `-o FILE` for no body."""
    urls = [word for word in words[1:] if "://" in word or word.startswith("localhost")]
    if not urls:
        return 2, "", "curl: no URL specified\n"
    split = urlsplit(urls[0] if "://" in urls[0] else f"http://{urls[0]}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", split.path or "/", headers={"Host": split.netloc})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        status = str(answer.status) if "%{http_code}" in words else ""
        return 0, ("" if "-o" in words else body) + status, ""
    except OSError:
        return 7, "", f"curl: (7) Failed to connect to {split.netloc}\n"
    finally:
        connection.close()
