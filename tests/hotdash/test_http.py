"""HTTP without what a library has no use for: what is loaded, and when TLS and proxies are set up."""

import subprocess
import sys
from typing import Any

import httpx
import pytest

from hotdash.http import client
from tests.world import CHECKOUT


def loaded(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sorted(sys.modules))"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


def test_httpx_comes_without_its_command_line() -> None:
    found = loaded("import hotdash.http")
    assert "httpx" in found
    assert not found & {"click", "rich", "pygments"}


@pytest.mark.parametrize(
    "module",
    [
        "hotdash.drift",
        "hotdash.plan",
        "hotdash.vault",
        "hotdash.chatwoot",
        "hotdash.preflight",
        "hotdash.fly.summary",
    ],
)
def test_what_a_preview_without_drift_needs_loads_no_http_and_no_database(module: str) -> None:
    assert not loaded(f"import {module}") & {"httpx", "psycopg", "dotenv", "tenacity", "click", "pulumi"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options that each client was made with."""
    kept: list[dict[str, Any]] = []
    monkeypatch.setattr(httpx, "Client", lambda **options: kept.append(options))
    return kept


@pytest.mark.parametrize(
    ("url", "verify", "proxies"),
    [
        ("http://127.0.0.1:4280", False, False),
        ("http://localhost:4280", False, False),
        ("http://[::1]:4280", False, False),
        ("http://_api.internal:4280", False, True),
        ("https://api.machines.dev", True, True),
        ("https://127.0.0.1", True, True),
        ("HTTPS://api.machines.dev", True, True),
        ("", True, True),
    ],
)
def test_tls_is_checked_wherever_there_is_any_and_proxies_are_for_what_is_far(
    made: list[dict[str, Any]], url: str, verify: bool, proxies: bool
) -> None:
    client(url, timeout=3.0)
    assert made == [{"base_url": url, "verify": verify, "trust_env": proxies, "timeout": 3.0}]
