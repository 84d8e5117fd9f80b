"""The table of results: each with its target, and whether it was met."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Result:
    """One figure. `limit` is the most that it may be."""

    what: str
    figure: float
    limit: float
    unit: str
    behind: str

    @property
    def met(self) -> bool:
        return self.figure <= self.limit


def show(results: list[Result]) -> bool:
    """Print the table; whether every target was met."""
    table = Table("measured", "figure", "target", "met", "behind it", title="bench: medians of one run")
    for result in results:
        table.add_row(
            result.what,
            f"{result.figure:.3g}{result.unit}",
            f"≤ {result.limit:g}{result.unit}",
            "yes" if result.met else "NO",
            result.behind,
        )
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    return all(result.met for result in results)
