"""Names of images: which Chatwoot they are, and whether they stay the same one."""

import pytest

from policies.rules.image import FLOATING, Version, moves, tag_and_digest, version_of

DIGEST = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("image", "tag", "digest"),
    [
        ("chatwoot/chatwoot", "", ""),
        ("chatwoot/chatwoot:v4.11.0", "v4.11.0", ""),
        ("registry.local:5000/chatwoot", "", ""),
        ("registry.local:5000/chatwoot:v4.11.0", "v4.11.0", ""),
        (f"chatwoot/chatwoot@{DIGEST}", "", DIGEST),
        (f"registry.local:5000/chatwoot:latest@{DIGEST}", "latest", DIGEST),
        ("", "", ""),
    ],
)
def test_tag_and_digest(image: str, tag: str, digest: str) -> None:
    assert tag_and_digest(image) == (tag, digest)


@pytest.mark.parametrize("tag", sorted({*FLOATING, "LATEST", "v4", "4.11", "v4.11-ce"}))
def test_tags_that_move(tag: str) -> None:
    assert moves(f"chatwoot/chatwoot:{tag}")
    assert not moves(f"chatwoot/chatwoot:{tag}@{DIGEST}")


@pytest.mark.parametrize("tag", ["v4.11.0", "4.11.0-ce", "deployment-01HQ", "2024-05-01", "sha-0a1b2c3"])
def test_tags_that_stay(tag: str) -> None:
    assert not moves(f"chatwoot/chatwoot:{tag}")


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v4.11.0", (4, 11, 0)),
        ("4.11", (4, 11, 0)),
        ("v4.11.2-ce", (4, 11, 2)),
        ("latest", None),
        ("deployment-01HQ", None),
        ("v4", None),
        ("v4.11.0.1", None),
    ],
)
def test_versions(tag: str, version: Version | None) -> None:
    assert version_of(f"chatwoot/chatwoot:{tag}") == version
