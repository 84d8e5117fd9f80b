"""The server that sends Chatwoot's mail: connect, TLS, log in, leave. No mail is sent.

A mail that cannot be sent fails nothing that people see: Chatwoot logs it. So a wrong password shows here or nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hotdash.preflight.network import reach, speaks_no_tls
from hotdash.preflight.outcome import Check
from hotdash.preflight.trial import Deadline, Ended, Notes, make_check, quoted, refused, unclear

if TYPE_CHECKING:
    from smtplib import SMTP

NAME: Final = "SMTP"
READS: Final = (
    "SMTP_ADDRESS",
    "SMTP_PORT",
    "SMTP_DOMAIN",
    "SMTP_USERNAME",
    "SMTP_PASSWORD",
    "SMTP_AUTHENTICATION",
    "SMTP_ENABLE_STARTTLS_AUTO",
    "SMTP_OPENSSL_VERIFY_MODE",
    "SMTP_TLS",
    "SMTP_SSL",
)
DEFAULT_PORT: Final = 587
_FALSE: Final = frozenset({"0", "f", "false", "off"})
"""What Rails casts to false (ActiveModel::Type::Boolean); everything else that is not blank is true."""
_MECHANISMS: Final = {"plain": "PLAIN", "login": "LOGIN", "cram_md5": "CRAM-MD5"}
_HELLO: Final = "localhost.localdomain"


@dataclass(frozen=True)
class Mail:
    """Chatwoot's mail settings, as its config/initializers/mailer.rb and the mail gem read them."""

    host: str
    port: int
    domain: str
    username: str
    password: str = field(repr=False)
    mechanism: str
    starttls: bool
    implicit: bool
    verified: bool

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Mail:
        """Raises ValueError: the message says which setting cannot be."""
        port = settings.get("SMTP_PORT", "").strip() or str(DEFAULT_PORT)
        if not (port.isdigit() and 0 < int(port) < 65536):
            raise ValueError("SMTP_PORT is no port number")
        # net-smtp takes plain where nothing is said.
        mechanism = settings.get("SMTP_AUTHENTICATION", "").strip().lower() or "plain"
        if mechanism not in _MECHANISMS:
            raise ValueError(f"SMTP_AUTHENTICATION must be one of {', '.join(_MECHANISMS)}")
        return cls(
            host=settings["SMTP_ADDRESS"].strip(),
            port=int(port),
            domain=settings.get("SMTP_DOMAIN", "").strip() or _HELLO,
            username=settings.get("SMTP_USERNAME", ""),
            password=settings.get("SMTP_PASSWORD", ""),
            mechanism=_MECHANISMS[mechanism],
            starttls=_true(settings, "SMTP_ENABLE_STARTTLS_AUTO", True),
            implicit=_true(settings, "SMTP_TLS", False) or _true(settings, "SMTP_SSL", False),
            verified=settings.get("SMTP_OPENSSL_VERIFY_MODE", "").strip() != "none",
        )


def check(settings: Mapping[str, str], uses: frozenset[str], timeout: float) -> Check:
    """A check of SMTP_*. Without SMTP_ADDRESS Chatwoot would call a sendmail that its container has not."""
    # The user too: some providers make it one half of a key.
    secrets = [settings.get("SMTP_PASSWORD", ""), settings.get("SMTP_USERNAME", "")]
    host = settings.get("SMTP_ADDRESS", "").strip()

    def body(notes: Notes) -> str:
        if not host:
            raise unclear(
                "incomplete",
                "SMTP_ADDRESS: neither a secret of the stack nor in the env of its machines, so nobody can be asked",
                "declare SMTP_ADDRESS: without it Chatwoot calls a sendmail that its container has not",
            )
        try:
            mail = Mail.of(settings)
        except ValueError as error:
            raise refused(
                "malformed", str(error), "correct it: Chatwoot would not start or not send"
            ) from None
        return _try(mail, Deadline.after(timeout), notes)

    port = settings.get("SMTP_PORT", "").strip() or DEFAULT_PORT
    return make_check(NAME, f"{host}:{port}" if host else "mail out", uses, body, secrets=secrets)


