"""A mail server that takes one login, with or without TLS. What it was sent as mail is kept: it must stay empty."""

import contextlib
import logging
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from sandbox.ports import free_port

USERNAME = "apikey"
PASSWORD = "Mail-Password-5f1c"


@dataclass
class MailServer:
    port: int
    received: list[Any] = field(default_factory=list)


@contextlib.contextmanager
def mail_server(
    *, starttls: ssl.SSLContext | None = None, implicit: ssl.SSLContext | None = None, login: bool = True
) -> Iterator[MailServer]:
    """A running one.

    Args:
        starttls: offers STARTTLS with this, and a login only behind it.
        implicit: begins with TLS.
        login: whether it offers a login at all.
    """
    # It calls what it does itself deprecated.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    running = MailServer(free_port())

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            running.received.append(envelope)
            return "250 kept"

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USERNAME.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=right, handled=right)

    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=running.port,
        ssl_context=implicit,
        tls_context=starttls,
        authenticator=authenticate,
        auth_require_tls=starttls is not None,
        auth_exclude_mechanism=() if login else ("LOGIN", "PLAIN"),
    )
    controller.start()
    try:
        yield running
    finally:
        controller.stop()
