"""SECRET_KEY_BASE by its shape."""

import hashlib

import pytest

from hotdash.preflight import Verdict
from tests.hotdash.preflight.trying import outcome

GOOD = hashlib.sha512(b"a test").hexdigest()


@pytest.mark.parametrize(
    ("value", "code", "warned"),
    [
        (GOOD, "proved", 0),
        (GOOD[:64], "proved", 0),
        (GOOD[:48], "proved", 1),
        (GOOD[:60] + "+/==", "proved", 1),
        (GOOD[:29], "too-short", 0),
        ("x", "too-short", 0),
        (GOOD[:60] + " " + GOOD[60:], "malformed", 0),
        ("a" * 128, "guessable", 0),
        ("changeme" * 16, "guessable", 0),
    ],
)
def test_its_shape(value: str, code: str, warned: int) -> None:
    found = outcome({"SECRET_KEY_BASE": value})
    assert found.code == code, found
    assert found.verdict is (Verdict.PROVED if code == "proved" else Verdict.REFUSED)
    assert len(found.warnings) == warned
    assert len(value) < 5 or value not in str(found)
