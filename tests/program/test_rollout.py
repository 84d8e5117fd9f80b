"""Rollouts that fail: the first machine shows it, the rest stays as it was, and what was begun is given back."""

from dataclasses import replace
from typing import Any

from tests.program.stack import Answer, Stack, impatient
from tests.world import DESIGN

MB = 1024
"""A size that is not the seeded one, so that every machine has to move."""


def configs(stack: Stack) -> dict[str, Any]:
    return {machine["id"]: machine["config"] for machine in stack.world.machines()}


def moved(stack: Stack, before: dict[str, str]) -> set[str]:
    """The machines that have another version than before."""
    return {id_ for id_, version in stack.versions().items() if version != before.get(id_)}


def failed_at_the_first(
    stack: Stack, answer: Answer, before: dict[str, str], configs_before: dict[str, Any]
) -> str:
    """The one machine that was touched, as the message names it; all else is as it was."""
    touched = moved(stack, before)
    assert len(touched) == 1, answer.output
    [machine] = touched
    answer.failed(
        "did not come up",
        f"machine {machine}",
        "rollout-failed",
        f"fly logs -a {stack.world.app} -i {machine}",
    )
    assert configs(stack) == configs_before
    assert stack.leases() == []
    assert answer.output.count("did not come up") <= 3, answer.output
    return machine


def test_a_release_that_never_gets_healthy_stops_at_the_first_machine(applied: Stack) -> None:
    world = applied.world
    applied.config["hotdash:processGroups"]["web"]["memoryMb"] = MB
    applied.config["hotdash:processGroups"]["worker"]["memoryMb"] = MB
    world.break_("never-healthy")
    before, configs_before = applied.versions(), configs(applied)

    with impatient(applied):
        answer = applied.up()
    machine = failed_at_the_first(applied, answer, before, configs_before)
    assert machine in {m["id"] for m in world.machines("web")}
    answer.failed(
        "500 Internal Server Error",
        "the machine has its previous config back; 1 other of the group was not touched",
    )
    # The worker comes after web, so it was not begun.
    assert "worker: machine" not in answer.output

    world.mend("never-healthy")
    applied.up().ok()
    assert {m["config"]["guest"]["memory_mb"] for m in world.machines()} == {MB}
    applied.expect_clean()
    applied.clean = False


def test_a_machine_killed_for_memory_stops_the_rollout(stack: Stack) -> None:
    stack.renew(replace(DESIGN, workers=2))
    worker = stack.config["hotdash:processGroups"]["worker"]
    worker["count"] = 2
    stack.up().ok()
    before, configs_before = stack.versions(), configs(stack)

    worker["memoryMb"] = 512
    answer = stack.up()
    machine = failed_at_the_first(stack, answer, before, configs_before)
    assert machine in {m["id"] for m in stack.world.machines("worker")}
    answer.failed("it was killed for want of memory (512 MB)", "previous config back; 1 other of the group")

    worker["memoryMb"] = 768
    stack.up().ok()
    stack.expect_clean()
    stack.clean = False


def test_an_image_that_cannot_be_pulled_stops_the_rollout(applied: Stack) -> None:
    web = applied.config["hotdash:processGroups"]["web"]
    before, configs_before = applied.versions(), configs(applied)
    web["image"] = "chatwoot/chatwoot:missing-v9"

    answer = applied.up().failed("Fly went back to another version", "1 other of the group was not touched")
    assert "rollout-failed" in answer.output
    # The machine never ran it: it goes on with the version that it had, or with that config once more.
    assert len(moved(applied, before)) <= 1
    assert configs(applied) == configs_before
    assert applied.leases() == []

    web["image"] = applied.world.design.image
    applied.up().ok()
    applied.expect_clean()
    applied.clean = False


def test_a_new_machine_that_does_not_come_up_is_taken_away_again(applied: Stack) -> None:
    worker = applied.config["hotdash:processGroups"]["worker"]
    applied.world.break_("worker-stopped")
    before = applied.versions()
    worker["memoryMb"] = 512

    answer = applied.up()
    answer.failed(
        "killed for want of memory (512 MB)", "the new machine was destroyed again", "rollout-failed"
    )
    assert applied.versions() == before
    assert applied.leases() == []

    worker["memoryMb"] = 2048
    applied.up().ok()
    assert len(applied.world.machines("worker")) == 1
    applied.expect_clean()
