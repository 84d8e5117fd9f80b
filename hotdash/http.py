"""HTTP as this project speaks it: httpx, loaded without what a library has no use for.

A preview starts several short processes, and each of them waits for its imports.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, cast

# httpx loads its own command line, and click and rich with it, wherever these two are installed: 40 ms for nothing.
sys.modules.setdefault("httpx._main", cast(ModuleType, None))

import httpx as httpx  # noqa: E402


def client(base_url: str = "", **options: Any) -> httpx.Client:
    """An httpx client. TLS is set up (50 ms) only for an address that has it, proxies used only for one that is far."""
    near = base_url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
    secure = not base_url.startswith("http://")
    return httpx.Client(base_url=base_url, verify=secure, trust_env=not near, **options)
