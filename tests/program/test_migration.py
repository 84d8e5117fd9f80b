"""`chatwoot.Migration` through the engine: a new image's schema is applied before any machine gets the image."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from hotdash.migration.journal import APPLIED_KEY, JOURNAL_KEY
from sandbox.services.endpoints import load_or_create
from tests.hotdash.migration.real import behave, migrated_once, runs, states
from tests.program.canary import SHORTEST, Canary
from tests.program.stack import Answer, Stack, vault_values
from tests.program.test_killed import kill_tree, running_up, up_after
from tests.servers.pgbouncer import pgbouncer
from tests.world import CHECKOUT

NEW = "chatwoot/chatwoot:v4.12.0"
OLD = "chatwoot/chatwoot:v4.11.0"
DIRECT = "DIRECT_DATABASE_URL"


def declare(stack: Stack, image: str = NEW, **settings: Any) -> None:
    """The stack declares migrations, and this image for all its groups."""
    stack.config["hotdash:secrets"][DIRECT] = "occ/chatwoot/direct_database_url.env"
    stack.config["hotdash:migration"] = {"database": DIRECT, **settings}
    for group in stack.config["hotdash:processGroups"].values():
        group["image"] = image


@pytest.fixture
def ready(stack: Stack) -> Stack:
    """The app runs the old image, as declared, and nothing differs."""
    declare(stack, OLD, mode="window")
    adopted = stack.up().ok()
    assert "counts as applied; nothing was run" in adopted.text
    assert runs(stack.world) == {}
    return stack


def images(stack: Stack) -> set[str]:
    return {machine["config"]["image"] for machine in stack.world.machines()}


def metadata(stack: Stack, key: str) -> list[Any]:
    found = [machine["config"]["metadata"].get(key) for machine in stack.world.machines()]
    return [json.loads(text) if text else None for text in found]


def nothing_left(stack: Stack) -> None:
    assert set(states(stack.world).values()) == {"started"}
    assert metadata(stack, JOURNAL_KEY) == [None, None, None]
    assert stack.leases() == []


def leaked(stack: Stack, answer: Answer) -> set[str]:
    """Secrets whose values are in there. What says where a database is, is no secret."""
    values = vault_values(stack.world)
    kept = {name: text for name, text in values.items() if len(text) >= SHORTEST and "POSTGRES_" not in name}
    return Canary({**kept, "POSTGRES_PASSWORD": values["POSTGRES_PASSWORD"]}).in_text(answer.output)


def until_migrating(stack: Stack) -> dict[str, Any]:
    """The one-off machine, once its task is in the midst of a migration."""

    def there() -> dict[str, Any] | None:
        listed = stack.world.api.call("GET", f"/v1/apps/{stack.world.app}/machines")
        return next(
            (
                m
                for m in listed
                if m["config"]["metadata"].get("hotdash_run")
                and m["state"] == "started"
                and "migrating" in (stack.world.dir / "log" / f"{m['id']}.log").read_text()
            ),
            None,
        )

    found = stack.world.api.until(there, "a task that migrates", 60.0)
    assert found is not None
    return found


@pytest.mark.parametrize("mode", ["online", "window"])
def test_a_new_image_is_migrated_and_then_rolled_out(ready: Stack, mode: str) -> None:
    declare(ready, NEW, mode=mode)
    seen = ready.drift()
    [pending] = seen.of("migration-pending")
    assert f"image {OLD} is migrated, {NEW} is declared" in pending.line
    assert pending.remedy.startswith(f"runs db:chatwoot_prepare of {NEW}, ")
    assert ("worker stopped, web serves on" in pending.remedy) == (mode == "window")

    done = ready.up().ok()
    migrated_once(ready.world)
    assert images(ready) == {NEW}
    nothing_left(ready)
    assert {applied["image"] for applied in metadata(ready, APPLIED_KEY)} == {NEW}
    # The schema came before the first machine moved.
    order = [done.output.index(words) for words in ("step record", "web: machine 1 of 2")]
    assert order == sorted(order)
    assert "== 20260105090000 CreateHotdashNotes: migrating" in done.text
    assert leaked(ready, done) == set()
    ready.expect_clean()
    migrated_once(ready.world)


def test_a_failed_migration_leaves_the_old_image_running(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    behave(ready.world, fail_at="20260112090000")
    ready.up().failed(
        "migration-failed",
        "does not exist",
        "the window is closed again",
        "the app runs the image that it ran before",
    )
    assert images(ready) == {OLD}
    nothing_left(ready)
    assert ready.world.answer() == 200

    behave(ready.world)
    ready.up().ok()
    migrated_once(ready.world)
    assert images(ready) == {NEW}


def test_another_revision_runs_again_and_a_destroy_undoes_nothing(ready: Stack) -> None:
    declare(ready, NEW)
    ready.up().ok()
    declare(ready, NEW, revision="2")
    [pending] = ready.drift().of("migration-pending")
    assert "revision 2 is declared, (none) was applied" in pending.line
    ready.up().ok()
    migrated_once(ready.world)
    ready.expect_clean()


# Through a pooler


def through(stack: Stack, url: str) -> None:
    (stack.world.vault / "occ/chatwoot/direct_database_url.env").write_text(f"{DIRECT}={url}\n")


def test_a_pooler_is_refused_in_a_preview(ready: Stack) -> None:
    through(
        ready,
        "postgresql://postgres.abcdefghijklmnopqrst:pw@aws-0-eu-west-1.pooler.supabase.com:5432/postgres",
    )
    declare(ready, NEW)
    with ready.nothing_changed():
        ready.preview().failed("migrations would go through a pooler (session)", "migrations-direct")


def test_a_full_session_pool_fails_with_its_reason_and_the_direct_url_passes(ready: Stack) -> None:
    """The outage of the seeds. The pooler stands on this machine, whose host the stack vouches for; so it is found on
    the wire."""
    endpoints = load_or_create(ready.world.dir)
    account = endpoints.chatwoot
    with pgbouncer(endpoints.postgres_port, "session", {account.role: account.password}) as port:
        through(ready, account.dsn("127.0.0.1", port))
        declare(ready, NEW, mode="window")
        ready.up().failed("leads through a pooler: session", "hotdash:migration.database")
    assert runs(ready.world) == {}
    assert images(ready) == {OLD}
    nothing_left(ready)

    through(ready, endpoints.database_url)
    ready.up().ok()
    migrated_once(ready.world)
    ready.expect_clean()


# Deaths, and others


def test_an_engine_that_is_killed_in_the_midst(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    behave(ready.world, slow=2)
    with running_up(ready) as die:
        until_migrating(ready)
        die(kill_tree)
    assert "stopped" in states(ready.world).values()
    [journal, *_] = metadata(ready, JOURNAL_KEY)
    assert journal["step"] == "run"
    seen = ready.preview()
    [left] = seen.of("migration-unfinished")
    assert "left at step run" in left.line
    assert "1 machine stopped for it" in left.line

    ended = up_after(ready)
    assert "going on from step run" in ended.text
    migrated_once(ready.world)
    assert images(ready) == {NEW}
    nothing_left(ready)
    ready.expect_clean()


def test_a_sandbox_that_is_killed_in_the_midst(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    behave(ready.world, slow=2)
    process = ready.start("up", "--yes", "--skip-preview")
    until_migrating(ready)
    ready.world.kill9()
    # Whether the `up` ends by itself before Fly is there again is all the same.
    for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        member.kill()
    process.communicate(timeout=20)
    ready.world.up()
    behave(ready.world)

    up_after(ready)
    migrated_once(ready.world)
    assert images(ready) == {NEW}
    nothing_left(ready)
    ready.expect_clean()


def test_a_task_that_is_killed_fails_the_up_and_the_next_one_passes(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    behave(ready.world, slow=30)
    process = ready.start("up", "--yes", "--skip-preview")
    until_migrating(ready)
    for task in [p for p in ready.world.processes() if p.cmdline()[-1:] == ["task"]]:
        os.kill(task.pid, signal.SIGKILL)
    ready.ended(process).failed("killed by signal 9", "the window is closed again")
    nothing_left(ready)

    behave(ready.world)
    ready.up().ok()
    migrated_once(ready.world)


def test_two_at_once(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    behave(ready.world, slow=0.5)
    # Each with a back end of its own, as two people have them; so no lock of the engine's keeps them apart.
    other = Stack(ready.world, ready.folder / "other", config=ready.config)
    shutil.copytree(ready.backend, other.backend)
    processes = [stack.start("up", "--yes", "--skip-preview") for stack in (ready, other)]
    answers = [stack.ended(process) for stack, process in zip((ready, other), processes, strict=True)]
    assert [answer for answer in answers if answer.code == 0], answers[0].output
    migrated_once(ready.world)
    nothing_left(ready)
    ready.up().ok()
    migrated_once(ready.world)


def test_a_foreign_lock_is_named_and_nothing_is_changed(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    world = ready.world
    ready.config["hotdash:rollout"]["leaseWait"] = "1s"
    anchor = min(str(m["id"]) for m in world.machines("web"))
    world.api.call(
        "POST", f"/sandbox/apps/{world.app}/machines/{anchor}/lease", {"owner": "ci@else", "ttl": 120}
    )
    ready.up().failed("migration-locked", "ci@else", "nothing was changed")
    assert runs(world) == {}
    assert images(ready) == {OLD}


# By hand


def by_hand(stack: Stack, *words: str) -> Answer:
    """`hotdash migrate` in a project whose stack file says what the stack's does."""
    folder = stack.folder / "by-hand"
    (folder / "stacks").mkdir(parents=True, exist_ok=True)
    shutil.copy(CHECKOUT / "Pulumi.yaml", folder)
    config = {**stack.config, "hotdash:fingerprintKey": "0123456789abcdef"}
    (folder / "stacks" / "Pulumi.sandbox.yaml").write_text(yaml.safe_dump({"config": config}))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("hotdash")), "migrate", *words],
        cwd=folder,
        env=stack.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return Answer(done.returncode, done.stdout)


