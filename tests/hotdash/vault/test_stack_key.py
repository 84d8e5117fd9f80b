"""A stack's fingerprint key, asked of the real engine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hotdash.errors import SettingsError
from hotdash.vault.stack_key import fingerprint_key
from sandbox import shell
from tests.world import CHECKOUT

KEY = "0123456789abcdef-the-key"


class Project:
    """A project with one stack, whose state lies beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        engine = shell.engine()
        assert engine is not None
        self.engine = Path(engine)
        (root / "stacks").mkdir()
        (root / "state").mkdir()
        shutil.copy(CHECKOUT / "Pulumi.yaml", root)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
            "PATH": f"{self.engine.parent}:{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{root}/state",
            "PULUMI_HOME": str(root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
        }
        self.pulumi("stack", "init", "tried")

    def pulumi(self, *words: str, given: str = "") -> None:
        subprocess.run(
            [self.engine, *words, "--non-interactive"],
            cwd=self.root,
            env={**self.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            input=given,
            text=True,
            capture_output=True,
            check=True,
            timeout=120,
        )

    def refusal(self, stack: str = "tried", **environ: str) -> SettingsError:
        with pytest.raises(SettingsError) as caught:
            fingerprint_key(stack, self.root, {**self.environ, **environ})
        assert caught.value.remedy
        assert KEY not in str(caught.value)
        return caught.value


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def test_the_key_is_the_one_that_was_set(project: Project) -> None:
    assert "make one" in project.refusal().remedy
    project.pulumi("config", "set", "--secret", "hotdash:fingerprintKey", given=KEY)
    assert fingerprint_key("tried", project.root, project.environ) == KEY.encode()


def test_without_a_pulumi_on_the_path_the_checkouts_is_used(project: Project) -> None:
    bare = {**project.environ, "PATH": "/usr/bin:/bin"}
    if shutil.which("pulumi", path=bare["PATH"]):
        bare["PATH"] = str(project.root)
    assert "none in .engine" in project.refusal(PATH=bare["PATH"]).summary
    (project.root / ".engine/bin").mkdir(parents=True)
    for program in project.engine.parent.glob("pulumi*"):
        (project.root / ".engine/bin" / program.name).symlink_to(program.resolve())
    project.pulumi("config", "set", "--secret", "hotdash:fingerprintKey", given=KEY)
    assert fingerprint_key("tried", project.root, bare) == KEY.encode()


def test_what_the_engine_says_is_told(project: Project) -> None:
    project.pulumi("config", "set", "--secret", "hotdash:fingerprintKey", given=KEY)
    told = project.refusal(PULUMI_CONFIG_PASSPHRASE="another")
    assert "passphrase" in told.meaning
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" in told.remedy
    told = project.refusal("no-such-stack")
    assert "no-such-stack" in told.meaning
    assert "pulumi preview" in told.remedy
