"""The web server: Chatwoot's routes as far as a probe can tell, and what each of them asks of Postgres and Redis."""

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg
import redis

from sandbox.chatwoot.database import Database, hold, pool_size
from sandbox.chatwoot.log import Log
from sandbox.chatwoot.queue import CannotConnect, Queue
from sandbox.chatwoot.settings import Settings

HEALTH_SINCE = (4, 11, 0)
"""The version in which `/health` came (chatwoot/chatwoot#13386)."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]

    @property
    def host(self) -> str:
        """The host that was asked for, without its port."""
        return urlsplit("//" + self.headers.get("host", "")).hostname or ""


@dataclass(frozen=True)
class Answer:
    status: int
    body: str = ""
    kind: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND = Answer(404, "<h1>The page you were looking for doesn't exist.</h1>\n")
BROKEN = Answer(500, "<h1>We're sorry, but something went wrong.</h1>\n")


class Web:
    """Answers requests."""

    def __init__(self, configured: Settings, machine: str, log: Log, never_healthy: bool = False) -> None:
        self._settings = configured
        self._log = log
        self._name = f"puma {machine}".strip()
        self._database = Database(configured.database, self._name)
        self._queue = Queue(configured.redis_url, configured.redis_password)
        self._installed = False
        self._never_healthy = never_healthy

    def fill_pool(self, size: int) -> None:
        """Hold all the connections that Puma's threads may have."""
        hold(self._database, self._settings.database, self._name, size)

    def answer(self, request: Request) -> Answer:
        """The answer to one request; errors of Postgres and Redis become a logged 500, as in Rails."""
        if self._never_healthy:
            self._log(f"{request.method} {request.path} 500 (this app was told never to be healthy)")
            return BROKEN
        try:
            return self._route(request)
        except psycopg.Error as error:
            self._log(f"{request.method} {request.path} 500 ActiveRecord::ConnectionNotEstablished ({error})")
        except (CannotConnect, redis.RedisError) as error:
            self._log(f"{request.method} {request.path} 500 Redis::BaseError ({error})")
        return BROKEN

    def _route(self, request: Request) -> Answer:
        path = request.path.rstrip("/") or "/"
        if path == "/health" and self._settings.version >= HEALTH_SINCE and request.method in ("GET", "HEAD"):
            return _json({"status": "woot"})
        if self._settings.force_ssl and request.headers.get("x-forwarded-proto") != "https":
            return Answer(301, headers={"Location": f"https://{request.host}{request.path}"})
        if request.method not in ("GET", "HEAD"):
            return NOT_FOUND
        if path == "/api":
            return self._api(request)
        if path == "/" or path == "/app" or path.startswith("/app/"):
            return self._dashboard(request)
        if path.startswith("/hc/"):
            return self._help_center(request, path.split("/")[2:])
        if path.startswith(("/super_admin", "/monitoring/sidekiq")) and path != "/super_admin/sign_in":
            return Answer(302, headers={"Location": "/super_admin/sign_in"})
        if path == "/super_admin/sign_in":
            return Answer(200, "<title>SuperAdmin | Chatwoot</title>\n")
        if path.startswith("/api/v1/"):
            return _json({"errors": ["You need to sign in or sign up before continuing."]}, 401)
        # /up, /rails/health and a bare /hc are routes of no Chatwoot version.
        return NOT_FOUND

    def _api(self, request: Request) -> Answer:
        self._switch_locale(request)
        try:
            self._queue.ask("PING")
            queue = "ok"
        except CannotConnect as error:
            self._log(f"queue_services failing: Redis::CannotConnectError ({error})")
            queue = "failing"
        data = "ok" if self._database.active() else "failing"
        return _json(
            {
                "version": self._settings.version_text,
                "timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
                "queue_services": queue,
                "data_services": data,
            }
        )

    def _switch_locale(self, request: Request) -> None:
        # The reason why a probe by another host than the canonical one proves the database, and one by the
        # canonical host does not: the locale of an unknown host is looked up among the portals.
        if request.host != self._settings.frontend_host and "locale" not in request.query:
            self._database.query("SELECT id FROM portals WHERE custom_domain = %s LIMIT 1", request.host)

    def _dashboard(self, request: Request) -> Answer:
        if request.headers.get("accept", "").startswith("application/json"):
            return Answer(406)
        self._switch_locale(request)
        if request.path == "/" and self._queue.ask("GET", "CHATWOOT_INSTALLATION_ONBOARDING"):
            return Answer(302, headers={"Location": "/installation/onboarding"})
        if not self._installed:
            self._database.query(
                "SELECT serialized_value FROM installation_configs WHERE name = 'INSTALLATION_NAME'"
            )
            self._installed = True
        return Answer(200, "<!DOCTYPE html><title>Chatwoot</title><div id=app></div>\n")

    def _help_center(self, request: Request, parts: list[str]) -> Answer:
        query = self._database.query
        ours = request.host == self._settings.frontend_host
        if not ours and not query("SELECT 1 FROM portals WHERE custom_domain = %s", request.host):
            return _json({"error": f"Domain: {request.host} is not registered with us."}, 401)
        if not query("SELECT 1 FROM portals WHERE slug = %s AND NOT archived", parts[0]):
            return NOT_FOUND
        if len(parts) == 1:
            return Answer(302, headers={"Location": f"/hc/{parts[0]}/en"})
        return Answer(200, "<!DOCTYPE html><title>Help Center</title>\n") if len(parts) == 2 else NOT_FOUND


def run(configured: Settings, env: Mapping[str, str], log: Log) -> int:
    """Listen on the inherited socket and answer until told to end."""
    target = configured.database
    log(
        f"=> Booting Puma, Chatwoot {configured.version_text}, "
        f"database {target.database} of {target.user} at {target.host}:{target.port}"
    )
    web = Web(configured, env.get("FLY_MACHINE_ID", ""), log, env.get("SANDBOX_NEVER_HEALTHY") == "1")
    if env.get("SANDBOX_FILL_POOLS") == "1":
        web.fill_pool(pool_size(env, worker=False))
    with _Server(("127.0.0.1", 0), _handler(web), bind_and_activate=False) as server:
        server.socket.close()
        server.socket = socket.socket(fileno=int(env["SANDBOX_LISTEN_FD"]))
        server.server_activate()
        log(f"* Listening on http://0.0.0.0:{env['SANDBOX_PORT']}")
        server.serve_forever()
    return 0


class _Server(ThreadingHTTPServer):
    request_queue_size = 64


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One request, one answer: every answer ends its connection."""

        protocol_version = "HTTP/1.1"
        timeout = 10

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # whoever asked has gone
                super().handle()

        def do_GET(self) -> None:
            # Read, because unread bytes would turn the close of the connection into a reset.
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            split = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = web.answer(Request(self.command, split.path, parse_qs(split.query), headers))
            body = answer.body.encode()
            self.send_response_only(answer.status)
            for name, value in {
                "Content-Type": answer.kind,
                "Content-Length": str(len(body)),
                "Connection": "close",
                **answer.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

        def log_message(self, format: str, *values: object) -> None:
            return None

    return Handler


def _json(content: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(status, json.dumps(content), "application/json; charset=utf-8")
