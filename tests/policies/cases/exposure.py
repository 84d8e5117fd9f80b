"""The app against a destroy, and the addresses around it."""

from __future__ import annotations

from policies.rules.facts import App, Urls
from tests.policies.cases.making import SOUND, Case, like

CASES: tuple[Case, ...] = (
    # protected
    Case("protected", "another stack may go", like(app=App("a", "", delete_on_destroy=True)), boundary=True),
    Case("protected", "production stays", like(stack="production")),
    Case(
        "protected",
        "production would go",
        like(stack="production", app=App("hotdash-chatwoot", "", delete_on_destroy=True)),
        ("hotdash-chatwoot",),
        ("pulumi destroy",),
        boundary=True,
    ),
    Case(
        "protected",
        "a stack that was called production",
        like(app=App("hotdash-chatwoot", "", delete_on_destroy=True)),
        ("hotdash-chatwoot",),
        config={"stacks": ["staging"]},
    ),
    # public-urls
    Case("public-urls", "public and https", SOUND),
    Case("public-urls", "nothing declared", like(urls=Urls())),
    Case(
        "public-urls",
        "http",
        like(urls=Urls("http://support.hotdash.com")),
        ("urls.frontend",),
        ("is http, not https",),
    ),
    Case(
        "public-urls",
        "Fly's private network",
        like(urls=Urls("", ("https://a.example", "https://hotdash.flycast/hook"))),
        ("urls.webhooks.1",),
        ("hotdash.flycast", "private network"),
        boundary=True,
    ),
    Case(
        "public-urls",
        "a host that only looks so",
        like(urls=Urls("https://flycast.hotdash.com")),
        boundary=True,
    ),
    Case(
        "public-urls",
        "a private address",
        like(urls=Urls("", ("https://[fdaa:0:1::3]:8080/hook",))),
        ("urls.webhooks.0",),
        ("private address",),
    ),
    Case(
        "public-urls",
        "a host that may be private",
        like(urls=Urls("http://localhost:3000")),
        config={"privateHosts": ["localhost"]},
    ),
)
