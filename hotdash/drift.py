"""What differs between what is declared and what lives on Fly: one vocabulary, one comparison, no I/O.

A preview's text, the provider's answer to "has it changed?", a report and the tests all come from these functions.
How a difference is mended is decided in `hotdash.plan`; doing it is `hotdash.fly.rollout`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Protocol

from hotdash.fly.model import STARTABLE, CheckResult, HttpCheck, Machine, Secret
from hotdash.said import shown

BOOT_ALLOWANCE = timedelta(minutes=3)
"""How long a machine may be without results of its checks before that is a trouble: Chatwoot boots slowly."""
STUCK = timedelta(minutes=10)
"""How long a machine may be on its way to a state: Fly's documentation calls that stuck."""
SAID = 120
"""Characters of what a check was answered, in a line about it."""
CLOCK_SLACK = timedelta(seconds=1)
"""Fly's dates come from several of its services, some cut to whole seconds."""
_DOWN = frozenset({*STARTABLE, "failed", "launch_failed"})
_RESTING = frozenset({"stopped", "suspended"})
"""States that Fly's proxy puts a machine into when nobody asks for it."""


class Kind(StrEnum):
    """The kinds of drift. The words stand in previews, reports and documentation alike."""

    SECRET_MISSING = "secret-missing"
    SECRET_UNDECLARED = "secret-undeclared"
    SECRET_CHANGED_IN_VAULT = "secret-changed-in-vault"
    SECRET_CHANGED_ON_FLY = "secret-changed-on-fly"
    SECRET_NOT_LIVE = "secret-not-live"
    MACHINE_MEMORY = "machine-memory"
    MACHINE_CPUS = "machine-cpus"
    MACHINE_COUNT = "machine-count"
    MACHINE_STATE = "machine-state"
    CHECK_PATH = "check-path"
    CHECK_SETTINGS = "check-settings"
    IMAGE = "image"
    MIGRATION_PENDING = "migration-pending"
    MIGRATION_UNFINISHED = "migration-unfinished"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Drift:
    """One difference.

    Args:
        kind: which of the kinds.
        subject: the secret, the group, or the group and machine (`web 148e21f0`).
        was: what lives on Fly, in a few words.
        wants: what is declared, in a few words; empty where `was` says it all.
        why: what is known besides; may be empty.
        remedy: what `up` will do.
        since: from when on it is so, where Fly says.
        machine: the id of the machine that must move for it; empty where none is meant alone.
    """

    kind: Kind
    subject: str
    was: str
    wants: str
    why: str
    remedy: str
    since: datetime | None = None
    machine: str = ""

    def __str__(self) -> str:
        instead = f", not {self.wants}" if self.wants else ""
        known = "; ".join(filter(None, [f"since {shown_time(self.since)}" if self.since else "", self.why]))
        return f"{self.kind:<23} {self.was}{instead}{f' ({known})' if known else ''}"


def told(found: Iterable[Drift]) -> str:
    """Differences for people: each subject once, with what `up` will do about it, and below it what differs."""
    lines: list[str] = []
    for subject, items in groupby(found, key=lambda item: item.subject):
        of_subject = list(items)
        remedies = dict.fromkeys(item.remedy for item in of_subject)
        if "updates the machine" in remedies:
            remedies.pop("starts the machine", None)  # an update starts it too
        lines.append(f"{subject}: up {' and '.join(remedies)}")
        lines += [f"  {item}" for item in of_subject]
    return "\n".join(lines)


def shown_time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else "an unknown time"


@dataclass(frozen=True)
class DeclaredSecret:
    """A secret as declared: where its value lies, and the fingerprint of the value that lies there now."""

    name: str
    source: str
    fingerprint: str


@dataclass(frozen=True)
class RecordedSecret:
    """What the last `up` knew of a secret: the value it set, the digest Fly gave it, since when it stands there."""

    fingerprint: str
    digest: str
    since: datetime | None
    dated: datetime | None = None
    """The date that Fly showed for it then: a later one means that somebody has set it since."""


@dataclass(frozen=True)
class DeclaredGroup:
    """One process group as declared. None means: not declared, so whatever is there is right."""

    name: str
    count: int | None
    cpu_kind: str | None
    cpus: int | None
    memory_mb: int | None
    check: HttpCheck | None
    image: str | None


