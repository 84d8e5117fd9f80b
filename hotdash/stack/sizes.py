"""The sizes of machines that Fly has, by what its own tool lets through (flyctl's checks of a guest)."""

from __future__ import annotations

from typing import Final

SHARED_CPUS: Final = (1, 2, 4, 6, 8)
PERFORMANCE_CPUS: Final = (1, 2, 4, 6, 8, 10, 12, 14, 16, 32, 64, 128)


def size_problem(kind: str, cpus: int, memory_mb: int) -> tuple[str, str]:
    """What keeps Fly from having a machine of this size: the setting at fault and why; two empty texts where nothing
    does. `kind` is shared or performance."""
    counts, step, least, most = (
        (SHARED_CPUS, 256, 256 * cpus, 2048 * cpus)
        if kind == "shared"
        else (PERFORMANCE_CPUS, 1024, 2048 * cpus, 8192 * cpus)
    )
    if cpus not in counts:
        listed = ", ".join(map(str, counts))
        return "cpus", f"Fly has no {kind} machine of {cpus} cpus; it has {listed}"
    if memory_mb % step:
        nearest = min(most, max(least, round(memory_mb / step) * step))
        return (
            "memoryMb",
            f"{memory_mb} is not a multiple of {step}, as Fly wants it for {kind} cpus; {nearest} would do",
        )
    if not least <= memory_mb <= most:
        return (
            "memoryMb",
            f"{memory_mb} MB is out of Fly's range for {kind} ×{cpus}: {least} to {most}",
        )
    return "", ""
