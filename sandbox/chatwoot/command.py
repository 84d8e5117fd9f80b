"""What a machine's command asks the stand-in to be.

The image has neither ENTRYPOINT nor CMD, so the command of the machine's config says it all."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

_WEB = re.compile(r"\b(rails\s+(server|s)\b|puma\b)")
_WORKER = re.compile(r"\bsidekiq\b(?!\s*\.yml)")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Role:
    """`name` is web, worker, sleep, task or nothing; `port` where the web server would listen on its machine."""

    name: str
    port: int | None = None


def role_of(command: Sequence[str], env_port: str = "") -> Role:
    """What `command` runs. `env_port` is the machine's PORT, which Rails takes unless `-p` is given.

    A port that is bound to loopback is no port: nobody outside the machine reaches it."""
    words = flatten(command)
    text = " ".join(words)
    if _WEB.search(text):
        port = _option(words, "-p", "--port") or env_port or "3000"
        bound = _option(words, "-b", "--binding") or "0.0.0.0"
        reachable = port.isdigit() and bound not in _LOOPBACK
        return Role("web", int(port) if reachable else None)
    if _WORKER.search(text):
        return Role("worker")
    if words and words[0] == "sleep":
        return Role("sleep")
    return Role("task") if words else Role("nothing")


def flatten(command: Sequence[str]) -> list[str]:
    """The words of a command, with those of `sh -c "…"` taken apart."""
    words = list(command)
    if len(words) >= 3 and words[0].rpartition("/")[2] in ("sh", "bash") and words[1] in ("-c", "-lc"):
        try:
            return shlex.split(words[2])
        except ValueError:
            return words[2].split()
    return words


def _option(words: Sequence[str], short: str, long: str) -> str:
    for at, word in enumerate(words):
        if word in (short, long) and at + 1 < len(words):
            return words[at + 1]
        if word.startswith(f"{long}="):
            return word.partition("=")[2]
        if word.startswith(short) and word[len(short) :].isdigit():
            return word[len(short) :]
    return ""
