"""Tests of the sandbox, all of them against real server processes."""
