"""The way to a server: its addresses, and whether something listens there. None of it is proof against a credential."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import selectors
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hotdash.preflight.trial import Deadline, Notes, in_time, unclear

_FLYS_OWN: Final = (".internal", ".flycast", ".flympg.net")
_FROM_FLY: Final = "try it from a machine of the app (`fly ssh console`), or through `fly proxy`"
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_NO_TLS: Final = re.compile(
    r"wrong[ _]version[ _]number|record[ _]layer[ _]failure|packet[ _]length[ _]too[ _]long|http[ _]request",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reached:
    """An address at which something accepted a connection, which was closed again."""

    host: str
    address: str
    port: int


def reach(host: str, port: int, deadline: Deadline, notes: Notes) -> Reached:
    """Look the host up and connect to the first of its addresses that answers; notes what was found.

    Raises:
        Ended: could not tell: no such name here, no route, nothing listens, no answer in time.
    """
    addresses = _look_up(host, port, deadline)
    if not _is_address(host):
        notes.note("addresses", ", ".join(f"{a} ({'AAAA' if ':' in a else 'A'})" for a in addresses))
    failures: dict[str, int] = {}
    with selectors.DefaultSelector() as waiting, contextlib.ExitStack() as opened:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                attempt = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            except OSError as error:
                failures[address] = error.errno or 0
                continue
            attempt.setblocking(False)
            status = attempt.connect_ex((address, port))
            if status in (0, errno.EINPROGRESS):
                waiting.register(attempt, selectors.EVENT_WRITE, address)
            else:
                failures[address] = status
        while waiting.get_map() and (ready := waiting.select(deadline.left)):
            for key, _ in ready:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                waiting.unregister(sock)
                status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if status == 0:
                    return Reached(host, key.data, port)
                failures[key.data] = status
    raise _not_reached(host, port, addresses, failures)


def speaks_no_tls(said: str) -> bool:
    """Whether OpenSSL says that what answered its greeting was no TLS at all."""
    return bool(_NO_TLS.search(said))


def _look_up(host: str, port: int, deadline: Deadline) -> tuple[str, ...]:
    if _is_address(host):
        return (host,)
    try:
        # It knows no time-out, and a name server that is silent takes half a minute.
        found = in_time(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), deadline.left)
    except TimeoutError:
        raise unclear(
            "dns-timeout", f"the name server did not answer for {host} in time", _next(host)
        ) from None
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it cannot be a host's name"
        raise unclear("dns-not-found", f"{host} does not resolve here: {why}", _next(host)) from None
    return tuple(dict.fromkeys(str(item[4][0]) for item in found))


def _next(host: str) -> str:
    if host.endswith(_FLYS_OWN):
        return f"this name is for Fly's own network: {_FROM_FLY}"
    return f"see that {host} is spelled right; if it is, does this machine reach other names?"


def _not_reached(host: str, port: int, addresses: Sequence[str], failures: dict[str, int]) -> Exception:
    place = f"{host}, port {port}"
    silent = [address for address in addresses if address not in failures]
    if silent:
        return unclear(
            "timeout",
            f"{place} does not answer ({', '.join(silent)})",
            f"a firewall or an allow-list between here and there? {_FROM_FLY}",
        )
    if all(":" in address for address in addresses) and all(f in _NO_ROUTE for f in failures.values()):
        return unclear(
            "no-ipv6",
            f"{host} has IPv6 addresses alone, and this machine has no way to them",
            f"Fly's machines have IPv6: {_FROM_FLY}; or use a URL that has IPv4 (Supabase: the pooler's)",
        )
    if all(failure == errno.ECONNREFUSED for failure in failures.values()):
        return unclear(
            "nothing-listens",
            f"nothing listens at {place}",
            "see that host and port are right, and that the server runs",
        )
    said = ", ".join(sorted({os.strerror(failure) for failure in failures.values()}))
    return unclear("no-route", f"no way to {place}: {said}", _FROM_FLY)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
