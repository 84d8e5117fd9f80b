"""Redis: does it answer, with this password, over TLS where the URL says so; and is it fit for Sidekiq's queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from hotdash.preflight.network import reach, speaks_no_tls
from hotdash.preflight.outcome import Check
from hotdash.preflight.trial import Deadline, Ended, Notes, make_check, refused, unclear

if TYPE_CHECKING:
    from redis import RedisError

DEFAULT_PORT: Final = 6379
OLDEST_ADVISED: Final = 7
"""Chatwoot's docs advise Redis 7 or newer."""
READS: Final = (
    "REDIS_URL",
    "REDIS_PASSWORD",
    "REDIS_OPENSSL_VERIFY_MODE",
    "REDIS_SENTINELS",
    "REDIS_SENTINEL_MASTER_NAME",
    "REDIS_SENTINEL_PASSWORD",
)
_CORRECT_IT: Final = "put the right password into the vault; REDIS_PASSWORD wins over the URL's"


def check(settings: Mapping[str, str], uses: frozenset[str], timeout: float) -> Check:
    """A check of REDIS_URL as Chatwoot reads it (its config/initializers and lib/redis/config.rb)."""
    url = settings["REDIS_URL"]
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
        database = parts.path.strip("/") or "0"
        # An @ behind the host means that a /, ? or # in the password was not percent-encoded.
        whole = "@" in parts.netloc or "@" not in url
        valid = parts.scheme in ("redis", "rediss") and bool(host) and database.isdigit() and whole
    except ValueError:
        valid = False
    secrets = [settings.get("REDIS_PASSWORD", ""), settings.get("REDIS_SENTINEL_PASSWORD", "")]
    if not valid:

        def malformed(_: Notes) -> str:
            raise refused(
                "malformed",
                "it is no Redis URL",
                "write redis://:PASSWORD@HOST:6379/0 (rediss:// for TLS), special characters percent-encoded",
            )

        return make_check("REDIS_URL", "Redis", uses, malformed, secrets=[*secrets, url])
    in_url = unquote(parts.password or "")
    # Chatwoot passes REDIS_PASSWORD beside the URL, where it wins; blank counts as none.
    password = settings.get("REDIS_PASSWORD", "").strip() or in_url

    def body(notes: Notes) -> str:
        deadline = Deadline.after(timeout)
        notes.note("host", host)
        notes.note("port", port)
        notes.note("database", database)
        notes.note("tls", "yes" if parts.scheme == "rediss" else "no")
        if settings.get("REDIS_SENTINELS", "").strip():
            raise unclear(
                "sentinels",
                "REDIS_SENTINELS is set, and Sentinels are not asked from here",
                "see that the app answers: GET /api says queue_services: ok",
            )
        reach(host, port, deadline, notes)
        options: dict[str, Any] = {}
        if parts.scheme == "rediss":
            unchecked = settings.get("REDIS_OPENSSL_VERIFY_MODE", "").strip() == "none"
            options = {"ssl": True, "ssl_cert_reqs": "none" if unchecked else "required"}
            options["ssl_check_hostname"] = not unchecked
        return _ask(
            {
                "host": host,
                "port": port,
                "db": int(database),
                "username": unquote(parts.username or "") or None,
                "password": password or None,
                **options,
            },
            deadline,
            notes,
        )

    subject = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}/{database}"
    return make_check("REDIS_URL", subject, uses, body, secrets=[*secrets, in_url, parts.password or ""])


def _ask(options: Mapping[str, Any], deadline: Deadline, notes: Notes) -> str:
    import redis  # here: costly to load
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # It tries again for seconds unless told not to.
    client = redis.Redis(
        **options,
        socket_connect_timeout=deadline.left,
        socket_timeout=deadline.left,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
        maint_notifications_config=None,
    )
    try:
        with client:
            client.ping()
            try:
                information = dict(client.info())
            except redis.ResponseError:
                information = {}  # a role that may do little else
    except redis.RedisError as error:
        raise _ended_by(error) from None
    version = str(information.get("redis_version", ""))
    notes.note("server", f"Redis {version}" if version else "")
    notes.note("policy", information.get("maxmemory_policy"))
    if information.get("role") == "slave":
        raise refused(
            "read-only",
            "it is a replica, and takes no writes: Sidekiq could queue nothing",
            "use the primary's URL",
        )
    for text in warnings(information):
        notes.warn(text)
    return f"answers PING{f', Redis {version}' if version else ''}"


def warnings(information: Mapping[str, Any]) -> list[str]:
    """What INFO tells that will hurt: jobs that are thrown away, a version that Chatwoot's docs advise against."""
    found = []
    version, policy = str(information.get("redis_version", "")), information.get("maxmemory_policy")
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_ADVISED:
        found.append(f"Redis {version}: Chatwoot's docs advise {OLDEST_ADVISED} or newer")
    if policy not in (None, "noeviction") and int(information.get("maxmemory") or 0):
        found.append(
            f"maxmemory-policy is {policy}: when memory is short Redis throws jobs away. Set it to noeviction"
        )
    return found


def _ended_by(error: RedisError) -> Ended:
    import redis

    said = str(error) or type(error).__name__
    first = said.split(" ", 1)[0]
    if isinstance(error, redis.AuthenticationError) or first in ("NOAUTH", "WRONGPASS"):
        return refused("wrong-password", said, _CORRECT_IT)
    if isinstance(error, redis.TimeoutError):
        return unclear(
            "timeout",
            "it does not answer in time",
            "a firewall between here and there? Where the URL begins with rediss://, does it speak TLS? Else write redis://",
        )
    if isinstance(error, redis.ConnectionError):
        return _broken(error, said)
    lowered = said.lower()
    if "db index is out of range" in lowered or "select is not allowed" in lowered:
        return refused("no-such-database", said, "use database 0: write /0 at the end of the URL")
    if "max number of clients" in lowered:
        return refused("exhausted", said, "free connections, or raise Redis' maxclients")
    if first == "NOPERM":
        return refused("not-permitted", said, "give this user the right to use every command and key (ACL)")
    return unclear("unknown-error", said, "these are Redis' own words; see its log")


def _broken(error: Exception, said: str) -> Ended:
    import ssl  # here: costly to load

    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError) or "certificate verify failed" in said.lower():
        return unclear(
            "certificate",
            "its certificate is not trusted here; the app's machines may differ",
            "is it the right host? REDIS_OPENSSL_VERIFY_MODE=none lets any certificate pass",
        )
    if speaks_no_tls(said):
        return refused(
            "tls-not-offered",
            "it does not speak TLS at this port",
            "write redis:// in place of rediss://, or its port",
        )
    if "max number of clients" in said.lower():
        return refused("exhausted", said, "free connections, or raise Redis' maxclients")
    return unclear(
        "broken",
        f"the connection broke before it answered ({said})",
        "does it want TLS? Then write rediss:// for redis://",
    )
