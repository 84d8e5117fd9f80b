"""Versions and version ranges, as `requiredPulumiVersion` writes them.

Only what the decision needs: `>=3.250.0 <4.0.0`, comparators joined by spaces (and) and `||` (or).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import total_ordering

_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_COMPARATOR = re.compile(r"(>=|<=|!=|==|>|<|=|!)?\s*(v?\d[0-9A-Za-z.+-]*)")
_OPERATORS: dict[str, Callable[[Version, Version], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "!": operator.ne,
    "!=": operator.ne,
    "=": operator.eq,
    "==": operator.eq,
    "": operator.eq,
}


@total_ordering
@dataclass(frozen=True)
class Version:
    """A semantic version; build metadata is dropped, a pre-release comes before its release."""

    major: int
    minor: int = 0
    patch: int = 0
    prerelease: str = field(default="")

    @staticmethod
    def parse(text: str) -> Version:
        """Read `3.259.0`, `v3.259.0-alpha.1+a1b2`, or a shorter form. Raises `ValueError`."""
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not a version: {text!r}")
        major, minor, patch, prerelease = match.groups()
        return Version(int(major), int(minor or 0), int(patch or 0), prerelease or "")

    @staticmethod
    def find(text: str) -> Version:
        """The first version named in a tool's answer, such as `flyctl v0.4.61 linux/amd64`. Raises `ValueError`."""
        match = re.search(r"v?\d+\.\d+\.\d+[0-9A-Za-z.+-]*", text)
        if match is None:
            raise ValueError(f"no version in {text!r}")
        return Version.parse(match.group())

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __str__(self) -> str:
        suffix = f"-{self.prerelease}" if self.prerelease else ""
        return f"{self.major}.{self.minor}.{self.patch}{suffix}"

    def _order(self) -> tuple[int, int, int, bool, str]:
        return (self.major, self.minor, self.patch, not self.prerelease, self.prerelease)


@dataclass(frozen=True)
class Range:
    """A range such as `>=3.250.0 <4.0.0`; an empty one allows every version."""

    text: str = ""

    def __post_init__(self) -> None:
        self.allows(Version(0))  # a malformed range is refused when it is read, not when it is used

    def allows(self, version: Version) -> bool:
        """Whether `version` is within. Raises `ValueError` for a range that cannot be read."""
        return any(
            all(compare(version, bound) for compare, bound in self._comparators(part))
            for part in self.text.split("||")
        )

    @staticmethod
    def _comparators(part: str) -> list[tuple[Callable[[Version, Version], bool], Version]]:
        if _COMPARATOR.sub("", part).strip(" ,"):
            raise ValueError(f"not a version range: {part.strip()!r}")
        return [(_OPERATORS[sign], Version.parse(bound)) for sign, bound in _COMPARATOR.findall(part)]

    def __str__(self) -> str:
        return self.text or "any version"
