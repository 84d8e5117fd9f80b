"""Taking over what is there: nothing restarts that is right, nothing is deleted that was not said to be; and an app
from nothing."""

from typing import Any

import pytest

from hotdash.drift import Kind
from sandbox.seed import WEB_COMMAND, WORKER_COMMAND
from tests.program.stack import Stack, a_second_later
from tests.world import World


def resources(stack: Stack) -> list[dict[str, Any]]:
    """What the stack's state holds, without the stack itself."""
    found = stack.state()["deployment"].get("resources") or []
    return [resource for resource in found if resource["type"] != "pulumi:pulumi:Stack"]


def on_fly(world: World) -> tuple[Any, Any, Any]:
    """The app, its secrets and its machines, as far as they should stay the same."""
    app = world.api.call("GET", f"/v1/apps/{world.app}")
    secrets = world.api.call("GET", f"/v1/apps/{world.app}/secrets")["secrets"]
    machines = {m["id"]: (m["instance_id"], m["config"], m["state"]) for m in world.machines()}
    return app, secrets, machines


@pytest.mark.parametrize(
    "run_program", ["true", None], ids=["refreshing by the program", "refreshing before it"]
)
def test_a_matching_app_is_adopted_without_a_restart_and_let_go_without_a_loss(
    stack: Stack, run_program: str | None
) -> None:
    stack.env["PULUMI_RUN_PROGRAM"] = run_program
    before = on_fly(stack.world)

    seen = stack.drift()
    assert seen.drift == ()
    assert "7 to create" in seen.text

    adopted = stack.up().ok()
    assert "7 created" in adopted.text
    assert f"all {len(before[1])} secrets had the vault's values already" in adopted.text
    assert on_fly(stack.world) == before
    stack.expect_clean()

    stack.world.clear_requests()
    destroyed = stack.pulumi("destroy", "--yes", "--skip-preview").ok()
    assert (
        f"{stack.world.app}: left on Fly as it is (hotdash:app, deleteOnDestroy, would delete it)"
        in destroyed.text
    )
    assert "its secrets were left on Fly as they are" in destroyed.text
    assert "the machines of web were left on Fly as they are" in destroyed.text
    assert stack.writes() == []
    assert on_fly(stack.world) == before
    assert resources(stack) == []

    stack.up().ok()
    assert on_fly(stack.world) == before


def test_destroy_deletes_the_app_where_the_stack_file_says_so(stack: Stack) -> None:
    stack.config["hotdash:app"]["deleteOnDestroy"] = True
    stack.up().ok()
    destroyed = stack.pulumi("destroy", "--yes", "--skip-preview").ok()
    assert "left on Fly" not in destroyed.output
    assert not exists(stack.world)


@pytest.mark.parametrize("deletes", [True, False])
def test_what_the_stack_file_says_of_destroy_counts_as_soon_as_an_up_has_seen_it(
    stack: Stack, deletes: bool
) -> None:
    app = stack.config["hotdash:app"]
    app["deleteOnDestroy"] = not deletes
    stack.up().ok()
    versions = stack.versions()

    app["deleteOnDestroy"] = deletes
    stack.world.clear_requests()
    stack.up().ok()
    assert stack.writes() == []
    assert stack.versions() == versions
    stack.preview().ok()

    stack.pulumi("destroy", "--yes", "--skip-preview").ok()
    assert exists(stack.world) is not deletes


def exists(world: World) -> bool:
    return world.api.app(world.app) is not None


@pytest.mark.parametrize(
    "run_program", ["true", None], ids=["refreshing by the program", "refreshing before it"]
)
def test_a_broken_app_is_announced_by_the_first_preview_and_mended_by_the_first_up(
    stack: Stack, run_program: str | None
) -> None:
    stack.env["PULUMI_RUN_PROGRAM"] = run_program
    world = stack.world
    world.break_("outage", "secret-missing")
    world.set_secret("FORGOTTEN", "left here by somebody")
    assert world.answer() == 503

    seen = stack.drift()
    # Whether a secret's value is right cannot be told before it was set once: Fly's digests are its own.
    assert seen.kinds >= {
        Kind.MACHINE_MEMORY,
        Kind.CHECK_PATH,
        Kind.UNHEALTHY,
        Kind.SECRET_MISSING,
        Kind.SECRET_UNDECLARED,
    }
    assert {shown.subject for shown in seen.of(Kind.SECRET_MISSING)} == {"CHATWOOT_WEBHOOK_SECRET"}
    assert {shown.subject for shown in seen.of(Kind.SECRET_UNDECLARED)} == {"FORGOTTEN"}

    mended = stack.up().ok()
    assert "staged CHATWOOT_WEBHOOK_SECRET, DATABASE_URL, POSTGRES_PASSWORD" in mended.text
    assert world.answer() == 200
    stack.expect_clean()


def test_a_value_that_was_staged_and_never_deployed_is_made_live(stack: Stack) -> None:
    world = stack.world
    right = (world.vault / "occ/chatwoot/webhook_secret.env").read_text().partition("=")[2].strip()
    world.break_("secret-tampered", secret="CHATWOOT_WEBHOOK_SECRET")
    a_second_later(stack)
    world.set_secret("CHATWOOT_WEBHOOK_SECRET", right)

    adopted = stack.up().ok()
    assert "secrets had the vault's values already" in adopted.text
    assert all(m["secrets_not_live"] == [] for m in world.status()["machines"])
    stack.expect_clean()


def from_nothing(stack: Stack) -> str:
    """Declare an app that Fly does not have; its name."""
    world, name = stack.world, "hotdash-anew"
    # Made and deleted once, to learn where it will answer: the first free port is taken.
    world.api.call("POST", "/v1/apps", {"name": name, "org_slug": "hotdash"})
    made = world.api.app(name)
    assert made is not None
    world.api.call("DELETE", f"/v1/apps/{name}")
    stack.config["hotdash:app"] |= {"name": name, "url": made["url"]}
    return name


def test_an_app_that_fly_does_not_have_is_made_from_what_is_declared(stack: Stack) -> None:
    name, world = from_nothing(stack), stack.world
    stack.config["hotdash:app"] |= {"create": True, "deleteOnDestroy": True}
    groups = stack.config["hotdash:processGroups"]
    groups["web"] |= {"image": world.design.image, "command": list(WEB_COMMAND)}
    groups["worker"] |= {"image": world.design.image, "command": list(WORKER_COMMAND)}

    seen = stack.drift()
    assert "7 to create" in seen.text
    made = stack.up().ok()
    assert f"{name}: made in organization hotdash" in made.text

    machines = world.api.machines(name)
    assert sorted(m["config"]["metadata"]["fly_process_group"] for m in machines) == ["web", "web", "worker"]
    app = world.api.app(name)
    assert app is not None
    assert len(app["secrets"]) == 15
    stack.world.clear_requests()
    stack.preview().ok()
    stack.up("--expect-no-changes").ok()
    assert stack.writes() == []

    stack.pulumi("destroy", "--yes", "--skip-preview").ok()
    assert world.api.app(name) is None


def test_an_unknown_app_is_refused_where_the_stack_file_does_not_allow_making_it(stack: Stack) -> None:
    name = from_nothing(stack)
    stack.world.clear_requests()
    stack.up().failed(
        f"Fly has no app {name}", "the stack file does not allow making it", "create: true", "fly-not-found"
    )
    assert stack.writes() == []
    assert stack.world.api.app(name) is None
