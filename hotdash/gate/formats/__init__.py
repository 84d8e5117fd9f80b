"""The report in each of the forms that it is asked for in: plain functions from a report to text.

A format knows nothing of how a gate is run, and decides nothing: what counts is in the report. Each makes the texts fit
to stand where it puts them, because a subject, an image's name or what a check answered is somebody else's text.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
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


@dataclass(frozen=True)
class Format:
    """A form of the report.

    Args:
        file: what it is called in a folder; empty: it is written to stdout alone.
        module: what makes it, loaded when it is made: a gate should not wait for forms that nobody asked for.
    """

    name: str
    file: str
    module: str

    def render(self, report: Report, links: Links) -> str:
        text: str = importlib.import_module(f"{__name__}.{self.module}").render(report, links)
        return text


DRIFT_PAGE: Final = "docs/architecture.md#drift"
FORMATS: Final[Mapping[str, Format]] = {
    item.name: item
    for item in (
        Format("text", "", "text"),
        Format("json", "gate.json", "json_report"),
        Format("sarif", "gate.sarif", "sarif"),
        Format("junit", "gate.junit.xml", "junit"),
        Format("github", "", "github"),
        Format("markdown", "gate.md", "markdown"),
    )
}
