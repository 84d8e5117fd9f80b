"""What Supavisor does on the wire, played: how it refuses, in both generations of its words, and how it lets in.

A session that is let in is passed on to a real Postgres. On the way the pooler's marks are put in, as its source has
them: a process id of its own count, and an application_name that the client did not ask for.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

_TLS_REQUEST = 80877103
_GSS_REQUEST = 80877104
_APPLICATION_NAME = b"application_name\0Supavisor\0"


@contextlib.contextmanager
def refusing(message: str, *, code: str = "XX000", severity: str = "FATAL") -> Iterator[int]:
    """A port that answers every login with one error."""

    def answer(client: socket.socket) -> None:
        _startup(client)
        fields = {"S": severity, "V": severity, "C": code, "M": message}
        client.sendall(_message(b"E", b"".join(f"{k}{v}\0".encode() for k, v in fields.items()) + b"\0"))

    with _serving(answer) as port:
        yield port


@contextlib.contextmanager
def answering(words: bytes) -> Iterator[int]:
    """A port that answers whatever comes with these bytes: no Postgres at all."""

    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(words)

    with _serving(answer) as port:
        yield port


@contextlib.contextmanager
def session_pooler(upstream: int, tenant: str) -> Iterator[int]:
    """A port for roles named `ROLE.tenant`, each session passed on to the Postgres at `upstream` as ROLE."""
    counted = iter(range(1, 1_000_000))

    def answer(client: socket.socket) -> None:
        parameters = _startup(client)
        role, _, asked = parameters["user"].rpartition(".")
        if asked != tenant:
            said = f"(ENOTFOUND) tenant/user {parameters['user']} not found"
            client.sendall(_message(b"E", f"SFATAL\0VFATAL\0CXX000\0M{said}\0\0".encode()))
            return
        with socket.create_connection(("127.0.0.1", upstream)) as server:
            parameters["user"] = role
            body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
            server.sendall(_message(b"", struct.pack(">I", 196608) + body + b"\0"))
            back = threading.Thread(target=_pass_back, args=(server, client, next(counted)), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    server.sendall(data)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join(5)

    with _serving(answer) as port:
        yield port


def _pass_back(server: socket.socket, client: socket.socket, process: int) -> None:
    with contextlib.suppress(OSError, EOFError):
        while True:
            kind = _exactly(server, 1)
            body = _exactly(server, struct.unpack(">I", _exactly(server, 4))[0] - 4)
            if kind == b"S" and body.startswith(b"application_name\0"):
                body = _APPLICATION_NAME
            if kind == b"K":
                body = struct.pack(">II", process, 0)
            client.sendall(_message(kind, body))
            if kind == b"Z":
                break
        while data := server.recv(65536):
            client.sendall(data)


def _startup(client: socket.socket) -> dict[str, str]:
    """The parameters of a login; no TLS is to be had."""
    while True:
        body = _exactly(client, struct.unpack(">I", _exactly(client, 4))[0] - 4)
        (number,) = struct.unpack(">I", body[:4])
        if number not in (_TLS_REQUEST, _GSS_REQUEST):
            words = body[4:].rstrip(b"\0").decode().split("\0")
            return dict(zip(words[::2], words[1::2], strict=True))
        client.sendall(b"N")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := source.recv(size - len(data))):
            raise EOFError
        data += more
    return data


@contextlib.contextmanager
def _serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def one(client: socket.socket) -> None:
        # A client that only looks whether the port is open leaves at once.
        with contextlib.suppress(OSError, EOFError), client:
            answer(client)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