def test_by_hand(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    planned = by_hand(ready, "plan")
    assert planned.code == 2, planned.output
    for words in (
        "a migration would run",
        "worker stopped, web serves on",
        "db:chatwoot_prepare",
        "5 migrations",
    ):
        assert words in planned.text, planned.output
    assert by_hand(ready, "run", "--dry-run").code == 2
    assert runs(ready.world) == {}

    done = by_hand(ready, "run").ok()
    assert "step record" in done.text
    migrated_once(ready.world)
    nothing_left(ready)
    assert images(ready) == {OLD}
    assert by_hand(ready, "plan").ok().text.startswith("nothing would run")
    assert "no run is under way" in by_hand(ready, "status").ok().text
    assert json.loads(by_hand(ready, "status", "--json").ok().output)["applied"]["image"] == NEW
    assert "no run was left" in by_hand(ready, "resume").ok().text
    assert leaked(ready, done) == set()

    # What `up` then has to do is the image alone.
    assert ready.drift().kinds == {"image"}


def test_what_was_left_is_shown_and_given_up_by_hand(ready: Stack) -> None:
    declare(ready, NEW, mode="window")
    behave(ready.world, slow=3)
    with running_up(ready) as die:
        until_migrating(ready)
        die(kill_tree)
    shown = by_hand(ready, "status")
    assert shown.code in (3, 4), shown.output
    for words in ("at step run", "(as it was before)", "stopped"):
        assert words in shown.text, shown.output
    assert "nothing of it is left" in by_hand(ready, "abort").ok().text
    nothing_left(ready)
    assert by_hand(ready, "status").code == 0
