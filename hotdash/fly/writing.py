"""Writes whose answers may be lost: one that must be done once is sent again only after Fly was asked about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hotdash.clock import Clock
from hotdash.errors import Conflict, FlyError
from hotdash.fly.client import Fly
from hotdash.fly.model import Machine

WRITE_TRIES: Final = 4
"""How often one machine's write is begun: each time only after Fly was asked whether the last one was done."""
NOT_AVAILABLE_YET: Final = 412
SECRETS_PAUSE: Final = 2.0
"""Seconds until secrets that a host cannot serve yet are asked for again; longer each time."""


def write_once(
    write: Callable[[], Machine], done: Callable[[], Machine | None], *, poll: float, clock: Clock
) -> Machine:
    """Write, and again where that is safe.

    Args:
        done: the machine as the write has left it, where it was done.
        poll: seconds before the second try; longer each time.

    Raises:
        FlyError: it was refused, or nobody can say whether it was done.
    """
    lost = False
    for tries in range(1, WRITE_TRIES + 1):
        pause = poll * tries
        try:
            return write()
        except Conflict as conflict:
            # It may be with ourselves: a lost write that was done after Fly was asked for it.
            if lost and (there := done()):
                return there
            if not _awaits_secrets(conflict) or tries == WRITE_TRIES:
                raise
            pause = SECRETS_PAUSE * tries
        except FlyError as error:
            if not _may_have_been_done(error):
                raise
            lost = True
            if there := done():
                return there
            if tries == WRITE_TRIES:
                raise
        clock.sleep(pause)
    raise AssertionError("unreachable")


def start(fly: Fly, app: str, machine: Machine, nonce: str) -> None:
    """Ask for a machine's start. Whether one was done whose answer was lost, its state tells whoever waits for it."""
    try:
        fly.start_machine(app, machine.id, nonce)
    except FlyError as error:
        if not _may_have_been_done(error):
            raise


def _awaits_secrets(error: Conflict) -> bool:
    """Whether a host cannot serve the wanted version of the secrets yet, which passes by itself."""
    return error.status == NOT_AVAILABLE_YET and "secrets" in error.summary


def _may_have_been_done(error: FlyError) -> bool:
    """No answer, a 5xx and a success that cannot be read tell nothing of it."""
    return error.status is None or error.status >= 500 or error.status < 300
