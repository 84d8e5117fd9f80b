"""The Fly client over its seams: what it asks, what it asks again and when, and what its errors say and do not say."""

import json
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.clock import Clock
from hotdash.errors import (
    Conflict,
    FlyError,
    Forbidden,
    LeaseHeld,
    NotFound,
    RateLimited,
    SettingsError,
    TokenRefused,
    Unreachable,
)
from hotdash.fly.client import Fly, Patience, base_url_from_environment
from hotdash.fly.token import Token
from tests.sandbox.box import Box, web_config

TOKEN = "fm2_s3cr3tToken"
VALUE = "s3cr3t-Value"
MACHINE = {"id": "m1", "instance_id": "", "state": "started", "config": {"image": "a:1"}}
LEASE = {"status": "success", "data": {"nonce": "n1", "version": "v1", "expires_at": 1}}
Answer = httpx.Response | Exception


def answer(status: int, body: Any = None, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=content, headers={"fly-request-id": "01REQ-fra", **headers})


class Scene:
    """A client before a Fly that gives the answers in turn, the last for ever, on a clock that only pauses move."""

    def __init__(
        self, *answers: Answer, patience: Patience | None = None, base_url: str = "http://fly.test"
    ) -> None:
        self._answers: list[Answer] = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.now = 0.0
        self.begun_at: list[float] = []
        self.fly = Fly(
            Token(TOKEN, "the environment's FLY_API_TOKEN"),
            base_url=base_url,
            transport=httpx.MockTransport(self._answer),
            patience=patience,
            clock=Clock(lambda: self.now, self._sleep),
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.begun_at.append(self.now)
        given_ = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(given_, Exception):
            raise given_
        return httpx.Response(given_.status_code, headers=given_.headers, content=given_.content)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


Call = Callable[[Fly], Any]


def update(fly: Fly) -> Any:
    return fly.update_machine(
        "a", "m1", config={"image": "a:2"}, nonce="n", current_version="v1", min_secrets_version=7
    )


READS: dict[str, tuple[Call, Any]] = {
    "app": (lambda fly: fly.app("a"), {"name": "a"}),
    "secrets": (lambda fly: fly.secrets("a"), {"secrets": []}),
    "machines": (lambda fly: fly.machines("a"), []),
    "machine": (lambda fly: fly.machine("a", "m1"), MACHINE),
    "lease_holder": (lambda fly: fly.lease_holder("a", "m1"), {"data": {"owner": "o", "expires_at": 1}}),
    "token_scopes": (lambda fly: fly.token_scopes(), {"tokens": [{"org_slug": "hotdash", "apps": []}]}),
}
REPEATABLE: dict[str, tuple[Call, Any]] = {
    "write_secrets": (
        lambda fly: fly.write_secrets("a", {"A": "1", "B": None}),
        {"secrets": [], "version": 3},
    ),
    "destroy_machine": (lambda fly: fly.destroy_machine("a", "m1", "n"), None),
    "stop_machine": (
        lambda fly: fly.stop_machine("a", "m1", "n", signal="SIGTERM", timeout=15.0),
        {"ok": True},
    ),
    "cordon_machine": (lambda fly: fly.cordon_machine("a", "m1", "n"), {"ok": True}),
    "uncordon": (lambda fly: fly.cordon_machine("a", "m1", "n", cordoned=False), {"ok": True}),
    "change_metadata": (lambda fly: fly.change_metadata("a", "m1", {"k": "v", "old": None}), None),
    "delete_app": (lambda fly: fly.delete_app("a"), None),
    "keep a lease": (lambda fly: fly.acquire_lease("a", "m1", ttl=30, nonce="n"), LEASE),
    "release_lease": (lambda fly: fly.release_lease("a", "m1", "n"), {}),
}
ONCE: dict[str, tuple[Call, Any]] = {
    "create_app": (lambda fly: fly.create_app("a", "org"), {}),
    "create_machine": (
        lambda fly: fly.create_machine("a", config={"image": "a:1"}, region="fra", min_secrets_version=None),
        MACHINE,
    ),
    "update_machine": (update, MACHINE),
    "start_machine": (lambda fly: fly.start_machine("a", "m1", "n"), {}),
    "acquire_lease": (lambda fly: fly.acquire_lease("a", "m1", ttl=30), LEASE),
}
ALL = {**READS, **REPEATABLE, **ONCE}

UNREACHED: Sequence[Exception] = (
    httpx.ConnectError("[Errno 111] Connection refused"),
    httpx.ConnectTimeout("slow"),
)
LOST: Sequence[Exception] = (
    httpx.ReadError("reset"),
    httpx.ReadTimeout("slow"),
    httpx.WriteError("broken pipe"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
)


def cases(table: Iterable[str], *failures: Iterable[Answer]) -> list[Any]:
    return [
        pytest.param(name, failure, id=f"{name}-{failure}")
        for name in table
        for group in failures
        for failure in group
    ]


def statuses(*codes: int) -> list[httpx.Response]:
    return [answer(code, {"error": "no"}) for code in codes]


def refusal(scene: Scene, call: Call) -> FlyError:
    with pytest.raises(FlyError) as caught:
        call(scene.fly)
    return caught.value


# What is asked


@pytest.mark.parametrize(
    ("name", "method", "path", "body"),
    [
        ("app", "GET", "/v1/apps/a", None),
        ("create_app", "POST", "/v1/apps", {"name": "a", "app_name": "a", "org_slug": "org"}),
        ("delete_app", "DELETE", "/v1/apps/a?force=true", None),
        ("secrets", "GET", "/v1/apps/a/secrets", None),
        ("write_secrets", "POST", "/v1/apps/a/secrets", {"values": {"A": "1", "B": None}}),
        ("machines", "GET", "/v1/apps/a/machines", None),
        ("machine", "GET", "/v1/apps/a/machines/m1", None),
        ("create_machine", "POST", "/v1/apps/a/machines", {"config": {"image": "a:1"}, "region": "fra"}),
        (
            "update_machine",
            "POST",
            "/v1/apps/a/machines/m1",
            {"config": {"image": "a:2"}, "current_version": "v1", "min_secrets_version": 7},
        ),
        ("start_machine", "POST", "/v1/apps/a/machines/m1/start", None),
        (
            "stop_machine",
            "POST",
            "/v1/apps/a/machines/m1/stop",
            {"signal": "SIGTERM", "timeout": "15s"},
        ),
        ("cordon_machine", "POST", "/v1/apps/a/machines/m1/cordon", None),
        ("uncordon", "POST", "/v1/apps/a/machines/m1/uncordon", None),
        (
            "change_metadata",
            "PATCH",
            "/v1/apps/a/machines/m1/metadata",
            {"metadata": {"k": "v", "old": None}},
        ),
        ("lease_holder", "GET", "/v1/apps/a/machines/m1/lease", None),
        ("destroy_machine", "DELETE", "/v1/apps/a/machines/m1?force=true&kill=true", None),
        ("acquire_lease", "POST", "/v1/apps/a/machines/m1/lease?ttl=30", None),
        ("keep a lease", "POST", "/v1/apps/a/machines/m1/lease?ttl=30", None),
        ("release_lease", "DELETE", "/v1/apps/a/machines/m1/lease", None),
    ],
)
def test_each_call_asks_what_fly_documents(name: str, method: str, path: str, body: Any) -> None:
    call, good = ALL[name]
    scene = Scene(answer(200, good))
    call(scene.fly)

    [request] = scene.requests
    assert (request.method, str(request.url)) == (method, f"http://fly.test{path}")
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["authorization"] == f"FlyV1 {TOKEN}"
    with_nonce = {
        "update_machine",
        "start_machine",
        "stop_machine",
        "cordon_machine",
        "uncordon",
        "destroy_machine",
        "keep a lease",
        "release_lease",
    }
    assert request.headers.get("fly-machine-lease-nonce") == ("n" if name in with_nonce else None)


def test_there_is_no_call_without_a_test() -> None:
    public = {name for name, member in vars(Fly).items() if callable(member) and not name.startswith("_")}
    assert public - {"close"} == set(ALL) - {"keep a lease", "uncordon"}


def test_an_unknown_region_and_version_are_left_to_fly() -> None:
    scene = Scene(answer(200, MACHINE))
    scene.fly.create_machine("a", config={}, region="", min_secrets_version=None)
    scene.fly.update_machine("a", "m1", config={}, nonce="n", current_version="", min_secrets_version=None)
    assert [json.loads(request.content) for request in scene.requests] == [{"config": {}}, {"config": {}}]


# What is asked again


@pytest.mark.parametrize(
    ("name", "failure"),
    cases({**READS, **REPEATABLE}, statuses(429, 500, 502, 503, 504), LOST[:2], UNREACHED),
)
def test_what_may_be_repeated_is_until_it_is_done(name: str, failure: Answer) -> None:
    call, good = ALL[name]
    scene = Scene(failure, failure, answer(200, good))
    call(scene.fly)
    assert len(scene.requests) == 3
    assert len({(request.method, request.url, request.content) for request in scene.requests}) == 1


@pytest.mark.parametrize(("name", "failure"), cases(ONCE, statuses(500, 502, 503, 504), LOST))
def test_what_may_have_been_done_is_not_done_again(name: str, failure: Answer) -> None:
    scene = Scene(failure)
    error = refusal(scene, ALL[name][0])
    assert len(scene.requests) == 1
    assert scene.pauses == []
    if isinstance(failure, Exception):
        assert "may or may not have been done" in error.meaning


@pytest.mark.parametrize(("name", "failure"), cases(ONCE, statuses(429), UNREACHED))
def test_what_was_certainly_not_done_is_done_again(name: str, failure: Answer) -> None:
    call, good = ALL[name]
    scene = Scene(failure, answer(200, good))
    call(scene.fly)
    assert len(scene.requests) == 2


@pytest.mark.parametrize(("name", "failure"), cases(ALL, statuses(400, 401, 403, 409, 412)))
def test_what_fly_has_decided_is_not_asked_again(name: str, failure: Answer) -> None:
    scene = Scene(failure)
    if name == "release_lease" and isinstance(failure, httpx.Response) and failure.status_code == 400:
        scene.fly.release_lease("a", "m1", "n")  # there is no such lease any more
    else:
        refusal(scene, ALL[name][0])
    assert len(scene.requests) == 1


# When it is asked again


@pytest.mark.parametrize(
    ("asked", "pause"), [("3", 3.0), ("0.5", 0.5), ("8", 8.0), ("3600", 8.0), ("inf", 8.0)]
)
def test_retry_after_is_kept_to_up_to_a_longest_pause(asked: str, pause: float) -> None:
    scene = Scene(answer(429, {}, retry_after=asked), answer(200, []))
    scene.fly.machines("a")
    assert scene.pauses == [pause]


@pytest.mark.parametrize("asked", ["", "0", "-5", "nan", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_an_odd_retry_after_is_as_none(asked: str) -> None:
    scene = Scene(answer(429, {}, retry_after=asked), answer(200, []))
    scene.fly.machines("a")
    [pause] = scene.pauses
    assert 0.1 <= pause <= 0.3


def test_pauses_grow_and_vary() -> None:
    scenes = [Scene(answer(503, {})) for _ in range(20)]
    for scene in scenes:
        refusal(scene, lambda fly: fly.app("a"))
        for number, pause in enumerate(scene.pauses):
            assert min(8.0, 0.1 * 2**number) <= pause <= min(8.0, 0.3 * 2**number)
    assert len({scene.pauses[0] for scene in scenes}) > 1


@given(
    st.builds(
        Patience,
        budget=st.floats(0.5, 60),
        unreachable=st.floats(0.5, 20),
        first_pause=st.floats(0.01, 2),
        longest_pause=st.floats(0.1, 10),
    ),
    st.sampled_from([answer(503, {}), answer(429, {}), answer(429, {}, retry_after="2"), *LOST, *UNREACHED]),
)
def test_no_try_begins_after_the_time_there_is(patience: Patience, failure: Answer) -> None:
    scene = Scene(failure, patience=patience)
    refusal(scene, lambda fly: fly.app("a"))
    bound = patience.unreachable if failure in UNREACHED else patience.budget
    assert scene.begun_at[-1] <= bound
    assert all(pause <= patience.longest_pause for pause in scene.pauses)


def test_where_nothing_listens_it_is_told_within_seconds() -> None:
    scene = Scene(UNREACHED[0])
    error = refusal(scene, lambda fly: fly.app("a"))
    assert isinstance(error, Unreachable)
    assert scene.now <= 8
    assert len(scene.requests) > 2
    assert "http://fly.test (ConnectError: [Errno 111] Connection refused)" in error.where
    assert "hotdash sandbox up" in error.remedy


# What errors say


@pytest.mark.parametrize(
    ("status", "words", "kind", "code"),
    [
        (400, "bad", FlyError, "fly"),
        (401, "unauthorized", TokenRefused, "fly-token-refused"),
        (403, "forbidden", Forbidden, "fly-forbidden"),
        (404, "app not found", NotFound, "fly-not-found"),
        (409, "secrets were changed", Conflict, "fly-conflict"),
        (
            409,
            "machine ID m1 lease currently held by ci@x, expires at 2026-08-01T10:00:00Z",
            LeaseHeld,
            "fly-lease-held",
        ),
        (409, "Lease mismatch", LeaseHeld, "fly-lease-held"),
        (409, "the release is not current", Conflict, "fly-conflict"),
        (412, "failed_precondition: machine getting replaced", Conflict, "fly-conflict"),
        (412, "failed_precondition: lease nonce", LeaseHeld, "fly-lease-held"),
        (422, "Name has already been taken", FlyError, "fly"),
        (429, "rate limit exceeded", RateLimited, "fly-rate-limited"),
        (500, "internal", FlyError, "fly"),
        (302, "", FlyError, "fly"),
    ],
)
@pytest.mark.parametrize("key", ["error", "message"])
def test_an_answer_becomes_the_error_that_it_means(
    status: int, words: str, kind: type[FlyError], code: str, key: str
) -> None:
    error = refusal(Scene(answer(status, {key: words, "status": "x"})), lambda fly: fly.machine("a", "m1"))
    assert type(error) is kind
    assert error.code == code
    assert error.summary == f"Fly answered {status}" + (f": {words}" if words else "")
    assert error.where == "app a, machine m1, request 01REQ-fra"
    assert (error.status, error.request_id) == (status, "01REQ-fra")
    if status in (401, 403, 409, 412, 429, 500):
        assert error.meaning
        assert error.remedy
    assert pickle.loads(pickle.dumps(error)).request_id == "01REQ-fra"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "first", "error": "second"}, "first"),
        ({"error": {"code": 5}}, "{'code': 5}"),
        ({}, ""),
        ("a text", "a text"),
        ([1], "[1]"),
        (None, ""),
        (b"<html><head><title>502</title></head>\n<body>Bad <b>gateway</b></body></html>", "502 Bad gateway"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_flys_words_are_found_wherever_they_are(body: Any, said: str) -> None:
    error = refusal(Scene(answer(418, body)), lambda fly: fly.app("a"))
    assert error.summary == "Fly answered 418" + (f": {said}" if said else "")


def test_a_page_is_cut() -> None:
    error = refusal(Scene(answer(418, b"word " * 100_000)), lambda fly: fly.app("a"))
    assert len(error.summary) <= 320


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"[", b"5", b'"text"', b"[5]", b'{"ok": ["x"]}']
)
def test_an_answer_that_is_none_is_told_and_not_asked_for_again(name: str, body: bytes) -> None:
    scene = Scene(answer(200, body))
    if (name, body) == ("secrets", b'{"ok": ["x"]}'):
        assert scene.fly.secrets("a") == ()  # Fly may leave an empty list out
        return
    error = refusal(scene, READS[name][0])
    assert isinstance(error, Unreachable)
    assert "is not what its API documents" in error.summary
    assert (error.status, error.request_id) == (200, "01REQ-fra")
    assert len(scene.requests) == 1


@pytest.mark.parametrize("name", ALL)
def test_a_404_of_another_server_does_not_make_anything_gone(name: str) -> None:
    page = httpx.Response(404, content=b"<h1>Not found</h1>")
    error = refusal(Scene(page), ALL[name][0])
    assert isinstance(error, Unreachable)
    assert not isinstance(error, NotFound)


def test_an_empty_list_may_come_as_null() -> None:
    assert Scene(answer(200, b"null")).fly.machines("a") == ()
    assert Scene(answer(200, {"secrets": None})).fly.secrets("a") == ()
    written = Scene(answer(200, {"version": None, "Version": 4, "secrets": None})).fly.write_secrets("a", {})
    assert (written.version, written.secrets) == (4, ())


def test_a_lease_without_a_nonce_is_none() -> None:
    error = refusal(Scene(answer(201, {"data": {"version": "v1"}})), ALL["acquire_lease"][0])
    assert isinstance(error, Unreachable)


@pytest.mark.parametrize(
    "name", ["create_app", "delete_app", "start_machine", "destroy_machine", "release_lease"]
)
def test_where_nothing_is_read_from_an_answer_it_may_be_anything(name: str) -> None:
    ALL[name][0](Scene(answer(202, b"accepted")).fly)


# What is gone is gone


@pytest.mark.parametrize("name", ["delete_app", "destroy_machine", "release_lease"])
def test_what_is_gone_already_need_not_go(name: str) -> None:
    ALL[name][0](Scene(answer(404, {"error": "not found"})).fly)


def test_another_holders_lease_is_left_alone() -> None:
    Scene(answer(409, {"error": "lease currently held by x"})).fly.release_lease("a", "m1", "n")
    assert isinstance(refusal(Scene(answer(409, {"error": "busy"})), ALL["release_lease"][0]), Conflict)


# What errors do not say


@pytest.mark.parametrize("status", [400, 401, 404, 409, 503])
@pytest.mark.parametrize("name", ALL)
def test_the_token_is_in_no_error_even_if_fly_repeats_it(name: str, status: int) -> None:
    scene = Scene(answer(status, {"error": f"token {TOKEN} (FlyV1 {TOKEN}) will not do"}))
    try:
        ALL[name][0](scene.fly)
    except FlyError as error:
        told = f"{error} {error!r} {vars(error)} {pickle.dumps(error)!r}"
        assert TOKEN not in told
    assert TOKEN not in f"{scene.fly!r} {scene.fly}"


@pytest.mark.parametrize("status", [400, 409, 412, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "words", [f'"{VALUE}" is not a valid secret name', f"A={VALUE}", VALUE[:8], f"lease {VALUE}"]
)
def test_what_fly_says_about_secrets_that_were_sent_is_not_shown(status: int, words: str) -> None:
    scene = Scene(answer(status, {"error": words}))
    error = refusal(scene, lambda fly: fly.write_secrets("a", {"A": VALUE}))
    assert VALUE[:8] not in f"{error} {error!r} {vars(error)}"
    assert error.summary == f"Fly answered {status}"


@pytest.mark.parametrize("failure", [*LOST, *UNREACHED, answer(200, f'"{VALUE}"'.encode())])
def test_a_write_of_secrets_that_is_lost_shows_none(failure: Answer) -> None:
    error = refusal(Scene(failure), lambda fly: fly.write_secrets("a", {"A": VALUE}))
    assert VALUE not in f"{error} {error!r} {vars(error)}"


def test_credentials_in_flys_words_are_left_out() -> None:
    words = f"invalid env: DATABASE_URL=postgres://u:{VALUE}@h/d, password: '{VALUE}'"
    error = refusal(Scene(answer(400, {"error": words})), update)
    assert VALUE not in str(error)
    assert "DATABASE_URL=postgres://…@h/d" in error.summary


# Where it asks


def test_the_address_comes_from_the_environment() -> None:
    assert base_url_from_environment({}) == "https://api.machines.dev"
    assert base_url_from_environment({"FLY_FLAPS_BASE_URL": ""}) == "https://api.machines.dev"
    assert base_url_from_environment({"FLY_FLAPS_BASE_URL": "http://x:1"}) == "http://x:1"


@pytest.mark.parametrize("base_url", ["http://fly.test", "http://fly.test/"])
def test_an_address_may_end_in_a_slash(base_url: str) -> None:
    scene = Scene(answer(200, []), base_url=base_url)
    scene.fly.machines("a")
    assert str(scene.requests[0].url) == "http://fly.test/v1/apps/a/machines"


@pytest.mark.parametrize(
    "base_url", ["api.machines.dev", "ftp://x", "http://", "http://h:x", "/v1", f"https://u:{VALUE}@h"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_asked(base_url: str) -> None:
    with pytest.raises(SettingsError, match="address of Fly's Machines API is none") as caught:
        Scene(answer(200, []), base_url=base_url)
    assert caught.value.where == "FLY_FLAPS_BASE_URL"
    assert VALUE not in str(caught.value)


# Against a real server


def test_a_machine_is_made_updated_under_a_lease_and_destroyed(box: Box) -> None:
    app = box.app()
    with Fly(Token(box.token, "a test"), base_url=box.url) as fly:
        assert (fly.app(app).name, fly.app(app).organization) == (app, "hotdash")
        written = fly.write_secrets(app, {"A": "1", "GONE": None})
        assert [secret.name for secret in written.secrets] == ["A"]
        assert fly.secrets(app) == written.secrets
        made = fly.create_machine(app, config=web_config(), region="fra", min_secrets_version=written.version)
        assert [machine.id for machine in fly.machines(app)] == [made.id] == [fly.machine(app, made.id).id]
        lease = fly.acquire_lease(app, made.id, ttl=30)
        with pytest.raises(LeaseHeld, match="lease currently held by"):
            fly.acquire_lease(app, made.id, ttl=30)
        again = fly.acquire_lease(app, made.id, ttl=30, nonce=lease.nonce)
        assert (again.nonce, again.version) == (lease.nonce, made.instance_id)
        write: dict[str, Any] = {"config": made.config, "nonce": lease.nonce, "min_secrets_version": None}
        with pytest.raises(Conflict):
            fly.update_machine(app, made.id, **write, current_version="01J00000000000000000000000")
        updated = fly.update_machine(app, made.id, **write, current_version=made.instance_id)
        assert updated.instance_id != made.instance_id
        fly.destroy_machine(app, made.id, lease.nonce)
        fly.release_lease(app, made.id, lease.nonce)
        fly.delete_app(app)
        with pytest.raises(NotFound) as caught:
            fly.app(app)
        assert caught.value.request_id


def test_a_write_whose_answer_is_lost_is_done_once(own_box: Box) -> None:
    app = own_box.app()
    machine = own_box.machine(app)
    own_box.ok(
        "POST", "/sandbox/faults", {"kind": "reset-after", "route": "POST /v1/apps/{app}/machines/{machine}"}
    )
    with Fly(Token(own_box.token, "a test"), base_url=own_box.url) as fly:
        there = fly.machine(app, machine.id)
        with pytest.raises(Unreachable, match="broke the connection") as caught:
            fly.update_machine(
                app, machine.id, config=there.config, nonce="", current_version="", min_secrets_version=None
            )
        assert caught.value.status is None
    versions = own_box.ok("GET", f"{machine.path}/versions")
    assert len(versions) == 2