def secret_drift(
    declared: Mapping[str, DeclaredSecret],
    recorded: Mapping[str, RecordedSecret],
    live: Mapping[str, Secret],
    *,
    acknowledged: Collection[str] = (),
    remove_undeclared: bool = False,
) -> tuple[Drift, ...]:
    """Compare an app's secrets with what is declared.

    Args:
        acknowledged: undeclared names that an earlier `up` has shown; not shown again unless they are to be removed.
        remove_undeclared: the stack file says that what is not declared goes.
    """
    found: list[Drift] = []
    for name, wanted in sorted(declared.items()):
        there = live.get(name)
        known = recorded.get(name)
        source = f"from vault {wanted.source}, then moves the machines"
        if there is None:
            found.append(Drift(Kind.SECRET_MISSING, name, "not on Fly", "", "", f"sets it {source}"))
        elif known is None:
            what = "on Fly, with a value that this stack never set"
            found.append(
                Drift(Kind.SECRET_CHANGED_IN_VAULT, name, what, "", "", f"sets it {source}", there.updated_at)
            )
        else:
            if there.digest != known.digest:
                was, wants = f"digest {there.digest}", f"{known.digest} as the last up left it"
                found.append(
                    Drift(
                        Kind.SECRET_CHANGED_ON_FLY,
                        name,
                        was,
                        wants,
                        "",
                        f"sets it again {source}",
                        there.updated_at,
                    )
                )
            if known.fingerprint != wanted.fingerprint:
                was, wants = f"fingerprint {known.fingerprint}", f"the vault's {wanted.fingerprint}"
                # Since when the vault has its own, nobody says.
                why = f"Fly's is of {shown_time(known.since)}" if known.since else ""
                found.append(Drift(Kind.SECRET_CHANGED_IN_VAULT, name, was, wants, why, f"sets it {source}"))
    for name, there in sorted(live.items()):
        if name in declared or (name in acknowledged and not remove_undeclared):
            continue
        remedy = (
            "removes it, as the stack file says, then moves the machines"
            if remove_undeclared
            else "leaves it and remembers that it was shown; declare it, or remove it by hand"
        )
        found.append(Drift(Kind.SECRET_UNDECLARED, name, "on Fly", "declared", "", remedy, there.updated_at))
    return tuple(found)


def live_since(
    names: Iterable[str], recorded: Mapping[str, RecordedSecret], live: Mapping[str, Secret]
) -> dict[str, datetime]:
    """From when on each secret has had the value that Fly has now, by name; absent where that is not known.

    Fly may or may not move a secret's date when the same value is set again. So where an `up` has found its value there
    already, the date of before holds; but not where Fly's date has moved since: the value may have been another one
    in between, and a machine may still run with that.
    """
    dates: dict[str, datetime] = {}
    for name in names:
        there, known = live.get(name), recorded.get(name)
        if there is None:
            if known and not known.digest and known.since:
                dates[name] = known.since  # removed then
            continue
        since = there.updated_at
        if known and known.since and known.digest == there.digest and not _set_since(known, there):
            since = known.since
        if since:
            dates[name] = since
    return dates


def _set_since(known: RecordedSecret, there: Secret) -> bool:
    return bool(known.dated and there.updated_at and there.updated_at > known.dated)


def in_group(machines: Iterable[Machine], group: str) -> tuple[Machine, ...]:
    """The machines that count as the group's: no standby, none that is going or gone, none that Fly's tools lent."""
    gone = {"destroyed", "destroying", "replaced", "migrated"}
    return tuple(
        sorted(
            (m for m in machines if m.group == group and not m.standby and m.state not in gone),
            key=lambda m: m.id,
        )
    )


def group_drift(
    declared: DeclaredGroup,
    machines: Sequence[Machine],
    secrets_since: Mapping[str, datetime],
    *,
    just_staged: Collection[str] = (),
    now: datetime,
) -> tuple[Drift, ...]:
    """Compare one process group's machines with what is declared.

    Args:
        machines: all of the app's machines; the group's own are picked out.
        secrets_since: from when on each secret has had its value (see `live_since`): a machine whose version is
            older has another one.
        just_staged: secrets that an `up` has set and the group has not moved for yet. A machine that was made just
            before has them not, however near the dates are.
        now: the reader's clock, to tell a machine that boots from one that does not come up.
    """
    own = in_group(machines, declared.name)
    found: list[Drift] = []
    if declared.count is not None and len(own) != declared.count:
        missing = declared.count - len(own)
        remedy = f"makes {missing} more" if missing > 0 else f"destroys {-missing}"
        found.append(
            Drift(Kind.MACHINE_COUNT, declared.name, _machines(len(own)), str(declared.count), "", remedy)
        )
    for machine in own:
        if machine.known:
            found += _machine_drift(declared, machine, secrets_since, just_staged, now)
        else:
            found.append(_out_of_reach(declared.name, machine))
    return tuple(found)


def _out_of_reach(group: str, machine: Machine) -> Drift:
    was = f"its host is {machine.host_status}"
    remedy = "leaves it: its config is not known until Fly has its host back"
    return Drift(Kind.UNHEALTHY, f"{group} {machine.id}", was, "", "", remedy, machine.updated_at)


class _MakeDrift(Protocol):
    def __call__(
        self, kind: Kind, was: str, wants: str, why: str = "", since: datetime | None = None
    ) -> Drift: ...


def _machines(count: int) -> str:
    return f"{count} machine" if count == 1 else f"{count} machines"


