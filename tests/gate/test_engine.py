"""Which engine is run, and how; with small stand-ins for the engine, because what is told apart is its answers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hotdash.errors import SettingsError
from hotdash.gate import DRIFT_VARIABLE, engine
from hotdash.gate.inspection import Request, inspect
from hotdash.gate.report import Verdict
from tests.program.stack import COMMAND_SECONDS
from tests.world import CHECKOUT

SAYS = """#!/bin/sh
printf '%s\\n' "$0 $*" >> "$HOTDASH_TEST_CALLS"
"""
TOO_OLD = (
    """echo 'error: Pulumi CLI version 3.1.0 does not satisfy the version range ">=3.250.0"' >&2; exit 1"""
)
RUNS = """echo '{"sequence":0}'; exit 0"""


def put(folder: Path, does: str = RUNS, *, host: bool = True) -> Path:
    """An engine in the folder, with its language host."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in [engine.COMMAND, *([engine.LANGUAGE_HOST] if host else [])]:
        (folder / name).write_text(f"{SAYS}{does}\n")
        (folder / name).chmod(0o755)
    return folder / engine.COMMAND


def preview(root: Path) -> engine.Preview:
    return engine.Preview(root=root, stack="x", pack=root / "policies", drift=root / "drift")


def environment(tmp_path: Path, *folders: Path) -> dict[str, str]:
    path = os.pathsep.join(map(str, [*folders, *map(Path, ("/usr/bin", "/bin"))]))
    return {"PATH": path, "HOTDASH_TEST_CALLS": str(tmp_path / "calls")}


def called(tmp_path: Path) -> list[str]:
    return [line.split(" ")[0] for line in (tmp_path / "calls").read_text().splitlines()]


def test_the_first_on_path_that_brings_its_language_host_is_run(tmp_path: Path) -> None:
    put(tmp_path / "bare", host=False)
    first, _ = put(tmp_path / "first"), put(tmp_path / "second")
    given = environment(tmp_path, tmp_path / "bare", tmp_path / "first", tmp_path / "second")
    assert engine.run(preview(tmp_path), given).code == 0
    assert called(tmp_path) == [str(first)]


def test_where_path_has_none_the_projects_own_is_run(tmp_path: Path) -> None:
    own = put(tmp_path / ".engine" / "bin")
    assert engine.run(preview(tmp_path), environment(tmp_path)).code == 0
    assert called(tmp_path) == [str(own)]


def test_one_that_says_it_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    old, own = put(tmp_path / "old", TOO_OLD), put(tmp_path / ".engine" / "bin")
    assert engine.run(preview(tmp_path), environment(tmp_path, tmp_path / "old")).code == 0
    assert called(tmp_path) == [str(old), str(own)]


def test_where_none_fits_the_last_ones_words_are_kept(tmp_path: Path) -> None:
    put(tmp_path / "old", TOO_OLD)
    assert "version range" in engine.run(preview(tmp_path), environment(tmp_path, tmp_path / "old")).stderr


def test_one_engine_by_two_names_is_run_once(tmp_path: Path) -> None:
    put(tmp_path / "old", TOO_OLD)
    (tmp_path / "link").symlink_to(tmp_path / "old")
    engine.run(preview(tmp_path), environment(tmp_path, tmp_path / "link", tmp_path / "old"))
    assert len(called(tmp_path)) == 1


def test_no_engine_is_told_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no Pulumi engine") as refused:
        engine.run(preview(tmp_path), environment(tmp_path))
    assert "make engine" in refused.value.remedy


def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    broken = put(tmp_path / "bin")
    broken.write_text("#!/no/such/interpreter\n")
    with pytest.raises(SettingsError, match="cannot be started"):
        engine.run(preview(tmp_path), environment(tmp_path, tmp_path / "bin"))


def test_it_is_run_without_a_terminal_and_refreshes_beside_the_program(tmp_path: Path) -> None:
    put(tmp_path / "bin", 'env; cat; echo "$@"')
    said = engine.run(preview(tmp_path), environment(tmp_path, tmp_path / "bin")).stdout
    for words in (
        "PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true",
        "PULUMI_RUN_PROGRAM=true",
        f"{DRIFT_VARIABLE}={tmp_path / 'drift'}",
        "--non-interactive",
        f"--policy-pack {tmp_path / 'policies'}",
    ):
        assert words in said, words


def test_what_the_environment_says_of_refreshing_stands(tmp_path: Path) -> None:
    put(tmp_path / "bin", "env")
    given = {**environment(tmp_path, tmp_path / "bin"), "PULUMI_RUN_PROGRAM": "false"}
    assert "PULUMI_RUN_PROGRAM=false" in engine.run(preview(tmp_path), given).stdout.splitlines()


def _project(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.x.yaml").write_text("config: {}\n")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "PulumiPolicy.yaml").write_text("runtime: python\n")
    return tmp_path


@pytest.mark.parametrize(
    "does",
    [
        "exit 0",
        "echo '{\"steps\": []}'; exit 0",
        "echo 'Previewing update'; exit 0",
        "kill -9 $$",
        'echo \'{"sequence":0,"summaryEvent":{"result":"succeeded"}}\'; exit 0',
    ],
    ids=["says nothing", "does not stream", "speaks to people", "is killed", "ran no pack"],
)
def test_an_engine_that_proves_nothing_fails_the_gate(tmp_path: Path, does: str) -> None:
    put(tmp_path / "bin", does)
    root = _project(tmp_path)
    report = inspect(Request(root, "x"), environment(tmp_path, tmp_path / "bin"))
    assert report.verdict is Verdict.FAILED
    assert all(problem.remedy for problem in report.errors)


def test_drift_that_cannot_be_read_fails_the_gate(tmp_path: Path) -> None:
    put(tmp_path / "bin", f'echo "half a li" > "${DRIFT_VARIABLE}"; {RUNS}')
    report = inspect(Request(_project(tmp_path), "x"), environment(tmp_path, tmp_path / "bin"))
    assert "what the program told of drift cannot be read" in [problem.summary for problem in report.errors]


def test_an_interrupt_ends_the_engine_too(tmp_path: Path) -> None:
    put(
        tmp_path / "bin",
        'trap "echo ended >> $HOTDASH_TEST_CALLS; exit 1" INT; echo $$ >> $HOTDASH_TEST_CALLS; '
        "while :; do sleep 0.1; done",
    )
    given = {**os.environ, **environment(tmp_path, tmp_path / "bin")}
    command = [str(Path(sys.executable).with_name("hotdash")), "gate", "--stack", "x"]
    process = subprocess.Popen(
        command, cwd=_project_with_file(tmp_path), env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    calls, deadline = tmp_path / "calls", time.monotonic() + COMMAND_SECONDS
    while not (calls.exists() and len(calls.read_text().splitlines()) == 2):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == 1
    assert b"Traceback" not in stderr
    assert calls.read_text().splitlines()[-1] == "ended"


def _project_with_file(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: x\n")
    return _project(tmp_path)


def test_nothing_heavy_is_loaded_before_the_engine_runs() -> None:
    """What the gate costs besides the preview is its own start."""
    code = (
        "import sys, json, hotdash.cli.gate as gate; gate._chosen((), None); "
        "heavy = {'hotdash.stack.settings', 'hotdash.gate.formats.sarif', 'yaml', 'jsonschema', 'httpx', 'rich'}; "
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout) == [], done.stderr
