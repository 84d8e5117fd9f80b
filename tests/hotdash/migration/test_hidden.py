"""What of a secret is in nothing that a task says."""

from __future__ import annotations

import json

import pytest

from hotdash.migration.assembling import hidden_values
from hotdash.migration.following import fit
from hotdash.stack.settings import SecretSource
from hotdash.vault import Reference

KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----\n"


def shown(name: str, value: str, said: str) -> str:
    hidden = hidden_values({name: value}, {name: SecretSource(Reference.parse(f"a.env#{name}"))})
    return "\n".join(fit(line, hidden) for line in said.splitlines())


@pytest.mark.parametrize("said", [KEY, repr(KEY), json.dumps(KEY), f"ENV: {KEY.strip()}"])
def test_no_line_of_a_key_is_shown(said: str) -> None:
    text = shown("VAPID_PRIVATE_KEY", KEY, said)
    assert "MIGHAgEAMBMGByqGSM49" not in text
    assert "AgEGCCqGSM49AwEHBG0w" not in text


@pytest.mark.parametrize(
    "url", ["redis://:r3d1sp%40ss@h:6379/0", "rediss://default:r3d1sp%40ss@h", "postgres://u:r3d1sp%40ss@h/d"]
)
@pytest.mark.parametrize("said", ["r3d1sp%40ss", "r3d1sp@ss"])
def test_the_password_of_any_url_is_hidden_in_either_form(url: str, said: str) -> None:
    assert said not in shown("A_URL", url, f"could not log in with {said} to h")


def test_short_lines_of_a_value_hide_nothing_else() -> None:
    assert shown("SETTINGS", '{\n"a": 1\n}', "{ a table }") == "{ a table }"
