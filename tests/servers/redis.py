"""A real Redis, with a password or without."""

import contextlib
import subprocess
import time
from collections.abc import Iterator

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.ports import free_port
from sandbox.services import binaries


@contextlib.contextmanager
def redis_server(*settings: str, password: str = "") -> Iterator[int]:
    """Its port.

    Args:
        settings: lines of its configuration.
    """
    port = free_port()
    lines = [f"port {port}", "bind 127.0.0.1", 'save ""', 'logfile ""', *settings]
    if password:
        lines.append(f'requirepass "{password}"')
    with subprocess.Popen(
        [binaries.redis_server(), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd="/",
    ) as process:
        try:
            assert process.stdin
            process.stdin.write("\n".join(lines) + "\n")
            process.stdin.close()
            _wait(process, port, password)
            yield port
        finally:
            process.terminate()


def _wait(process: "subprocess.Popen[str]", port: int, password: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        with (
            contextlib.suppress(RedisError),
            Redis(port=port, password=password or None, retry=Retry(NoBackoff(), 0)) as client,
        ):
            client.ping()
            return
        assert process.poll() is None, "Redis did not start"
        assert time.monotonic() < deadline, "Redis does not answer"
        time.sleep(0.02)
