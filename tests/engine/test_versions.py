import pytest

from engine.versions import Range, Version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.259.0", Version(3, 259, 0)),
        ("v3.259.0", Version(3, 259, 0)),
        ("v3.260.0-alpha.1+a1b2c3", Version(3, 260, 0, "alpha.1")),
        ("3", Version(3)),
    ],
)
def test_a_version_is_read(text: str, version: Version) -> None:
    assert Version.parse(text) == version


@pytest.mark.parametrize("text", ["", "three", "3.x", "3.259.0 beta"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        Version.parse(text)


def test_a_version_is_found_in_what_a_command_says() -> None:
    assert Version.find("flyctl v0.4.61 linux/amd64 Commit: 1 BuildDate: 2026-01-01") == Version(0, 4, 61)
    with pytest.raises(ValueError, match="no version"):
        Version.find("flyctl dev")


def test_a_prerelease_comes_before_its_release() -> None:
    assert Version(3, 260, 0, "alpha.1") < Version(3, 260, 0)
    assert Version(3, 259, 9) < Version(3, 260, 0, "alpha.1")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=3.250.0 <4.0.0", ["3.250.0", "3.259.1"], ["3.249.9", "4.0.0", "3.250.0-alpha.1"]),
        (">= 3.250.0, < 4", ["3.999.0"], ["4.0.0"]),
        ("<3.4.0 || >3.8.0", ["3.3.9", "3.8.1"], ["3.4.0", "3.8.0"]),
        (">=3.5.0 !3.7.7", ["3.7.6"], ["3.7.7"]),
        ("3.259.0", ["3.259.0"], ["3.259.1"]),
        ("", ["0.0.1"], []),
    ],
)
def test_a_range_allows_what_it_says(text: str, inside: list[str], outside: list[str]) -> None:
    assert all(Range(text).allows(Version.parse(version)) for version in inside)
    assert not any(Range(text).allows(Version.parse(version)) for version in outside)


@pytest.mark.parametrize("text", ["newest", ">=x", ">= 3.1 whatever"])
def test_a_range_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        Range(text)
