"""Machines: size, number, image."""

from __future__ import annotations

from dataclasses import replace

from tests.policies.cases.making import SOUND, WEB, WORKER, Case, groups, like, web

CASES: tuple[Case, ...] = (
    # memory-floor
    Case("memory-floor", "as much as it needs", SOUND, boundary=True),
    Case("memory-floor", "a step less", web(memory_mb=1792), ("web",), ("1792 MB", "2048"), boundary=True),
    Case(
        "memory-floor",
        "another floor for one group",
        groups(WEB, replace(WORKER, memory_mb=1024)),
        config={"groups": {"worker": 1024.0}},
    ),
    Case(
        "memory-floor",
        "another floor for all",
        groups(replace(WEB, memory_mb=4096), replace(WORKER, memory_mb=2048)),
        ("worker",),
        ("4096",),
        config={"floorMb": 4096.0},
    ),
    # machine-size
    Case("machine-size", "one that there is", SOUND),
    Case("machine-size", "the largest", web(cpus=8, memory_mb=16384), boundary=True),
    Case("machine-size", "a step more", web(cpus=8, memory_mb=16640), ("web",), ("16640",), boundary=True),
    Case("machine-size", "no such number of cpus", web(cpus=3), ("web",), ("3 cpus",)),
    Case("machine-size", "no multiple", web(memory_mb=2000), ("web",), ("multiple of 256",)),
    # nobody-at-zero
    Case("nobody-at-zero", "one is enough", groups(replace(WEB, count=1), WORKER), boundary=True),
    Case(
        "nobody-at-zero",
        "none",
        groups(WEB, replace(WORKER, count=0)),
        ("worker",),
        ("worker is declared with no machine",),
        boundary=True,
    ),
    # two-webs
    Case("two-webs", "two", SOUND, boundary=True),
    Case("two-webs", "one", web(count=1), ("web",), ("one machine",), boundary=True),
    Case("two-webs", "one of each of two groups", groups(WEB, replace(WEB, name="api", count=1))),
    Case("two-webs", "none is another rule's", web(count=0)),
    # image-pinned
    Case("image-pinned", "a release", SOUND, boundary=True),
    Case("image-pinned", "none declared", web(image="")),
    Case("image-pinned", "a digest", web(image=f"chatwoot/chatwoot@sha256:{'ab' * 32}")),
    Case("image-pinned", "latest", web(image="chatwoot/chatwoot:latest"), ("web",), ("latest",)),
    Case(
        "image-pinned", "no tag, and a registry's port", web(image="registry.local:5000/chatwoot"), ("web",)
    ),
    Case("image-pinned", "a line of releases", web(image="chatwoot/chatwoot:v4.11"), ("web",), boundary=True),
    Case("image-pinned", "no migration, or none with an image", like(migration_image="")),
    Case(
        "image-pinned",
        "a migration's own",
        like(migration_image="chatwoot/chatwoot:latest"),
        ("migration.image",),
        ("whose migrations are run", "latest"),
    ),
    Case(
        "image-pinned",
        "a migration's that is web's is told once",
        replace(web(image="chatwoot/chatwoot:latest"), migration_image="chatwoot/chatwoot:latest"),
        ("web",),
    ),
    Case(
        "image-pinned",
        "a migration's that is the worker's is another",
        replace(
            groups(WEB, replace(WORKER, image="chatwoot/chatwoot:latest")),
            migration_image="chatwoot/chatwoot:latest",
        ),
        ("worker", "migration.image"),
    ),
)
