"""Every kind of drift, made as a person makes it: seen by a plain preview, mended by one `up`, and then gone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotdash.drift import Kind
from sandbox.breaks.scene import checks_of_services
from tests.program.stack import DRIFT, Answer, Shown, Stack, a_second_later, vault_values
from tests.world import World

Config = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One way into trouble.

    kind      what the preview must call it
    make      makes it; gives what the subject of that line must be, and a word that the line must have
    remedy    a word of what the preview says that `up` will do
    besides   other kinds that come with it
    """

    kind: Kind
    make: Callable[[Stack], tuple[str, str]]
    remedy: str
    besides: frozenset[Kind] = frozenset()


def edit(world: World, group: str, change: Callable[[Config], None]) -> dict[str, Any]:
    """Change the config of a group's first machine by hand, as `fly machine update` does; that machine."""
    machine = world.machines(group)[0]
    config = machine["config"]
    change(config)
    world.api.update(world.app, machine, config)
    world.wait_healthy()
    return machine


# Ways into trouble


def unset_by_hand(stack: Stack) -> tuple[str, str]:
    stack.world.break_("secret-missing")
    return "CHATWOOT_WEBHOOK_SECRET", "not on Fly"


def set_besides(stack: Stack) -> tuple[str, str]:
    stack.world.set_secret(
        name := f"FORGOTTEN_{len(stack.world.status()['secrets'])}", "left here by somebody"
    )
    return name, "on Fly"


def rotated_in_the_vault(stack: Stack) -> tuple[str, str]:
    stack.world.write_vault(
        "occ/chatwoot/webhook_secret.env",
        {"CHATWOOT_WEBHOOK_SECRET": f"rotated-{datetime.now(UTC).timestamp()}"},
    )
    return "CHATWOOT_WEBHOOK_SECRET", "fingerprint"


def set_by_hand(stack: Stack) -> tuple[str, str]:
    stack.world.break_("secret-tampered")
    return "SMTP_PASSWORD", "as the last up left it"


def staged_by_hand(stack: Stack) -> tuple[str, str]:
    stack.world.break_("secret-staged")
    return f"web {stack.world.machines('web')[0]['id']}", "SMTP_PASSWORD"


def put_back_and_only_staged(stack: Stack) -> tuple[str, str]:
    """Changed, deployed, and the right value staged again: Fly's list is as it was, the machines are not."""
    right = vault_values(stack.world)["SMTP_PASSWORD"]
    stack.world.break_("secret-tampered")
    a_second_later(stack)
    stack.world.set_secret("SMTP_PASSWORD", right)
    return f"web {stack.world.machines('web')[0]['id']}", "SMTP_PASSWORD"


def shrunk(stack: Stack) -> tuple[str, str]:
    machine = edit(stack.world, "worker", lambda config: config["guest"].update(memory_mb=1024))
    return f"worker {machine['id']}", "1024 MB, not 2048 MB"


def more_cpus(stack: Stack) -> tuple[str, str]:
    machine = edit(stack.world, "web", lambda config: config["guest"].update(cpus=2))
    return f"web {machine['id']}", "shared ×2, not shared ×1"


def scaled_to_nothing(stack: Stack) -> tuple[str, str]:
    stack.world.break_("worker-stopped")
    return "worker", "0 machines, not 1"


def scaled_up(stack: Stack) -> tuple[str, str]:
    world = stack.world
    machine = world.machines("web")[0]
    world.api.call(
        "POST", f"/v1/apps/{world.app}/machines", {"config": machine["config"], "region": machine["region"]}
    )
    world.wait_healthy()
    return "web", "3 machines, not 2"


def stopped_by_hand(stack: Stack) -> tuple[str, str]:
    stack.world.break_("machine-stopped")
    [stopped] = [m["id"] for m in stack.world.machines("web") if m["state"] == "stopped"]
    return f"web {stopped}", "stopped, not started"


def check_moved(stack: Stack) -> tuple[str, str]:
    stack.world.break_("check-path")
    return f"web {stack.world.machines('web')[0]['id']}", "/rails/health, not /api"


def check_slowed(stack: Stack) -> tuple[str, str]:
    def slow(config: Config) -> None:
        checks_of_services(config)[0]["timeout"] = "9s"

    machine = edit(stack.world, "web", slow)
    return f"web {machine['id']}", "timeout 9s, not timeout 1s"


def other_image(stack: Stack) -> tuple[str, str]:
    declared = stack.world.design.image
    for group in stack.config["hotdash:processGroups"].values():
        group["image"] = declared
    machine = edit(stack.world, "web", lambda config: config.update(image="chatwoot/chatwoot:v4.10.1"))
    return f"web {machine['id']}", f"chatwoot/chatwoot:v4.10.1, not {declared}"


