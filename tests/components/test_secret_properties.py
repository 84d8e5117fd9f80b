"""Secrets as lines of text: what was written is read, and what `ignore_changes` has put there is told apart."""

from hypothesis import given
from hypothesis import strategies as st

from components.secret_properties import (
    by_name,
    declared_secrets,
    declared_text,
    live_properties,
    live_secrets,
    recorded_properties,
    recorded_secrets,
)
from hotdash.drift import DeclaredSecret, RecordedSecret
from hotdash.dsn import PARTS
from hotdash.fly.model import Secret
from hotdash.stack.settings import SecretSource
from tests.hotdash.strategies import times
from tests.hotdash.vault.test_reading import references

names = st.from_regex(r"[A-Z_]{1,10}", fullmatch=True)
hexes = st.text("0123456789abcdef", min_size=16, max_size=16)
dates = st.none() | times
sources = st.builds(SecretSource, references, st.sampled_from(["", *PARTS]))


@given(st.dictionaries(names, st.tuples(sources, hexes)))
def test_what_is_declared(wanted: dict[str, tuple[SecretSource, str]]) -> None:
    texts = {name: declared_text(source, print_) for name, (source, print_) in wanted.items()}
    assert declared_secrets(texts) == {
        name: DeclaredSecret(name, str(source), print_) for name, (source, print_) in wanted.items()
    }
    for name, found in declared_secrets(texts).items():
        assert SecretSource.parse(found.source) == wanted[name][0]


def test_what_ignore_changes_has_put_in_its_place_is_not_declared() -> None:
    texts = {
        "A": "secret-changed-on-fly since 2026-08-01 12:00:00Z",
        "B": "secret-undeclared since an unknown time",
        "C": "occ/c.env#C 0123456789abcdef",
    }
    assert list(declared_secrets(texts)) == ["C"]


@given(
    st.dictionaries(names, st.builds(RecordedSecret, st.just("") | hexes, st.just("") | hexes, dates, dates))
)
def test_what_is_recorded(records: dict[str, RecordedSecret]) -> None:
    assert recorded_secrets(recorded_properties(records)) == records


def test_what_an_earlier_version_recorded_is_still_read() -> None:
    found = recorded_secrets({"A": "f1 d1 2026-08-01T12:00:00+00:00"})
    assert (found["A"].fingerprint, found["A"].digest, found["A"].dated) == ("f1", "d1", None)


@given(st.dictionaries(names, st.tuples(st.just("") | hexes, dates)))
def test_what_is_live(there: dict[str, tuple[str, object]]) -> None:
    secrets = by_name(Secret(name, digest, since) for name, (digest, since) in there.items())  # type: ignore[arg-type]
    assert live_secrets(live_properties(secrets)) == secrets
