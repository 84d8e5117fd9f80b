"""References, dotenv files, fingerprints: what is read, what is refused, and that no value is ever shown."""

import hashlib
import hmac
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hotdash.errors import VaultError
from hotdash.vault import FINGERPRINT_HEX, Reference, Vault, age, fingerprint
from tests.hotdash.vault.conftest import VALUE, Person
from tests.world import CHECKOUT

words = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=12)
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
references = st.builds(
    lambda parts, key: Reference("/".join(parts) + ".env", key),
    st.lists(words.filter(lambda word: set(word) != {"."}), min_size=1, max_size=4),
    keys,
)
# A value as a person may have one: anything that a line of text can hold, and line breaks.
values = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["Cs"]), min_size=1
)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path, "vault")


def write(vault: Vault, content: str, file: str = "a.env") -> None:
    path = vault.root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, newline="")


def refusal(vault: Vault, reference: str = "a.env#KEY") -> VaultError:
    with pytest.raises(VaultError) as caught:
        vault.read(Reference.parse(reference))
    assert caught.value.remedy
    assert caught.value.where.startswith("vault/")
    return caught.value


# References


@given(references)
def test_a_reference_is_read_as_it_is_written(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


def test_the_key_may_be_left_out_where_the_secret_names_it() -> None:
    assert Reference.parse("occ/smtp.env", default_key="SMTP_PASSWORD") == Reference(
        "occ/smtp.env", "SMTP_PASSWORD"
    )
    assert Reference.parse("occ/smtp.env#OTHER", default_key="SMTP_PASSWORD").key == "OTHER"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#KEY",
        ".env",
        "/etc/secrets.env#KEY",
        "../outside.env#KEY",
        "occ/../../outside.env#KEY",
        "occ\\smtp.env#KEY",
        "occ/a:b.env#KEY",  # would be read back as a part of a URL
        "occ/smtp.env",
        "occ/smtp.env#",
        "occ/smtp.env#9KEY",
        "occ/smtp.env#KEY\n",
        "occ/smtp\n.env#KEY",
        "occ/smtp.env\n#KEY",
        "occ/smtp#KEY",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match="must name"):
        Reference.parse(text)


@given(st.text(min_size=1), st.sampled_from(["", "KEY"]))
def test_what_a_refusal_says_depends_on_nothing_in_the_text(text: str, default_key: str) -> None:
    said = refused_reference(text, default_key)
    assert said in (None, refused_reference("/", ""), refused_reference("a.env", ""))


def refused_reference(text: str, default_key: str) -> str | None:
    try:
        Reference.parse(text, default_key=default_key)
    except ValueError as error:
        return str(error)
    return None


# Fingerprints


def test_a_fingerprint_is_the_head_of_an_hmac() -> None:
    whole = hmac.new(b"key", b"value", hashlib.sha256).hexdigest()
    assert fingerprint("value", b"key") == whole[:FINGERPRINT_HEX]
    assert FINGERPRINT_HEX == 16


@given(values, values, st.binary(min_size=16, max_size=32), st.binary(min_size=16, max_size=32))
def test_a_fingerprint_tells_values_and_keys_apart(one: str, other: str, key: bytes, another: bytes) -> None:
    assert (fingerprint(one, key) == fingerprint(other, key)) == (one == other)
    # HMAC pads its key with zeros.
    assume(key.rstrip(b"\0") != another.rstrip(b"\0"))
    assert fingerprint(one, key) != fingerprint(one, another)


# Reading


