"""The workflows: least rights, and commands that there are. Their own scripts are run against a `gh` that writes down
what it is asked.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hotdash.cli import main
from hotdash.gate.formats.markdown import mark
from tests.program.stack import ENGINE
from tests.world import CHECKOUT

FOLDER = CHECKOUT / ".github" / "workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))
ENVIRONMENTS = {
    "drift": {"look": "production-read"},
    "up": {"plan": "production-read", "apply": "production"},
}
WRITES = {
    ("gate", "judge"): {"contents": "read", "security-events": "write"},
    ("gate", "comment"): {"pull-requests": "write"},
    ("drift", "tell"): {"issues": "write"},
}
"""What jobs may do besides reading the repository."""


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    # YAML 1.1 takes the bare word `on` for true.
    return {"on" if key is True else key: value for key, value in loaded.items()}


def jobs(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = workflow(name)["jobs"]
    return found


def steps(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for job, content in jobs(name).items():
        for step in content["steps"]:
            yield job, step


def script(name: str, words: str) -> str:
    """The one script of a workflow that has these words."""
    found = [step["run"] for _, step in steps(name) if words in step.get("run", "")]
    assert len(found) == 1, found
    return str(found[0])


def test_there_are_those_that_the_page_tells_of() -> None:
    assert NAMES == ["ci", "drift", "gate", "up"]
    page = (CHECKOUT / "docs" / "gate.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f".github/workflows/{name}.yml" not in page] == []


# Rights


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_may_read_the_repository_and_nothing_else(name: str) -> None:
    content = workflow(name)
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]["group"]
    for job, given in content["jobs"].items():
        assert given.get("permissions", {}) == WRITES.get((name, job), {}), job
        assert given["timeout-minutes"] <= 90


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_to_a_whole_version(name: str) -> None:
    used = [step["uses"] for _, step in steps(name) if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w/-]+@v\d+\.\d+\.\d+", action)] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_checkout_leaves_a_token_behind(name: str) -> None:
    for _, step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", NAMES)
def test_scripts_take_others_texts_from_the_environment(name: str) -> None:
    """What GitHub puts into a script is run as one; a secret in it may be shown with it."""
    assert [step["run"] for _, step in steps(name) if "${{" in step.get("run", "")] == []
    assert workflow(name)["defaults"]["run"]["shell"] == "bash"  # which is with -e and pipefail


@pytest.mark.parametrize("name", NAMES)
def test_credentials_are_for_jobs_of_an_environment_alone(name: str) -> None:
    given = ENVIRONMENTS.get(name, {})
    assert {job: c["environment"] for job, c in jobs(name).items() if "environment" in c} == given
    for job, content in jobs(name).items():
        text = yaml.safe_dump(content)
        assert ("secrets." in text) == (job in given), job
        # Not of the whole job: actions of others have no use for them.
        assert "env" not in content
    if given:
        assert "pull_request" not in workflow(name)["on"]
    assert "pull_request_target" not in workflow(name)["on"]


@pytest.mark.parametrize("job", [("gate", "comment"), ("drift", "tell")], ids="/".join)
def test_a_job_that_may_write_runs_nothing_of_the_repository(job: tuple[str, str]) -> None:
    used = [step["uses"].split("@")[0] for name, step in steps(job[0]) if name == job[1] and "uses" in step]
    assert used == ["actions/download-artifact"]


def test_an_up_is_never_broken_off_by_the_next() -> None:
    assert workflow("up")["concurrency"] == {"group": "up-production", "cancel-in-progress": False}
    assert jobs("up")["apply"]["needs"] == "plan"
    assert list(workflow("up")["on"]) == ["workflow_dispatch"]


# Commands


def commands(name: str) -> Iterator[list[str]]:
    """Every simple command of a workflow's scripts."""
    for _, step in steps(name):
        for line in step.get("run", "").splitlines():
            for inner in [line, *re.findall(r"\$\(([^()]*)\)", line)]:
                lexer = shlex.shlex(inner, posix=True, punctuation_chars="();<>|&")
                lexer.whitespace_split = True
                words: list[str] = []
                for word in [*lexer, ";"]:
                    if set(word) <= set("();<>|&"):
                        if words:
                            yield words
                        words = []
                    elif words or (word not in ("if", "then", "else", "elif") and "=" not in word):
                        words.append(word)


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_those_that_there_are(name: str) -> None:
    targets = re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    known = 0
    for program, *words in commands(name):
        match program.rpartition("/")[2]:
            case "make":
                assert set(words) <= set(targets), words
            case "hotdash":
                _parse(main, words)
            case "pulumi":
                _flags_exist(words)
            case "run" if program == ".ci/run":
                assert (CHECKOUT / program).is_file()
            case _:
                continue
        known += 1
    assert known


