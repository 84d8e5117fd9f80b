"""The troubles of the outage, made in the sandbox as people made them by hand, and put back the same way.

Each trouble is in troubles.py; scene.py is what they work on. What a break changed is kept in DIR/breaks.json (no
secret value), so that `mend` gives back what was there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sandbox.breaks.scene import FILE, Change, Record, Scene
from sandbox.breaks.troubles import TROUBLES, Trouble
from sandbox.client import SandboxClient, SandboxError
from sandbox.seed import APP, healthy

VISIBLE_SECONDS = 60.0

OUTAGE = ("wrong-password", "check-path", "worker-oom")
"""The outage as it was found."""

COMPOSITES = {"outage": OUTAGE}
UNHEALTHY = frozenset(t.name for t in TROUBLES.values() if "unhealthy" in t.kinds)
BREAKS: tuple[str, ...] = (*TROUBLES, *COMPOSITES)


@dataclass(frozen=True)
class Explanation:
    """A break for the person who chooses one: what it is, in a sentence or two, and what a preview calls it."""

    name: str
    trouble: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """Troubles that are in place, and where each of them shows, one line each."""

    names: tuple[str, ...]
    evidence: tuple[str, ...]


def explain() -> tuple[Explanation, ...]:
    """Every break there is."""
    found = [Explanation(t.name, t.trouble, t.kinds) for t in TROUBLES.values()]
    for name, parts in COMPOSITES.items():
        kinds = tuple(dict.fromkeys(kind for part in parts for kind in TROUBLES[part].kinds))
        found.append(
            Explanation(name, f"The outage as it was found, all at once: {', '.join(parts)}.", kinds)
        )
    return tuple(found)


def chosen(names: Sequence[str]) -> tuple[Trouble, ...]:
    """The troubles that `names` mean, each once. SandboxError for an unknown name."""
    found: list[str] = []
    for name in names:
        if name not in BREAKS:
            raise SandboxError(f"there is no break {name!r}; there are {', '.join(BREAKS)}")
        found.extend(COMPOSITES.get(name, (name,)))
    return tuple(TROUBLES[name] for name in dict.fromkeys(found))


def make(
    client: SandboxClient, directory: Path, names: Sequence[str], *, app: str = APP, secret: str = ""
) -> Seen:
    """Make the troubles, all at once with one update a machine, and return when they can be seen.

    Args:
        secret: another secret than the usual one, for the troubles that are about one.
    Raises:
        SandboxError: unknown name, the app is not as it must be for it, or the trouble did not show itself.
    """
    todo = chosen(names)
    if {"worker-oom", "worker-stopped"} <= {trouble.name for trouble in todo}:
        raise SandboxError(
            "worker-stopped leaves no worker that could be killed for memory: make one or the other"
        )
    scene = Scene(client, directory, app, secret)
    change = Change()
    for trouble in todo:
        scene.record.keep(trouble.name, trouble.prepare(scene, change))
    if twice := change.secrets.keys() & change.staged.keys():
        raise SandboxError(f"{min(twice)} cannot be deployed and only staged at once: make one or the other")
    # Before the first write: what was begun must be known to `mend`.
    scene.record.save()
    scene.carry_out(change)
    evidence = []
    for trouble in todo:
        look = partial(trouble.look, scene)
        evidence.append(client.until(look, f"{trouble.name} to show itself", VISIBLE_SECONDS))
    if not UNHEALTHY & set(scene.record.names):
        # Machines that were moved are booting; the trouble is another one.
        client.until(
            lambda: all(healthy(m) for m in scene.group("web") if m["state"] != "stopped"),
            f"the web machines of {app} to pass their checks",
            VISIBLE_SECONDS,
        )
    return Seen(tuple(trouble.name for trouble in todo), tuple(evidence))


def mend(
    client: SandboxClient, directory: Path, names: Sequence[str] = (), *, app: str = APP
) -> tuple[str, ...]:
    """Put back, by hand, what the named breaks did (none: all of them); the troubles that were put back.

    With none left, returns when every machine is healthy. SandboxError if one does not become so."""
    scene = Scene(client, directory, app)
    broken = scene.record.names
    todo = [t for t in chosen(names or broken) if t.name in broken]
    if not todo:
        return ()
    change = Change()
    for trouble in todo:
        trouble.undo(scene, change, scene.record.undo[trouble.name])
    scene.carry_out(change)
    for trouble in todo:
        scene.record.drop(trouble.name)
    scene.record.save()
    if not scene.record.names:
        client.until(
            lambda: all(map(healthy, client.machines(app))),
            f"every machine of {app} to pass its checks",
            VISIBLE_SECONDS,
        )
    return tuple(trouble.name for trouble in todo)


def active(directory: Path) -> tuple[str, ...]:
    """The troubles that were made and not put back with `mend`. What `pulumi up` mended is not known here."""
    return Record.load(directory).names


def forget(directory: Path) -> None:
    """Forget what was broken, because the world was made anew."""
    (directory / FILE).unlink(missing_ok=True)
