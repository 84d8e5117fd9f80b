"""What leads to one server takes turns, and nothing else does: as far as texts tell."""

import pytest

from hotdash.dsn import Dsn
from hotdash.preflight import checks_for
from hotdash.preflight.postgres.doors import doors

URL = "postgres://u:p@h:5432/d"
POOLED = "postgres://postgres.{}:p@aws-1-us-east-1.pooler.supabase.com:{}/postgres"
ONE, OTHER = "abcdefghijklmnopqrst", "zyxwvutsrqponmlkjihg"
DIRECT = f"postgres://postgres:p@db.{ONE}.supabase.co:5432/postgres"


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (URL, URL.replace("u:p", "v:q").replace("/d", "/e"), True),  # one server has its slots for all
        (URL, URL.replace("@h:", "@H.:"), True),
        (URL, URL.replace(":5432", ":5433"), False),
        (URL, URL.replace("@h:", "@i:"), False),
        (URL, URL.replace("@h:5432", "@i:1,h:5432"), True),
        ("postgres://u:p@localhost:1/d", "postgres://u:p@[::1]:1/d", True),
        (POOLED.format(ONE, 5432), DIRECT, True),
        (POOLED.format(ONE, 5432), POOLED.format(ONE, 6543), True),
        # One host of the vendor's, and a pool each.
        (POOLED.format(ONE, 5432), POOLED.format(OTHER, 5432), False),
        ("postgres://u:p@ep-x-1-pooler.us-east-2.aws.neon.tech:5432/d",
         "postgres://u:p@ep-x-1.us-east-2.aws.neon.tech:5432/d", True),
    ],
)  # fmt: skip
def test_what_leads_to_one_server_takes_turns(one: str, other: str, together: bool) -> None:
    first, second = checks_for({"A_URL": one, "B_URL": other})
    assert (first.line == second.line) is together
    assert first.line
    # What forbids one of them is asked through the same door.
    labels = doors({"A_URL": Dsn.parse(one), "HotDash": Dsn.parse(other)}, ())
    assert (labels["A_URL"] == labels["HotDash"]) is together


def test_chatwoots_own_urls_take_turns_whatever_they_say_and_others_do_not() -> None:
    urls = {
        name: f"postgres://u:p@host{number}:5432/d"
        for number, name in enumerate(
            ("PRIMARY_DATABASE_URL", "DATABASE_URL", "DIRECT_DATABASE_URL", "ZZ_URL")
        )
    }
    lines = {check.name: check.line for check in checks_for({**urls, "REDIS_URL": "redis://h"})}
    assert len({lines[name] for name in urls if name != "ZZ_URL"}) == 1
    assert lines["ZZ_URL"] != lines["DATABASE_URL"]
    assert lines["REDIS_URL"] == ""


def test_two_hosts_of_one_url_make_one_door_of_two() -> None:
    hosts = {"A": "a", "B": "b", "BOTH": "b:5432,a", "C": "c"}
    found = doors(
        {name: Dsn.parse(f"postgres://{host}/d") for name, host in hosts.items()} | {"NONE": None}, ()
    )
    assert found == {"A": "A", "B": "A", "BOTH": "A", "C": "C", "NONE": "NONE"}
