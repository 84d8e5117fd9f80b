"""The worker: Sidekiq's connections to Redis and Postgres, held and made anew when they break.

It has no port and no health check; without them it keeps trying, and says so in its log."""

import time
from collections.abc import Mapping

import psycopg
import redis

from sandbox.chatwoot.database import Database, hold, pool_size
from sandbox.chatwoot.log import Log
from sandbox.chatwoot.queue import CannotConnect, Queue
from sandbox.chatwoot.settings import Settings

_BEAT_SECONDS = 1.0
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)


def run(configured: Settings, env: Mapping[str, str], log: Log) -> int:
    """Hold the connections until told to end."""
    machine = env.get("FLY_MACHINE_ID", "")
    queue = Queue(configured.redis_url, configured.redis_password)
    name = f"sidekiq {machine}".strip()
    database = Database(configured.database, name)
    if env.get("SANDBOX_FILL_POOLS") == "1":
        hold(database, configured.database, name, pool_size(env, worker=True))
    log(f"Booting Sidekiq 7.3.1, Chatwoot {configured.version_text}")
    said = ""
    failures = 0
    while True:
        try:
            queue.ask("SADD", "processes", machine or "worker")  # Sidekiq's heartbeat
            database.query("SELECT 1")
            now = "Connected to Redis and Postgres, waiting for jobs"
        except (CannotConnect, redis.RedisError) as error:
            now = f"ERROR Redis: {error}; trying again"
        except psycopg.Error as error:
            now = f"ERROR Postgres: {error}; trying again"
        connected = not now.startswith("ERROR")
        failures = 0 if connected or now != said else failures + 1
        if now != said:
            log(now)
            said = now
        time.sleep(_BEAT_SECONDS if connected else _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
