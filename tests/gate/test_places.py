"""On which line a finding stands: the line of the key that declares the thing."""

import pytest

from hotdash.drift import Kind
from hotdash.gate.places import StackFile
from hotdash.gate.report import Place

TEXT = """\
# production
config:
  hotdash:app:
    name: my-app
    organization: us
  hotdash:secrets:
    DATABASE_URL: a.env
    SMTP_PASSWORD: b.env
  hotdash:derivePostgresFrom: DATABASE_URL
  hotdash:processGroups:
    web:
      count: 2
      check:
        port: 3000
        path: /api
    mail-worker: {count: 1, memoryMb: 512}
  hotdash:exceptions:
    - rule: two-webs
      until: 2026-12-31
    - rule: image-pinned
      until: 2026-12-31
encryptionsalt: v1:x
"""
FILE = StackFile("stacks/x.yaml", TEXT)
DYNAMIC = "pulumi-python:dynamic"


@pytest.mark.parametrize(
    ("key", "line", "found"),
    [
        ("hotdash:app", 3, "hotdash:app"),
        ("hotdash:app.name", 4, "hotdash:app.name"),
        ("hotdash:processGroups.web.check.path", 15, "hotdash:processGroups.web.check.path"),
        ("hotdash:processGroups.mail-worker.memoryMb", 16, "hotdash:processGroups.mail-worker.memoryMb"),
        ("hotdash:processGroups.web.memoryMb", 11, "hotdash:processGroups.web"),
        ("hotdash:exceptions[1].until", 21, "hotdash:exceptions.1.until"),
        ("hotdash:exceptions[7]", 17, "hotdash:exceptions"),
        ("hotdash:connections.limit", 2, ""),
    ],
)
def test_a_key_or_the_nearest_above_it(key: str, line: int, found: str) -> None:
    assert FILE.of_key(key) == Place("stacks/x.yaml", line, found)


@pytest.mark.parametrize(
    ("type_", "name", "kind", "subject", "line"),
    [
        ("fly:App", "my-app", "", "", 3),
        ("fly:Secrets", "my-app", "", "", 6),
        ("fly:Secrets", "my-app", Kind.SECRET_MISSING, "SMTP_PASSWORD", 8),
        ("fly:Secrets", "my-app", Kind.SECRET_CHANGED_ON_FLY, "POSTGRES_HOST", 9),
        ("fly:Secrets", "my-app", Kind.SECRET_UNDECLARED, "FORGOTTEN", 6),
        ("fly:ProcessGroup", "my-app-web", Kind.MACHINE_COUNT, "web", 12),
        ("fly:ProcessGroup", "my-app-web", Kind.CHECK_PATH, "web 148e21f0", 15),
        ("fly:ProcessGroup", "my-app-web", Kind.MACHINE_MEMORY, "web 148e21f0", 11),
        ("fly:ProcessGroup", "my-app-web", Kind.UNHEALTHY, "web 148e21f0", 13),
        ("fly:ProcessGroup", "my-app-mail-worker", "", "", 16),
        ("fly:ProcessGroup", "my-app-mail-worker", Kind.SECRET_NOT_LIVE, "mail-worker 148e21f0", 16),
        ("fly:ProcessGroup", "my-app-gone", "", "", 10),
        ("chatwoot:Readiness", "my-app", Kind.UNHEALTHY, "https://x/api", 3),
        ("hotdash:chatwoot:ChatwootOnFly", "my-app", "", "", 2),
    ],
)
def test_what_declares_a_resource(type_: str, name: str, kind: str, subject: str, line: int) -> None:
    token = type_ if type_.startswith("hotdash:") else f"{DYNAMIC}/{type_}"
    assert FILE.of_resource(token, name, kind, subject).line == line


@pytest.mark.parametrize("text", ["", "config:\n", "- a\n", "config: [1, 2]\n", "a: b: c\n", "\t\n", "{"])
def test_a_file_that_is_none_has_a_first_line(text: str) -> None:
    place = StackFile("stacks/x.yaml", text).of_key("hotdash:app.name")
    assert (place.line, place.key) == (1, "")
