"""From what the engine, the program and the pack said to a report. No I/O.

Whatever is not understood fails the gate: an event that is missing, a pack that did not judge, a failure without a
reason. A gate that passes because nobody answered is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Final

from hotdash.gate.drift_file import Told
from hotdash.gate.events import CANNOT_RUN, Change, Seen, Violation
from hotdash.gate.places import StackFile
from hotdash.gate.report import (
    CHANGED,
    Cause,
    DriftFinding,
    PolicyFinding,
    Problem,
    Report,
    Rule,
    Step,
    listed,
    rule_page,
)
from hotdash.said import shown
from hotdash.stack.checking import NAMESPACE

SAYS_UNKNOWN: Final = "policy-unknown"
"""So begins the name of a rule by which the pack itself says that something could not be judged."""
_NAMED: Final = re.compile(rf"\b{NAMESPACE}:[A-Za-z]+(?:\.[A-Za-z0-9_-]+|\[\d+\])*")
_NAMING: Final = frozenset({"processGroups", "secrets", "forbiddenDatabases", "policies"})
"""Keys of the stack file that hold things by name."""
_SAYS_NOTHING: Final = re.compile(r"\A(error: )?(preview failed|update failed)\.?\Z")
_LABELLED: Final = re.compile(r"^ *(subject|where|means|why|but|next|docs|code) +(.*)$")
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


def judge(
    *,
    stack: str,
    pack: str,
    fail_on: frozenset[Cause],
    seen: Seen,
    told: Sequence[Told],
    ended: Ended,
    file: StackFile,
    at: datetime,
    seconds: float = 0.0,
) -> Report:
    """Args:
    pack: the policy pack's folder, as it is named in messages.
    """
    problems = tuple(_problems(seen, ended))
    violations = list(dict.fromkeys(seen.violations))
    findings = [_finding(violation, file) for violation in violations]
    unjudged = [_cannot_be_judged(violation) for violation in violations]
    if not problems:
        problems = tuple(_nothing_judged(seen, pack))
    if not problems and ended.code and all(item.advisory for item in findings):
        problems = (_unexplained(ended),)  # what is mandatory is what the engine fails for, and nothing else
    return Report(
        stack=stack,
        file=file.name,
        fail_on=fail_on,
        at=at,
        pack=" ".join(f"{name} {version}" for name, version in seen.packs.items()),
        # A preview that broke off has not seen what else would have been told.
        drift=tuple(_drift([] if problems else seen.changes, told, file)),
        policy=tuple(item for item, unknown in zip(findings, unjudged, strict=True) if not unknown),
        unknown=tuple(item for item, unknown in zip(findings, unjudged, strict=True) if unknown),
        errors=problems,
        plan=_plan(seen.changes, told),
        rules=tuple(Rule(name, *judged) for name, judged in sorted(seen.judged.items())),
        resources=dict(seen.resources),
        seconds=seconds,
    )


# Drift


def _drift(changes: Sequence[Change], told: Sequence[Told], file: StackFile) -> Iterator[DriftFinding]:
    """What the program told, and every change besides of which it told nothing."""
    explained = set()
    for item in told:
        for drift in item.drift:
            explained.add(item.resource)
            type_, name = _type_and_name(item.resource)
            yield DriftFinding(
                drift.kind.value,
                drift.subject,
                drift.was,
                drift.wants,
                drift.why,
                drift.since,
                drift.remedy,
                item.resource,
                file.of_resource(type_, name, drift.kind, drift.subject),
            )
    yield from (_changed(change, file) for change in _unexplained_changes(changes, explained))


def _unexplained_changes(changes: Sequence[Change], explained: set[str]) -> Iterator[Change]:
    """Changes that are a difference of their own, and of which nothing was told."""
    moving = [change for change in changes if change.custom]
    for change in changes:
        # A component holds others and is nothing on Fly: it counts where it alone has changed.
        if change.urn in explained or (moving and not change.custom):
            continue
        # It only waits for another that changes.
        if change.waiting and change.waiting == set(change.fields) and len(moving) > 1:
            continue
        yield change


def _changed(change: Change, file: StackFile) -> DriftFinding:
    type_, name = _type_and_name(change.urn)
    was, remedy = {
        "create": ("not in the state yet", "creates it, or takes over what is on Fly"),
        "delete": ("in the state, not declared any more", "removes it from the state"),
        "replace": ("to be replaced", "replaces it"),
    }.get(change.op, ("declared otherwise than at the last up", "records it"))
    fields = f"changed: {listed(change.fields)}" if change.fields else ""
    place = file.of_resource(type_, name)
    return DriftFinding(
        CHANGED, f"{short_type(type_)} {name}", was, "", fields, None, remedy, change.urn, place
    )


def _plan(changes: Sequence[Change], told: Sequence[Told]) -> tuple[Step, ...]:
    notes: dict[str, list[str]] = {}
    for item in told:
        notes.setdefault(item.resource, []).extend(item.notes)
    steps = []
    for change in changes:
        type_, name = _type_and_name(change.urn)
        said = tuple(notes.get(change.urn, ()))
        steps.append(Step(change.urn, short_type(type_), name, change.op, change.fields, said))
    return tuple(steps)


def _type_and_name(urn: str) -> tuple[str, str]:
    """`urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""
    *_, types, name = urn.split("::")
    return types.rpartition("$")[2], name


def short_type(type_: str) -> str:
    """`fly:Secrets` of `pulumi-python:dynamic/fly:Secrets`."""
    return type_.rpartition("/")[2]


# What rules said


def _cannot_be_judged(violation: Violation) -> bool:
    return CANNOT_RUN in violation.message or violation.rule.startswith(SAYS_UNKNOWN)


def _finding(violation: Violation, file: StackFile) -> PolicyFinding:
    type_, name = _type_and_name(violation.urn) if violation.urn else ("", "")
    if violation.message.startswith(CANNOT_RUN):
        title, text = "", violation.message
    else:
        title, _, text = violation.message.partition("\n")
    message, labels = _labels(text.strip() or title)
    if but := labels.get("but"):
        message = f"{message}; {but}"
    key = _NAMED.search(labels.get("where", ""))
    place = file.of_key(key[0]) if key else file.of_resource(type_, name)
    return PolicyFinding(
        rule=violation.rule,
        title=title,
        # What is neither off nor advice is not to be passed, whatever it is called.
        enforcement=violation.enforcement or "mandatory",
        severity=violation.severity,
        subject=labels.get("subject") or (_subject(key[0]) if key else name),
        message=message,
        meaning=labels.get("means") or labels.get("why", ""),
        remedy=labels.get("next", ""),
        docs=labels.get("docs") or rule_page(violation.rule),
        resource=violation.urn,
        place=place,
    )


def _subject(key: str) -> str:
    """What a key is about: the group of `hotdash:processGroups.web.memoryMb`, the secret of `hotdash:secrets.NAME`."""
    first, *rest = key.removeprefix(f"{NAMESPACE}:").split(".")
    return rest[0] if rest and first in _NAMING else ".".join((first, *rest))


def _labels(text: str) -> tuple[str, dict[str, str]]:
    """A message of ours, with its labelled lines taken out: see `HotdashError.__str__`."""
    said: list[str] = []
    labels: dict[str, str] = {}
    for line in text.splitlines():
        if match := _LABELLED.match(line):
            labels[match[1]] = f"{labels[match[1]]} {match[2]}" if match[1] in labels else match[2].strip()
        else:
            said.append(line.rstrip())
    return "\n".join(said).strip(), labels


def _nothing_judged(seen: Seen, pack: str) -> Iterator[Problem]:
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


# What went wrong


def _problems(seen: Seen, ended: Ended) -> Iterator[Problem]:
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
        yield _unexplained(ended, strays=seen.strays)


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
    message, labels = _labels(text)
    code = labels.get("code", "")
    if (match := _CODED.match(message)) and (not code or match[1] == code):
        code, message = match[1], message[match.end() :]
    return Problem(
        code or "engine",
        _bounded(message),
        where=labels.get("where", ""),
        meaning=labels.get("means", ""),
        remedy=labels.get("next", ""),
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


def _unexplained(ended: Ended, strays: Iterable[str] = ()) -> Problem:
    said = shown(" ".join([ended.stderr, *list(strays)[:5]]), _LONGEST)
    return Problem(
        "engine",
        f"the engine ended with exit code {ended.code}, and its events do not tell why",
        meaning=f"it said: {said}" if said else "it said nothing",
        remedy="run `pulumi preview` by hand, in the same environment",
    )


def _bounded(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
