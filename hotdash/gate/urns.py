"""Names that the engine gives: URNs and types."""

from __future__ import annotations


def type_and_name(urn: str) -> tuple[str, str]:
    """`urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""
    *_, types, name = urn.split("::")
    return types.rpartition("$")[2], name


def short_type(type_: str) -> str:
    """`fly:Secrets` of `pulumi-python:dynamic/fly:Secrets`."""
    return type_.rpartition("/")[2]