def _machine_drift(
    declared: DeclaredGroup,
    machine: Machine,
    secrets_since: Mapping[str, datetime],
    just_staged: Collection[str],
    now: datetime,
) -> Iterable[Drift]:
    subject = f"{declared.name} {machine.id}"

    def drift(kind: Kind, was: str, wants: str, why: str = "", since: datetime | None = None) -> Drift:
        starts = kind is Kind.MACHINE_STATE and machine.state in STARTABLE
        remedy = "starts the machine" if starts else "updates the machine"
        return Drift(kind, subject, was, wants, why, remedy, since or machine.version_at, machine.id)

    guest = machine.guest
    if declared.memory_mb is not None and guest.memory_mb != declared.memory_mb:
        yield drift(Kind.MACHINE_MEMORY, f"{guest.memory_mb} MB", f"{declared.memory_mb} MB")
    if (declared.cpus is not None and guest.cpus != declared.cpus) or (
        declared.cpu_kind is not None and guest.cpu_kind != declared.cpu_kind
    ):
        wants = f"{declared.cpu_kind or guest.cpu_kind} ×{declared.cpus or guest.cpus}"
        yield drift(Kind.MACHINE_CPUS, f"{guest.cpu_kind} ×{guest.cpus}", wants)
    if declared.image is not None and machine.image != declared.image:
        yield drift(Kind.IMAGE, machine.image, declared.image)
    if declared.check is not None:
        yield from _check_drift(declared.check, machine, drift)
    stale = sorted(
        (since, name)
        for name, since in secrets_since.items()
        if machine.version_at
        and machine.version_at + (timedelta() if name in just_staged else CLOCK_SLACK) < since
    )
    if stale:
        names = ", ".join(name for _, name in stale)
        ran = f"its version is of {shown_time(machine.version_at)}; a restart brings nothing in"
        yield drift(Kind.SECRET_NOT_LIVE, f"{names} staged", "live", ran, stale[0][0])
    yield from _health_drift(machine, now, drift)


def _check_drift(wanted: HttpCheck, machine: Machine, drift: _MakeDrift) -> Iterable[Drift]:
    there = tuple(check for check in machine.checks if check.port == wanted.port)
    paths = sorted({check.path for check in there})
    if paths != [wanted.path]:
        yield drift(Kind.CHECK_PATH, " and ".join(paths) or "no http check", wanted.path)
    for check in there[:1]:
        was, wants = _settings(check), _settings(wanted)
        if was != wants:
            differing = [key for key in wants if was[key] != wants[key]]
            yield drift(
                Kind.CHECK_SETTINGS,
                " ".join(f"{key} {was[key]}" for key in differing),
                " ".join(f"{key} {wants[key]}" for key in differing),
            )
    if len(there) > 1 and len(paths) == 1:
        yield drift(Kind.CHECK_SETTINGS, f"{len(there)} http checks", "one")


def _settings(check: HttpCheck) -> dict[str, str]:
    return {
        "method": check.method,
        "interval": f"{check.interval:g}s",
        "timeout": f"{check.timeout:g}s",
        "grace": f"{check.grace_period:g}s",
        # Values too: a header such as X-Forwarded-Proto decides what a check is answered.
        "headers": ", ".join(f"{name}: {value}" for name, value in check.headers) or "none",
    }


def _health_drift(machine: Machine, now: datetime, drift: _MakeDrift) -> Iterable[Drift]:
    changed = machine.updated_at or machine.version_at
    if machine.state in _DOWN or (machine.state != "started" and changed and now - changed > STUCK):
        if not (machine.autostop and machine.state in _RESTING):
            yield drift(Kind.MACHINE_STATE, machine.state, "started", _kills(machine), machine.updated_at)
        return
    failing = [result for result in machine.failing if _is_trouble(result, now)]
    for result in failing:
        was = f"{result.name} {result.status}"
        yield drift(Kind.UNHEALTHY, was, "passing", shown(result.output, SAID), result.updated_at)
    kills = _kills(machine)
    if not failing and kills and not machine.expected_results:
        yield drift(Kind.UNHEALTHY, kills, "", "", machine.updated_at)
    if (
        len(machine.results) < machine.expected_results
        and machine.state == "started"
        and changed
        and now - changed > BOOT_ALLOWANCE
    ):
        yield drift(Kind.UNHEALTHY, "no result of its checks", "passing", "", changed)


def _is_trouble(result: CheckResult, now: datetime) -> bool:
    # A warning is what a check that has not run yet may say: it is waited out, but not for ever.
    return result.status == "critical" or bool(result.updated_at and now - result.updated_at > BOOT_ALLOWANCE)


def _kills(machine: Machine) -> str:
    """How often this version was killed for want of memory, as far as Fly's events reach back."""
    kills = [
        e
        for e in machine.exits
        if e.oom_killed
        and not e.requested
        and not (e.at and machine.version_at and e.at < machine.version_at)
    ]
    if not kills:
        return ""
    times = "once" if len(kills) == 1 else f"{len(kills)} times"
    return f"killed for want of memory {times}, last {shown_time(kills[0].at)}"
