"""Why a gate could not be run to its end: what the engine, the program, a provider or the pack failed with, each with
the mend.

Whatever ends without a reason is a problem of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from hotdash.gate.events import Seen
from hotdash.gate.labelled import labels
from hotdash.gate.report import Problem
from hotdash.said import shown

_SAYS_NOTHING: Final = re.compile(r"\A(error: )?(preview failed|update failed)\.?\Z")
_CODED: Final = re.compile(r"\A([a-z][a-z-]+): (?=\S)")
_INSTALLED: Final = "site-packages"
_FILE: Final = re.compile(r'File "([^"]+)", line (\d+)')
_LONGEST: Final = 1000
"""Characters of what an engine said in one error; it may repeat a program's whole output."""


@dataclass(frozen=True)
class Ended:
    """How the engine's process ended: exit code, what it wrote to stderr, and the folder that it ran in."""

    code: int
    stderr: str
    folder: PurePath


def problems(seen: Seen, ended: Ended) -> Iterator[Problem]:
    errors = [said for said in seen.said if said.severity == "error"]
    output = [said.message for said in seen.said if said.severity == "info#err"]
    found: dict[tuple[str, str], Problem] = {}
    for said in errors:
        text = said.message.strip().removeprefix("Preview failed: ").strip()
        if _SAYS_NOTHING.match(text):
            continue
        problem = _problem(text, said.urn, ended.folder)
        found.setdefault((problem.code, problem.summary), problem)
    for text in _stderr_errors(ended.stderr):
        if further := _engine_problem(text, output, bool(found), ended.folder):
            found.setdefault((further.code, further.summary), further)
    yield from found.values()
    if not found and (not seen.events or not seen.result):
        yield unexplained(ended, strays=seen.strays)


def _stderr_errors(stderr: str) -> Iterator[str]:
    """Each of the engine's own errors, with the lines that follow it; what it merely warns of is left out."""
    text: list[str] = []
    for line in stderr.splitlines():
        if line.startswith(("error: ", "warning: ")):
            if text:
                yield "\n".join(text)
            text = [line.removeprefix("error: ")] if line.startswith("error: ") else []
        elif text and line.strip():
            text.append(line)
    if text:
        yield "\n".join(text)


def _problem(text: str, urn: str, folder: PurePath) -> Problem:
    """An error of the program, a provider or a rule."""
    if "Traceback (most recent call last)" in text:
        return _crash(text, "program", "the program failed", folder)
    if text.startswith("failed to run policy: "):
        said = text.removeprefix("failed to run policy: ").removeprefix("Exception calling application: ")
        return Problem(
            "policy-pack",
            f"a rule of the policy pack failed: {shown(said, _LONGEST)}",
            meaning="the pack stopped there, so nothing is proved",
            remedy="mend the rule; `pulumi preview --policy-pack DIR` shows more",
            resource=urn,
        )
    message, known = labels(text)
    code = known.get("code", "")
    if (match := _CODED.match(message)) and (not code or match[1] == code):
        code, message = match[1], message[match.end() :]
    return Problem(
        code or "engine",
        _bounded(message),
        where=known.get("where", ""),
        meaning=known.get("means", ""),
        remedy=known.get("next", ""),
        resource=urn,
    )


def _engine_problem(text: str, output: Sequence[str], explained: bool, folder: PurePath) -> Problem | None:
    """An error of the engine itself, before or beside the program."""
    if _SAYS_NOTHING.match(text.strip()):
        return None
    if text.startswith("validating policy config") and explained:
        return None  # what is wrong with it was said already
    if "policy pack" in text or "Pulumi policy project" in text:
        why = _crash("".join(output), "policy-pack", "it failed", folder) if output else None
        return Problem(
            "policy-pack",
            "the policy pack did not load",
            where=why.where if why else "",
            meaning=why.summary if why else shown(text, _LONGEST),
            remedy="mend the pack; no rule was run, so nothing is proved",
        )
    said = shown(text, _LONGEST)
    return Problem("engine", f"the engine says: {said}", remedy=_remedy(said))


def _remedy(said: str) -> str:
    for words, remedy in _REMEDIES.items():
        if words in said:
            return remedy
    return "mend what it says: `pulumi preview` must work here, in the same environment"


_REMEDIES: Final[Mapping[str, str]] = {
    "passphrase": "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE as for `pulumi preview`",
    "no stack named": "make it in this back end (`pulumi stack init STACK`), or name the back end that has it: "
    "PULUMI_BACKEND_URL",
    "state directory": "PULUMI_BACKEND_URL names a back end that is not there",
    "PULUMI_ACCESS_TOKEN": "name the back end of the state in PULUMI_BACKEND_URL, or log in to it: `pulumi login`",
    "version range": "use another engine: `make engine` puts one that fits in .engine/bin",
}
"""Words of an engine's error to what mends it; the engine's own texts, 3.259."""


def _crash(text: str, code: str, what: str, folder: PurePath) -> Problem:
    """A traceback as one line: what was raised, and where. Its texts may repeat values: credentials are blotted out."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    files = _FILE.findall(text)
    ours = [item for item in files if PurePath(item[0]).is_relative_to(folder) and _INSTALLED not in item[0]]
    path, line = [("", ""), *files, *ours][-1]
    where = f"{_shown(path, folder)}, line {line}" if path else ""
    return Problem(
        code,
        f"{what}: {shown(lines[-1] if lines else 'it said nothing', _LONGEST)}",
        where=where,
        meaning="this is a mistake in the program itself, not in the stack",
        remedy="`pulumi preview` shows the traceback",
    )


def _shown(path: str, folder: PurePath) -> str:
    """From the project's folder, else the last parts alone: a report is read on other machines."""
    found = PurePath(path)
    return str(found.relative_to(folder)) if found.is_relative_to(folder) else "/".join(found.parts[-2:])


def unexplained(ended: Ended, strays: Iterable[str] = ()) -> Problem:
    said = shown(" ".join([ended.stderr, *list(strays)[:5]]), _LONGEST)
    return Problem(
        "engine",
        f"the engine ended with exit code {ended.code}, and its events do not tell why",
        meaning=f"it said: {said}" if said else "it said nothing",
        remedy="run `pulumi preview` by hand, in the same environment",
    )


def _bounded(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def nothing_judged(seen: Seen, pack: str) -> Iterator[Problem]:
    """A pack that was not run, or of which no rule was, proves nothing."""
    if not seen.packs:
        yield Problem(
            "policy-pack",
            "the engine ran no policy pack",
            where=pack,
            meaning="nothing was judged, so nothing is proved",
            remedy="use an engine that takes --policy-pack in a preview: `make engine` puts one in .engine/bin",
        )
    elif not seen.judged:
        yield Problem(
            "policy-pack",
            "the policy pack judged nothing: no rule of it was run",
            where=pack,
            meaning="nothing was judged, so nothing is proved",
            remedy="see that its configuration does not disable all of its rules",
        )
