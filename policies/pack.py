"""The rules as the engine takes them.

What is declared is judged where the component is registered: before anything below it is touched, in an `up` too. What
is seen on Fly the engine shows once everything is planned; in an `up`, once everything is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy import Severity as PulumiSeverity
from pulumi_policy.proxy import UnknownValueError

from hotdash.stack import refusals
from policies import telling
from policies.judging import judge, notes
from policies.reading import COMPONENT, UNKNOWN, Reading, ResourceShown, declared, seen
from policies.rules import RULES
from policies.rules.rule import Enforcement, Rule, Severity
from policies.terms import Terms, terms_of

NAME: Final = "hotdash-chatwoot"
DESCRIPTION: Final = (
    "Chatwoot on Fly.io as declared here: the mistakes behind outages, refused before they are applied"
)
UNKNOWN_ID: Final = "policy-unknown"
UNKNOWN_STATE_ID: Final = "policy-unknown-state"
CONFIG_ID: Final = "policy-config"
NOTES_ID: Final = "policy-notes"
Clock = Callable[[], date]


def policies(rules: Iterable[Rule] = RULES, *, clock: Clock = refusals.today) -> list[Policy]:
    """The pack's policies: one for each rule, and those that tell what could not be judged."""
    listed = tuple(rules)
    before = tuple(rule for rule in listed if not rule.looks_at_fly)
    behind = tuple(rule for rule in listed if rule.looks_at_fly)
    return [
        *(_of_component(rule, clock) for rule in before),
        *(_of_stack(rule, clock) for rule in behind),
        ResourceValidationPolicy(
            UNKNOWN_ID,
            "A rule could not read what it looks at",
            lambda args, report: _report_unjudged(args, report, before, clock),
            enforcement_level=EnforcementLevel.MANDATORY,
            severity=PulumiSeverity.CRITICAL,
        ),
        StackValidationPolicy(
            UNKNOWN_STATE_ID,
            "A rule could not read what it looks at in the state",
            lambda args, report: _report_unjudged_state(args, report, behind, clock),
            enforcement_level=EnforcementLevel.MANDATORY,
            severity=PulumiSeverity.CRITICAL,
        ),
        ResourceValidationPolicy(
            CONFIG_ID,
            "What the stack file says to the policies is in order",
            _report_problems,
            enforcement_level=EnforcementLevel.MANDATORY,
            severity=PulumiSeverity.HIGH,
        ),
        StackValidationPolicy(
            NOTES_ID,
            "Exceptions, and rules that wait",
            lambda args, report: _report_notes(args, report, listed, clock),
            enforcement_level=EnforcementLevel.ADVISORY,
            severity=PulumiSeverity.LOW,
        ),
    ]


# Rules over what is declared


def _of_component(rule: Rule, clock: Clock) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type == COMPONENT:
            reading, terms = _declared(args.props)
            _report_config(rule, args.get_config(), report, None)
            for item in judge([rule], reading, terms, clock()).violations:
                report(telling.violation(item, reading.facts.stack), None)

    return ResourceValidationPolicy(validate=validate, **_metadata(rule))


def _report_unjudged(
    args: ResourceValidationArgs, report: ReportViolation, rules: tuple[Rule, ...], clock: Clock
) -> None:
    if args.resource_type == COMPONENT:
        for text in telling.unjudged(judge(rules, *_declared(args.props), clock()).unjudged):
            report(text, None)


def _report_problems(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == COMPONENT:
        reading, terms = _declared(args.props)
        for item in terms.problems:
            report(telling.problem(item, NAME, reading.facts.stack), None)


# Rules over what is seen on Fly


def _of_stack(rule: Rule, clock: Clock) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for urn, reading, terms in _components(args.resources):
            _report_config(rule, args.get_config(), report, urn)
            for item in judge([rule], reading, terms, clock()).violations:
                report(telling.violation(item, reading.facts.stack), urn)

    return StackValidationPolicy(validate=validate, **_metadata(rule))


def _report_unjudged_state(
    args: StackValidationArgs, report: ReportViolation, rules: tuple[Rule, ...], clock: Clock
) -> None:
    for urn, reading, terms in _components(args.resources):
        for text in telling.unjudged(judge(rules, reading, terms, clock()).unjudged):
            report(text, urn)


def _report_notes(
    args: StackValidationArgs, report: ReportViolation, rules: tuple[Rule, ...], clock: Clock
) -> None:
    for urn, reading, terms in _components(args.resources):
        judgement = judge(rules, reading, terms, clock())
        told = [*notes(judgement, terms, clock()), telling.waiting(judgement)]
        if lines := [text for text in told if text]:
            report("\n".join(lines), urn)


def _report_config(rule: Rule, given: Mapping[str, Any], report: ReportViolation, urn: str | None) -> None:
    if given:
        report(telling.pulumi_config(rule, NAME), urn)


# From the engine's values to plain ones


def _declared(properties: Mapping[str, Any]) -> tuple[Reading, Terms]:
    plain = _plain(properties)
    return declared(plain), terms_of(plain)


def _components(resources: Iterable[PolicyResource]) -> Iterator[tuple[str, Reading, Terms]]:
    listed = tuple(resources)
    for component in listed:
        if component.resource_type == COMPONENT:
            below = [
                ResourceShown(r.resource_type, _plain(r.props))
                for r in listed
                if r.parent is not None and r.parent.urn == component.urn
            ]
            reading, terms = _declared(component.props)
            yield component.urn, seen(reading, below), terms


def _plain(value: Any) -> Any:
    """Without the SDK's proxies: those raise where a value is not known, and a rule that raises becomes advice."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, list | tuple) or (hasattr(value, "__getitem__") and not isinstance(value, str)):
        return [_item(value, number) for number in range(len(value))]
    return value


def _item(holder: Any, key: Any) -> Any:
    try:
        return _plain(holder[key])
    except UnknownValueError:
        return UNKNOWN


def _metadata(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.id,
        "description": rule.title,
        "enforcement_level": _LEVELS[rule.enforcement],
        "severity": _SEVERITIES[rule.severity],
        "remediation_steps": rule.mend,
        "url": rule.docs,
    }


_LEVELS: Final = {
    Enforcement.MANDATORY: EnforcementLevel.MANDATORY,
    Enforcement.ADVISORY: EnforcementLevel.ADVISORY,
}
_SEVERITIES: Final = {
    Severity.LOW: PulumiSeverity.LOW,
    Severity.MEDIUM: PulumiSeverity.MEDIUM,
    Severity.HIGH: PulumiSeverity.HIGH,
    Severity.CRITICAL: PulumiSeverity.CRITICAL,
}
