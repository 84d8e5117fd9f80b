"""What rules said, as findings. The words of our own pack are taken apart; those of any other are taken as they are."""

from __future__ import annotations

import re
from typing import Final

from hotdash.gate.events import CANNOT_RUN, Violation
from hotdash.gate.labelled import labels
from hotdash.gate.places import StackFile
from hotdash.gate.report import PolicyFinding, rule_page
from hotdash.gate.urns import type_and_name
from hotdash.stack.checking import NAMESPACE

SAYS_UNKNOWN: Final = "policy-unknown"
"""So begins the name of a rule by which the pack itself says that something could not be judged."""
_NAMED: Final = re.compile(rf"\b{NAMESPACE}:[A-Za-z]+(?:\.[A-Za-z0-9_-]+|\[\d+\])*")
_NAMING: Final = frozenset({"processGroups", "secrets", "forbiddenDatabases", "policies"})
"""Keys of the stack file that hold things by name."""


def cannot_be_judged(violation: Violation) -> bool:
    return CANNOT_RUN in violation.message or violation.rule.startswith(SAYS_UNKNOWN)


def finding(violation: Violation, file: StackFile) -> PolicyFinding:
    type_, name = type_and_name(violation.urn) if violation.urn else ("", "")
    if violation.message.startswith(CANNOT_RUN):
        title, text = "", violation.message
    else:
        title, _, text = violation.message.partition("\n")
    message, said = labels(text.strip() or title)
    if but := said.get("but"):
        message = f"{message}; {but}"
    key = _NAMED.search(said.get("where", ""))
    place = file.of_key(key[0]) if key else file.of_resource(type_, name)
    return PolicyFinding(
        rule=violation.rule,
        title=title,
        # What is neither off nor advice is not to be passed, whatever it is called.
        enforcement=violation.enforcement or "mandatory",
        severity=violation.severity,
        subject=said.get("subject") or (_subject(key[0]) if key else name),
        message=message,
        meaning=said.get("means") or said.get("why", ""),
        remedy=said.get("next", ""),
        docs=said.get("docs") or rule_page(violation.rule),
        resource=violation.urn,
        place=place,
    )


def _subject(key: str) -> str:
    """What a key is about: the group of `hotdash:processGroups.web.memoryMb`, the secret of `hotdash:secrets.NAME`."""
    first, *rest = key.removeprefix(f"{NAMESPACE}:").split(".")
    return rest[0] if rest and first in _NAMING else ".".join((first, *rest))
