"""Input that cannot be: told with the place, the reason and the mend, before anything is written on Fly."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.program.stack import Stack, own_vault, vault_values

WEBHOOK = "occ/chatwoot/webhook_secret.env"


def web(stack: Stack) -> dict[str, Any]:
    settings: dict[str, Any] = stack.config["hotdash:processGroups"]["web"]
    return settings


def no_token(stack: Stack, vault: Path) -> None:
    stack.env |= {"FLY_API_TOKEN": None, "FLY_ACCESS_TOKEN": None}
    del stack.config["hotdash:fly"]


def file_missing(stack: Stack, vault: Path) -> None:
    (vault / WEBHOOK).unlink()


def folder_missing(stack: Stack, vault: Path) -> None:
    shutil.rmtree(vault)


def key_missing(stack: Stack, vault: Path) -> None:
    (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK=not-the-name\n")


def unreadable(stack: Stack, vault: Path) -> None:
    (vault / WEBHOOK).unlink()
    (vault / WEBHOOK).mkdir()


def forbidden(stack: Stack, vault: Path) -> None:
    if os.geteuid() == 0:
        # Nothing is forbidden to root; a link in a circle cannot be read by anyone.
        (vault / WEBHOOK).unlink()
        (vault / WEBHOOK).symlink_to((vault / WEBHOOK).name)
    else:
        (vault / WEBHOOK).chmod(0)


def malformed(stack: Stack, vault: Path) -> None:
    (vault / WEBHOOK).write_text("# the webhook's\nCHATWOOT_WEBHOOK_SECRET='never closed\n")


def empty_value(stack: Stack, vault: Path) -> None:
    (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK_SECRET=\n")


def several(stack: Stack, vault: Path) -> None:
    (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK_SECRET=\n")
    (vault / "occ/chatwoot/smtp.env").unlink()


def no_url(stack: Stack, vault: Path) -> None:
    (vault / "occ/chatwoot/database_url.env").write_text("DATABASE_URL=not-a-url-at-all\n")


def unknown_key(stack: Stack, vault: Path) -> None:
    web(stack)["memory"] = 1024


def misspelt_key(stack: Stack, vault: Path) -> None:
    stack.config["hotdash:readyness"] = stack.config.pop("hotdash:readiness")


def odd_memory(stack: Stack, vault: Path) -> None:
    web(stack)["memoryMb"] = 1000


def too_much_memory(stack: Stack, vault: Path) -> None:
    web(stack)["memoryMb"] = 4096


def negative_count(stack: Stack, vault: Path) -> None:
    web(stack)["count"] = -1


def relative_path(stack: Stack, vault: Path) -> None:
    web(stack)["check"]["path"] = "api"


def unrouted_path(stack: Stack, vault: Path) -> None:
    web(stack)["check"]["path"] = "/rails/health"


def value_for_reference(stack: Stack, vault: Path) -> None:
    stack.config["hotdash:secrets"]["REDIS_URL"] = vault_values(stack.world)["REDIS_URL"]


def two_at_once(stack: Stack, vault: Path) -> None:
    negative_count(stack, vault)
    unknown_key(stack, vault)


BEFORE_ANYTHING: Mapping[str, tuple[Callable[[Stack, Path], None], tuple[str, ...]]] = {
    "no token": (no_token, ("no Fly token was given", "set FLY_API_TOKEN", "code fly-token-missing")),
    "vault file missing": (
        file_missing,
        ("vault file does not exist", WEBHOOK, "vault.example/", "code vault"),
    ),
    "vault folder missing": (folder_missing, ("there is no vault folder", "vault.example/")),
    "vault key missing": (
        key_missing,
        (
            "no key CHATWOOT_WEBHOOK_SECRET",
            f"{WEBHOOK}, key CHATWOOT_WEBHOOK_SECRET",
            "add the line",
            "code vault",
        ),
    ),
    "vault file a directory": (
        unreadable,
        ("cannot be read: Is a directory", WEBHOOK, "a plain file", "code vault"),
    ),
    "vault file forbidden": (forbidden, ("cannot be read", WEBHOOK, "code vault")),
    "vault file malformed": (
        malformed,
        ("is malformed", f"{WEBHOOK}, line 2", "one KEY=value a line", "code vault"),
    ),
    "empty value": (
        empty_value,
        (
            "empty value for CHATWOOT_WEBHOOK_SECRET",
            WEBHOOK,
            "an empty value is never sent to Fly",
            "code vault",
        ),
    ),
    "several in the vault": (
        several,
        ("the vault cannot give", "occ/chatwoot/smtp.env", WEBHOOK, "empty value", "does not exist"),
    ),
    "database URL that is none": (
        no_url,
        ("the database URL that POSTGRES_* are derived from is none", "database_url.env", "postgres://"),
    ),
    "unknown key in a group": (
        unknown_key,
        ("hotdash:processGroups.web.memory: unknown key", "did you mean memoryMb?", "code settings"),
    ),
    "misspelt key": (
        misspelt_key,
        ("hotdash:readyness: unknown key", "did you mean readiness?", "code settings"),
    ),
    "odd memory": (
        odd_memory,
        (
            "hotdash:processGroups.web.memoryMb: 1000 is not a multiple of 256",
            "1024 would do",
            "code settings",
        ),
    ),
    "too much memory": (
        too_much_memory,
        ("hotdash:processGroups.web.memoryMb: 4096 MB is out of Fly's range", "256 to 2048", "code settings"),
    ),
    "negative count": (
        negative_count,
        ("hotdash:processGroups.web.count: -1 will not do", "0 to 100", "code settings"),
    ),
    "check path without /": (
        relative_path,
        ("hotdash:processGroups.web.check.path", "a path that starts with /", "code settings"),
    ),
    "check path that is 404": (
        unrouted_path,
        ("hotdash:processGroups.web.check.path: /rails/health", "answers 404", "use /api", "code settings"),
    ),
    "value where a reference belongs": (value_for_reference, ("hotdash:secrets.REDIS_URL", "code settings")),
    "two at once": (two_at_once, ("have 2 problems", "web.count", "web.memory")),
}


@pytest.mark.parametrize("name", BEFORE_ANYTHING)
def test_refused_before_anything_is_asked(applied: Stack, tmp_path: Path, name: str) -> None:
    spoil, words = BEFORE_ANYTHING[name]
    with applied.nothing_changed():
        spoil(applied, own_vault(applied, tmp_path))
        applied.world.clear_requests()
        for answer in (applied.preview(), applied.up()):
            answer.failed(*words)
            assert answer.diagnostics.count(words[0]) == 1, answer.output
            for value in vault_values(applied.world).values():
                assert len(value) < 16 or value not in answer.output, answer.output
        # Known before Fly is asked, for a program that reads its own files first; a refresh may come before it.
        assert {call["method"] for call in applied.world.requests()} <= {"GET"}


def test_a_refused_token_is_told_with_where_it_came_from(applied: Stack) -> None:
    with applied.nothing_changed():
        applied.env["FLY_API_TOKEN"] = "fo1_of-somebody-else"
        for answer in (applied.preview(), applied.up()):
            answer.failed(
                "Fly answered 401",
                "the environment's FLY_API_TOKEN",
                "fly-token-refused",
                "fly tokens create",
            )
            assert "of-somebody-else" not in answer.output


def test_the_token_of_the_vault_is_used_where_the_environment_has_none(
    applied: Stack, tmp_path: Path
) -> None:
    with applied.nothing_changed():
        vault = own_vault(applied, tmp_path)
        applied.env["FLY_API_TOKEN"] = None
        applied.preview().ok()
        (vault / "occ/fly/api_token.env").write_text("FLY_API_TOKEN=fo1_of-somebody-else\n")
        applied.preview().failed("Fly answered 401", "occ/fly/api_token.env", "fly-token-refused")


def test_an_app_of_another_organization(stack: Stack) -> None:
    world = stack.world
    world.clear_requests()
    stack.config["hotdash:app"]["organization"] = "hotdash-staging"
    stack.up().failed(
        f"the app {world.app} belongs to organization hotdash, not hotdash-staging",
        "correct hotdash:app, organization",
        "nothing was changed",
        "fly-forbidden",
    )
    stack.config["hotdash:app"] |= {"organization": "hotdash", "name": "elsewhere-app"}
    stack.up().failed("Fly answered 403", "app elsewhere-app", "another organization", "fly-forbidden")
    assert stack.writes() == []


def test_the_organization_of_an_adopted_app_cannot_be_changed(applied: Stack) -> None:
    with applied.nothing_changed():
        applied.config["hotdash:app"]["organization"] = "hotdash-staging"
        for run in (applied.preview, applied.up):
            run().failed("belongs to organization hotdash, not hotdash-staging", "fly-forbidden")


def test_an_adopted_app_that_was_deleted_by_hand_is_not_made_again_unasked(stack: Stack) -> None:
    stack.up().ok()
    stack.world.api.call("DELETE", f"/v1/apps/{stack.world.app}")
    stack.world.clear_requests()
    for run in (stack.preview, stack.up):
        run().failed(f"Fly has no app {stack.world.app}", "create: true", "fly-not-found")
    assert stack.writes() == []


def test_fly_out_of_reach(applied: Stack) -> None:
    with applied.nothing_changed():
        applied.env["FLY_FLAPS_BASE_URL"] = "http://127.0.0.1:1"
        applied.up().failed(
            "Fly cannot be reached", "http://127.0.0.1:1", "FLY_FLAPS_BASE_URL", "fly-unreachable"
        )


def test_what_answers_is_no_fly(applied: Stack) -> None:
    with applied.nothing_changed():
        applied.env["FLY_FLAPS_BASE_URL"] = applied.world.app_url
        applied.preview().failed(
            "Fly's answer is not what its API documents",
            applied.world.app_url,
            "FLY_FLAPS_BASE_URL",
            "fly-unreachable",
        )


def test_an_engine_that_is_too_old(applied: Stack, tmp_path: Path) -> None:
    project = (applied.program / "Pulumi.yaml").read_text()
    (tmp_path / "Pulumi.yaml").write_text(
        project.replace(">=3.250.0 <4.0.0", ">=3.999.0").replace("main: .", f"main: {applied.program}")
    )
    with applied.nothing_changed():
        answer = applied.pulumi("up", "--yes", "--skip-preview", cwd=tmp_path)
        answer.failed(">=3.999.0", "Pulumi CLI version")


def test_a_vault_that_changed_since_the_plan_was_saved(applied: Stack, tmp_path: Path) -> None:
    vault, plan = own_vault(applied, tmp_path), str(tmp_path / "plan.json")
    (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK_SECRET=rotated-and-reviewed\n")
    with applied.nothing_changed():
        seen = applied.pulumi("preview", "--save-plan", plan).ok()
        assert seen.kinds == {"secret-changed-in-vault", "secret-not-live"}
        (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK_SECRET=rotated-once-more\n")
        applied.pulumi("up", "--yes", "--skip-preview", "--plan", plan).failed("violates plan", "secrets")

        # The same plan, with the vault as it was reviewed, is the way on.
        (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK_SECRET=rotated-and-reviewed\n")


def test_a_saved_plan_is_carried_out(applied: Stack, tmp_path: Path) -> None:
    vault, plan = own_vault(applied, tmp_path), str(tmp_path / "plan.json")
    (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK_SECRET=rotated-and-reviewed\n")
    applied.pulumi("preview", "--save-plan", plan).ok()
    applied.pulumi("up", "--yes", "--skip-preview", "--plan", plan).ok()
    applied.expect_clean()
    applied.clean = False


def test_a_vault_that_changes_while_up_runs(stack: Stack, tmp_path: Path) -> None:
    vault, world = own_vault(stack, tmp_path), stack.world
    # Asked after the program has read the vault, and before the provider does.
    world.fault("latency", "GET {app}", ms=1500)
    world.clear_requests()
    process = stack.start("up", "--yes", "--skip-preview")
    world.api.until(lambda: world.api.status()["faults"] == [], "the app to be asked for")
    (vault / WEBHOOK).write_text("CHATWOOT_WEBHOOK_SECRET=rotated-meanwhile\n")
    answer = stack.ended(process)

    answer.failed(
        "the vault's value of CHATWOOT_WEBHOOK_SECRET is not the one that was planned",
        f"{WEBHOOK}#CHATWOOT_WEBHOOK_SECRET",
        "no secret was written",
        "run `pulumi preview` again",
        "vault-changed",
    )
    assert stack.writes() == []
    stack.up().ok()
    assert all(m["secrets_not_live"] == [] for m in world.status()["machines"])
