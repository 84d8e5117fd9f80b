"""The Fly token, tried on a Fly that is played by the sandbox's own rules."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from hotdash.errors import TokenMissing
from hotdash.fly import wire
from hotdash.fly.model import TokenScope
from hotdash.fly.token import Token
from hotdash.preflight import Outcome, Verdict, fly_check
from tests.servers.silent import closed, silent
from tests.world import World


def tried(
    world: World, *, text: str = "", app: str = "", organization: str = "hotdash", creates: bool = False
) -> Outcome:
    token = Token(text or world.token, "a test")
    check = fly_check(
        lambda: token,
        app=app or world.app,
        organization=organization,
        creates=creates,
        base_url=world.url,
        timeout=60.0,
    )
    found = check.run()
    assert token.text not in str(found)
    return found


def test_the_right_token_is_proved(sandbox: World) -> None:
    found = tried(sandbox)
    assert found.verdict is Verdict.PROVED, found
    assert found.facts["organizations"] == "hotdash"
    assert found.facts["api"] == sandbox.url


def test_a_wrong_token_is_refused(sandbox: World) -> None:
    found = tried(sandbox, text="fo1_wrong_token")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "wrong-token"), found
    assert found.next


def test_another_organization_is_refused(sandbox: World) -> None:
    found = tried(sandbox, organization="somebody-else")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "another-organization"), found


def test_an_app_that_is_not_there_is_refused_unless_it_is_to_be_made(sandbox: World) -> None:
    found = tried(sandbox, app="no-such-app")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "no-such-app"), found
    assert tried(sandbox, app="no-such-app", creates=True).verdict is Verdict.PROVED


def test_what_fly_may_say_of_a_token_is_read() -> None:
    assert wire.token_scopes({"tokens": None}) == ()
    (scope,) = wire.token_scopes(
        {
            "tokens": [
                {
                    "org_slug": "hotdash",
                    "apps": ["one", {"name": "two"}],
                    "user": None,
                    "restricted_to_machine": "3d8d9",
                    "expires_at": "2027-01-01T00:00:00Z",
                }
            ]
        }
    )
    assert scope == TokenScope("hotdash", ("one", "two"), "", "3d8d9", "2027-01-01T00:00:00Z")


def test_no_token_is_no_crash() -> None:
    def find() -> Token:
        raise TokenMissing("no Fly token was given", remedy="set FLY_API_TOKEN")

    found = fly_check(find, app="a", organization="o").run()
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "missing")
    assert found.next == "set FLY_API_TOKEN"


@pytest.mark.parametrize(("place", "code"), [(closed, "fly-unreachable"), (silent, "timeout")])
def test_a_fly_that_does_not_answer_tells_nothing(
    place: Callable[[], AbstractContextManager[int]], code: str
) -> None:
    with place() as port:
        token = Token("fo1_some_token", "a test")
        check = fly_check(
            lambda: token, app="a", organization="o", base_url=f"http://127.0.0.1:{port}", timeout=1.5
        )
        found = check.run()
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, code), found
    assert "fo1_some_token" not in str(found)
