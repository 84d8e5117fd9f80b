"""Stacks over a sandbox, as the tests of the program have them; see tests/program/conftest.py."""

from tests.program.conftest import _shared, applied, sandbox, stack

__all__ = ["_shared", "applied", "sandbox", "stack"]
