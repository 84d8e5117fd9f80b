"""The rules: each is reached by its examples, none fails on any DSN, and one database has one identity."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotdash.dsn import Certainty, Classification, Dsn, Host, Pooling, classify, same_database
from hotdash.dsn.rule import CERTAINTY_MEANS, GROUND_MEANS, POOLING_MEANS, Ground, Rule, Target
from hotdash.dsn.rules import PROVIDERS, RULES
from tests.hotdash.dsn.strategies import SECRET, dsns, labels, near_known

REF = "abcdefghijklmnopqrst"
EXAMPLES = [(rule, text) for rule in RULES for text in rule.examples]


def told(text: str) -> Classification:
    return classify(Dsn.parse(text))


# The table


@pytest.mark.parametrize(("rule", "text"), EXAMPLES, ids=[text for _, text in EXAMPLES])
def test_an_example_fits_its_rule_and_none_before_it(rule: Rule, text: str) -> None:
    target = Target.of(Dsn.parse(text))
    assert next(r.id for r in RULES if r.applies(target)) == rule.id
    classification = told(text)
    assert (classification.rule, classification.pooling, classification.certainty, classification.why) == (
        rule.id,
        rule.pooling,
        rule.certainty,
        rule.why,
    )
    assert classification.provider_title == PROVIDERS[rule.provider]


def test_the_table_is_in_order() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    assert {rule.provider for rule in RULES} == set(PROVIDERS)
    assert all(rule.examples and rule.why and rule.when and rule.source.where for rule in RULES)
    assert not any("\n" in rule.why for rule in RULES)
    # Nothing is known of what nobody knows, and nothing unknown is surely so.
    for rule in RULES:
        assert (rule.pooling is Pooling.UNKNOWN) == (rule.certainty is Certainty.NONE)
        assert rule.certainty is not Certainty.CERTAIN or rule.source.ground in (Ground.DOCS, Ground.SOURCE)


def test_every_word_of_the_vocabulary_is_explained() -> None:
    assert set(POOLING_MEANS) == set(Pooling)
    assert set(CERTAINTY_MEANS) == set(Certainty)
    assert set(GROUND_MEANS) == set(Ground)


# Totality


@given(dsns() | near_known)
@example(Dsn((Host(".", None),), "", "", ""))
@example(Dsn((Host("internal", 5432),), "", "", ""))
@example(Dsn((Host(".internal", 5432),), "a", "b", ""))
@example(Dsn((Host("db..supabase.co", 5432),), "a", "b", ""))
@example(Dsn((Host("pooler.supabase.com", 5432),), "a", "b.", ""))
@example(Dsn((Host("x.flympg.net.", 5432),), "a", "b", ""))
@example(Dsn((Host("supavisor.internal", 5433),), "a", "b", ""))
def test_any_dsn_is_told_by_the_first_rule_that_fits(dsn: Dsn) -> None:
    classification = classify(dsn)
    first = next(rule for rule in RULES if rule.applies(Target.of(dsn)))
    assert classification.rule == first.id
    assert SECRET not in repr(classification)
    if direct := classification.direct_form:
        assert classification.pooling is not Pooling.DIRECT or classification.rule == "fly-postgres-member"
        moved = dsn.at(direct)
        assert moved.password == dsn.password
        # The direct form is direct, as far as any rule knows it.
        assert classify(moved).pooling in (Pooling.DIRECT, Pooling.UNKNOWN)


@given(near_known)
def test_case_and_a_last_dot_make_no_difference(dsn: Dsn) -> None:
    loud = replace(dsn, hosts=(Host(f"{dsn.host.upper()}.", dsn.hosts[0].port),))
    assert classify(loud) == classify(dsn)


@given(labels, labels, st.integers(1, 65535))
def test_an_unknown_host_is_never_direct(one: str, two: str, port: int) -> None:
    assert told(f"postgres://u:p@{one}.{two}.example:{port}/d").pooling is not Pooling.DIRECT
    assert told("postgres://u:p@18.213.155.45:5432/d").pooling is Pooling.UNKNOWN


@given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.sampled_from(EXAMPLES))
def test_a_password_behind_an_encoded_colon_gets_into_nothing(tail: str, known: tuple[Rule, str]) -> None:
    dsn = replace(Dsn.parse(known[1]), username=f"postgres:{tail}.{SECRET}")
    assert SECRET not in repr(classify(dsn))


# Direct forms


@pytest.mark.parametrize(
    ("text", "direct"),
    [
        (
            f"postgres://postgres.{REF}:p@aws-1-us-east-1.pooler.supabase.com:6543/postgres",
            f"postgres://postgres:…@db.{REF}.supabase.co:5432/postgres",
        ),
        (
            f"postgres://my.role.{REF}:p@aws-0-eu-west-2.pooler.supabase.com:5432/chatwoot",
            f"postgres://my.role:…@db.{REF}.supabase.co:5432/chatwoot",
        ),
        (
            f"postgres://postgres:p@aws-0-eu-west-2.pooler.supabase.com/d?options=reference%3D{REF}",
            f"postgres://postgres:…@db.{REF}.supabase.co:5432/d",
        ),
        (
            f"postgres://postgres:p@db.{REF}.supabase.co:6543/postgres",
            f"postgres://postgres:…@db.{REF}.supabase.co:5432/postgres",
        ),
        ("postgres://u:p@ep-a-1-pooler.eu.aws.neon.tech/d", "postgres://u:…@ep-a-1.eu.aws.neon.tech:5432/d"),
        ("postgres://u:p@pgbouncer.abc.flympg.net/d", "postgres://u:…@direct.abc.flympg.net:5432/d"),
        (
            "postgres://u:p@x.postgres.database.azure.com:6432/d",
            "postgres://u:…@x.postgres.database.azure.com:5432/d",
        ),
        ("postgres://u.b:p@eu.pg.psdb.cloud:6432/d", "postgres://u.b:…@eu.pg.psdb.cloud:5432/d"),
        (
            "postgres://u:p@p.x.db.postgresbridge.com:5431/d",
            "postgres://u:…@p.x.db.postgresbridge.com:5432/d",
        ),
        ("postgres://u:p@pooled.db.prisma.io:5432/d", "postgres://u:…@db.prisma.io:5432/d"),
        ("postgres://u:p@fra.app.internal:5433/d", "postgres://u:…@fra.app.internal:5432/d"),
        # Where the text does not tell it, or it is direct already.
        ("postgres://postgres:p@aws-1-us-east-1.pooler.supabase.com:6543/postgres", None),
        (
            "postgres://postgres.a%2Fb:p@aws-1-us-east-1.pooler.supabase.com:6543/d",
            None,
        ),
        (f"postgres://postgres:p@db.{REF}.supabase.co:5432/postgres", None),
        ("postgres://u:p@x.db.ondigitalocean.com:25061/pool", None),
        ("postgres://u:p@pgbouncer.example.com:6432/d", None),
        ("postgres://u.tenant:p@supavisor.example.com:6543/d", None),
        ("postgres://u:p@x.proxy-abc.eu-west-1.rds.amazonaws.com:5432/d", None),
    ],
)
def test_the_direct_form_is_told_where_the_text_tells_it(text: str, direct: str | None) -> None:
    found = told(text).direct_form
    assert (str(found) if found else None) == direct


@given(dsns() | near_known)
def test_no_pooler_is_ever_made_up(dsn: Dsn) -> None:
    found = classify(dsn).direct_form
    assert found is None or "pooler" not in found.host.replace(dsn.host.lower(), "")


# Identity

SUPABASE = [
    f"postgres://postgres:p@db.{REF}.supabase.co:5432/postgres",
    f"postgres://postgres:p@db.{REF}.supabase.co:6543/postgres",
    f"postgres://postgres.{REF}:p@aws-1-us-east-1.pooler.supabase.com:5432/postgres",
    f"postgres://other.{REF}:q@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?pgbouncer=true",
    f"postgres://postgres:p@AWS-1-us-east-1.pooler.supabase.com/postgres?options=reference%3D{REF}",
]


def test_the_ways_to_one_supabase_database_have_one_identity() -> None:
    assert {told(text).identity for text in SUPABASE} == {f"supabase:{REF}/postgres"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u:p@ep-a-1-pooler.eu.aws.neon.tech/d", "v:q@ep-a-1.eu.aws.neon.tech:5432/d"),
        ("u:p@pgbouncer.abc.flympg.net/d", "u:p@direct.abc.flympg.net:5432/d"),
        ("u:p@app.flycast:5432/d", "u:p@fra.app.internal:5433/d"),
        ("u:p@app.internal:5432/d", "u:p@top1.nearest.of.app.internal:5432/d"),
        ("u:p@x.postgres.database.azure.com:6432/d", "u:p@x.postgres.database.azure.com:5432/d"),
        ("u.b:p@eu.pg.psdb.cloud:6432/d", "v.b%7Creplica:p@eu.pg.psdb.cloud:5432/d"),
        ("u:p@p.x.db.postgresbridge.com:5431/d", "u:p@p.x.db.postgresbridge.com:5432/d"),
        ("u:p@x.tsdb.cloud.timescale.com:31/tsdb", "u:p@x.tsdb.cloud.timescale.com:32/tsdb_transaction"),
        ("u:p@localhost:5432/d", "u:p@[::1]/d"),
    ],
)
def test_the_ways_to_one_database_have_one_identity(one: str, other: str) -> None:
    first, second = Dsn.parse(f"postgres://{one}"), Dsn.parse(f"postgres://{other}")
    assert classify(first).identity == classify(second).identity is not None
    assert same_database(first, second) is True


@pytest.mark.parametrize(
    "text",
    [
        "postgres://postgres:p@aws-1-us-east-1.pooler.supabase.com:5432/postgres",  # whose?
        f"postgres://postgres.{REF}:p@aws-1-us-east-1.pooler.supabase.com:5432",  # which?
        "postgres://u:p@x.db.ondigitalocean.com:25061/pool",  # a pool's name
        "postgres://u:p@pg.aivencloud.com:12345/pool",
        "postgres://u:p@x.proxy-abc.eu-west-1.rds.amazonaws.com:5432/d",
        "postgres://u:p@pgbouncer.example.com:6432/d",
        "postgres://u:p@db.prisma.io:5432/postgres",  # the same for every customer
        "postgres://u:p@eu.pg.psdb.cloud:5432/d",  # no branch
        "postgres://u:p@18.213.155.45:5432/d",
        f"postgres://postgres:p@db.{REF}.supabase.co:5432,db.other.supabase.co:5432/postgres",
    ],
)
def test_what_the_text_does_not_tell_has_no_identity(text: str) -> None:
    assert told(text).identity is None


def test_two_databases_are_told_apart_where_they_surely_are_two() -> None:
    chatwoot, hotdash = Dsn.parse(SUPABASE[0]), Dsn.parse(SUPABASE[2].replace(REF, "zyxwvutsrqponmlkjihg"))
    assert same_database(chatwoot, hotdash) is False
    assert same_database(chatwoot, Dsn.parse(SUPABASE[0].replace("/postgres", "/other"))) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u:p@18.213.155.45:5432/d", "u:p@db.example.com:5432/d"),  # may be one machine
        ("u:p@localhost:5432/d", "u:p@localhost:5433/d"),  # may be two tunnels to one
        ("u:p@x.db.ondigitalocean.com:25061/pool", "u:p@x.db.ondigitalocean.com:25060/chatwoot"),
    ],
)
def test_what_the_texts_do_not_tell_is_left_to_the_servers(one: str, other: str) -> None:
    assert same_database(Dsn.parse(f"postgres://{one}"), Dsn.parse(f"postgres://{other}")) is None


def test_what_is_written_alike_is_one_database_though_nobody_knows_which() -> None:
    text = "postgres://u:p@18.213.155.45/d"
    assert (
        same_database(Dsn.parse(text), Dsn.parse("postgres://u:q@18.213.155.45:5432/d?sslmode=require"))
        is True
    )
    # On a host of many tenants the role or the options may be what tells them apart.
    assert same_database(Dsn.parse(text), Dsn.parse("postgres://u.t:p@18.213.155.45/d")) is None
    assert same_database(Dsn.parse(text), Dsn.parse(f"{text}?options=reference%3Dt")) is None


@given(dsns(), dsns())
def test_same_database_is_symmetric_and_reflexive(one: Dsn, other: Dsn) -> None:
    assert same_database(one, one) is True
    assert same_database(one, other) == same_database(other, one)


# Poolers that look like something else


@pytest.mark.parametrize(
    ("text", "pooling", "rule"),
    [
        ("postgres://u:p@pgbouncer.flycast:5432/d", Pooling.POOLED, "pgbouncer-name"),
        ("postgres://u:p@my-pooler.internal:5432/d", Pooling.POOLED, "pgbouncer-name"),
        ("postgres://u:p@x.eu-west-1.rds.amazonaws.com:6432/d", Pooling.POOLED, "pgbouncer-port"),
        ("postgres://u:p@127.0.0.1:6432/d", Pooling.POOLED, "pgbouncer-port"),
        ("postgres://u:p@poolerless.example.com:5432/d", Pooling.UNKNOWN, "unknown"),
        ("postgres://u:p@evilpooler.supabase.com:6543/d", Pooling.TRANSACTION, "port-6543"),
        ("postgres://u:p@db.x.supabase.co.example.com:5432/d", Pooling.UNKNOWN, "unknown"),
        ("postgres://u:p@x.psdb.cloud:5433/d", Pooling.UNKNOWN, "unknown"),
        ("postgres://u:p@ip-10-0-0-1.ec2.internal:5432/d", Pooling.UNKNOWN, "unknown"),
        ("postgres://u:p@db.c.project.internal:5432/d", Pooling.UNKNOWN, "unknown"),
        ("postgres://u:p@host.docker.internal:5432/d", Pooling.UNKNOWN, "unknown"),
        ("postgres://u:p@postgres.railway.internal:5432/d", Pooling.UNKNOWN, "railway"),
        ("postgres://u:p@app.flycast:5439/d", Pooling.UNKNOWN, "unknown"),
    ],
)
def test_a_form_that_is_close_to_a_known_one(text: str, pooling: Pooling, rule: str) -> None:
    classification = told(text)
    assert (classification.pooling, classification.rule) == (pooling, rule)
