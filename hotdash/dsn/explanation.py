"""A DSN explained: what it is, what it leads to, what Chatwoot makes of it; as text, and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from hotdash.dsn.checks import CHECKS
from hotdash.dsn.classification import Classification, classify
from hotdash.dsn.finding import Finding, Severity, run
from hotdash.dsn.model import Dsn, Place
from hotdash.dsn.rule import Certainty, Ground, Pooling


def explain(text: str) -> Explanation:
    """All that the text of a DSN tells. Asks nobody.

    Raises:
        MalformedDsn: it is none.
    """
    return explain_dsn(Dsn.parse(text))


def explain_dsn(dsn: Dsn) -> Explanation:
    """The same of a DSN that was read already."""
    classification = classify(dsn)
    return Explanation(dsn, classification, run(CHECKS, dsn, classification))


@dataclass(frozen=True)
class Explanation:
    """Neither its text nor its JSON, nor its repr, holds a password."""

    dsn: Dsn
    classification: Classification
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Severity | None:
        """The worst severity among the findings."""
        return self.findings[0].severity if self.findings else None

    @property
    def migrations(self) -> str:
        """What to migrate through."""
        told = self.classification
        if told.direct_form:
            return f"through {told.direct_form}, with the same password"
        if told.pooling is Pooling.DIRECT:
            return "through this URL"
        if told.pooling is Pooling.UNKNOWN:
            return "through this URL, if it is direct: only the server can tell, `hotdash preflight` asks it"
        if told.pooling is Pooling.SESSION:
            return "through the direct URL of the same database; or through this one, while its pool has room"
        return "through the direct URL of the same database, which cannot be told from this one"

    def as_json(self) -> dict[str, Any]:
        """A stable form: keys are only ever added."""
        dsn, told = self.dsn, self.classification
        return {
            "url": str(dsn),
            "form": dsn.form.value,
            "host": dsn.host,
            "port": dsn.port,
            "explicit_port": dsn.explicit_port,
            "hosts": [{"host": host.name, "port": host.port} for host in dsn.hosts],
            "database": dsn.database,
            "role": dsn.role,
            "has_password": bool(dsn.password),
            "parameters": dsn.shown_parameters(),
            "pooling": told.pooling.value,
            "certainty": told.certainty.value,
            "provider": told.provider,
            "provider_title": told.provider_title,
            "rule": told.rule,
            "why": told.why,
            "identity": told.identity,
            "direct_form": _place(told.direct_form),
            "migrations": self.migrations,
            "findings": [
                {
                    "code": finding.code,
                    "severity": finding.severity.value,
                    "text": finding.text,
                    "remedy": finding.remedy,
                    "ground": finding.ground.value,
                }
                for finding in self.findings
            ],
        }

    def as_text(self, width: int = 100) -> str:
        """For a person: which database it is comes first, what to do last.

        Args:
            width: columns; longer lines are broken between words.
        """
        dsn, told = self.dsn, self.classification
        certainty = "" if told.certainty is Certainty.NONE else f", {told.certainty}"
        rows = (
            ("host", ", ".join(str(host) for host in dsn.hosts)),
            ("database", dsn.database or "none named"),
            ("role", dsn.role or "none named"),
            ("password", "there, not shown" if dsn.password else "none"),
            ("parameters", ", ".join(f"{name}={value}" for name, value in dsn.shown_parameters().items())),
            ("pooling", f"{told.pooling}{certainty}: {told.why}"),
            ("provider", "" if told.provider == "unknown" else told.provider_title),
            ("rule", told.rule),
            ("migrate", self.migrations),
        )
        # Without an identity, the parts are all there is.
        lines = [
            told.identity
            or f"{dsn.hosts[0]}/{dsn.database}: which database that is, only the server can tell"
        ]
        lines += [_wrapped(f"  {label:<11} ", value, width) for label, value in rows if value]
        lines += ["", _counted(self.findings)]
        for finding in self.findings:
            inferred = " (inferred, not tried)" if finding.ground is Ground.INFERRED else ""
            text = f"{finding.code}: {finding.text}{inferred}"
            lines.append(_wrapped(f"  {finding.severity:<8} ", text, width))
            lines.append(_wrapped(f"  {'':<8} → ", finding.remedy, width))
        return "\n".join(lines)


def _wrapped(head: str, text: str, width: int) -> str:
    return textwrap.fill(
        text,
        max(width, 40),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _counted(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return "nothing to object to"
    counts = [(severity, sum(f.severity is severity for f in findings)) for severity in Severity]
    return ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts if count)


def _place(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {
        "url": str(place),
        "host": place.host,
        "port": place.port,
        "database": place.database,
        "role": place.username,
    }
