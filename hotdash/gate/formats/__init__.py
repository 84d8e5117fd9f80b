"""The report in each of the forms that it is asked for in: plain functions from a report to text.

A format knows nothing of how a gate is run, and decides nothing: what counts is in the report. Each makes the texts fit
to stand where it puts them, because a subject, an image's name or what a check answered is somebody else's text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hotdash.gate.report import Report


@dataclass(frozen=True)
class Links:
    """Where the project's files can be read by a browser; `base` is empty where nothing tells.

    Args:
        base: the URL of the project's root at the commit that was looked at, with a slash at its end.
    """

    base: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Links:
        """By the variables that GitHub sets for an action."""
        server, repository, commit = (
            environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "SHA")
        )
        return cls(f"{server}/{repository}/blob/{commit}/" if server and repository and commit else "")

    def to(self, page: str) -> str:
        """The URL of a page of the project; empty where nothing tells."""
        return f"{self.base}{page}" if self.base else ""


Render = Callable[[Report, Links], str]


@dataclass(frozen=True)
class Format:
    """A form of the report. `file` is what it is called in a folder; empty: it is written to stdout alone."""

    name: str
    file: str
    render: Render


DRIFT_PAGE: Final = "docs/architecture.md#drift"


def formats() -> Mapping[str, Format]:
    """All of them, by name."""
    from hotdash.gate.formats import github, json_report, junit, markdown, sarif, text

    return {
        item.name: item
        for item in (
            Format("text", "", text.render),
            Format("json", "gate.json", json_report.render),
            Format("sarif", "gate.sarif", sarif.render),
            Format("junit", "gate.junit.xml", junit.render),
            Format("github", "", github.render),
            Format("markdown", "gate.md", markdown.render),
        )
    }


NAMES: Final = ("text", "json", "sarif", "junit", "github", "markdown")
