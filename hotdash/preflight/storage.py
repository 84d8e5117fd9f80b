"""The bucket for attachments: one signed question that changes nothing, as Chatwoot's storage would sign it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from hotdash.preflight.network import reach
from hotdash.preflight.outcome import Check
from hotdash.preflight.trial import Deadline, Ended, Notes, make_check, quoted, refused, unclear

if TYPE_CHECKING:
    from httpx import Response

NAME: Final = "storage"
AMAZON: Final = ("S3_BUCKET_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
COMPATIBLE: Final = (
    "STORAGE_BUCKET_NAME",
    "STORAGE_ACCESS_KEY_ID",
    "STORAGE_SECRET_ACCESS_KEY",
    "STORAGE_REGION",
    "STORAGE_ENDPOINT",
    "STORAGE_FORCE_PATH_STYLE",
)
READS: Final = ("ACTIVE_STORAGE_SERVICE", *AMAZON, *COMPATIBLE)
_DEFAULT_REGION: Final = "us-east-1"
_FALSE: Final = frozenset({"", "0", "f", "false", "off"})
_CODE: Final = re.compile(r"<Code>\s*([A-Za-z0-9]{1,60})\s*</Code>")
_REGION_HEADER: Final = "x-amz-bucket-region"


@dataclass(frozen=True)
class Bucket:
    """What the question is made of. `url` is the bucket's own."""

    name: str
    url: str
    region: str
    key_id: str
    key: str = field(repr=False)


def check(settings: Mapping[str, str], uses: frozenset[str], timeout: float) -> Check:
    """A check of S3_BUCKET_NAME and AWS_*, or of STORAGE_*: what ACTIVE_STORAGE_SERVICE names, else what there is."""
    service = settings.get("ACTIVE_STORAGE_SERVICE", "").strip()
    amazon = service == "amazon" or (not service and bool(settings.get("S3_BUCKET_NAME", "").strip()))
    names = AMAZON if amazon else COMPATIBLE
    hidden = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "STORAGE_ACCESS_KEY_ID",
        "STORAGE_SECRET_ACCESS_KEY",
    )
    secrets = [settings.get(name, "").strip() for name in hidden]

    def body(notes: Notes) -> str:
        needed = [*names[:3], *([] if amazon else ["STORAGE_ENDPOINT"])]
        if missing := [name for name in needed if not settings.get(name, "").strip()]:
            raise unclear(
                "incomplete",
                f"{' and '.join(missing)}: neither a secret of the stack nor in the env of its machines, so the bucket "
                "cannot be asked",
                f"declare {' and '.join(missing)}: Chatwoot needs it too",
            )
        return _ask(_bucket(settings, amazon), Deadline.after(timeout), notes)

    bucket = settings.get(names[0], "").strip()
    return make_check(NAME, f"bucket {bucket}" if bucket else "attachments", uses, body, secrets=secrets)


def _bucket(settings: Mapping[str, str], amazon: bool) -> Bucket:
    def setting(name: str) -> str:
        return settings.get(name, "").strip()

    if amazon:
        region, name = setting("AWS_REGION") or _DEFAULT_REGION, setting("S3_BUCKET_NAME")
        # A name with a dot is no single label of Amazon's certificate.
        host = f"s3.{region}.amazonaws.com"
        url = f"https://{host}/{quote(name)}" if "." in name else f"https://{quote(name)}.{host}/"
        return Bucket(name, url, region, setting("AWS_ACCESS_KEY_ID"), setting("AWS_SECRET_ACCESS_KEY"))
    endpoint, name = setting("STORAGE_ENDPOINT"), setting("STORAGE_BUCKET_NAME")
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        valid = False
    if not valid or parts.username is not None:
        raise refused("malformed", "STORAGE_ENDPOINT is no URL", "write it with its scheme: https://HOST")
    base = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    by_path = setting("STORAGE_FORCE_PATH_STYLE").lower() not in _FALSE
    if not by_path and "." not in name and not _is_numeric(parts.hostname or ""):
        url = f"{parts.scheme}://{quote(name)}.{parts.netloc}{path}/"
    else:
        # As Amazon's own library does: a bucket's name before an IP address would be no host.
        url = f"{base}{path}/{quote(name)}"
    region = setting("STORAGE_REGION") or _DEFAULT_REGION
    return Bucket(name, url, region, setting("STORAGE_ACCESS_KEY_ID"), setting("STORAGE_SECRET_ACCESS_KEY"))


