"""An S3-compatible storage (moto) that checks who asks: signatures are computed and compared, rights looked at."""

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import botocore.session  # type: ignore[import-untyped]
import httpx
from moto.server import ThreadedMotoServer

BUCKET = "uploads"
_RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


@dataclass(frozen=True)
class Storage:
    """`key_id` may do everything with `BUCKET`; `outsider_id` is a key that may do nothing."""

    port: int
    key_id: str
    key: str = field(repr=False)
    outsider_id: str = ""
    outsider_key: str = field(repr=False, default="")

    @property
    def settings(self) -> dict[str, str]:
        """Chatwoot's variables for it."""
        return {
            "STORAGE_BUCKET_NAME": BUCKET,
            "STORAGE_ACCESS_KEY_ID": self.key_id,
            "STORAGE_SECRET_ACCESS_KEY": self.key,
            "STORAGE_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "STORAGE_FORCE_PATH_STYLE": "true",
        }


@contextlib.contextmanager
def storage() -> Iterator[Storage]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        base = f"http://127.0.0.1:{port}"
        session = botocore.session.get_session()

        def client(service: str) -> Any:
            return session.create_client(
                service,
                region_name="us-east-1",
                endpoint_url=base,
                aws_access_key_id="unchecked",
                aws_secret_access_key="unchecked",
            )

        users = client("iam")
        keys = {}
        for name in ("chatwoot", "outsider"):
            users.create_user(UserName=name)
            keys[name] = users.create_access_key(UserName=name)["AccessKey"]
        users.put_user_policy(UserName="chatwoot", PolicyName="all", PolicyDocument=json.dumps(_RIGHTS))
        client("s3").create_bucket(Bucket=BUCKET)
        # From here on every request must be signed by a key that may do what it asks.
        httpx.post(f"{base}/moto-api/reset-auth", content=b"0").raise_for_status()
        yield Storage(
            port,
            keys["chatwoot"]["AccessKeyId"],
            keys["chatwoot"]["SecretAccessKey"],
            keys["outsider"]["AccessKeyId"],
            keys["outsider"]["SecretAccessKey"],
        )
    finally:
        server.stop()
