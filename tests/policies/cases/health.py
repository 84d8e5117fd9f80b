"""Checks: that there is one, and what it asks."""

from __future__ import annotations

from dataclasses import replace

from policies.rules.facts import HealthCheck, Readiness
from tests.policies.cases.making import SOUND, WEB, WORKER, Case, check, groups, like, web

CASES: tuple[Case, ...] = (
    # web-has-check
    Case("web-has-check", "it has", SOUND),
    Case("web-has-check", "it has not", web(check=None), ("web",), ("no http check",), boundary=True),
    Case("web-has-check", "a worker needs none", groups(WEB, WORKER), boundary=True),
    Case("web-has-check", "another group that is web", SOUND, ("worker",), config={"groups": ["worker"]}),
    # check-path-exists
    Case("check-path-exists", "/api", SOUND),
    Case("check-path-exists", "/health of its first version", check(path="/health"), boundary=True),
    Case(
        "check-path-exists",
        "/health before it",
        web(check=HealthCheck("/health", 90.0), image="chatwoot/chatwoot:v4.10.1"),
        ("web",),
        ("since v4.11.0", "v4.10.1"),
        boundary=True,
    ),
    Case(
        "check-path-exists",
        "/health of nobody knows what",
        web(check=HealthCheck("/health", 90.0), image=""),
        ("web",),
        ("no version is declared",),
    ),
    Case(
        "check-path-exists",
        "/health of a version that was told",
        web(check=HealthCheck("/health", 90.0), image=""),
        config={"version": "4.12.0"},
    ),
    Case(
        "check-path-exists",
        "/rails/health",
        check(path="/rails/health/?a=1"),
        ("web",),
        ("/rails/health", "404"),
    ),
    Case("check-path-exists", "/up", check(path="/up"), ("web",), ("404",)),
    Case("check-path-exists", "/hc", check(path="/hc"), ("web",), ("404",)),
    Case("check-path-exists", "a path of nobody", check(path="/healthz"), ("web",), ("not known",)),
    Case("check-path-exists", "a path that the image serves", check(path="/healthz", is_served=True)),
    Case(
        "check-path-exists",
        "what readiness asks for",
        like(readiness=Readiness("/up")),
        ("readiness",),
        ("404",),
    ),
    Case("check-path-exists", "readiness that waits for a 404", like(readiness=Readiness("/up", 404))),
    # grace-for-boot
    Case("grace-for-boot", "just enough", check(grace=60.0), boundary=True),
    Case("grace-for-boot", "a little less", check(grace=59.5), ("web",), ("59.5 s", "60"), boundary=True),
    Case("grace-for-boot", "told otherwise", check(grace=2.0), config={"seconds": 2.0}),
    # forwarded-proto
    Case("forwarded-proto", "no FORCE_SSL", SOUND, boundary=True),
    Case(
        "forwarded-proto",
        "FORCE_SSL, and the check asks in clear",
        like(secrets={**SOUND.secrets, "FORCE_SSL": "occ/ssl.env#FORCE_SSL"}),
        ("web",),
        ("X-Forwarded-Proto",),
        boundary=True,
    ),
    Case(
        "forwarded-proto",
        "FORCE_SSL, and the check says https",
        replace(
            check(forwarded_proto="HTTPS"), secrets={**SOUND.secrets, "FORCE_SSL": "occ/ssl.env#FORCE_SSL"}
        ),
    ),
)
