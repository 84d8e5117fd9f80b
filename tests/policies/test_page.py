"""docs/policies.md has a place for every rule, and its examples are what a stack file may say."""

import re
from typing import Any

import pytest
import yaml

from hotdash.stack.settings import load
from policies import pack
from policies.rules import BY_ID, RULES
from policies.rules.rule import PAGE
from policies.terms import Terms, terms_of
from tests.docs.pages import ROOT, anchors, bare, table

DOCUMENT = ROOT / PAGE
LEAST = {
    "app": {"name": "hotdash-chatwoot", "organization": "hotdash"},
    "fingerprintKey": "x" * 16,
    "secrets": {"DATABASE_URL": "a.env"},
    "processGroups": {"web": {"count": 1, "memoryMb": 2048}},
}


def examples(key: str) -> list[Any]:
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    found = [yaml.safe_load(block) for block in blocks]
    return [block[f"hotdash:{key}"] for block in found if f"hotdash:{key}" in block]


def as_shown(**values: Any) -> Terms:
    """An example through the checks of the stack file, and then through the pack's."""
    settings = load({**LEAST, **values}, file="docs/policies.md")
    exceptions = [{**item, "until": str(item["until"])} for item in values.get("exceptions", ())]
    assert len(settings.exceptions) == len(exceptions)
    return terms_of({"policies": dict(settings.policies), "exceptions": exceptions})


def test_every_message_leads_to_its_rule() -> None:
    assert {rule.docs.partition("#")[2] for rule in RULES} <= anchors(DOCUMENT)
    assert {"what-a-policy-cannot-see", "settings-of-rules", "exceptions"} <= anchors(DOCUMENT)


def test_the_policies_about_policies_are_told() -> None:
    told = {bare(row[0]): row[1] for row in table(DOCUMENT, "others")}
    others = {policy.name: policy.enforcement_level for policy in pack.policies() if policy.name not in BY_ID}
    assert told == {name: level.value for name, level in others.items() if level}


@pytest.mark.parametrize("example", examples("policies"), ids=lambda example: next(iter(example)))
def test_an_example_of_settings_is_taken(example: dict[str, Any]) -> None:
    terms = as_shown(policies=example)
    assert terms.problems == ()
    for name, given in terms.given.items():
        # The two of the sandbox's file aside, an example shows every setting, each otherwise than it is by itself.
        assert set(given) <= set(BY_ID[name].settings)
        assert all(BY_ID[name].defaults[key] != value for key, value in given.items())


@pytest.mark.parametrize("example", examples("exceptions"), ids=lambda example: example[0]["rule"])
def test_an_example_of_an_exception_is_taken(example: list[dict[str, Any]]) -> None:
    terms = as_shown(exceptions=example)
    assert terms.problems == ()
    assert len(terms.exceptions) == len(example) == 1


def test_there_is_an_example_for_each() -> None:
    assert {item[0]["rule"] for item in examples("exceptions")} == {*BY_ID}
    assert {name for item in examples("policies") for name in item} == {r.id for r in RULES if r.settings}
