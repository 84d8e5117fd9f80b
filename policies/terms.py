"""What the stack file says to the rules: how each is set, and what is excepted. Whatever is wrong with that is told by
name of rule and key, and counts for nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hotdash.stack.policy import PolicyException, day
from policies.reading import UNKNOWN
from policies.rules import BY_ID
from policies.rules.rule import Config, Rule

REASON: Final = "reason"


@dataclass(frozen=True)
class Problem:
    """Something wrong in hotdash:policies or hotdash:exceptions: the key, what it is, and the mend."""

    where: str
    found: str
    mend: str


@dataclass(frozen=True)
class Terms:
    """`given`: what is set of each rule, checked; `exceptions`: of rules that there are."""

    given: Mapping[str, Config] = field(default_factory=dict)
    exceptions: tuple[PolicyException, ...] = ()
    problems: tuple[Problem, ...] = ()

    def config(self, rule: Rule) -> Config:
        return {**rule.defaults, **self.given.get(rule.id, {})}


def terms_of(properties: Mapping[str, Any], rules: Mapping[str, Rule] = BY_ID) -> Terms:
    """From the component's properties. Never fails."""
    problems: list[Problem] = []
    given: dict[str, Config] = {}
    for name, config in _section(properties, "policies", Mapping, {}, problems).items():
        wrong = list(_config_problems(str(name), config, rules))
        problems += wrong
        if not wrong:
            given[str(name)] = {key: value for key, value in config.items() if key != REASON}
    exceptions: list[PolicyException] = []
    for number, item in enumerate(_section(properties, "exceptions", list, [], problems)):
        try:
            exceptions.append(_exception(item, f"hotdash:exceptions.{number}", rules))
        except _Wrong as wrong_one:
            problems.append(wrong_one.problem)
    return Terms(given, tuple(exceptions), tuple(problems))


class _Wrong(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.found)
        self.problem = problem


def _section(properties: Mapping[str, Any], key: str, kind: type, empty: Any, problems: list[Problem]) -> Any:
    value = properties.get(key)
    if isinstance(value, kind):
        return value
    if value is UNKNOWN:
        why = "is not known at preview"
    elif value is None:
        why = "is not shown: the state is of an earlier version, and `pulumi up` once writes it anew"
    else:
        why = f"is no {'mapping' if kind is Mapping else 'list'}"
    problems.append(
        Problem(f"hotdash:{key}", f"{key} {why}", "run `pulumi preview` with this version of the program")
    )
    return empty


def _config_problems(name: str, config: Any, rules: Mapping[str, Rule]) -> Iterator[Problem]:
    where = f"hotdash:policies.{name}"
    rule = rules.get(name)
    if rule is None:
        yield Problem(where, f"there is no rule {name}", _meant(name, rules))
        return
    if not isinstance(config, Mapping) or not isinstance(config.get(REASON), str):
        yield Problem(
            where, f"rule {name} is set without a reason", f"write a mapping, with {REASON} among it"
        )
        return
    for key, value in config.items():
        if key == REASON:
            continue
        setting = rule.settings.get(key)
        if setting is None:
            known = f"it has {', '.join(rule.settings)}" if rule.settings else "it has none"
            yield Problem(f"{where}.{key}", f"rule {name} has no setting {key}", f"take it out; {known}")
        elif not _fits(value, setting.schema):
            # What stands there is not repeated: nobody knows what it is.
            wanted = setting.schema["description"]
            yield Problem(
                f"{where}.{key}",
                f"rule {name}, setting {key}: must be {wanted}",
                "correct it, or take it out",
            )


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    from jsonschema import Draft202012Validator  # here: most stacks set nothing

    return value is not UNKNOWN and Draft202012Validator(schema).is_valid(value)


def _exception(item: Any, where: str, rules: Mapping[str, Rule]) -> PolicyException:
    if not isinstance(item, Mapping):
        raise _Wrong(Problem(where, "an exception is no mapping", "write rule, reason and until"))
    texts = {key: item.get(key, "") for key in ("rule", "subject", REASON, "until")}
    for key, text in texts.items():
        if not isinstance(text, str) or (key != "subject" and not text.strip()):
            raise _Wrong(
                Problem(f"{where}.{key}", f"an exception has no {key}", "write rule, reason and until")
            )
    if texts["rule"] not in rules:
        raise _Wrong(
            Problem(
                f"{where}.rule",
                f"there is no rule {texts['rule']} to except from",
                _meant(texts["rule"], rules),
            )
        )
    try:
        until = day(texts["until"])
    except ValueError:
        found = f"the exception from {texts['rule']} ends on no day"
        raise _Wrong(Problem(f"{where}.until", found, "write a day, such as 2026-12-31")) from None
    return PolicyException(texts["rule"], texts["subject"], texts[REASON], until)


def _meant(name: str, rules: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(rules), 1)
    return f"did you mean {close[0]}?" if close else "docs/policies.md lists the rules"
