"""One-off commands: those of `fly machine exec`, and machines whose command is neither a server nor a worker.

Only what is modelled here is run. Nothing of the real machine's programs, whatever the command says."""

import http.client
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from sandbox.chatwoot.command import flatten

NOT_MODELLED = 127
"""What a shell says for a program it cannot find."""


def run(command: Sequence[str], env: Mapping[str, str], port: int | None = None) -> tuple[int, str, str]:
    """Exit code, output and error output of `command` inside a machine whose web server is on local `port`."""
    words = flatten(command)
    program = words[0].rpartition("/")[2] if words else ""
    if program == "true":
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
    if "db:chatwoot_prepare" in words or "db:migrate" in words:
        return 70, "", "sandbox: migrations are not modelled yet: nothing was run\n"
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
