"""The token: where it is found, which scheme it is sent under, and that it is shown nowhere."""

import pickle
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.errors import TokenMissing, TokenRefused, VaultError
from hotdash.fly.token import Token, find_token
from hotdash.vault import Reference, Vault

VALUE = "s3cr3t-Value"
letters = st.text(string.ascii_letters + string.digits + "+/=_-", min_size=1, max_size=20)
macaroons = st.builds("{}{}".format, st.sampled_from(["fm1r_", "fm1a_", "fm2_"]), letters)
others = st.builds("{}{}".format, st.sampled_from(["fo1_", "", "deploy-"]), letters).filter(
    lambda text: not text.startswith(("fm1r_", "fm1a_", "fm2_")) and text.lower() not in ("flyv1", "bearer")
)
schemes = st.sampled_from(["", "FlyV1 ", "Bearer ", "flyv1  ", "BEARER ", "Bearer FlyV1 "])


def joined(parts: list[str], scheme: str, gap: str) -> Token:
    return Token(f" {scheme}{f',{gap}'.join(parts)}\n", "a test")


@given(st.lists(macaroons, min_size=1, max_size=3), st.lists(others, max_size=2), schemes)
def test_macaroons_go_alone_under_their_own_scheme(
    wanted: list[str], besides: list[str], scheme: str
) -> None:
    token = joined([*besides, *wanted], scheme, " ").checked()
    assert token.authorization == f"FlyV1 {','.join(wanted)}"


@given(st.lists(others, min_size=1, max_size=3), schemes)
def test_other_tokens_go_as_bearer(parts: list[str], scheme: str) -> None:
    assert joined(parts, scheme, "").checked().authorization == f"Bearer {','.join(parts)}"


@given(st.lists(macaroons | others, min_size=1, max_size=3), schemes)
def test_a_header_read_as_a_token_gives_the_same_header(parts: list[str], scheme: str) -> None:
    header = joined(parts, scheme, "").authorization
    assert Token(header, "a test").authorization == header


def test_each_of_several_may_carry_its_scheme() -> None:
    assert Token("FlyV1 fm2_a, FlyV1 fm2_b", "x").authorization == "FlyV1 fm2_a,fm2_b"


@pytest.mark.parametrize(
    "text", [f"{VALUE}\nmore", f"{VALUE} {VALUE}", f"{VALUE}é", f"{VALUE}\x00", "Bearer ,", ","]
)
def test_what_cannot_be_sent_is_refused_before_it_is(text: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        find_token(environ={"FLY_API_TOKEN": text})
    assert "the environment's FLY_API_TOKEN holds is no Fly token" in caught.value.summary
    assert VALUE not in str(caught.value)


def test_the_environment_comes_first_in_flys_own_order(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("FLY_API_TOKEN=fo1_vault\n")
    vault, reference = Vault(tmp_path, "vault"), Reference("a.env", "FLY_API_TOKEN")
    both = {"FLY_ACCESS_TOKEN": "fo1_access", "FLY_API_TOKEN": "fo1_api"}

    assert find_token(vault, reference, both).text == "fo1_access"
    assert find_token(vault, reference, {**both, "FLY_ACCESS_TOKEN": "  "}).text == "fo1_api"
    found = find_token(vault, reference, {})
    assert (found.text, found.source) == ("fo1_vault", "vault/a.env#FLY_API_TOKEN")


def test_no_token_at_all_is_told_with_all_the_ways_to_give_one(tmp_path: Path) -> None:
    for vault, reference in ((None, None), (Vault(tmp_path, "vault"), None)):
        with pytest.raises(TokenMissing) as caught:
            find_token(vault, reference, {})
        assert "FLY_API_TOKEN" in caught.value.remedy
        assert "hotdash sandbox env" in caught.value.remedy
    with pytest.raises(VaultError, match="does not exist"):
        find_token(Vault(tmp_path, "vault"), Reference("a.env", "FLY_API_TOKEN"), {})


def test_its_text_is_not_in_its_repr() -> None:
    token = Token(f"fm2_{VALUE}", "the environment's FLY_API_TOKEN")
    assert VALUE not in f"{token!r} {token}"
    assert pickle.loads(pickle.dumps(token)) == token


def test_a_scheme_is_one_only_in_front() -> None:
    assert Token("fo1_abcBearer", "x").authorization == "Bearer fo1_abcBearer"
