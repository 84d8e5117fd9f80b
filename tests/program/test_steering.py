"""What a stack's author steers: what is ignored, removed, derived; how it is run; how much is asked of Fly."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hotdash.drift import Kind
from tests.program.stack import Stack, own_vault, vault_values

PROGRAM = """
import pulumi
from components import stack
from components.chatwoot_on_fly import ChatwootOnFly

IGNORED = {ignored!r}

def ignore(args):
    names = IGNORED.get(args.type_.rpartition(":")[2], [])
    options = pulumi.ResourceOptions(ignore_changes=names)
    return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, options))

settings, declared, connection = stack.read()
chatwoot = ChatwootOnFly(
    settings.app.name, settings, declared, connection, pulumi.ResourceOptions(transformations=[ignore])
)
pulumi.export("url", chatwoot.url)
"""


def own_program(stack: Stack, folder: Path, ignored: dict[str, list[str]]) -> Stack:
    """The same stack, run by a program of its own that ignores changes of some properties, by type of resource."""
    project = (
        (stack.program / "Pulumi.yaml")
        .read_text()
        .replace("virtualenv: .venv", f"virtualenv: {stack.program}/.venv")
    )
    (folder / "Pulumi.yaml").write_text(project)
    (folder / "__main__.py").write_text(PROGRAM.format(ignored=ignored))
    return Stack(stack.world, stack.folder, program=folder, config=stack.config, env=stack.env)


def test_an_ignored_size_is_neither_told_nor_mended(applied: Stack, tmp_path: Path) -> None:
    world = applied.world
    for machine in (world.machines("worker")[0], world.machines("web")[0]):
        machine["config"]["guest"]["memory_mb"] = 1024
        world.api.update(world.app, machine, machine["config"])
    world.wait_healthy()
    ignoring = own_program(applied, tmp_path, {"ProcessGroup": ["memoryMb"]})
    assert applied.drift().kinds == {Kind.MACHINE_MEMORY}
    ignoring.expect_clean()

    # And what is not ignored still is.
    world.break_("check-path")
    assert ignoring.drift().kinds == {Kind.CHECK_PATH, Kind.UNHEALTHY}
    ignoring.up().ok()
    assert sorted(m["config"]["guest"]["memory_mb"] for m in world.machines()) == [1024, 1024, 2048]
    ignoring.expect_clean()


def test_an_ignored_secret_is_neither_told_nor_mended(applied: Stack, tmp_path: Path) -> None:
    world = applied.world
    ignored = ["secrets.SMTP_PASSWORD"]
    ignoring = own_program(applied, tmp_path, {"Secrets": ignored, "ProcessGroup": ignored})
    world.break_("secret-tampered")
    assert applied.drift().kinds == {Kind.SECRET_CHANGED_ON_FLY, Kind.SECRET_NOT_LIVE}
    ignoring.expect_clean()

    world.break_("secret-missing")
    seen = ignoring.drift()
    assert {shown.subject for shown in seen.of(Kind.SECRET_MISSING)} == {"CHATWOOT_WEBHOOK_SECRET"}
    assert "SMTP_PASSWORD" not in seen.diagnostics
    mended = ignoring.up().ok()
    assert "staged CHATWOOT_WEBHOOK_SECRET" in mended.text
    assert "SMTP_PASSWORD" not in mended.diagnostics
    ignoring.expect_clean()


def test_a_preview_names_the_changed_fields(applied: Stack) -> None:
    world = applied.world
    world.break_("check-path", "worker-oom", "secret-missing")
    words = applied.preview("--diff").output
    assert re.search(r'~ path +: "/rails/health" => "/api"', words)
    assert re.search(r"~ memoryMb +: 512 => 2048", words)
    assert re.search(
        r'\+ CHATWOOT_WEBHOOK_SECRET +: "occ/chatwoot/webhook_secret.env#CHATWOOT_WEBHOOK_SECRET ', words
    )

    steps: list[dict[str, Any]] = json.loads(applied.pulumi("preview", "--json").ok().output)["steps"]
    updated = {step["urn"].rpartition("::")[2]: step for step in steps if step["op"] == "update"}
    web, worker = updated["hotdash-chatwoot-web"], updated["hotdash-chatwoot-worker"]
    assert [step["inputs"]["check"]["path"] for step in (web["oldState"], web["newState"])] == [
        "/rails/health",
        "/api",
    ]
    assert [step["inputs"]["memoryMb"] for step in (worker["oldState"], worker["newState"])] == [512, 2048]


def test_a_refresh_shows_what_fly_has_and_writes_nothing_there(applied: Stack) -> None:
    world = applied.world
    world.break_("check-path")
    world.clear_requests()
    looked = applied.pulumi("refresh", "--preview-only", "--diff").ok()
    assert "/rails/health" in looked.output
    applied.pulumi("refresh", "--yes", "--skip-preview").ok()
    assert applied.writes() == []

    # What a refresh has taken into the state is drift still.
    assert applied.drift().kinds == {Kind.CHECK_PATH, Kind.UNHEALTHY}
    applied.up().ok()
    applied.expect_clean()
    applied.pulumi("refresh", "--preview-only", "--expect-no-changes").ok()


def test_undeclared_secrets_are_removed_where_the_stack_file_says_so(applied: Stack) -> None:
    world = applied.world
    applied.config["hotdash:undeclaredSecrets"] = "remove"
    version = world.set_secret("FORGOTTEN", "left here by somebody")
    for machine in world.machines():
        world.api.update(world.app, machine, machine["config"], version)
    world.wait_healthy()
    before = applied.versions()

    seen = applied.drift()
    assert [(shown.kind, shown.subject) for shown in seen.of(Kind.SECRET_UNDECLARED)] == [
        (Kind.SECRET_UNDECLARED, "FORGOTTEN")
    ]
    assert "removes it, as the stack file says" in seen.of(Kind.SECRET_UNDECLARED)[0].remedy
    removed = applied.up().ok()
    assert "removed FORGOTTEN" in removed.text
    assert "FORGOTTEN" not in world.status()["secrets"]
    # The machines had it, so they move.
    assert all(m["secrets_not_live"] == [] for m in world.status()["machines"])
    assert not set(before.items()) & set(applied.versions().items())
    applied.expect_clean()
    applied.clean = False


def test_an_acknowledged_secret_is_removed_once_the_stack_file_says_so(applied: Stack) -> None:
    applied.world.set_secret("FORGOTTEN", "left here by somebody")
    applied.up().ok()
    applied.preview().ok()
    applied.config["hotdash:undeclaredSecrets"] = "remove"
    assert {shown.subject for shown in applied.drift().of(Kind.SECRET_UNDECLARED)} == {"FORGOTTEN"}
    applied.up().ok()
    assert "FORGOTTEN" not in applied.world.status()["secrets"]
    applied.expect_clean()
    applied.clean = False


def test_the_parts_of_the_database_url_follow_it(applied: Stack, tmp_path: Path) -> None:
    world, vault = applied.world, own_vault(applied, tmp_path)
    right = vault_values(world)["DATABASE_URL"]
    assert "@127.0.0.1:" in right
    (vault / "occ/chatwoot/database_url.env").write_text(
        f"DATABASE_URL={right.replace('@127.0.0.1:', '@localhost:')}\n"
    )

    seen = applied.drift()
    assert {shown.subject for shown in seen.of(Kind.SECRET_CHANGED_IN_VAULT)} == {
        "DATABASE_URL",
        "POSTGRES_HOST",
    }
    assert "staged DATABASE_URL, POSTGRES_HOST" in applied.up().ok().text
    kept = json.loads((world.dir / "state.json").read_text())
    assert '"localhost"' in json.dumps(kept)
    applied.expect_clean()
    applied.clean = False

    # Changed by hand, one part is put back from the whole.
    world.break_("secret-tampered", secret="POSTGRES_PASSWORD")
    assert {shown.subject for shown in applied.drift().of(Kind.SECRET_CHANGED_ON_FLY)} == {
        "POSTGRES_PASSWORD"
    }
    applied.up().ok()
    applied.expect_clean()
    applied.clean = False


def test_another_fingerprint_key_restarts_nothing(applied: Stack) -> None:
    versions = applied.versions()
    applied.set_secret_config("hotdash:fingerprintKey", "another key, as long as it has to be")
    assert len(applied.drift().of(Kind.SECRET_CHANGED_IN_VAULT)) == 15
    told = applied.up().ok()
    assert "all 15 secrets had the vault's values already" in told.text
    assert applied.versions() == versions
    applied.expect_clean()
    applied.clean = False


@pytest.mark.parametrize(
    "run_program", ["true", None], ids=["refreshing by the program", "refreshing before it"]
)
class TestBothWaysOfRefreshing:
    """The engine refreshes while the program runs where `PULUMI_RUN_PROGRAM` says so, else before it."""

    def test_the_outage(self, applied: Stack, run_program: str | None) -> None:
        world = applied.world
        applied.env["PULUMI_RUN_PROGRAM"] = run_program
        world.break_("outage")
        assert world.answer() == 503
        seen = applied.drift()
        assert seen.kinds >= {
            Kind.SECRET_CHANGED_ON_FLY,
            Kind.CHECK_PATH,
            Kind.MACHINE_MEMORY,
            Kind.UNHEALTHY,
        }

        world.clear_requests()
        applied.up().ok()
        assert world.answer() == 200
        updates = [call for call in applied.writes() if call.startswith("POST") and is_update(call)]
        assert sorted(updates) == sorted(
            f"POST /v1/apps/{world.app}/machines/{m['id']}" for m in world.machines()
        )
        applied.expect_clean()
        applied.clean = False

    def test_a_preview_without_changes_asks_fly_at_most_three_times(
        self, applied: Stack, run_program: str | None
    ) -> None:
        with applied.nothing_changed():
            applied.env["PULUMI_RUN_PROGRAM"] = run_program
            applied.preview().ok()
            assert len(applied.world.requests()) <= 3

    def test_a_vault_that_moved(self, stack: Stack, tmp_path: Path, run_program: str | None) -> None:
        stack.env["PULUMI_RUN_PROGRAM"] = run_program
        vault = own_vault(stack, tmp_path)
        stack.up().ok()
        stack.config["hotdash:vault"] = str(vault.rename(tmp_path / "moved"))
        if run_program:
            stack.env["FLY_API_TOKEN"] = None
        stack.expect_clean()
        stack.clean = False


def is_update(call: str) -> bool:
    return call.rpartition("/")[0].endswith("/machines")


def test_a_vault_that_moved_with_the_token_is_told_with_the_way_out(stack: Stack, tmp_path: Path) -> None:
    stack.env |= {"PULUMI_RUN_PROGRAM": None, "FLY_API_TOKEN": None}
    vault = own_vault(stack, tmp_path)
    stack.up().ok()
    stack.config["hotdash:vault"] = str(vault.rename(tmp_path / "moved"))
    # A refresh before the program goes by the settings of the last up.
    stack.preview().failed("there is no vault folder", "PULUMI_RUN_PROGRAM=true")
    stack.env["PULUMI_RUN_PROGRAM"] = "true"
    stack.up().ok()
    stack.env["PULUMI_RUN_PROGRAM"] = None
    stack.preview().ok()
