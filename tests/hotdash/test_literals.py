"""What looks like a credential in the open is seen, what does not is left alone, and neither is ever repeated."""

import base64
import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.literals import CREDENTIALS, env_names, in_machine, in_text, suspicion

VALUE = "s3cr3t-Value"


@pytest.mark.parametrize(
    "name", [*sorted(CREDENTIALS), "FOO_PASSWORD", "MY_API_KEY", "some_token", "Authorization"]
)
def test_a_credential_is_known_by_its_name(name: str) -> None:
    assert suspicion(name, VALUE) == "its name is that of a credential"
    assert suspicion(name.lower(), VALUE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SMTP_PASSWORD", ""),
        ("FOO_TOKEN", "true"),
        ("FOO_TOKEN", "30"),
        ("SMTP_PASSWORD", "$SMTP_PASSWORD"),
        ("SMTP_PASSWORD", "${PASSWORD}"),
        ("VAPID_PUBLIC_KEY", "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"),
        ("GIT_SHA", "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"),
        ("RAILS_ENV", "production"),
        ("FRONTEND_URL", "https://hotdash-chatwoot.fly.dev"),
        ("DATABASE_URL", "postgres://chatwoot@db.example.com:5432/chatwoot"),
        ("MAILER_SENDER_EMAIL", "HotDash Support <customer.support@hotdash.example>"),
        ("PATH", "/usr/local/bundle/bin:/usr/local/sbin:/app/node_modules/.bin"),
        ("ID", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        ("IMAGE", "chatwoot/chatwoot@sha256:" + "0a1b2c3d" * 8),
        ("IMAGE", "registry.fly.io/hotdash-chatwoot:deployment-01HQ8N5W3Y6ZK9XJ4V7RB2TCMD"),
        ("STAMP", "2026-11-24T10:00:00.000Z"),
        ("BUCKET", "hotdash-chatwoot-uploads-production-2026"),
        ("command", "DATABASE_URL=$DIRECT_DATABASE_URL bundle exec rails db:chatwoot_prepare"),
        ("CLASS", "ActionDispatchSessionCookieStoreMiddleware"),
    ],
)  # fmt: skip
def test_what_is_harmless_is_left_alone(name: str, text: str) -> None:
    assert suspicion(name, text) == ""


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://u:{VALUE}@h:5432/d",
        f"redis://:{VALUE}@h",
        f"run --url=https://u:{VALUE}@h/ now",
        f"https://h/hook?token={VALUE}",
        f"https://h/?a=1&access_token={VALUE}",
        f"fo1_{VALUE}", f"FlyV1 fm2_{VALUE}", "AKIAABCDEFGHIJKLMNOP",
        "ghp_" + "a1B2" * 9, "sk_live_" + "a1B2" * 6, "xoxb-12345678901-abc",
        "SG." + "a1B2" * 5 + "." + "c3D4" * 5, "AIza" + "a1B2" * 9, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln",
        "AGE-SECRET-KEY-1" + "QPZRY9X8" * 6, "-----BEGIN RSA PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_what_a_text_holds_is_seen_whatever_its_name(text: str) -> None:
    for found in (in_text(text), suspicion("ANYTHING", text), suspicion("GIT_SHA", text)):
        assert found
        assert VALUE not in found


@given(st.integers(0, 2**32), st.sampled_from([24, 32, 48, 64]))
def test_what_is_random_is_seen(seed: int, length: int) -> None:
    letters = string.ascii_letters + string.digits
    text = "".join(random.Random(seed).choices(letters, k=length))
    assert suspicion("ANYTHING", text) == "it looks random, as keys and passwords do"
    assert suspicion("ANYTHING", f"prefix_{text}")
    assert suspicion("ANYTHING", base64.b64encode(text.encode()).decode())


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_reason_is_one_of_a_few_sentences(name: str, text: str) -> None:
    assert suspicion(name, text).startswith(("it holds ", "its name ", "it looks ")) or not suspicion(
        name, text
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["env", "init", "cmd", "processes", "containers", "metadata", "A"]), inner
            )
        ),
        max_leaves=10,
    )
)
def test_whatever_a_config_is_it_is_read(config: Any) -> None:
    if isinstance(config, dict):
        assert all(isinstance(name, str) for name in (*env_names(config), *in_machine(config)))