@given(st.dictionaries(keys, values.filter(lambda value: bool(value.strip())), min_size=1, max_size=5))
def test_quoted_values_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, str]
) -> None:
    def quoted(value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    vault = Vault(tmp_path_factory.mktemp("vault"), "vault")
    write(vault, "".join(f"{key}={quoted(value)}\n" for key, value in wanted.items()))

    assert {key: vault.read(Reference("a.env", key)) for key in wanted} == wanted


def test_a_vault_file_as_people_write_it(vault: Vault) -> None:
    write(
        vault,
        "\ufeff# Chatwoot\nexport FIRST=one # said once\r\n\nURL=postgres://u:p@h:5432/db?x=1#y\n"
        'QUOTED="a # b"\nDOLLAR=pa$$w0rd${HOME}\nPADDED==\n  SPACED = two words  \nTWICE=old\nTWICE=new\n',
    )
    assert {
        key: vault.read(Reference("a.env", key))
        for key in ("FIRST", "URL", "QUOTED", "DOLLAR", "PADDED", "SPACED", "TWICE")
    } == {
        "FIRST": "one",
        "URL": "postgres://u:p@h:5432/db?x=1#y",
        "QUOTED": "a # b",
        "DOLLAR": "pa$$w0rd${HOME}",  # a value is taken as it stands, never expanded
        "PADDED": "=",
        "SPACED": "two words",
        "TWICE": "new",
    }


def test_a_file_is_read_once(vault: Vault) -> None:
    write(vault, "KEY=one\n")
    assert vault.read(Reference("a.env", "KEY")) == "one"
    write(vault, "KEY=two\n")
    assert vault.read(Reference("a.env", "KEY")) == "one"
    assert Vault(vault.root, "vault").read(Reference("a.env", "KEY")) == "two"


def test_the_vault_shows_no_value(vault: Vault) -> None:
    write(vault, f"KEY={VALUE}\n")
    assert vault.fingerprint(Reference("a.env", "KEY"), b"k" * 16) == fingerprint(VALUE, b"k" * 16)
    assert VALUE not in repr(vault)


# Refusals


def test_a_missing_key_is_named_and_a_likely_one_offered(vault: Vault) -> None:
    write(vault, f"DATABASE_URI={VALUE}\nOTHER={VALUE}\n")
    told = refusal(vault, "a.env#DATABASE_URL")
    assert "has no key DATABASE_URL" in told.summary
    assert "did you mean DATABASE_URI?" in told.remedy
    assert VALUE not in str(told)
    assert "did you mean" not in refusal(vault, "a.env#REDIS").remedy


@pytest.mark.parametrize("value", ["c3VwZXItc2VjcmV0LXZhbHVl==", "FO1ABCDEFGHIJ=", "1234abcd"])
def test_a_value_without_its_key_is_not_taken_for_a_key_and_shown(vault: Vault, value: str) -> None:
    write(vault, f"{value}\n")
    assert value.rstrip("=") not in str(refusal(vault))


def test_a_url_without_its_key_is_malformed_and_not_shown(vault: Vault) -> None:
    write(vault, f"OTHER=1\npostgres://chatwoot:{VALUE}@db.example/chatwoot?sslmode=require\n")
    told = refusal(vault)
    assert "malformed" in told.summary
    assert told.where == "vault/a.env, line 2"
    assert VALUE not in str(told)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"A=1\n\n{VALUE}\n", 3),
        (f"A=1\nKEY='{VALUE}\n", 2),
        (f"A='1\n2'\n{VALUE}\n", 3),
        (f"KEY={VALUE}\n=no key\n", 2),
    ],
)
def test_a_malformed_line_is_told_by_number_alone(vault: Vault, content: str, line: int) -> None:
    write(vault, content)
    told = refusal(vault)
    assert "malformed" in told.summary
    assert told.where == f"vault/a.env, line {line}"
    assert VALUE not in str(told)


@pytest.mark.parametrize("content", ["KEY=\n", "KEY=''\n", 'KEY="  "\n', "KEY='\n\t'\n"])
def test_an_empty_value_is_refused(vault: Vault, content: str) -> None:
    write(vault, content)
    told = refusal(vault)
    assert "empty value for KEY" in told.summary
    assert "never sent to Fly" in told.meaning


def test_a_missing_file_and_a_missing_vault_are_told_apart(tmp_path: Path, vault: Vault) -> None:
    assert "file does not exist" in refusal(vault, "occ/a.env#KEY").summary
    assert "no vault folder" in refusal(Vault(tmp_path / "none", "vault")).summary


def test_a_file_that_cannot_be_read_as_one(vault: Vault) -> None:
    (vault.root / "folder.env").mkdir()
    assert "cannot be read: Is a directory" in refusal(vault, "folder.env#KEY").summary
    write(vault, "KEY=1\n")
    assert "cannot be read: Not a directory" in refusal(vault, "a.env/b.env#KEY").summary
    (vault.root / "loop.env").symlink_to("loop.env")
    assert "cannot be read: its link leads to itself" in refusal(vault, "loop.env#KEY").summary


def test_bytes_that_are_no_text_are_not_shown(vault: Vault) -> None:
    (vault.root / "a.env").write_bytes(b"KEY=" + VALUE.encode() + b"\xff\n")
    told = refusal(vault)
    assert "not text in UTF-8" in told.summary
    assert VALUE not in str(told)


def test_a_link_may_lead_within_the_vault_and_not_out_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside.env"
    outside.write_text(f"KEY={VALUE}\n")
    vault = Vault(tmp_path / "vault", "vault")
    write(vault, "KEY=inside\n", "real.env")
    (vault.root / "inside.env").symlink_to("real.env")
    (vault.root / "outside.env").symlink_to(outside)
    (vault.root / "folder").symlink_to(tmp_path)

    assert vault.read(Reference("inside.env", "KEY")) == "inside"
    for reference in ("outside.env#KEY", "folder/outside.env#KEY"):
        assert "leads out of the vault" in refusal(vault, reference).summary


# Encrypted


def seal(vault: Vault, content: str, *people: Person, file: str = "a.env") -> None:
    (vault.root / f"{file}.age").write_bytes(age.encrypt(content.encode(), [p.recipient for p in people]))


def of(person: Person, vault: Vault) -> Vault:
    return Vault(vault.root, vault.shown, environ=person.environ)


def test_an_encrypted_file_is_read_as_the_plain_one_would_be(
    vault: Vault, alice: Person, bob: Person
) -> None:
    seal(vault, "\ufeffKEY='a\r\nb'\nOTHER=2\n", alice, bob)
    for person in (alice, bob):
        assert of(person, vault).read(Reference("a.env", "KEY")) == "a\nb"
    assert of(alice, vault).read(Reference.parse("a.env#OTHER")) == "2"
    assert not (vault.root / "a.env").exists()


