"""The bucket, asked of a storage that checks signatures."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hotdash.preflight import Outcome, Verdict
from hotdash.preflight.storage import _bucket
from tests.hotdash.preflight.trying import outcome
from tests.servers.silent import closed, silent
from tests.servers.storage import BUCKET, Storage


def tried(bucket: Storage, **instead: str) -> Outcome:
    values = {**bucket.settings, **instead}
    found = outcome(values)
    assert values["STORAGE_SECRET_ACCESS_KEY"] not in str(found)
    assert values["STORAGE_ACCESS_KEY_ID"] not in str(found)
    return found


def test_the_right_pair_is_proved(bucket: Storage) -> None:
    found = tried(bucket)
    assert found.verdict is Verdict.PROVED, found
    assert found.subject == f"bucket {BUCKET}"
    assert found.facts["bucket"] == BUCKET


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ({"STORAGE_SECRET_ACCESS_KEY": "w" * 40}, "wrong-key", "SignatureDoesNotMatch"),
        ({"STORAGE_ACCESS_KEY_ID": "AKIANOBODYHASTHISKEY"}, "wrong-key", "InvalidAccessKeyId"),
        ({"STORAGE_BUCKET_NAME": "no-such-bucket"}, "no-such-bucket", "NoSuchBucket"),
    ],
)
def test_what_the_storage_decides_is_refused(
    bucket: Storage, wrong: dict[str, str], code: str, said: str
) -> None:
    found = tried(bucket, **wrong)
    assert (found.verdict, found.code) == (Verdict.REFUSED, code), found
    assert said in found.said


def test_a_key_without_rights_is_refused(bucket: Storage) -> None:
    found = tried(
        bucket, STORAGE_ACCESS_KEY_ID=bucket.outsider_id, STORAGE_SECRET_ACCESS_KEY=bucket.outsider_key
    )
    assert (found.verdict, found.code) == (Verdict.REFUSED, "not-permitted"), found


@pytest.mark.parametrize(
    "missing", ["STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY_ID", "STORAGE_SECRET_ACCESS_KEY"]
)
def test_what_is_missing_is_named(bucket: Storage, missing: str) -> None:
    values = {name: value for name, value in bucket.settings.items() if name != missing}
    found = outcome(values)
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "incomplete"), found
    assert missing in found.next
    env = {missing: bucket.settings[missing]}
    assert outcome(values, env=env).verdict is Verdict.PROVED


@pytest.mark.parametrize(
    "endpoint", ["not a url", "ftp://host", "https://user:s3cr3t@host", "http://host:port"]
)
def test_an_endpoint_that_is_none_is_refused(bucket: Storage, endpoint: str) -> None:
    found = tried(bucket, STORAGE_ENDPOINT=endpoint)
    assert (found.verdict, found.code) == (Verdict.REFUSED, "malformed"), found
    assert "s3cr3t" not in str(found)


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes = b"") -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "body", "verdict", "code"),
    [
        (301, {"x-amz-bucket-region": "eu-central-1"}, b"", Verdict.REFUSED, "wrong-region"),
        (301, {"Location": "https://elsewhere.example"}, b"", Verdict.REFUSED, "wrong-region"),
        (
            400,
            {},
            b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>",
            Verdict.REFUSED,
            "wrong-region",
        ),
        (403, {}, b"<Error><Code>RequestTimeTooSkewed</Code></Error>", Verdict.UNCLEAR, "clock"),
        (403, {}, b"no XML", Verdict.REFUSED, "not-permitted"),
        (404, {}, b"", Verdict.REFUSED, "no-such-bucket"),
        (429, {}, b"", Verdict.UNCLEAR, "passing"),
        (503, {}, b"", Verdict.UNCLEAR, "passing"),
        (418, {}, b"", Verdict.UNCLEAR, "unknown-error"),
    ],
)
def test_every_answer_has_its_meaning(
    bucket: Storage, status: int, headers: dict[str, str], body: bytes, verdict: Verdict, code: str
) -> None:
    with answering(status, headers, body) as endpoint:
        found = tried(bucket, STORAGE_ENDPOINT=endpoint)
    assert (found.verdict, found.code) == (verdict, code), found


def test_what_does_not_answer_tells_nothing(bucket: Storage) -> None:
    with closed() as port:
        found = tried(bucket, STORAGE_ENDPOINT=f"http://127.0.0.1:{port}")
        assert (found.verdict, found.code) == (Verdict.UNCLEAR, "nothing-listens")
    with silent() as port:
        values = {**bucket.settings, "STORAGE_ENDPOINT": f"http://127.0.0.1:{port}"}
        found = outcome(values, timeout=0.5)
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "timeout"), found


KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
OTHERS = {"STORAGE_ACCESS_KEY_ID": "id", "STORAGE_SECRET_ACCESS_KEY": "key"}


@pytest.mark.parametrize(
    ("settings", "amazon", "url"),
    [
        (
            {**KEYS, "S3_BUCKET_NAME": "b", "AWS_REGION": "eu-west-1"},
            True,
            "https://b.s3.eu-west-1.amazonaws.com/",
        ),
        ({**KEYS, "S3_BUCKET_NAME": "b.c"}, True, "https://s3.us-east-1.amazonaws.com/b.c"),
        (
            {**OTHERS, "STORAGE_BUCKET_NAME": "b", "STORAGE_ENDPOINT": "https://fly.storage.tigris.dev"},
            False,
            "https://b.fly.storage.tigris.dev/",
        ),
        (
            {
                **OTHERS,
                "STORAGE_BUCKET_NAME": "b",
                "STORAGE_ENDPOINT": "https://ref.supabase.co/storage/v1/s3/",
                "STORAGE_FORCE_PATH_STYLE": "true",
            },
            False,
            "https://ref.supabase.co/storage/v1/s3/b",
        ),
        (
            {**OTHERS, "STORAGE_BUCKET_NAME": "b", "STORAGE_ENDPOINT": "http://10.0.0.1:9000"},
            False,
            "http://10.0.0.1:9000/b",
        ),
    ],
)
def test_where_the_bucket_is_asked(settings: dict[str, str], amazon: bool, url: str) -> None:
    assert _bucket(settings, amazon).url == url
