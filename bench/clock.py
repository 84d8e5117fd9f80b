"""Timing of whole commands, as a person would wait for them."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class CommandFailed(Exception):
    """A measured command did not end as it must: its time would mean nothing."""


def timed(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], expected: int = 0) -> float:
    """Seconds that the command took, from its start to its end."""
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = time.perf_counter() - begun
    if done.returncode != expected:
        raise CommandFailed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return seconds


def medians(runs: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure, taken in turn (A B A B …) after a round to warm up: a slow moment strikes all."""
    rounds = [[measure() for measure in measures] for _ in range(runs + 1)][1:]
    return [statistics.median(values) for values in zip(*rounds, strict=True)]