def _parse(command: click.Command, words: list[str]) -> None:
    with command.make_context(command.name, list(words)) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            _, sub, rest = command.resolve_command(context, rest)
            assert sub is not None
            _parse(sub, rest)


def _flags_exist(words: list[str]) -> None:
    nouns = []
    for word in words:
        if not re.fullmatch(r"[a-z]+", word):
            break
        nouns.append(word)
    done = subprocess.run(
        [ENGINE / "pulumi", *nouns[:2], "--help"],
        env={**os.environ, "PULUMI_EXPERIMENTAL": "true"},  # shows --plan, which works without it
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for flag in (word for word in words if word.startswith("--")):
        assert re.search(rf"{flag}\b", done.stdout), f"pulumi {' '.join(nouns)} has no {flag}"


def test_the_gate_is_the_one_that_a_person_runs() -> None:
    """What the page says to run by hand is what the jobs run."""
    page = (CHECKOUT / "docs" / "gate.md").read_text(encoding="utf-8")
    assert "hotdash gate --stack ci --fail-on policy,unknown" in page
    assert "hotdash gate --stack ci --fail-on policy,unknown" in script("gate", "hotdash gate --stack")


# Scripts


FAKE = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$1 $2" in
  "issue list") printf '%s' "$ISSUE" ;;
  "api repos/o/r/issues/7/comments") case "$*" in *--paginate*) printf '%s' "$COMMENTS" ;; esac ;;
  "stack export") printf '%s' "$STATE" ;;
esac
"""


def run(tmp_path: Path, text: str, **env: str) -> tuple[int, list[str], str]:
    """Exit code, the calls of gh and pulumi, and what was said."""
    for program in (tmp_path / "bin" / "gh", tmp_path / ".engine" / "bin" / "pulumi"):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(FAKE)
        program.chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
            "CALLS": str(calls),
            "GITHUB_REPOSITORY": "o/r",
            "GH_REPO": "o/r",
            "RUNNER_TEMP": str(tmp_path),
            **env,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, calls.read_text().splitlines(), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("code", "issue", "last"),
    [
        ("0", "", "issue list"),
        ("0", "12", "issue close 12 --comment As declared again: https://run"),
        ("2", "", "issue create --title Production is not as declared"),
        ("4", "12", "api --silent --method PATCH repos/o/r/issues/12 -F body=@gate/gate.md"),
    ],
)
def test_there_is_one_issue_while_there_is_drift(tmp_path: Path, code: str, issue: str, last: str) -> None:
    text = script("drift", "gh issue create")
    ended, calls, said = run(tmp_path, text, CODE=code, ISSUE=issue, RUN="https://run")
    assert ended == 0, said
    assert calls[-1].startswith(last), calls
    assert sum("create --title" in call for call in calls) == (code != "0" and not issue)


@pytest.mark.parametrize(("code", "ended"), [(0, 0), (1, 1), (2, 0), (3, 0), (4, 0)])
def test_only_a_look_that_could_not_be_had_fails_the_run(tmp_path: Path, code: int, ended: int) -> None:
    hotdash = tmp_path / ".venv" / "bin" / "hotdash"
    hotdash.parent.mkdir(parents=True)
    hotdash.write_text(f"#!/bin/sh\nexit {code}\n")
    hotdash.chmod(0o755)
    output = tmp_path / "output"
    found, _, said = run(tmp_path, script("drift", "hotdash gate"), GITHUB_OUTPUT=str(output))
    assert found == ended, said
    assert output.read_text() == f"code={code}\n"


@pytest.mark.parametrize(
    ("comments", "last"),
    [
        ("", "api --silent --method POST repos/o/r/issues/7/comments -F body=@gate/gate.md"),
        ("31\n45\n", "api --silent --method PATCH repos/o/r/issues/comments/31 -F body=@gate/gate.md"),
    ],
)
def test_a_pull_request_has_one_comment(tmp_path: Path, comments: str, last: str) -> None:
    text = script("gate", "gh api")
    assert f'"{mark("ci")}"' in text
    ended, calls, said = run(tmp_path, text, NUMBER="7", COMMENTS=comments)
    assert ended == 0, said
    assert calls[-1] == last


def test_a_plan_is_applied_only_to_the_state_that_it_was_made_from(tmp_path: Path) -> None:
    approved = tmp_path / "artifacts" / "up"
    approved.mkdir(parents=True)
    digest = subprocess.run(
        ["sha256sum"], input="{as planned}", capture_output=True, text=True, check=True
    ).stdout
    (approved / "state.sha256").write_text(digest)
    text = script("up", "The plan is stale")
    assert run(tmp_path, text, STATE="{as planned}")[0] == 0
    ended, _, said = run(tmp_path, text, STATE="{by somebody else}")
    assert ended == 1
    assert "Nothing was changed" in said
