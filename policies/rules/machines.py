"""Machines: how big, how many, and which image they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hotdash.stack.sizes import size_problem
from policies.rules.facts import Facts
from policies.rules.image import moves
from policies.rules.rule import Config, Enforcement, Finding, Rule, Setting, Severity

_MB: Final = {"type": "integer", "minimum": 256, "description": "a number of MB, 256 or more"}


def _memory_floor(facts: Facts, config: Config) -> Iterator[Finding]:
    for group in facts.groups:
        floor = int(config["groups"].get(group.name, config["floorMb"]))
        if group.memory_mb < floor:
            yield Finding(
                group.name,
                f"{group.name} has {group.memory_mb} MB, and needs {floor}",
                f"hotdash:processGroups.{group.name}.memoryMb",
                f"set memoryMb: {floor}",
            )


def _machine_size(facts: Facts, _config: Config) -> Iterator[Finding]:
    for group in facts.groups:
        setting, why = size_problem(group.cpu_kind, group.cpus, group.memory_mb)
        if setting:
            yield Finding(group.name, f"{group.name}: {why}", f"hotdash:processGroups.{group.name}.{setting}")


def _nobody_at_zero(facts: Facts, _config: Config) -> Iterator[Finding]:
    for group in facts.groups:
        if group.count == 0:
            yield Finding(
                group.name,
                f"{group.name} is declared with no machine at all",
                f"hotdash:processGroups.{group.name}.count",
            )


def _two_webs(facts: Facts, _config: Config) -> Iterator[Finding]:
    webs = [group for group in facts.groups if group.is_web]
    if sum(group.count for group in webs) == 1:
        only = next(group.name for group in webs if group.count == 1)
        yield Finding(
            only,
            f"{only} has one machine",
            f"hotdash:processGroups.{only}.count",
        )


def _image_pinned(facts: Facts, _config: Config) -> Iterator[Finding]:
    for group in facts.groups:
        if group.image and (why := moves(group.image)):
            yield Finding(
                group.name,
                f"the image of {group.name} is not pinned: {why}",
                f"hotdash:processGroups.{group.name}.image",
            )
    # Without an image of its own a migration has web's, which is told already.
    image = facts.migration_image
    told = {group.image for group in facts.groups if group.is_web}
    if image and image not in told and (why := moves(image)):
        yield Finding(
            "migration.image",
            f"the image whose migrations are run is not pinned: {why}",
            "hotdash:migration.image",
            "name the release whose schema is wanted, such as chatwoot/chatwoot:v4.11.0, or a digest",
        )


RULES: Final = (
    Rule(
        id="memory-floor",
        title="Every group has the memory that Chatwoot needs",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="Rails loads everything at boot and Sidekiq grows past 1 GB; at 512 MB the worker was killed for want of "
        "memory, and conversations stood still",
        mend="set memoryMb: 2048",
        subjects="the group",
        example="worker",
        needs=frozenset({"groups"}),
        check=_memory_floor,
        settings={
            "floorMb": Setting(_MB, 2048, "the least for each machine, in MB", 4096),
            "groups": Setting(
                {
                    "type": "object",
                    "additionalProperties": _MB,
                    "description": "a mapping from groups to MB, 256 or more",
                },
                {},
                "another least for single groups, in MB",
                {"worker": 1024},
            ),
        },
    ),
    Rule(
        id="machine-size",
        title="Fly has machines of this size",
        severity=Severity.MEDIUM,
        enforcement=Enforcement.MANDATORY,
        why="Fly refuses others when a machine is made or updated, in the middle of a rollout (flyctl's checks)",
        mend="take a size that Fly has; docs/settings.md#sizes lists them",
        subjects="the group",
        example="web",
        needs=frozenset({"groups"}),
        check=_machine_size,
    ),
    Rule(
        id="nobody-at-zero",
        title="No group is left without machines",
        severity=Severity.HIGH,
        enforcement=Enforcement.MANDATORY,
        why="a worker that was scaled to 0 for a migration was forgotten: mail, webhooks and automations stand still "
        "while everything looks well. For a time that somebody answers for there are exceptions, with an end",
        mend="set count: 1 or more; or except it under hotdash:exceptions with a reason and a last day",
        subjects="the group",
        example="worker",
        needs=frozenset({"groups"}),
        check=_nobody_at_zero,
    ),
    Rule(
        id="two-webs",
        title="Web has more than one machine",
        severity=Severity.LOW,
        enforcement=Enforcement.ADVISORY,
        why="with one, every rollout and every host that fails is an outage. A second takes as many connections again: "
        "see connection-budget",
        mend="set count: 2, and see that the database has room for it",
        subjects="the group",
        example="web",
        needs=frozenset({"groups"}),
        check=_two_webs,
    ),
    Rule(
        id="image-pinned",
        title="A declared image is pinned",
        severity=Severity.MEDIUM,
        enforcement=Enforcement.MANDATORY,
        why="the next machine that is made would run another Chatwoot than the ones beside it, with another schema. "
        "Without a declared image `fly deploy` chooses, and nothing is said here. A migration whose image moves brings "
        "a schema that nobody reviewed, and is not run again for the next one, whose name is the same",
        mend="name a release, such as chatwoot/chatwoot:v4.11.0, or a digest",
        subjects="the group; `migration.image` for that of migrations",
        example="web",
        needs=frozenset({"groups", "migration_image"}),
        check=_image_pinned,
    ),
)
