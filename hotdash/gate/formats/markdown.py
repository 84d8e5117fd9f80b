"""Markdown, as GitHub and GitLab show it: for a step's summary, a comment on a pull request, an issue.

Short enough to be read where it stands, and for GitHub's limit of 65536 characters. What others have written (subjects,
images, what a check answered) cannot become markup, a mention or a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar
from urllib.parse import quote

from hotdash.drift import shown_time
from hotdash.gate.formats import Links
from hotdash.gate.formats.fitting import line, lines
from hotdash.gate.report import DriftFinding, Place, PolicyFinding, Problem, Report, Step, counted, listed

MOST: Final = 60_000
"""Characters. GitHub refuses a comment or an issue of more than 65536."""
OPEN: Final = 12
"""Rows of a table that are shown at once; what follows is behind a fold."""
ROWS: Final = 100
"""Rows of a table that are shown at all."""
CELL: Final = 400
"""Characters of one cell."""
_MARKUP: Final = re.compile(r"([\\`*_\[\]|~$])")
T = TypeVar("T")


def mark(stack: str) -> str:
    """The first line, by which a workflow finds what it wrote before."""
    return f"<!-- hotdash gate {re.sub(r'[^A-Za-z0-9_./-]', '', stack)} -->"


def render(report: Report, links: Links) -> str:
    parts = [
        mark(report.stack),
        f"### hotdash gate: {code(report.stack)}: {report.verdict}",
        _opening(report),
        *(_problem(problem) for problem in report.errors),
        *_tables(report, links),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    return text if len(text) <= MOST else _short(text)


def _short(text: str) -> str:
    """The text as far as it may reach, with every fold closed."""
    cut = text[:MOST].rpartition("\n")[0]
    rows = cut.split("\n")
    folds = sum(item.startswith("<details>") for item in rows) - rows.count("</details>")
    return f"{cut}\n{'</details>' * folds}\n\nCut here: the report's other forms have the rest.\n"


def _opening(report: Report) -> str:
    judged = f" {counted(len(report.rules), 'rule')} of {plain(report.pack)} judged." if report.rules else ""
    return f"{plain(sentence(report.because))}.{judged} Exit code {report.exit_code}."


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _problem(problem: Problem) -> str:
    # Indented, so that no line of it is markup.
    quoted = "\n".join(f"    {item}" for item in lines(str(problem)))
    return f"**Could not run**\n\n{quoted}"


def _tables(report: Report, links: Links) -> Iterator[str]:
    counts = {
        "mandatory": report.mandatory,
        "could not be judged": report.unknown,
        "advisory": report.advisory,
    }
    for title, found in counts.items():
        if found:
            yield _table(
                f"Policy: {counted(len(found), 'finding')}, {title}",
                ("Rule", "On", "Found", "Next"),
                found,
                lambda item: _finding_row(item, links),
            )
    if report.drift:
        yield _table(
            f"Drift: {counted(len(report.drift), 'difference')}",
            ("On", "Kind", "Is", "Declared", "Since", "`pulumi up`"),
            report.drift,
            lambda item: _drift_row(item, links),
        )
    if report.plan:
        body = _rows(("Resource", "What", "Changes"), report.plan, _step_row)
        yield _fold(f"Plan: {counted(len(report.plan), 'resource')} would change", body)


def _finding_row(item: PolicyFinding, links: Links) -> Sequence[str]:
    rule = f"[{code(item.rule)}]({links.to(item.docs)})" if links.base else code(item.rule)
    severity = f" {plain(item.severity)}" if item.severity else ""
    why = f"<br>{plain(item.meaning)}" if item.meaning else ""
    return (
        f"{rule}{severity}",
        f"{code(item.subject)}<br>{_place(item.place, links)}",
        f"{plain(item.message)}{why}",
        plain(item.remedy),
    )


def _drift_row(item: DriftFinding, links: Links) -> Sequence[str]:
    since = shown_time(item.since) if item.since else ""
    why = f"<br>{plain(item.why)}" if item.why else ""
    return (
        f"{code(item.subject)}<br>{_place(item.place, links)}",
        code(item.kind),
        f"{plain(item.was)}{why}",
        plain(item.wants),
        since,
        plain(item.remedy),
    )


def _step_row(step: Step) -> Sequence[str]:
    fields = plain(listed(step.fields))
    notes = "".join(f"<br>{plain(note)}" for note in step.notes)
    return f"{code(f'{step.type} {step.name}')}", plain(step.op), f"{fields}{notes}"


def _place(place: Place, links: Links) -> str:
    if not links.base or place.file.startswith("/"):
        return code(str(place))
    return f"[{code(str(place))}]({links.to(quote(place.file))}#L{place.line})"


def _table(title: str, head: Sequence[str], items: Sequence[T], row: Callable[[T], Sequence[str]]) -> str:
    parts = [f"**{title}**", _rows(head, items[:OPEN], row)]
    if rest := items[OPEN:]:
        parts.append(_fold(f"{len(rest)} more", _rows(head, rest, row)))
    return "\n\n".join(parts)


def _rows(head: Sequence[str], items: Sequence[T], row: Callable[[T], Sequence[str]]) -> str:
    rows = [_row(head), _row(["---"] * len(head)), *(_row(row(item)) for item in items[:ROWS])]
    if (more := len(items) - ROWS) > 0:
        rows.append(_row([f"{more} more", *[""] * (len(head) - 1)]))
    return "\n".join(rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fold(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def plain(text: str) -> str:
    """Text that stays text, in one line."""
    whole = _cut(line(text))
    escaped = _MARKUP.sub(r"\\\1", whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    # An @ with a comment behind it mentions nobody; a broken scheme links nowhere.
    return escaped.replace("@", "@<!-- -->").replace("://", ":<!-- -->//").replace("www.", "www<!-- -->.")


def code(text: str) -> str:
    """Text as code. A table's cell ends at a pipe even in code, and a backtick would end the code."""
    whole = _cut(line(text)).replace("|", "¦").replace("`", "'")
    return f"`{whole}`" if whole else ""


def _cut(text: str) -> str:
    return text if len(text) <= CELL else f"{text[:CELL]}…"