def _ask(bucket: Bucket, deadline: Deadline, notes: Notes) -> str:
    parts = urlsplit(bucket.url)
    host = parts.hostname or ""
    notes.note("endpoint", f"{parts.scheme}://{parts.netloc}")
    notes.note("bucket", bucket.name)
    notes.note("region", bucket.region)
    reach(host, parts.port or (443 if parts.scheme == "https" else 80), deadline, notes)
    response = _send("HEAD", bucket.url, bucket, deadline)
    code = ""
    if response.status_code in (400, 403, 404):
        # A HEAD's answer has no body, and why stands in the body.
        told = _send("GET", f"{bucket.url}?list-type=2&max-keys=0", bucket, deadline)
        code = found.group(1) if (found := _CODE.search(told.text[:20_000])) else ""
    if 200 <= response.status_code < 300:
        return f"the bucket {bucket.name} answers this key"
    raise _ended_by(response, code, bucket)


def _send(method: str, url: str, bucket: Bucket, deadline: Deadline) -> Response:
    # Here: costly to load.
    from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
    from botocore.credentials import Credentials  # type: ignore[import-untyped]

    from hotdash.http import client, httpx

    request = AWSRequest(method=method, url=url)
    S3SigV4Auth(Credentials(bucket.key_id, bucket.key), "s3", bucket.region).add_auth(request)
    try:
        with client(url, timeout=deadline.left, follow_redirects=False) as http:
            return http.request(method, url, headers=dict(request.headers))
    except httpx.TimeoutException:
        raise unclear("timeout", "it does not answer in time", "a firewall between here and there?") from None
    except httpx.HTTPError as error:
        if "certificate verify failed" in str(error).lower():
            raise unclear(
                "certificate", "its certificate is not trusted here", "is it the right endpoint?"
            ) from None
        raise unclear(
            "broken",
            f"the connection broke: {quoted(str(error)) or type(error).__name__}",
            "see the endpoint",
        ) from None


def _ended_by(response: Response, code: str, bucket: Bucket) -> Ended:
    status = response.status_code
    said = f"{status}{f' {code}' if code else ''}"
    right_region = response.headers.get(_REGION_HEADER, "")
    if status in (301, 307) or code in ("AuthorizationHeaderMalformed", "PermanentRedirect"):
        where = f"it is in {quoted(right_region)}" if right_region else "another region or endpoint has it"
        return refused(
            "wrong-region", f"{said}: {where}, not in {bucket.region}", "correct AWS_REGION or STORAGE_REGION"
        )
    match code:
        case "InvalidAccessKeyId":
            return refused(
                "wrong-key", f"{said}: nobody has this access key id", "put the right pair into the vault"
            )
        case "SignatureDoesNotMatch":
            return refused(
                "wrong-key",
                f"{said}: the secret key is not this access key's",
                "put the right pair into the vault",
            )
        case "RequestTimeTooSkewed":
            return unclear("clock", f"{said}: this machine's clock is wrong", "set it")
        case "NoSuchBucket":
            return refused(
                "no-such-bucket", f"{said}: there is no bucket of this name", "correct the name, or make it"
            )
    if status == 404:
        return refused(
            "no-such-bucket", f"{said}: there is no bucket of this name", "correct the name, or make it"
        )
    if status in (401, 403):
        return refused(
            "not-permitted",
            f"{said}: this key may not use the bucket",
            "is it the right bucket? Chatwoot's key must be allowed to list, read, write and delete there",
        )
    if status >= 500 or status == 429:
        return unclear("passing", f"{said}: the storage is in trouble", "try again in some minutes")
    return unclear("unknown-error", said, "is this the endpoint of an S3-compatible storage?")


def _is_numeric(host: str) -> bool:
    return bool(re.fullmatch(r"[0-9.]+|.*:.*|localhost", host))
