"""What others meet: the app, which must not go by mistake, and the addresses that lead to it and away from it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from policies.rules.facts import Facts
from policies.rules.rule import Config, Enforcement, Finding, Rule, Setting, Severity

PRIVATE: Final = (".internal", ".flycast", ".local", ".localdomain", ".localhost", ".home.arpa")
"""Ends of names that lead to private addresses: Fly's 6PN, Flycast, and those that no public DNS has."""
_NAMES: Final = {"type": "array", "items": {"type": "string"}}


def _protected(facts: Facts, config: Config) -> Iterator[Finding]:
    if facts.stack in config["stacks"] and facts.app.delete_on_destroy:
        yield Finding(
            facts.app.name,
            f"`pulumi destroy` would delete {facts.app.name}, its machines and its secrets",
            "hotdash:app.deleteOnDestroy",
        )


def _public_urls(facts: Facts, config: Config) -> Iterator[Finding]:
    urls = facts.urls
    declared = [("urls.frontend", urls.frontend)] if urls.frontend else []
    declared += [(f"urls.webhooks.{number}", url) for number, url in enumerate(urls.webhooks)]
    for key, url in declared:
        # What stands behind the host may be a token.
        scheme, host = _scheme_and_host(url)
        if host in config["privateHosts"]:
            continue
        problems = [] if scheme == "https" else [f"is {scheme}, not https" if scheme else "is no URL"]
        if host and (why := private(host)):
            problems.append(why)
        if problems:
            yield Finding(key, f"{key} ({host}) {' and '.join(problems)}", f"hotdash:{key}")


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        split = urlsplit(url)
        return split.scheme, (split.hostname or "").rstrip(".")
    except ValueError:
        return "", ""


def private(host: str) -> str:
    """Why the host leads to a private address, as far as its name tells; empty where it does not."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.lower()
        if name == "localhost" or name.endswith(PRIVATE) or "." not in name:
            return "leads into a private network"
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return "" if (mapped or address).is_global else "is a private address"


RULES: Final = (
    Rule(
        id="protected",
        title="Production is not deleted by a destroy",
        severity=Severity.HIGH,
        enforcement=Enforcement.ADVISORY,
        why="one `pulumi destroy` in the wrong stack would take machines and secrets with it, and Fly gives no secret "
        "back",
        mend="set hotdash:app.deleteOnDestroy: false, and `pulumi up` once: a destroy goes by the state",
        subjects="the app",
        example="hotdash-chatwoot",
        needs=frozenset({"stack", "app"}),
        check=_protected,
        settings={
            "stacks": Setting(
                {**_NAMES, "description": "a list of stacks"},
                ["production", "prod"],
                "stacks that are production",
                ["production", "eu"],
            )
        },
    ),
    Rule(
        id="public-urls",
        title="FRONTEND_URL and webhooks are https and lead to public addresses",
        severity=Severity.MEDIUM,
        enforcement=Enforcement.ADVISORY,
        why="Chatwoot refuses webhooks to private addresses from v4.14.0 on, Fly's private network among them, and "
        "tells nobody but its log; links and logins over http are sent in clear",
        mend="use the public https:// address",
        subjects="the key: `urls.frontend`, `urls.webhooks.0`",
        example="urls.webhooks.0",
        needs=frozenset({"urls"}),
        check=_public_urls,
        settings={
            "privateHosts": Setting(
                {**_NAMES, "description": "a list of hosts"},
                [],
                "hosts that may be private, or asked by http",
                ["hotdash-agent.flycast"],
            )
        },
    ),
)
