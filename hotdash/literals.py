"""Texts that look like credentials, for places where none should stand: a stack file, a machine's env or command line.

What is told is why a text looks so, never the text. A guess in both directions: a short password under a harmless name
is not seen, and what is random without being secret is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

CREDENTIALS: Final = frozenset(
    {
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
        "REDIS_SENTINEL_PASSWORD",
        "SECRET_KEY_BASE",
        "RAILS_MASTER_KEY",
        "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
        "ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY",
        "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT",
        "SMTP_PASSWORD",
        "RAILS_INBOUND_EMAIL_PASSWORD",
        "MAILGUN_INGRESS_SIGNING_KEY",
        "MANDRILL_INGRESS_API_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "STORAGE_ACCESS_KEY_ID",
        "STORAGE_SECRET_ACCESS_KEY",
        "GCS_CREDENTIALS",
        "AZURE_STORAGE_ACCESS_KEY",
        "FB_APP_SECRET",
        "FB_VERIFY_TOKEN",
        "IG_VERIFY_TOKEN",
        "SLACK_CLIENT_SECRET",
        "GOOGLE_OAUTH_CLIENT_SECRET",
        "AZURE_APP_SECRET",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "OPENAI_API_KEY",
        "VAPID_PRIVATE_KEY",
        "IP_LOOKUP_API_KEY",
        "CHATWOOT_WEBHOOK_SECRET",
        "FLY_API_TOKEN",
        "FLY_ACCESS_TOKEN",
    }
)
"""What Chatwoot and this program read as credentials (Chatwoot's .env.example, config/ and app/). Not in here are those
that hold a credential at times: of DATABASE_URL, REDIS_URL and their like the value tells."""

_NAMED: Final = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS|PRIVATE_KEY|(API|ACCESS|SECRET|SIGNING|MASTER)_?KEY)\Z"
)
_HEADERS: Final = frozenset({"AUTHORIZATION", "PROXY_AUTHORIZATION", "COOKIE"})
_HARMLESS_NAMES: Final = re.compile(r"PUBLIC|DIGEST|CHECKSUM|COMMIT|REVISION|(^|_)(SHA|GIT)|FINGERPRINT")
_SWITCHES: Final = frozenset({"", "true", "false", "yes", "no", "on", "off", "none", "null", "api_only"})
_URL_PASSWORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s?#@:]*:(?P<password>[^\s/?#@]+)@")
_QUERY_PASSWORD: Final = re.compile(
    r"[?&](password|passwd|pwd|token|secret|api_?key|access_token)=(?P<password>[^\s&#]+)", re.I
)
_KINDS: Final = (
    ("a Fly token", re.compile(r"\b(FlyV1 |fo1_|fm1r_|fm1a_|fm2_)\S{8}")),
    ("a key of AWS", re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a token of GitHub", re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{20}|github_pat_\w{20})")),
    ("a key of Stripe", re.compile(r"\b(sk|rk|whsec)_(live_|test_)?[A-Za-z0-9]{16}")),
    ("a key of OpenAI", re.compile(r"\bsk-[A-Za-z0-9_-]{20}")),
    ("a token of Slack", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10}")),
    ("a key of SendGrid", re.compile(r"\bSG\.[\w-]{16,}\.[\w-]{16,}")),
    ("a key of Google", re.compile(r"\bAIza[\w-]{30}")),
    ("a signed token (JWT)", re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")),
    ("an age identity", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{20}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
)
_RUN: Final = re.compile(r"[A-Za-z0-9]{20,}|[A-Za-z0-9+/]{32,}")
_ID: Final = re.compile(r"\bsha(1|256|384|512)[:-][A-Za-z0-9+/=]+|\b0[0-9A-HJKMNP-TV-Z]{25}\b")
"""A digest, or a ULID: Fly's image tags and versions are such."""
_TURNS: Final = 4
"""Changes between small letters, capitals and digits in a run of 20. Names and paths have fewer. Random texts have
more, but for 1 in some 5,000, and for 1 in 80 of those that have no capitals."""


def suspicion(name: str, text: str) -> str:
    """Why a text that stands under this name looks like a credential; empty where it does not. Never repeats it."""
    upper = name.upper().replace("-", "_")
    if text.strip().lower() in _SWITCHES or _is_reference(text):
        return ""
    if upper in CREDENTIALS:
        return "its name is that of a credential"
    if upper in _HEADERS or (
        _NAMED.search(upper) and not _HARMLESS_NAMES.search(upper) and not text.isdecimal()
    ):
        return "its name is that of a credential"
    if kind := in_text(text):
        return kind
    if _HARMLESS_NAMES.search(upper):
        return ""
    return "it looks random, as keys and passwords do" if _is_random(text) else ""


def in_text(text: str) -> str:
    """Why a text holds what looks like a credential, whatever its name; empty where it does not."""
    for pattern in (_URL_PASSWORD, _QUERY_PASSWORD):
        for found in pattern.finditer(text):
            if not _is_reference(found["password"]):
                return "it holds a URL with a password"
    for kind, pattern in _KINDS:
        if pattern.search(text):
            return f"it holds what begins as {kind} does"
    return ""


def _is_reference(text: str) -> bool:
    """A shell's or a template's, which is put in later."""
    return text.startswith(("$", "{{", "%{"))


def _is_random(text: str) -> bool:
    return any(_turns(run) >= _TURNS for run in _RUN.findall(_ID.sub(" ", text)))


def _turns(run: str) -> int:
    kinds = ["a" if c.islower() else "A" if c.isupper() else "0" for c in run if c.isalnum()]
    if len(set(kinds)) == 1 or ("0" not in kinds and not _mixed(run)):
        return 0
    return sum(one != other for one, other in pairwise(kinds))


def _mixed(run: str) -> bool:
    """Whether capitals stand in it otherwise than as the first letters of words (HelloWorldAgain)."""
    return bool(re.search(r"[A-Z]{2}[a-z]{1,2}[A-Z]|[a-z][A-Z][a-z]?[A-Z]", run))


# What a machine's config holds


def env_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a machine's env entries, those of its processes and containers too."""
    return tuple(sorted({name for name, _ in _env(config)}))


def in_machine(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a machine's config (Fly's own JSON) has what looks like a credential: `env NAME`, `init.cmd`… No value."""
    found = {f"env {name}" for name, value in _env(config) if suspicion(name, value)}
    for place, words in _commands(config):
        if any(in_text(word) for word in words):
            found.add(place)
    for name, value in _mapping(config.get("metadata")).items():
        if in_text(str(value)):
            found.add(f"metadata {name}")
    return tuple(sorted(found))


def _env(config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for part in _parts(config):
        for name, value in _mapping(part.get("env")).items():
            if not name.startswith("FLY_") or name in CREDENTIALS:
                yield str(name), str(value)


def _commands(config: Mapping[str, Any]) -> Iterable[tuple[str, list[str]]]:
    for part in _parts(config):
        for where, holder in (("init", _mapping(part.get("init"))), ("process", part)):
            for key in ("cmd", "entrypoint", "exec"):
                if isinstance(words := holder.get(key), list):
                    yield f"{where}.{key}", [str(word) for word in words]


def _parts(config: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield config
    for key in ("processes", "containers"):
        listed = config.get(key)
        yield from (
            item for item in (listed if isinstance(listed, list) else ()) if isinstance(item, Mapping)
        )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
