"""The stack that judges pull requests: without a credential, without anything that could be applied."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.stack import refuse_tracked
from hotdash.errors import VaultError
from hotdash.vault import Vault
from tests.gate.gate import Ran, run
from tests.program.stack import Stack, default_config
from tests.world import CHECKOUT

CI = CHECKOUT / "stacks" / "Pulumi.ci.yaml"
PRODUCTION = CHECKOUT / "stacks" / "Pulumi.production.yaml"
ITS_OWN = {"hotdash:vault", "hotdash:placeholders", "hotdash:policies", "hotdash:fingerprintKey"}
FAIL_ON = ("--fail-on", "policy,unknown")


def _config(file: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
    return config


def test_it_says_what_production_says() -> None:
    ci, production = _config(CI), _config(PRODUCTION)
    assert ci["hotdash:app"].pop("url") == "http://127.0.0.1:4281"
    production["hotdash:app"].pop("url", None)
    for name, setting in production.get("hotdash:policies", {}).items():
        assert ci["hotdash:policies"][name].items() >= {**setting, **_reason(ci, name)}.items()
    for key in sorted((ci.keys() | production.keys()) - ITS_OWN):
        assert ci.get(key) == production.get(key), (
            f"{key}: stacks/{CI.name} must say what {PRODUCTION.name} says"
        )


def _reason(ci: Mapping[str, Any], rule: str) -> dict[str, str]:
    return {"reason": ci["hotdash:policies"][rule]["reason"]}


@pytest.fixture
def environment(stack: Stack) -> dict[str, str]:
    """That of a job on a fresh machine: the sandbox's, with a stack `ci` that was never applied."""
    stack.pulumi("stack", "init", "ci", "--no-select", config=False).ok()
    return {**stack.environment, "PULUMI_STACK": "ci"}


def judged(environment: Mapping[str, str], *words: str) -> Ran:
    return run(*FAIL_ON, *words, env=environment)


def test_what_is_in_git_passes_and_nothing_is_written(stack: Stack, environment: dict[str, str]) -> None:
    before = CI.read_bytes()
    stack.world.clear_requests()
    ran = judged(environment, "--format", "json").ended(0)
    assert stack.writes() == []
    assert CI.read_bytes() == before
    assert ran.report["errors"] == []
    assert len(ran.report["rules"]) > 20
    assert ran.report["file"] == "stacks/Pulumi.ci.yaml"


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("hotdash:processGroups", "worker", "memoryMb"), 512, "memory-floor"),
        (("hotdash:migration", "database"), "DATABASE_URL", "connection-budget"),
        (("hotdash:processGroups", "worker", "count"), 0, "nobody-at-zero"),
    ],
)
def test_a_mistake_in_it_is_refused_on_its_line(
    environment: dict[str, str], tmp_path: Path, path: tuple[str, ...], value: object, rule: str
) -> None:
    content = yaml.safe_load(CI.read_text())
    inner = content["config"]
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    if rule == "connection-budget":
        content["config"]["hotdash:connections"] = {"limit": 15}
    file = tmp_path / "Pulumi.ci.yaml"
    file.write_text(yaml.safe_dump(content))
    found = judged(environment, "--config-file", str(file), "--format", "json").ended(3).report["policy"]
    refused = [item for item in found if item["rule"] == rule and item["enforcement"] == "mandatory"]
    assert refused, found
    assert all(item["place"]["line"] > 1 and item["remedy"] for item in refused)


def test_an_up_of_it_sets_no_stand_in(stack: Stack, environment: dict[str, str]) -> None:
    versions = stack.versions()
    stack.world.clear_requests()
    done = subprocess.run(
        [*stack.command("up", "--yes", "--skip-preview", config=False), "--stack", "ci"],
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0, done.stdout
    assert "the vault has a placeholder for" in done.stdout
    assert "Traceback" not in done.stdout
    assert stack.writes() == []
    assert stack.versions() == versions


def test_without_the_setting_a_preview_refuses_them(stack: Stack, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    subprocess.run(["cp", "-R", str(CHECKOUT / "vault.example"), str(vault)], check=True)
    stack.config = {**default_config(stack.world), "hotdash:vault": str(vault)}
    stack.preview().failed("the vault has a placeholder for", "code vault")
    stack.config["hotdash:placeholders"] = "preview"
    assert "placeholder" not in stack.pulumi("preview").ok().output


# A vault that git tracks


def _tracked(folder: Path, files: Mapping[str, str]) -> Vault:
    root = folder / "vault"
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return Vault(root, "vault")


def test_stand_ins_may_be_tracked_where_the_stack_says_so(tmp_path: Path) -> None:
    vault = _tracked(tmp_path, {"a.env": "A=FAKE_A\nB=change-me\n", "b.env": "# nothing yet\nC=\n"})
    refuse_tracked(vault, placeholders=True)
    with pytest.raises(VaultError, match=r"a\.env, b\.env"):
        refuse_tracked(vault)


def test_a_real_value_must_not_be_tracked_whatever_the_stack_says(tmp_path: Path) -> None:
    vault = _tracked(tmp_path, {"a.env": "A=FAKE_A\n", "b.env": "B=FAKE_B\nC=hunter2hunter2\n"})
    with pytest.raises(VaultError, match=r"in plain: b\.env\n") as refused:
        refuse_tracked(vault, placeholders=True)
    assert "hunter2" not in str(refused.value)
