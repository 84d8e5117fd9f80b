"""A vault checked: each thing that can be wrong is named once, with a mend, and no value with it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from hotdash.stack.file import read_settings
from hotdash.stack.settings import SecretSource
from hotdash.vault import Vault, age, recipients
from hotdash.vault.checking import TOKEN, Finding, Kind, Level, Need, check, needs_of
from hotdash.vault.folder import Folder
from tests.hotdash.vault.conftest import VALUE, Person
from tests.world import CHECKOUT

URL = f"postgres://user:{VALUE}@db.example:5432/chatwoot"
GOOD = {
    "occ/db.env": f"DATABASE_URL={URL}\n",
    "occ/smtp.env": f"SMTP_USERNAME={VALUE}\nSMTP_PASSWORD='{VALUE} #2'\n",
    "fly/token.env": f"FLY_API_TOKEN='FlyV1 fm2_{VALUE}'\n",
}
NEEDS = tuple(
    Need(name, SecretSource.parse(source))
    for name, source in (
        ("DATABASE_URL", "occ/db.env#DATABASE_URL"),
        ("POSTGRES_HOST", "occ/db.env#DATABASE_URL:host"),
        ("POSTGRES_PASSWORD", "occ/db.env#DATABASE_URL:password"),
        ("SMTP_USERNAME", "occ/smtp.env#SMTP_USERNAME"),
        ("SMTP_PASSWORD", "occ/smtp.env#SMTP_PASSWORD"),
        (TOKEN, "fly/token.env#FLY_API_TOKEN"),
    )
)


@pytest.fixture
def good(folder: Folder) -> Folder:
    for file, text in GOOD.items():
        folder.write(file, text.encode())
    return folder


def found(
    folder: Folder, needs: Sequence[Need] | None = NEEDS, person: Person | None = None
) -> list[Finding]:
    """What is found; each with a mend, none with a value."""
    environ = person.environ if person else {"XDG_CONFIG_HOME": "/none"}
    findings = check(Vault(folder.root, "vault", placeholders=True, environ=environ), needs)
    assert all(finding.mend for finding in findings)
    assert VALUE not in str(findings)
    return list(findings)


def brief(findings: Sequence[Finding]) -> list[tuple[Kind, str, str]]:
    return [(finding.kind, finding.file, finding.key) for finding in findings]


def the_one(findings: Sequence[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def test_a_vault_that_has_all_is_clean(good: Folder) -> None:
    assert found(good) == []
    assert found(good, None) == []


def test_a_vault_that_is_not_there(tmp_path: Path) -> None:
    for needs in (NEEDS, None):
        told = the_one(found(Folder(tmp_path / "none", "vault"), needs))
        assert (told.kind, told.level) == (Kind.NO_VAULT, Level.PROBLEM)
        assert "hotdash vault init" in told.mend


def test_everything_is_told_at_once(good: Folder) -> None:
    good.remove("fly/token.env")
    good.write("occ/db.env", b"OTHER=1\n")
    good.write("occ/smtp.env", b"SMTP_USERNAME=\nSMTP_PASSWORD=FAKE_PASSWORD\n")
    findings = found(good)
    assert brief(findings) == [
        (Kind.MISSING_FILE, "fly/token.env", "FLY_API_TOKEN"),
        (Kind.MISSING_KEY, "occ/db.env", "DATABASE_URL"),
        (Kind.PLACEHOLDER, "occ/smtp.env", "SMTP_PASSWORD"),
        (Kind.EMPTY, "occ/smtp.env", "SMTP_USERNAME"),
        (Kind.UNUSED, "occ/db.env", "OTHER"),
    ]
    assert [f.level for f in findings] == [Level.PROBLEM] * 4 + [Level.NOTE]
    assert findings[0].needed_by == (TOKEN,)
    assert findings[1].needed_by == ("DATABASE_URL", "POSTGRES_HOST", "POSTGRES_PASSWORD")
    assert findings[1].mend == "`hotdash vault set occ/db.env#DATABASE_URL`"


def test_without_a_stack_what_is_there_is_looked_at(good: Folder) -> None:
    good.write("occ/smtp.env", b"SMTP_USERNAME='  '\nSMTP_PASSWORD=change-me\n")
    assert brief(found(good, None)) == [
        (Kind.EMPTY, "occ/smtp.env", ""),
        (Kind.PLACEHOLDER, "occ/smtp.env", "SMTP_PASSWORD"),
    ]


@pytest.mark.parametrize(
    "line", ["c2VjcmV0LXZhbHVl==", "c2VjcmV0LXZhbHVl=", "FO1ABCDEFGHIJ=", "FO1ABCDEFGHIJ==="]
)
@pytest.mark.parametrize("needs", [NEEDS, None])
def test_a_value_without_its_key_is_not_shown_as_a_key(
    good: Folder, line: str, needs: Sequence[Need] | None
) -> None:
    good.write("occ/smtp.env", f"{GOOD['occ/smtp.env']}{line}\n".encode())
    told = the_one(found(good, needs))
    assert "a value without its KEY=" in told.said
    assert line.rstrip("=") not in str(told)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"SMTP_USERNAME=x\n{VALUE}\n".encode(), "malformed (line 2)"),
        (VALUE.encode() + b"\xff", "not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_once_whoever_needs_it(
    good: Folder, content: bytes, said: str
) -> None:
    good.write("occ/smtp.env", content)
    for needs in (NEEDS, None):
        told = the_one(found(good, needs))
        assert (told.kind, told.file) == (Kind.UNREADABLE, "occ/smtp.env")
        assert said in told.said


def test_a_folder_in_the_place_of_a_file(good: Folder) -> None:
    good.remove("occ/smtp.env")
    (good.root / "occ/smtp.env").mkdir(mode=0o700)
    assert "Is a directory" in the_one(found(good)).said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mysql://user:{VALUE}@db.example/x", "cannot be used"),
        (f"postgres://:{VALUE}@/x", "cannot be used"),
        ("postgres://user@db.example:5432/x", "names no password"),
    ],
)
def test_what_is_derived_from_a_url_is_tried(good: Folder, url: str, said: str) -> None:
    good.write("occ/db.env", f"DATABASE_URL={url}\n".encode())
    findings = found(good)
    assert {finding.kind for finding in findings} == {Kind.UNUSABLE}
    assert said in findings[0].said
    assert (findings[0].file, findings[0].key) == ("occ/db.env", "DATABASE_URL")


def test_a_token_that_cannot_be_one(good: Folder) -> None:
    good.write("fly/token.env", f"FLY_API_TOKEN='{VALUE} and more'\n".encode())
    told = the_one(found(good))
    assert (told.kind, told.level, told.needed_by) == (Kind.UNUSABLE, Level.PROBLEM, (TOKEN,))


def test_a_url_that_leads_to_anothers_database(good: Folder) -> None:
    needs = (
        *NEEDS,
        Need(
            "forbiddenDatabases HotDash", SecretSource.parse("occ/own.env#DATABASE_URL"), forbidden="HotDash"
        ),
    )
    told = the_one(found(good, needs))
    assert (told.kind, told.needed_by) == (Kind.MISSING_FILE, ("forbiddenDatabases HotDash",))
    good.write("occ/own.env", f"DATABASE_URL=postgres://hotdash:{VALUE}@other.example/hotdash\n".encode())
    assert found(good, needs) == []
    # The same database, written otherwise.
    good.write("occ/own.env", b"DATABASE_URL='postgresql://user:other@DB.example/chatwoot'\n")
    told = the_one(found(good, needs))
    assert (told.kind, told.level, told.file) == (Kind.WRONG_DATABASE, Level.PROBLEM, "occ/db.env")
    assert told.needed_by == ("DATABASE_URL",)


def test_placeholders_that_a_stack_wants_are_nothing_wrong(good: Folder) -> None:
    good.write("occ/smtp.env", b"SMTP_USERNAME=FAKE\nSMTP_PASSWORD=\n")
    vault = Vault(good.root, "vault", placeholders=True)
    assert brief(check(vault, NEEDS, placeholders=True)) == [(Kind.EMPTY, "occ/smtp.env", "SMTP_PASSWORD")]


def test_what_something_else_stands_in_for_is_a_note(good: Folder) -> None:
    good.remove("fly/token.env")
    needs = (*NEEDS[:-1], Need(TOKEN, NEEDS[-1].source, "the environment has FLY_API_TOKEN"))
    told = the_one(found(good, needs))
    assert (told.level, told.kind) == (Level.NOTE, Kind.MISSING_FILE)
    assert told.needed_by == (f"{TOKEN} (not needed now: the environment has FLY_API_TOKEN)",)


def test_what_no_stack_uses_is_a_note(good: Folder) -> None:
    good.write("occ/smtp.env", f"{GOOD['occ/smtp.env']}SMTP_PORT=587\n".encode())
    good.write("occ/more.env", b"KEY=FAKE\n")
    findings = found(good)
    assert brief(findings) == [(Kind.UNUSED, "occ/more.env", ""), (Kind.UNUSED, "occ/smtp.env", "SMTP_PORT")]
    assert {finding.level for finding in findings} == {Level.NOTE}


def test_all_needs_of_a_real_stack_are_looked_for(folder: Folder) -> None:
    settings = read_settings("production", CHECKOUT)
    needs = needs_of(settings)
    assert {need.name for need in needs} >= {*settings.secrets, TOKEN}
    findings = found(folder, needs)
    told = {name for finding in findings for name in finding.needed_by}
    assert told == {need.name for need in needs}
    assert {finding.kind for finding in findings} == {Kind.MISSING_FILE}


# Who else can see it


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o602, 0o610])
def test_a_plain_file_that_others_can_reach(good: Folder, bits: int) -> None:
    (good.root / "occ/db.env").chmod(bits)
    for needs in (NEEDS, None):
        told = the_one(found(good, needs))
        assert (told.kind, told.file, told.level) == (Kind.OPEN, "occ/db.env", Level.PROBLEM)
        assert f"mode {bits:04o}" in told.said
        assert told.mend == "`chmod -R go= vault`"


def test_folders_above_plain_files_and_other_files_too(good: Folder) -> None:
    good.write("notes.txt", b"")
    good.write("README.md", b"")
    for name in ("", "occ", "notes.txt", "README.md"):
        (good.root / name).chmod(0o755)
    assert [finding.file for finding in found(good)] == ["", "notes.txt", "occ"]
    subprocess.run(["sh", "-c", "chmod -R go= vault"], cwd=good.root.parent, check=True)
    assert found(good) == []


def test_encrypted_files_may_be_seen(good: Folder, alice: Person) -> None:
    encrypt(good, alice)
    for path in [good.root, *good.root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert found(good, person=alice) == []


def test_links_are_told_wherever_they_lead(good: Folder, tmp_path: Path) -> None:
    (tmp_path / "theirs.env").write_text(GOOD["occ/db.env"])
    good.remove("occ/db.env")
    (good.root / "occ/db.env").symlink_to(tmp_path / "theirs.env")
    assert brief(found(good)) == [(Kind.LINK, "occ/db.env", "")]
    (good.root / "occ/db.env").unlink()
    good.write("occ/real.env", GOOD["occ/db.env"].encode())
    (good.root / "occ/db.env").symlink_to("real.env")
    findings = found(good)
    assert brief(findings) == [(Kind.LINK, "occ/db.env", ""), (Kind.UNUSED, "occ/real.env", "")]
    (good.root / "fly").rename(tmp_path / "fly")
    (good.root / "fly").symlink_to(tmp_path / "fly")
    assert (Kind.LINK, "fly", "") in brief(found(good))
    assert (Kind.UNREADABLE, "fly/token.env", "") not in brief(found(good))


def git(folder: Path, *words: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *words], cwd=folder, env=environ, check=True, timeout=60, capture_output=True)


def test_what_git_tracks_in_plain(good: Folder) -> None:
    good.write("occ/example.env", b"A=FAKE\nB=change-me\nC=\n")
    git(good.root.parent, "init", "-q")
    assert [f.kind for f in found(good) if f.level is Level.PROBLEM] == []
    git(good.root.parent, "add", "-A")
    findings = [f for f in found(good) if f.level is Level.PROBLEM]
    # Placeholders may be tracked: an example is.
    assert brief(findings) == [(Kind.TRACKED, file, "") for file in sorted(GOOD)]
    assert "git rm --cached vault/fly/token.env" in findings[0].mend


def test_the_projects_example_may_be_tracked() -> None:
    example = Folder(CHECKOUT / "vault.example", "vault.example")
    assert Kind.TRACKED not in {finding.kind for finding in found(example, None)}


def test_what_a_killed_write_left(good: Folder) -> None:
    good.write("occ/.db.env.new", VALUE.encode())
    told = the_one(found(good))
    assert (told.kind, told.level, told.file) == (Kind.LEFT_OVER, Level.NOTE, "occ/.db.env.new")


# Encrypted


def encrypt(folder: Folder, *people: Person) -> None:
    recipients.add(folder, [person.recipient for person in people])
    for file in folder.files():
        folder.write(file + age.SUFFIX, age.encrypt(folder.read(file) or b"", [p.recipient for p in people]))
        folder.remove(file)


def test_an_encrypted_vault_that_has_all_is_clean(good: Folder, alice: Person, bob: Person) -> None:
    encrypt(good, alice, bob)
    assert found(good, person=alice) == []
    assert found(good, None, person=bob) == []
    git(good.root.parent, "init", "-q")
    git(good.root.parent, "add", "-A")
    assert found(good, person=alice) == []


def test_without_an_identity_each_file_is_told_with_the_same_mend(good: Folder, alice: Person) -> None:
    encrypt(good, alice)
    findings = found(good)
    assert brief(findings) == [(Kind.UNREADABLE, file, "") for file in sorted(GOOD)]
    assert len({(finding.said, finding.mend) for finding in findings}) == 1
    assert "no age identity" in findings[0].said


def test_an_identity_that_is_none_is_told_with_its_place(good: Folder, alice: Person) -> None:
    encrypt(good, alice)
    vault = Vault(good.root, "vault", placeholders=True, environ={age.IDENTITY_VARIABLE: VALUE})
    findings = check(vault, NEEDS)
    assert {finding.said for finding in findings} == {
        f"cannot be used: this is no age identity (the environment's {age.IDENTITY_VARIABLE})"
    }
    assert VALUE not in str(findings)


def test_a_pair_that_differs_and_one_that_agrees(good: Folder, alice: Person) -> None:
    encrypt(good, alice)
    good.write("occ/db.env", GOOD["occ/db.env"].encode())
    told = the_one(found(good, person=alice))
    assert (told.kind, told.level, told.file) == (Kind.PLAIN, Level.NOTE, "occ/db.env")
    assert told.mend == "`hotdash vault encrypt occ/db.env`"
    good.write("occ/db.env", b"DATABASE_URL=postgres://other\n")
    findings = found(good, person=alice)
    assert brief(findings) == [(Kind.UNREADABLE, "occ/db.env", ""), (Kind.PLAIN, "occ/db.env", "")]
    assert "differ" in findings[0].said


def test_a_plain_file_in_an_encrypted_vault_is_a_note(good: Folder, alice: Person) -> None:
    recipients.add(good, [alice.recipient])
    findings = found(good)
    assert brief(findings) == [(Kind.PLAIN, file, "") for file in sorted(GOOD)]
    assert {finding.level for finding in findings} == {Level.NOTE}


def test_files_that_were_encrypted_for_others_are_a_note(good: Folder, alice: Person, bob: Person) -> None:
    encrypt(good, alice)
    recipients.add(good, [bob.recipient])
    findings = found(good, person=alice)
    assert brief(findings) == [(Kind.OUTDATED, file, "") for file in sorted(GOOD)]
    assert {(finding.level, finding.mend) for finding in findings} == {
        (Level.NOTE, "`hotdash vault encrypt --all`")
    }


def test_a_list_of_recipients_with_a_bad_line(good: Folder) -> None:
    good.write(recipients.FILE, f"{VALUE}\n".encode())
    told = the_one(found(good))
    assert (told.kind, told.file) == (Kind.RECIPIENTS, recipients.FILE)


def test_an_identity_that_others_can_read(good: Folder, alice: Person, tmp_path: Path) -> None:
    encrypt(good, alice)
    path = tmp_path / "identity.txt"
    path.write_text(alice.text)
    for bits, kinds in ((0o600, []), (0o644, [Kind.OPEN])):
        path.chmod(bits)
        vault = Vault(good.root, "vault", placeholders=True, environ={age.IDENTITY_FILE_VARIABLE: str(path)})
        assert [finding.kind for finding in check(vault, NEEDS)] == kinds
