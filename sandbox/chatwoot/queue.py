"""A machine's connection to Redis: made at the first command, kept, made anew when it was lost."""

import threading

from redis import AuthenticationError, ConnectionError, Redis, RedisError, TimeoutError
from redis.backoff import NoBackoff
from redis.retry import Retry

_SECONDS = 1.0
"""For a connection, and for each answer: Chatwoot's own patience."""


class CannotConnect(Exception):
    """Nobody answers there. That somebody does and refuses is another matter for Chatwoot, and a RedisError."""


class Queue:
    """Safe to use from several threads; they take turns."""

    def __init__(self, url: str, password: str) -> None:
        self._url = url
        self._password = password
        self._lock = threading.Lock()
        self._client: Redis | None = None

    def ask(self, *words: str) -> object:
        """Redis' answer to one command.

        Raises:
            CannotConnect: no connection can be made.
            redis.RedisError: Redis refused, or did not answer in time.
        """
        try:
            with self._lock:
                if self._client is None:
                    self._client = self._connect()
                return self._client.execute_command(*words)  # type: ignore[no-untyped-call]
        except AuthenticationError:  # a ConnectionError too
            raise
        except ConnectionError as error:
            raise CannotConnect(str(error)) from None

    def _connect(self) -> Redis:
        try:
            return Redis.from_url(
                self._url,
                password=self._password or None,
                socket_timeout=_SECONDS,
                retry=Retry(NoBackoff(), 1),
                single_connection_client=True,  # connects at once
            )
        except TimeoutError as error:
            raise CannotConnect(str(error)) from None
        except ValueError:
            raise RedisError("invalid uri") from None  # not quoted: it may hold the password
