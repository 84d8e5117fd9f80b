"""The world on disk: one JSON file, replaced whole, so that a reader or a killed server never meets half of it.

Whoever changed the world awaits `commit()` before telling anyone."""

import asyncio
import json
import os
import secrets
from pathlib import Path

from sandbox.state import World, new_world

STATE_FILE = "state.json"
TOKEN_FILE = "token"


class StateUnreadable(Exception):
    """The state file is there but cannot be used."""


class Store:
    """Holds the world and writes it to `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / STATE_FILE
        self._lock = asyncio.Lock()
        self._wanted = 0
        self._written = 0
        self.fresh = not self._path.exists()
        self.token = self._read_token()
        self.world = new_world(self.token) if self.fresh else self._read()

    def _read_token(self) -> str:
        path = self.directory / TOKEN_FILE
        if path.exists():
            return path.read_text().strip()
        # Not a macaroon on purpose: flyctl drops an `fm2_…` that it cannot decode.
        token = f"fo1_{secrets.token_urlsafe(32)}"
        _write_private(path, token + "\n")
        return token

    def _read(self) -> World:
        try:
            return World.from_record(json.loads(self._path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateUnreadable(
                f"{self._path} cannot be read as a sandbox's state ({type(error).__name__}). It was written by another "
                "version or by hand. Move it away, or reset the sandbox, to begin with a new world."
            ) from error

    def replace_world(self, world: World) -> None:
        self.world = world

    async def commit(self) -> None:
        """Return once a state at least as new as now is in the file.

        Changes made while a write is under way share the next one. No fsync: the file must outlive this process
        when it is killed, not the machine when its power fails."""
        self._wanted += 1
        wanted = self._wanted
        async with self._lock:
            if self._written >= wanted:
                return
            generation = self._wanted
            text = self.world.to_text()
            writing = asyncio.ensure_future(asyncio.to_thread(_write_private, self._path, text))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing  # the lock must outlast the write, else an older text could land over a newer
                raise
            self._written = generation


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