def _try(mail: Mail, deadline: Deadline, notes: Notes) -> str:
    import smtplib  # here: costly to load, like ssl
    import ssl

    notes.note("host", mail.host)
    notes.note("port", mail.port)
    reach(mail.host, mail.port, deadline, notes)
    context = ssl.create_default_context()
    if not mail.verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        server: SMTP = (
            smtplib.SMTP_SSL(mail.host, mail.port, mail.domain, timeout=deadline.left, context=context)
            if mail.implicit
            else smtplib.SMTP(mail.host, mail.port, mail.domain, timeout=deadline.left)
        )
        with server:
            server.ehlo_or_helo_if_needed()
            encrypted = mail.implicit
            if not mail.implicit and mail.starttls and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                encrypted = True
            notes.note("tls", ("implicit" if mail.implicit else "STARTTLS") if encrypted else "no")
            if not mail.username:
                return "answers; there is no SMTP_USERNAME, so it was not logged in"
            _log_in(server, mail)
            if not encrypted:
                notes.warn(
                    "the password crosses the network in clear: the server offered no STARTTLS, or it is off"
                )
            return "logged in"
    except (smtplib.SMTPException, OSError) as error:
        raise _ended_by(error, mail) from None


def _log_in(server: SMTP, mail: Mail) -> None:
    offered = server.esmtp_features.get("auth", "").upper().split()
    if not offered:
        raise refused(
            "no-login",
            "the server offers no login on this connection",
            "logins mostly need TLS: SMTP_ENABLE_STARTTLS_AUTO must not be false; is the port right (587)?",
        )
    if mail.mechanism not in offered:
        raise refused(
            "mechanism",
            f"the server offers {', '.join(offered)}, and Chatwoot would use {mail.mechanism}",
            f"set SMTP_AUTHENTICATION to one of them: {', '.join(k for k, v in _MECHANISMS.items() if v in offered)}",
        )
    server.user, server.password = mail.username, mail.password
    method: dict[str, Any] = {
        "PLAIN": server.auth_plain,
        "LOGIN": server.auth_login,
        "CRAM-MD5": server.auth_cram_md5,
    }
    server.auth(mail.mechanism, method[mail.mechanism])


def _ended_by(error: Exception, mail: Mail) -> Ended:
    import smtplib
    import ssl

    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code, error.smtp_error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return unclear(
            "certificate",
            f"the server's certificate is not trusted here ({error.verify_message})",
            "is it the right host? SMTP_OPENSSL_VERIFY_MODE=none lets any certificate pass",
        )
    if isinstance(error, ssl.SSLError) and speaks_no_tls(str(error)):
        return refused(
            "tls-not-offered",
            f"port {mail.port} does not begin with TLS",
            "take SMTP_TLS and SMTP_SSL out (587 uses STARTTLS), or use the port for implicit TLS (465)",
        )
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        hint = (
            ""
            if mail.implicit
            else "; a server that begins with TLS (465) says nothing first: set SMTP_TLS=true"
        )
        return unclear("timeout", "it does not answer in time", f"a firewall between here and there?{hint}")
    said = quoted(str(error)) or type(error).__name__
    return unclear(
        "broken", f"the connection broke: {said}", "try again; see that host and port are a mail server's"
    )


def _answered(code: int, words: bytes | str) -> Ended:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    said = f"{code} {text}"
    if code in (535, 534, 538, 530):
        return refused("wrong-password", said, "put the right SMTP_USERNAME and SMTP_PASSWORD into the vault")
    if 500 <= code < 600:
        return refused(
            "server-says-no", said, "these are the mail server's own words; its provider's dashboard may tell"
        )
    return unclear("passing", said, "the server turns people away for now: try again in some minutes")


def _true(settings: Mapping[str, str], name: str, default: bool) -> bool:
    text = settings.get(name, "").strip()
    return text.lower() not in _FALSE if text else default
