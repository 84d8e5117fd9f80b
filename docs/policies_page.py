"""docs/policies.md: written by hand but for the table of rules, what each says of itself, and the message shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Final

from docs.tables import filled, table
from policies import telling
from policies.judging import judge
from policies.pack import NAME
from policies.reading import Reading
from policies.rules import BY_ID, RULES
from policies.rules.facts import Facts, Group
from policies.rules.rule import Rule, Setting
from policies.terms import Terms

SHOWN: Final = Group("worker", 1, "shared", 1, 512)
"""As it was when the worker was killed for want of memory."""


def page(there: str) -> str:
    """The page with what the rules say. Raises Undocumented."""
    return filled(
        there,
        {
            "rules": table(
                ("Rule", "Enforcement", "Severity", "What holds"),
                (
                    (f"`{rule.id}`", rule.enforcement, rule.severity, f"[{_cell(rule.title)}](#{rule.id})")
                    for rule in RULES
                ),
            ),
            "message": _message(),
            "each": "\n".join(_section(rule) for rule in RULES),
        },
    )


def _section(rule: Rule) -> str:
    return "\n".join(_lines(rule))


def _lines(rule: Rule) -> Iterator[str]:
    yield f"### `{rule.id}`\n"
    yield f"{_text(rule.title)}. **{rule.enforcement.capitalize()}, {rule.severity}.**\n"
    yield f"- **Why:** {_text(rule.why)}."
    yield f"- **Mend:** {_text(rule.mend)}."
    if rule.looks_at_fly:
        yield "- **Looks at Fly:** not judged while an update of that resource is planned."
    if rule.settings:
        yield ""
        yield table(
            ("Setting", "Default", "Means"),
            ((f"`{name}`", f"`{_value(s.default)}`", _cell(s.means)) for name, s in rule.settings.items()),
        )
        yield f"```yaml\n{_setting(rule)}\n```"
    yield ""
    yield f"An exception's `subject` is {_text(rule.subjects)}:\n"
    yield f"```yaml\n{_exception(rule)}\n```\n"


def _setting(rule: Rule) -> str:
    lines = ["hotdash:policies:", f"  {rule.id}:"]
    lines += [f"    {name}: {_example(setting)}" for name, setting in rule.settings.items()]
    lines.append("    reason: why it is so, for whoever reads it next")
    return "\n".join(lines)


def _exception(rule: Rule) -> str:
    return "\n".join(
        [
            "hotdash:exceptions:",
            f"  - rule: {rule.id}",
            f"    subject: {rule.example}",
            "    reason: why it may be so, and what will end it",
            "    until: 2026-12-31",
        ]
    )


def _example(setting: Setting) -> str:
    return json.dumps(setting.example, ensure_ascii=False)


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _message() -> str:
    rule = BY_ID["memory-floor"]
    [found] = judge([rule], Reading(Facts(groups=(SHOWN,))), Terms(), date.min).violations
    told = telling.violation(found, "production").splitlines()
    head = (
        f"- [{rule.enforcement}] [severity: {rule.severity}]  {rule.id}  "
        f"(hotdash:chatwoot:ChatwootOnFly: {NAME})"
    )
    lines = [head, *(f"  {line}" for line in (rule.title, *told))]
    return "\n".join(["```", *lines, "```", ""])


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    return (
        text.replace("<", "&lt;")
        .replace("POSTGRES_*", "POSTGRES_\\*")
        .replace("ENCRYPTION_*", "ENCRYPTION_\\*")
    )
