"""What a machine's command asks the stand-in to be.

The image has neither ENTRYPOINT nor CMD, so the command of the machine's config says it all."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_WEB = re.compile(r"\b(rails\s+(server|s)\b|puma\b)")
_WORKER = re.compile(r"\bsidekiq\b(?!\s*\.yml)")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SHELLS = ("sh", "bash", "dash", "ash")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_VARIABLE = re.compile(r"\\([$`\"\\])|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_PART = re.compile(
    r"""'(?P<literal>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)"""
    r"""|(?P<operator>&&|\|\||[;&|\n])|(?P<space>[ \t]+)|(?P<bare>[^\s'"\\;&|]+)""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Role:
    """`name` is web, worker, sleep, task or nothing; `port` where the web server would listen on its machine."""

    name: str
    port: int | None = None


@dataclass(frozen=True)
class Simple:
    """One simple command of a shell: its words, and the environment with its own assignments. `after`: what joins it
    to the one before, `&&` or `;`."""

    words: tuple[str, ...]
    env: Mapping[str, str]
    after: str = ";"


class NotModelled(Exception):
    """A shell would make something of it that the stand-in does not; the text says what."""


def simple_commands(command: Sequence[str], env: Mapping[str, str]) -> tuple[Simple, ...]:
    """What a command runs, one after the other: itself, or what `sh -c` makes of its script.

    Of the shell there are quotes, `$VAR`, assignments before a command, `exec`, `&&` and `;`.

    Raises:
        NotModelled: there is more in it.
    """
    if not _is_script(command):
        return (Simple(tuple(command), env),) if command else ()
    found: list[Simple] = []
    words: list[str] = []
    assigned: dict[str, str] = {}
    after = ";"
    for kind, text in (*_tokens(command[2], env), ("operator", ";")):
        if kind == "word":
            words.append(text)
        elif kind == "assignment" and not words:
            name, _, value = text.partition("=")
            assigned[name] = value
        elif kind == "assignment":
            words.append(text)
        else:
            if words and words[0] == "exec":
                del words[0]
            if words:
                found.append(Simple(tuple(words), {**env, **assigned}, after))
            words, assigned, after = [], {}, text
    return tuple(found)


def _tokens(script: str, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(kind, text): `word`, `assignment` (its name not quoted, as a shell wants it) or `operator`."""

    def expanded(text: str) -> str:
        if "`" in text or "$(" in text:
            raise NotModelled("a command within a command")
        return _VARIABLE.sub(lambda found: found[1] or env.get(found[2] or found[3], ""), text)

    at, word, kind = 0, "", ""
    while at < len(script):
        part = _PART.match(script, at)
        if part is None:
            raise NotModelled("a quote that is not closed")
        at = part.end()
        if part["operator"] or part["space"]:
            if kind:
                yield kind, word
            word, kind = "", ""
            if part["operator"] in ("&&", ";", "\n"):
                yield "operator", ";" if part["operator"] == "\n" else part["operator"]
            elif part["operator"]:
                raise NotModelled(f"`{part['operator']}`")
            continue
        if part["bare"] is not None:
            if not kind and _ASSIGNMENT.match(part["bare"]):
                kind = "assignment"
            word += expanded(part["bare"])
        elif part["quoted"] is not None:
            word += expanded(part["quoted"])
        else:
            word += part["literal"] if part["literal"] is not None else part["escaped"]
        kind = kind or "word"
    if kind:
        yield kind, word


def rails_tasks(words: Sequence[str]) -> tuple[str, ...]:
    """The tasks of `[bundle exec] [bin/]rails TASK…` or of rake; none: it is something else."""
    left = list(words[2:] if tuple(words[:2]) == ("bundle", "exec") else words)
    if not left or left[0].rpartition("/")[2] not in ("rails", "rake"):
        return ()
    tasks = [word for word in left[1:] if not word.startswith("-") and not _ASSIGNMENT.match(word)]
    return tuple(tasks) if tasks and ":" in tasks[0] else ()


def _is_script(command: Sequence[str]) -> bool:
    return (
        len(command) >= 3 and command[0].rpartition("/")[2] in _SHELLS and command[1] in ("-c", "-lc", "-ec")
    )


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
    if not _is_script(command):
        return list(command)
    try:
        return shlex.split(command[2])
    except ValueError:
        return command[2].split()


def _option(words: Sequence[str], short: str, long: str) -> str:
    for at, word in enumerate(words):
        if word in (short, long) and at + 1 < len(words):
            return words[at + 1]
        if word.startswith(f"{long}="):
            return word.partition("=")[2]
        if word.startswith(short) and word[len(short) :].isdigit():
            return word[len(short) :]
    return ""
