"""`chatwoot.Readiness` without an engine, before a server that answers as a Chatwoot may."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pulumi.output import Unknown

from components.readiness import ReadinessProvider, drift
from hotdash.chatwoot import probe
from hotdash.drift import Kind

VALUE = "s3cr3t-Value"
HEALTHY = json.dumps({"version": "4.11.0", "queue_services": "ok", "data_services": "ok"})
NO_REDIS = json.dumps({"version": "4.11.0", "queue_services": "failing", "data_services": "ok"})


class App(HTTPServer):
    """Gives its answers in turn, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, str]] = [(200, HEALTHY)]
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, App)
        self.server.paths.append(self.path)
        answers = self.server.answers
        status, said = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def app() -> Iterator[App]:
    with App() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _whole_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.tracebacklimit", 1000, raising=False)  # a provider that fails cuts it, for good


def props(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "app": "a",
        "url": url,
        "path": "/api",
        "status": 200.0,
        "timeout": 30.0,
        "after": "r1 r2",
        **changes,
    }


# Looking


@pytest.mark.parametrize(
    ("status", "said", "line"),
    [
        (200, HEALTHY, f"200 {HEALTHY}"),
        (503, "<h1>We're sorry</h1>\n<p>500", "503 We're sorry 500"),
        (500, f"connect postgres://u:{VALUE}@h/d", "500 connect postgres://…@h/d"),
        (302, "", "302"),
        (404, "", "404"),
    ],
)
def test_an_answer_in_one_line(app: App, status: int, said: str, line: str) -> None:
    app.answers = [(status, said)]
    assert str(probe(app.url, "/api")) == line
    assert app.paths == ["/api"]  # no redirect is followed


def test_no_answer_in_one_line(app: App) -> None:
    assert str(probe(app.url.replace(str(app.server_port), "1"), "/api")) == "no connection (ConnectError)"
    assert str(probe("http://[::1", "/api")) == "no connection (there is no such address)"


@pytest.mark.parametrize(
    ("said", "failing"),
    [(HEALTHY, ""), (NO_REDIS, "Redis"), ("[]", ""), ("", ""), ("no json", ""), ('"failing"', "")],
)
def test_what_an_app_says_of_its_redis(app: App, said: str, failing: str) -> None:
    app.answers = [(200, said)]
    assert probe(app.url, "/api").failing == failing


# Comparing


def seen(app: App, **changes: Any) -> dict[str, Any]:
    return dict(ReadinessProvider().read("a", props(app.url, **changes)).outs or {})


def test_an_app_that_answers_is_no_drift(app: App) -> None:
    assert drift(seen(app), props(app.url)) == ()
    assert not ReadinessProvider().diff("a", seen(app), props(app.url)).changes


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((503, "<p>sorry"), "answers 503, not 200 (sorry)"),
        ((200, NO_REDIS), "answers 200 and says that Redis fails, not 200"),
    ],
)
def test_an_app_that_does_not_is(app: App, answer: tuple[int, str], said: str) -> None:
    app.answers = [answer]
    [item] = drift(seen(app), props(app.url))
    assert item.kind is Kind.UNHEALTHY
    assert item.subject == f"{app.url}/api"
    assert str(item).endswith(said)
    assert item.remedy == "waits up to 30 s for it"
    assert ReadinessProvider().diff("a", seen(app), props(app.url)).changes


def test_no_answer_is_drift_with_its_reason() -> None:
    nowhere = props("http://127.0.0.1:1")
    [item] = drift(dict(ReadinessProvider().read("a", nowhere).outs or {}), nowhere)
    assert item.was == "no connection (ConnectError)"


def test_another_answer_may_be_the_right_one(app: App) -> None:
    app.answers = [(204, "")]
    assert drift(seen(app, status=204.0), props(app.url, status=204.0)) == ()


def test_an_ignored_status_is_no_drift(app: App) -> None:
    app.answers = [(503, "no")]
    read = ReadinessProvider().read("a", props(app.url))
    ignoring = {**props(app.url), "status": dict(read.inputs or {})["status"]}
    assert ignoring["status"] == 503 or isinstance(ignoring["status"], str)
    outs = dict(read.outs or {})
    assert drift(outs, ignoring) == ()


def test_it_is_asked_again_after_every_rollout_and_at_every_new_address(app: App) -> None:
    provider, state = ReadinessProvider(), seen(app)
    unknown = Unknown()  # type: ignore[no-untyped-call]
    assert not provider.diff("a", state, props(app.url)).changes
    for changed in (
        {"after": "r1 r3"},
        {"after": unknown},
        {"path": "/health"},
        {"url": "http://other"},
    ):
        assert provider.diff("a", state, {**props(app.url), **changed}).changes
    assert provider.diff("a", state, props(app.url, app="b")).replaces == ["app"]
    assert not provider.diff("a", state, props(app.url, timeout=5.0)).changes


def test_nothing_of_a_healthy_answer_is_kept(app: App) -> None:
    # It holds the time of day: kept, it would differ at every look.
    first = seen(app)
    app.answers = [(200, HEALTHY.replace("4.11.0", "now 12:00:01"))]
    assert seen(app) == first


# Waiting


def test_it_is_waited_for_until_the_right_answer_comes(
    app: App, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.readiness.PAUSE", 0.01)
    app.answers = [(503, "no"), (200, NO_REDIS), (404, ""), (200, HEALTHY)]
    outs = ReadinessProvider().create(props(app.url)).outs
    assert (outs or {})["answered"] == 200
    assert len(app.paths) == 4
    assert f"{app.url}/api answers 200" in capsys.readouterr().err


def test_it_is_not_waited_for_without_end(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.readiness.PAUSE", 0.01)
    app.answers = [(500, f"connect postgres://u:{VALUE}@h/d")]
    with pytest.raises(Exception, match=r"does not answer 200 after 0 s: 500 connect") as caught:
        ReadinessProvider().create(props(app.url, timeout=0.05))
    assert type(caught.value).__name__ == "not-ready"
    assert VALUE not in str(caught.value)
    assert "fly logs -a a" in str(caught.value)
