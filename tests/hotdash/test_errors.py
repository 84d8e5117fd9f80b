"""The tree of errors: documented, told apart by code, and the same on the other side of a process border."""

import pickle
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash import errors
from hotdash.errors import FlyError, HotdashError, TokenRefused


def tree(kind: type[HotdashError] = HotdashError, depth: int = 0) -> Iterator[tuple[int, type[HotdashError]]]:
    yield depth, kind
    for child in (c for c in kind.__subclasses__() if c.__module__ == errors.__name__):
        yield from tree(child, depth + 1)


KINDS = [kind for _, kind in tree()]
texts = st.text(max_size=20)


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    lines = (errors.__doc__ or "").splitlines()
    drawing = lines[lines.index("HotdashError") :]
    drawn = []
    for line in drawing[: drawing.index("")]:
        head = line.lstrip("│├└─ ")
        drawn.append(((len(line) - len(head)) // 4, head.split()[0]))
    assert drawn == [(depth, kind.__name__) for depth, kind in tree()]


def test_no_two_errors_have_one_code() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)


def test_codes_do_not_change() -> None:
    assert {kind.__name__: kind.code for kind in KINDS} == {
        "HotdashError": "error",
        "SettingsError": "settings",
        "VaultError": "vault",
        "VaultChanged": "vault-changed",
        "PreflightRefused": "preflight-refused",
        "WrongDatabase": "wrong-database",
        "FlyError": "fly",
        "TokenMissing": "fly-token-missing",
        "TokenRefused": "fly-token-refused",
        "Forbidden": "fly-forbidden",
        "NotFound": "fly-not-found",
        "Conflict": "fly-conflict",
        "LeaseHeld": "fly-lease-held",
        "RateLimited": "fly-rate-limited",
        "Unreachable": "fly-unreachable",
        "RolloutFailed": "rollout-failed",
        "MigrationFailed": "migration-failed",
        "MigrationLocked": "migration-locked",
        "ReadinessFailed": "not-ready",
    }


@pytest.mark.parametrize("kind", KINDS)
@given(texts, texts, texts, texts, st.none() | st.integers(100, 599), texts)
def test_an_error_is_the_same_after_a_journey(
    kind: type[HotdashError],
    summary: str,
    where: str,
    meaning: str,
    remedy: str,
    status: int | None,
    request: str,
) -> None:
    about = {"where": where, "meaning": meaning, "remedy": remedy}
    error = (
        kind(summary, **about, status=status, request_id=request)
        if issubclass(kind, FlyError)
        else kind(summary, **about)
    )
    error.meaning += " and more"  # as those do who catch it and know more
    error.add_note("a note")
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is kind
    assert vars(arrived) == vars(error)
    assert (str(arrived), arrived.args) == (str(error), error.args)


def test_it_reads_as_four_lines_and_leaves_out_what_is_not_known() -> None:
    error = TokenRefused(
        "Fly answered 401", where="app a", meaning="it is wrong", remedy="make one", request_id="01R"
    )
    assert str(error) == (
        "Fly answered 401\n"
        "  where  app a, request 01R\n"
        "  means  it is wrong\n"
        "  next   make one\n"
        "  code   fly-token-refused"
    )
    assert str(HotdashError("it broke")) == "it broke\n  code   error"
    assert FlyError("x", request_id="01R").where == "request 01R"