def wedged(stack: Stack) -> tuple[str, str]:
    """A web process that is there and answers nobody."""
    world = stack.world
    # Else it would be waited for: a stopped process does not hear that it shall end.
    machine = edit(world, "web", lambda config: config.update(stop_config={"timeout": "200ms"}))
    path = f"/v1/apps/{world.app}/machines/{machine['id']}"
    world.api.call("POST", f"{path}/signal", {"signal": "SIGSTOP"})
    world.api.until(
        lambda: world.api.call("GET", path)["checks"][0]["status"] == "critical", "the check to fail", 20.0
    )
    return f"web {machine['id']}", "servicecheck-00-http-3000 critical, not passing"


CASES: Mapping[str, Case] = {
    "secret unset": Case(
        Kind.SECRET_MISSING, unset_by_hand, "sets it from vault", frozenset({Kind.SECRET_NOT_LIVE})
    ),
    "secret nobody declared": Case(Kind.SECRET_UNDECLARED, set_besides, "leaves it and remembers"),
    "secret rotated in the vault": Case(
        Kind.SECRET_CHANGED_IN_VAULT,
        rotated_in_the_vault,
        "sets it from vault",
        frozenset({Kind.SECRET_NOT_LIVE}),
    ),
    "secret set by hand": Case(
        Kind.SECRET_CHANGED_ON_FLY, set_by_hand, "sets it again", frozenset({Kind.SECRET_NOT_LIVE})
    ),
    "secret staged by hand": Case(
        Kind.SECRET_NOT_LIVE, staged_by_hand, "updates the machine", frozenset({Kind.SECRET_CHANGED_ON_FLY})
    ),
    "secret put back and only staged": Case(
        Kind.SECRET_NOT_LIVE, put_back_and_only_staged, "updates the machine"
    ),
    "memory": Case(Kind.MACHINE_MEMORY, shrunk, "updates the machine"),
    "cpus": Case(Kind.MACHINE_CPUS, more_cpus, "updates the machine"),
    "no machine": Case(Kind.MACHINE_COUNT, scaled_to_nothing, "makes 1 more"),
    "one machine more": Case(Kind.MACHINE_COUNT, scaled_up, "destroys 1"),
    "machine stopped": Case(Kind.MACHINE_STATE, stopped_by_hand, "the machine"),
    "check on a 404": Case(Kind.CHECK_PATH, check_moved, "updates the machine", frozenset({Kind.UNHEALTHY})),
    "check settings": Case(Kind.CHECK_SETTINGS, check_slowed, "updates the machine"),
    "image": Case(Kind.IMAGE, other_image, "updates the machine"),
    "unhealthy": Case(Kind.UNHEALTHY, wedged, "updates the machine"),
}


def test_there_is_a_case_for_every_kind() -> None:
    of_migrations = {Kind.MIGRATION_PENDING, Kind.MIGRATION_UNFINISHED}  # in test_migration
    assert {case.kind for case in CASES.values()} == set(Kind) - of_migrations


@pytest.mark.parametrize("name", CASES)
def test_drift_is_seen_mended_and_gone(applied: Stack, name: str) -> None:
    case = CASES[name]
    before = datetime.now(UTC) - timedelta(seconds=2)
    subject, word = case.make(applied)

    seen = applied.drift()
    assert seen.code == DRIFT
    told = one(seen, case.kind, subject)
    assert word in told.line
    assert case.remedy in told.remedy
    assert seen.kinds == {case.kind} | case.besides
    if case.kind not in NOT_DATED:
        since = datetime.fromisoformat(told.since)
        assert before.replace(microsecond=0) <= since <= datetime.now(UTC), told.line
    refuse_values(applied, seen)

    mended = applied.up().ok()
    refuse_values(applied, mended)
    assert applied.preview().ok().drift == ()
    applied.expect_clean()


NOT_DATED = {Kind.MACHINE_COUNT, Kind.SECRET_MISSING, Kind.SECRET_CHANGED_IN_VAULT}
"""What is not there has no date on Fly, and neither has a vault."""


def one(seen: Answer, kind: Kind, subject: str) -> Shown:
    found = [shown for shown in seen.of(kind) if shown.subject == subject]
    assert len(found) == 1, f"{kind} {subject}: {found}\n{seen.output}"
    return found[0]


def refuse_values(stack: Stack, answer: Answer) -> None:
    shown = [
        name
        for name, value in vault_values(stack.world).items()
        if len(value) > 12 and value in answer.output
    ]
    # A host or a database's name may be told; these are no secrets of their own.
    assert set(shown) <= {"POSTGRES_DATABASE", "SMTP_ADDRESS", "STORAGE_BUCKET_NAME"}, answer.output
