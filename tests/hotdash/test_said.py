"""Words of others before they are shown: one short line, without markup and without what opens a door."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.said import LONGEST, shown

VALUE = "s3cr3t-Value"
words = st.text(st.characters(codec="utf-8", exclude_characters="@"), max_size=30)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("  two\n\twords ", "two words"),
        ("<h1>We're <b>sorry</b></h1><p>500", "We're sorry 500"),
        (
            f"could not connect to postgres://chatwoot:{VALUE}@db.example/x",
            "could not connect to postgres://…@db.example/x",
        ),
        (f"redis://:{VALUE}/with/slash@h:6379/0", "redis://…@h:6379/0"),
        (f"'postgres://u:{VALUE}@x@h'", "'postgres://…@h'"),
        (f'<a href="postgres://u:{VALUE}@h">here</a>', "here"),
        (f"host=h password={VALUE} user=u", "host=h password=… user=u"),
        (f'{{"PASSWORD": "{VALUE} two"}}', '{"PASSWORD": …}'),
        (
            'password authentication failed for user "chatwoot"',
            'password authentication failed for user "chatwoot"',
        ),
        ("a < b", "a"),
    ],
)
def test_what_is_left_of_an_answer(text: str, line: str) -> None:
    assert shown(text) == line
    assert VALUE not in shown(text)


@given(st.text(), st.integers(0, 300))
def test_it_is_one_line_of_no_more_than_its_length(text: str, limit: int) -> None:
    line = shown(text, limit)
    assert len(line) <= limit
    assert " ".join(line.split()) == line.rstrip()
    assert len(shown(text)) <= LONGEST


@given(words, words, st.sampled_from(["postgres", "redis", "https"]))
def test_no_credentials_of_a_url_are_left_wherever_it_stands(before: str, after: str, scheme: str) -> None:
    assert VALUE not in shown(f"{before} {scheme}://user:{VALUE}@host/{after}")


def test_a_cut_does_not_uncover_what_it_cuts_through() -> None:
    for length in range(19_960, 20_010):
        page = "<" * length + f"> postgres://user:{VALUE}@host/database tail"
        assert VALUE[:4] not in shown(page)


@pytest.mark.parametrize("text", ["://" * 500_000, "<" * 1_000_000, "password=" * 200_000, "x " * 500_000])
def test_a_huge_answer_takes_no_time(text: str) -> None:
    began = time.process_time()
    shown(text)
    assert time.process_time() - began < 1
