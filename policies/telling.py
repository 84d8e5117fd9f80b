"""Messages for whoever reads a preview: what was found, where, what comes of it, what to do, where it is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from policies.judging import Judgement, Unjudged, Violation
from policies.rules.rule import PAGE, Rule
from policies.terms import Problem


def violation(item: Violation, stack: str) -> str:
    """Several lines, the first of them what was found."""
    rule, finding = item.rule, item.finding
    return _lines(
        finding.found,
        where=_in_file(finding.where, stack),
        means=rule.why,
        next=finding.mend or rule.mend,
        but=f"its exception ended on {item.expired.until} ({item.expired.reason})" if item.expired else "",
        subject=finding.subject,  # as an exception would name it
        docs=rule.docs,
    )


def unjudged(items: Iterable[Unjudged]) -> Iterator[str]:
    """One message for each thing that could not be read, with all rules that needed it."""
    rules: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    for item in items:
        rules[item.why, item.mend].append(item.rule)
    for (why, mend), asked in rules.items():
        yield _lines(
            f"{', '.join(rule.id for rule in asked)}: {why}",
            means="nobody can tell whether what is declared is right, so it counts as wrong",
            next=mend
            or "run `pulumi preview` with the program of this version; if it stays so, the program and the pack do "
            "not fit together",
            docs=f"{PAGE}#what-a-policy-cannot-see",
        )


def problem(item: Problem, pack: str, stack: str) -> str:
    return _lines(
        f"pack {pack}: {item.found}",
        where=_in_file(item.where, stack),
        means="it counts for nothing: the rule is as strict as without it",
        next=item.mend,
        docs=f"{PAGE}#settings-of-rules" if "policies" in item.where else f"{PAGE}#exceptions",
    )


def pulumi_config(rule: Rule, pack: str) -> str:
    """The rule was given settings by Pulumi's own file."""
    return _lines(
        f"pack {pack}: rule {rule.id} was given settings by --policy-pack-config, which are not read",
        means="they would hold for this command alone, and nobody would review them",
        next=f"write them into the stack file, under hotdash:policies.{rule.id}",
        docs=f"{PAGE}#settings-of-rules",
    )


def waiting(judgement: Judgement) -> str:
    """A line on the rules that could not be asked yet; empty where there are none."""
    if not judgement.waiting:
        return ""
    names = ", ".join(rule.id for rule in judgement.waiting)
    return f"not judged while an update is planned: {names} (a preview without changes and `pulumi policy analyze` do)"


def _in_file(where: str, stack: str) -> str:
    return f"stacks/Pulumi.{stack}.yaml, {where}" if stack and where.startswith("hotdash:") else where


def _lines(found: str, **parts: str) -> str:
    labelled: Mapping[str, str] = parts
    return "\n".join([found, *(f"  {label:<7} {text}" for label, text in labelled.items() if text)])
