"""A hundred thousand database URLs of all providers, told apart and explained: time and memory.

The yardstick is `urllib.parse.urlsplit` over the same texts in the same run, which only cuts them into pieces. No two
texts are equal, so neither side is helped by a cache.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from bench.clock import medians
from bench.report import Result
from hotdash.dsn import Dsn, classify, explain
from hotdash.dsn.checks import CHECKS
from hotdash.dsn.rules import RULES

COUNT: Final = 100_000
RUNS: Final = 3
CLASSIFY_LIMIT: Final = 5.0
EXPLAIN_LIMIT: Final = 11.0
MEMORY_LIMIT: Final = 0.1


def measure() -> list[Result]:
    texts = _texts()
    cut, classified, explained = medians(
        RUNS,
        lambda: _seconds(texts, urlsplit),
        lambda: _seconds(texts, lambda text: classify(Dsn.parse(text))),
        lambda: _seconds(texts, explain),
    )
    behind = f"{COUNT:,} URLs of {len(RULES)} rules, against urlsplit's {cut / COUNT * 1e6:.1f} µs each"
    return [
        Result("classify database URLs", classified / cut, CLASSIFY_LIMIT, " ×", behind),
        Result("explain database URLs", explained / cut, EXPLAIN_LIMIT, " ×", behind),
        Result(
            "memory while explaining them",
            _peak(texts, explain),
            MEMORY_LIMIT,
            " MB",
            f"the most that is held at once, one after the other of {COUNT:,}",
        ),
    ]


def _texts() -> list[str]:
    examples = [example for rule in RULES for example in rule.examples] + [check.example for check in CHECKS]
    # Another credential in each.
    heads = [example.partition("@") for example in examples if "@" in example]
    return [
        f"{head}{number}@{tail}" for number in range(COUNT) for head, _, tail in [heads[number % len(heads)]]
    ]


def _seconds(texts: list[str], do: Callable[[str], object]) -> float:
    begun = time.perf_counter()
    for text in texts:
        do(text)
    return time.perf_counter() - begun


def _peak(texts: list[str], do: Callable[[str], object]) -> float:
    """MB."""
    for text in texts[:1000]:
        do(text)
    tracemalloc.start()
    try:
        for text in texts:
            do(text)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
