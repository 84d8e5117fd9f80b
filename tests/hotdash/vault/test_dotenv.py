"""One value changed in a text: read back as it was given, and everything else byte for byte as it was."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hotdash.vault import dotenv

keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
anything = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]))
# What quoting, comments and escapes are made of, so that their meetings are tried.
awkward = st.text(st.sampled_from("'\"\\#= \t\n\r$ab"), max_size=12)
values = anything | awkward


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line as people, editors and this program write it."""
    key = draw(keys)
    value = draw(values.filter(lambda v: "\r" not in v))
    bare = (
        draw(st.text(string.ascii_letters + string.digits + "/:@#$'\"\\ ", max_size=8)).strip().lstrip("'\"")
    )
    return draw(
        st.sampled_from(
            [
                "",
                "   ",
                f"# {bare}",
                f"{key}={bare}",
                f"export {key} = {bare} # said once",
                f"{key}={quoted(value)}",
                f"{key}={quoted(value)}  # {bare}",
                f'{key}="a\\n{key}"',
                f"{key}=",
                f"{key}= # nothing yet",
                f"'{key}'={bare}",
            ]
        )
    )


@st.composite
def texts(draw: st.DrawFn) -> str:
    end_of_line = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text = end_of_line.join(draw(st.lists(lines(), max_size=6)))
    last = draw(st.sampled_from([end_of_line, end_of_line, ""]))
    text = draw(st.sampled_from(["", "", "\ufeff"])) + text + (last if text else "")
    try:
        dotenv.parse(text)
    except dotenv.Malformed:
        assume(False)
    return text


@given(texts(), keys, values)
def test_what_is_written_is_read_back_and_the_rest_as_before(text: str, key: str, value: str) -> None:
    changed = dotenv.with_value(text, key, value)
    assert dotenv.parse(changed) == {**dotenv.parse(text), key: value}


@given(texts(), keys, values)
def test_a_new_key_is_a_line_at_the_end(text: str, key: str, value: str) -> None:
    assume(key not in dotenv.parse(text))
    added = dotenv.with_value(text, key, value).removeprefix(text)
    # Behind a line break, where the last line had none.
    assert added.lstrip("\r\n").startswith(f"{key}=")
    assert added.endswith("\n")


@given(
    texts(),
    st.sampled_from(["", "export ", "\n  "]),
    keys,
    st.sampled_from(["=", " = ", "=  "]),
    st.sampled_from(["old", "'old'", '"o\nld"', "'o\\'ld'", "o#ld", "''", "'\\\\'"]),
    st.sampled_from(["", "  ", " # said once", '   # it\'s "said" once']),
    texts(),
    values,
)
def test_what_stands_around_a_value_stays_byte_for_byte(
    above: str, before: str, key: str, equals: str, old: str, behind: str, below: str, value: str
) -> None:
    below = below.removeprefix("\ufeff")
    assume(key not in dotenv.parse(below))
    assume(not above or above.endswith("\n"))
    changed = dotenv.with_value(f"{above}{before}{key}{equals}{old}{behind}\n{below}", key, value)
    assert changed.startswith(f"{above}{before}{key}{equals}")
    assert changed.endswith(f"{behind}\n{below}")
    assert dotenv.parse(changed)[key] == value


@given(texts(), keys, st.sampled_from(["0ld", "it's 0ld", '"0ld"\n\\', "0ld\r"]), values)
def test_a_second_change_leaves_no_trace_of_the_first(text: str, key: str, first: str, second: str) -> None:
    assume("0ld" not in text + second)
    twice = dotenv.with_value(dotenv.with_value(text, key, first), key, second)
    assert dotenv.parse(twice) == {**dotenv.parse(text), key: second}
    assert "0ld" not in twice


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("", "new", "K=new\n"),
        ("# head\n\nA=1\n", "new", "# head\n\nA=1\nK=new\n"),
        ("A=1", "new", "A=1\nK=new\n"),
        ("A=1\r\n", "new", "A=1\r\nK=new\r\n"),
        ("K=old\nA=1\n", "new", "K=new\nA=1\n"),
        ("\n# why\nK=old # said once\nA=1\n", "new", "\n# why\nK=new # said once\nA=1\n"),
        ("K=old # said once\n", "a b", "K='a b' # said once\n"),
        ("K='old'# close\n", "new", "K=new # close\n"),
        ("K= # nothing yet\n", "new", "K= new # nothing yet\n"),
        ("K=\n", "new", "K=new\n"),
        ("export K = 'o\\'ld'\n", "it's", "export K = 'it\\'s'\n"),
        ('K="a\nb"  # two lines\nA=1\n', "one", "K=one  # two lines\nA=1\n"),
        ("K=first\nK=last\n", "new", "K=first\nK=new\n"),
        ("\ufeffK=old\n", "new", "\ufeffK=new\n"),
        ("K=a#b\n", "c", "K=c\n"),
        ("K=old   \nA=1\n", "new", "K=new   \nA=1\n"),
        ("", "pa$$w0rd", "K='pa$$w0rd'\n"),
        ("", "a\r\nb", 'K="a\\r\nb"\n'),
        ("", "ends in \\", "K='ends in \\\\'\n"),
    ],
)
def test_a_line_keeps_its_shape(before: str, value: str, after: str) -> None:
    assert dotenv.with_value(before, "K", value) == after


def test_a_text_that_is_no_dotenv_is_not_touched() -> None:
    with pytest.raises(dotenv.Malformed) as refused:
        dotenv.with_value("A=1\n\nnot a line\n", "K", "new")
    assert refused.value.line == 3
    assert "not a line" not in str(refused.value)