def test_age_is_loaded_only_where_a_file_is_encrypted(vault: Vault) -> None:
    write(vault, f"KEY={VALUE}\n")
    program = (
        "import sys, pathlib\nfrom hotdash.vault import Reference, Vault\n"
        "Vault(pathlib.Path(sys.argv[1]), 'vault').read(Reference('a.env', 'KEY'))\n"
        "print(sorted(set(sys.modules) & {'pyrage', 'click', 'hotdash.vault.folder', 'hotdash.vault.checking'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(vault.root)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "[]\n"


def test_without_an_identity_it_says_where_one_is_looked_for(vault: Vault, alice: Person) -> None:
    seal(vault, f"KEY={VALUE}\n", alice)
    told = refusal(Vault(vault.root, "vault", environ={age.IDENTITY_FILE_VARIABLE: "/none/identity.txt"}))
    assert "is encrypted, and there is no age identity" in told.summary
    assert told.where == "vault/a.env.age"
    assert age.IDENTITY_VARIABLE in told.remedy
    assert "/none/identity.txt" in told.remedy


def test_another_identity_is_told_what_to_ask_for(vault: Vault, alice: Person, bob: Person) -> None:
    seal(vault, f"KEY={VALUE}\n", alice)
    told = refusal(of(bob, vault))
    assert "encrypted for others" in told.summary
    assert age.IDENTITY_VARIABLE in told.meaning
    assert f"recipients add {bob.recipient}" in told.remedy
    assert "encrypt --all" in told.remedy


@pytest.mark.parametrize("damage", [slice(0), slice(100), slice(-30)])
def test_a_damaged_file_is_told_from_one_for_others(vault: Vault, alice: Person, damage: slice) -> None:
    seal(vault, f"KEY={VALUE}\n", alice)
    path = vault.root / "a.env.age"
    path.write_bytes(path.read_bytes()[damage])
    told = refusal(of(alice, vault))
    assert "damaged" in told.summary
    assert "git" in told.remedy


def test_an_identity_that_is_none_is_told_by_its_place(vault: Vault, alice: Person) -> None:
    seal(vault, f"KEY={VALUE}\n", alice)
    with pytest.raises(VaultError, match="this is no age identity") as refused:
        Vault(vault.root, "vault", environ={age.IDENTITY_VARIABLE: f"AGE-{VALUE}"}).read(
            Reference("a.env", "KEY")
        )
    assert age.IDENTITY_VARIABLE in refused.value.where
    assert VALUE not in str(refused.value)


def test_what_is_wrong_inside_is_told_by_line(vault: Vault, alice: Person) -> None:
    seal(vault, f"A=1\n{VALUE}\n", alice)
    told = refusal(of(alice, vault))
    assert told.where == "vault/a.env.age, line 2"
    assert VALUE not in str(told)


def test_a_pair_that_agrees_is_read(vault: Vault, alice: Person) -> None:
    seal(vault, f"# one way\nKEY={VALUE}\n", alice)
    write(vault, f"# another\nexport KEY='{VALUE}'\n")
    assert of(alice, vault).read(Reference("a.env", "KEY")) == VALUE


@pytest.mark.parametrize("plain", [f"KEY={VALUE}-older\n", f"KEY={VALUE}\nMORE=1\n", "# nothing\n"])
def test_a_pair_that_differs_is_never_chosen_from(vault: Vault, alice: Person, plain: str) -> None:
    seal(vault, f"KEY={VALUE}\n", alice)
    write(vault, plain)
    told = refusal(of(alice, vault))
    assert "differ" in told.summary
    assert told.where == "vault/a.env and a.env.age"
    assert "hotdash vault encrypt a.env" in told.remedy
    assert VALUE not in str(told)


def test_a_pair_that_cannot_be_compared_is_not_used_either(vault: Vault, alice: Person, bob: Person) -> None:
    seal(vault, f"KEY={VALUE}\n", alice)
    write(vault, f"KEY={VALUE}\n")
    told = refusal(vault)
    assert "no age identity to compare them with" in told.summary
    assert "may be newer" in told.meaning
    assert "encrypted for others" in refusal(of(bob, vault)).summary


def test_an_encrypted_file_may_not_be_a_link_out_of_the_vault(tmp_path: Path, alice: Person) -> None:
    vault = Vault(tmp_path / "vault", "vault", environ=alice.environ)
    vault.root.mkdir()
    seal(Vault(tmp_path, "outside"), f"KEY={VALUE}\n", alice)
    (vault.root / "a.env.age").symlink_to(tmp_path / "a.env.age")
    assert "leads out of the vault" in refusal(vault).summary


def test_no_error_and_no_repr_holds_an_identity(vault: Vault, alice: Person, bob: Person) -> None:
    seal(vault, f"KEY={VALUE}\n", alice)
    key = bob.text.splitlines()[1]
    stranger = of(bob, vault)
    assert key not in str(refusal(stranger)) + repr(stranger) + repr(stranger.identity)
