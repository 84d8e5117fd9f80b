"""Health checks: that web has one, and that it asks for something that a Chatwoot in its boot can come to answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hotdash.chatwoot import DEEP_PATH, UNROUTED
from policies.rules.facts import Facts, Group
from policies.rules.image import Version, shown, version, version_of
from policies.rules.rule import Config, Enforcement, Finding, Rule, Setting, Severity

ROUTED: Final[Mapping[str, Version | None]] = {
    DEEP_PATH: None,
    "/health": (4, 11, 0),
    "/": None,
    "/app/login": None,
}
"""Paths that answer 200, and since which version (Chatwoot's config/routes.rb, v2.12 to v4.15.1); None: in all."""


def _web_has_check(facts: Facts, config: Config) -> Iterator[Finding]:
    for group in facts.groups:
        if group.check is None and (group.is_web or group.name in config["groups"]):
            yield Finding(
                group.name,
                f"{group.name} has no http check",
                f"hotdash:processGroups.{group.name}.check",
            )


def _check_path_exists(facts: Facts, config: Config) -> Iterator[Finding]:
    declared = version(config["version"]) if config["version"] else None
    for group in facts.groups:
        if group.check is not None and not group.check.is_served:
            key = f"processGroups.{group.name}.check.path"
            yield from _path_findings(group.name, group.check.path, version_of(group.image) or declared, key)
    if 200 <= facts.readiness.status < 300:
        known = next((v for group in facts.groups if (v := version_of(group.image))), None)
        yield from _path_findings("readiness", facts.readiness.path, known or declared, "readiness.path")


def _path_findings(subject: str, path: str, runs: Version | None, key: str) -> Iterator[Finding]:
    asked = path.partition("?")[0].rstrip("/") or "/"
    if asked in UNROUTED:
        found = f"{subject} is asked for {asked}: {UNROUTED[asked]}"
    elif asked not in ROUTED:
        found = f"{subject} is asked for {asked}, which is not known to answer 200 in any Chatwoot"
    elif (since := ROUTED[asked]) is None or (runs and runs >= since):
        return
    elif runs:
        found = f"{subject} is asked for {asked}, which Chatwoot has since {shown(since)}; declared is {shown(runs)}"
    else:
        found = f"{subject} is asked for {asked}, which Chatwoot has since {shown(since)}, and no version is declared"
    yield Finding(subject, found, f"hotdash:{key}")


def _grace_for_boot(facts: Facts, config: Config) -> Iterator[Finding]:
    least = float(config["seconds"])
    for group in facts.groups:
        if group.check is not None and group.check.grace < least:
            yield Finding(
                group.name,
                f"checks of {group.name} count {group.check.grace:g} s after a start; Chatwoot needs {least:g}",
                f"hotdash:processGroups.{group.name}.check.gracePeriod",
                f"set gracePeriod: {least:g}s",
            )


def _forwarded_proto(facts: Facts, _config: Config) -> Iterator[Finding]:
    if "FORCE_SSL" not in facts.secrets:
        return
    for group in facts.groups:
        if _asks_in_clear(group):
            yield Finding(
                group.name,
                f"FORCE_SSL is declared, and the check of {group.name} asks without X-Forwarded-Proto: https",
                f"hotdash:processGroups.{group.name}.check.headers",
            )


def _asks_in_clear(group: Group) -> bool:
    return group.check is not None and group.check.forwarded_proto.lower() != "https"


RULES: Final = (
    Rule(
        id="web-has-check",
        title="Every web group has an http check",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="without one a rollout goes on as soon as the process runs, whether it answers or not, and Fly sends "
        "people to machines that answer 503",
        mend=f"declare check: {{port: 3000, path: {DEEP_PATH}, gracePeriod: 90s}}",
        subjects="the group",
        example="web",
        needs=frozenset({"groups"}),
        check=_web_has_check,
        settings={
            "groups": Setting(
                {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "a list of groups that are web too",
                },
                [],
                "groups that are web, though they are not called so and have no check",
                ["api"],
            )
        },
    ),
    Rule(
        id="check-path-exists",
        title="A check asks for a path that the declared Chatwoot has",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="a path that answers 404 fails every machine, however well it is: a rollout cannot end, and Fly takes web "
        "out of its routing",
        mend=f"use {DEEP_PATH}; or say pathIsServed: true where your image serves the path; or declare the version: a "
        "pinned image, or hotdash:policies.check-path-exists.version",
        subjects="the group; `readiness`",
        example="web",
        needs=frozenset({"groups", "readiness"}),
        check=_check_path_exists,
        settings={
            "version": Setting(
                {
                    "type": "string",
                    "pattern": r"^(v?\d+\.\d+(\.\d+)?)?$",
                    "description": "a version of Chatwoot, such as 4.11.0",
                },
                "",
                "the Chatwoot that runs, where no group's image tells it",
                "4.12.0",
            )
        },
    ),
    Rule(
        id="grace-for-boot",
        title="Checks wait until Rails has booted",
        severity=Severity.MEDIUM,
        enforcement=Enforcement.MANDATORY,
        why="Chatwoot loads everything before it listens, which takes a minute: a check that counts before that fails "
        "machines that are only slow",
        mend="set gracePeriod: 60s or more",
        subjects="the group",
        example="web",
        needs=frozenset({"groups"}),
        check=_grace_for_boot,
        settings={
            "seconds": Setting(
                {"type": "number", "minimum": 0, "description": "a number of seconds, 0 or more"},
                60,
                "the least gracePeriod, in seconds",
                90,
            ),
        },
    ),
    Rule(
        id="forwarded-proto",
        title="Where FORCE_SSL is declared, checks say that they came by https",
        severity=Severity.MEDIUM,
        enforcement=Enforcement.MANDATORY,
        why="Fly's checks ask in clear, FORCE_SSL answers that with 301, and a check that is redirected fails "
        "(superfly/flyctl#2475)",
        mend="add headers: {X-Forwarded-Proto: https} to the check",
        subjects="the group",
        example="web",
        needs=frozenset({"groups", "secrets"}),
        check=_forwarded_proto,
    ),
)
