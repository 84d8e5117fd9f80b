"""Fly's rate limits, off unless switched on: per action and per machine or app, 1 request/s with a burst of 3;
reading one machine 5/s with a burst of 10."""

import time
from dataclasses import dataclass

from sandbox.refusal import Refusal


@dataclass
class _Bucket:
    left: float
    at: float


class RateLimits:
    """Token buckets, in memory."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def clear(self) -> None:
        self._buckets.clear()

    def take(self, action: str, identifier: str) -> None:
        """Refusal 429 if this caller is too quick. The shape of Fly's answer is not documented, a Retry-After
        least of all; so there is none here (a fault can send one)."""
        rate, burst = (5.0, 10.0) if action == "machine_get" else (1.0, 3.0)
        now = time.monotonic()
        bucket = self._buckets.setdefault((action, identifier), _Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1:
            raise Refusal(429, "rate limit exceeded")
        bucket.left -= 1
