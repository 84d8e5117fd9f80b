"""Reports for tests: one of everything, and any at all."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from hotdash.drift import Kind
from hotdash.gate.report import (
    CHANGED,
    Cause,
    DriftFinding,
    Place,
    PolicyFinding,
    Problem,
    Report,
    Rule,
    Step,
)

AT = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
FILE = "stacks/Pulumi.production.yaml"
URN = "urn:pulumi:production::hotdash::hotdash:chatwoot:ChatwootOnFly$pulumi-python:dynamic/fly:Secrets::chatwoot"
EVERY = frozenset(Cause)

DRIFT = DriftFinding(
    kind=Kind.MACHINE_MEMORY.value,
    subject="worker 148e21f0",
    was="512 MB",
    wants="2048 MB",
    why="",
    since=AT,
    remedy="updates the machine",
    resource=URN,
    place=Place(FILE, 42, "hotdash:processGroups.worker.memoryMb"),
)
MANDATORY = PolicyFinding(
    rule="memory-floor",
    title="A group has the memory that it needs",
    enforcement="mandatory",
    severity="high",
    subject="worker",
    message="worker has 512 MB, and needs 2048",
    meaning="at 512 MB the worker was killed",
    remedy="set memoryMb: 2048",
    docs="docs/policies.md#memory-floor",
    resource=URN,
    place=Place(FILE, 42, "hotdash:processGroups.worker.memoryMb"),
)
ADVICE = PolicyFinding(
    rule="two-webs",
    title="There are two web machines",
    enforcement="advisory",
    severity="medium",
    subject="web",
    message="web has one machine",
    meaning="",
    remedy="",
    docs="docs/policies.md#two-webs",
    resource=URN,
    place=Place(FILE, 30, "hotdash:processGroups.web.count"),
)
UNJUDGED = PolicyFinding(
    rule="looks-ahead",
    title="",
    enforcement="advisory",
    severity="",
    subject="worker",
    message="can't run policy 'looks-ahead': a value can't be known during preview",
    meaning="",
    remedy="",
    docs="docs/policies.md#looks-ahead",
    resource=URN,
    place=Place(FILE, 40, "hotdash:processGroups.worker"),
)
PROBLEM = Problem(
    code="fly-unreachable",
    summary="Fly cannot be reached",
    where="app chatwoot",
    meaning="nothing was asked",
    remedy="see whether it answers from here",
    resource=URN,
)
STEP = Step(
    URN, "fly:Secrets", "chatwoot", "update", ("secrets.SMTP_PASSWORD",), ("DATABASE_URL leads to x",)
)
CLEAN = Report(
    stack="production",
    file=FILE,
    fail_on=EVERY,
    at=AT,
    pack="hotdash-chatwoot 0.1.0",
    rules=(Rule("memory-floor", 7, 0), Rule("two-webs", 7, 0)),
    resources={"same": 7},
    seconds=1.5,
)
EVERYTHING = Report(
    stack="production",
    file=FILE,
    fail_on=EVERY,
    at=AT,
    pack="hotdash-chatwoot 0.1.0",
    drift=(DRIFT,),
    policy=(MANDATORY, ADVICE),
    unknown=(UNJUDGED,),
    plan=(STEP,),
    rules=(Rule("memory-floor", 6, 1), Rule("two-webs", 6, 1), Rule("tls-required", 7, 0)),
    resources={"same": 6, "update": 1},
    seconds=1.5,
)

texts = st.text(max_size=40) | st.sampled_from(
    [
        "a|b",
        "`code`",
        "</details><script>",
        "::error::x",
        "x\n::set-output name=a::b",
        "@everyone",
        "[here](https://evil.example)",
        "{0} and {",
        "50%0A",
        "\x00\x1b[31m",
        "]]>",
        "a, b: c",
        "https://evil.example",
        "_\\|_",
        "\u2028",
        "\r\n| x |",
    ]
)
names = st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True)
places = st.builds(Place, st.just(FILE) | texts.filter(bool), st.integers(1, 9999), texts)
drifts = st.builds(
    DriftFinding,
    kind=st.sampled_from([*(kind.value for kind in Kind), CHANGED]),
    subject=texts,
    was=texts,
    wants=texts,
    why=texts,
    since=st.none() | st.datetimes(timezones=st.just(UTC)),
    remedy=texts,
    resource=st.just(URN),
    place=places,
)
findings = st.builds(
    PolicyFinding,
    rule=names,
    title=texts,
    enforcement=st.sampled_from(["mandatory", "advisory"]),
    severity=st.sampled_from(["", "low", "medium", "high", "critical"]),
    subject=texts,
    message=texts,
    meaning=texts,
    remedy=texts,
    docs=st.just("docs/policies.md#x"),
    resource=st.just(URN),
    place=places,
)
problems = st.builds(
    Problem, code=names, summary=texts, where=texts, meaning=texts, remedy=texts, resource=texts
)
steps = st.builds(
    Step,
    resource=st.just(URN),
    type=texts,
    name=texts,
    op=names,
    fields=st.lists(texts, max_size=9).map(tuple),
    notes=st.lists(texts, max_size=2).map(tuple),
)


def _few(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=4).map(tuple)


reports = st.builds(
    Report,
    stack=names,
    file=st.just(FILE),
    fail_on=st.frozensets(st.sampled_from(list(Cause))),
    at=st.just(AT),
    pack=texts,
    drift=_few(drifts),
    policy=_few(findings),
    unknown=_few(findings),
    errors=_few(problems),
    plan=_few(steps),
    rules=st.lists(
        st.builds(Rule, names, st.integers(0, 9), st.integers(0, 9)), max_size=4, unique_by=lambda r: r.id
    ).map(tuple),
    resources=st.dictionaries(st.sampled_from(["same", "update", "create"]), st.integers(0, 99)),
    seconds=st.floats(0, 1000),
)
