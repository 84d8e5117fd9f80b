"""Database URLs are tried from here before Fly gets them: one that does not work is not staged."""

import subprocess
from pathlib import Path

from hotdash.dsn import Dsn
from tests.program.stack import Answer, Stack, own_vault, vault_values

FILE = "occ/chatwoot/database_url.env"


def test_a_password_that_postgres_refuses_is_not_staged(applied: Stack, tmp_path: Path) -> None:
    vault = own_vault(applied, tmp_path)
    right = vault_values(applied.world)["DATABASE_URL"]
    login, _, place = right.rpartition("@")
    wrong = "looks-quite-right-8f3a"
    (vault / FILE).write_text(f"DATABASE_URL={login.rpartition(':')[0]}:{wrong}@{place}\n")

    with applied.nothing_changed():
        # A preview tries nothing; it shows that the vault has another value, and not which.
        seen = applied.drift()
        assert seen.kinds == {"secret-changed-in-vault", "secret-not-live"}
        assert wrong not in seen.output

        refused = applied.up().failed(
            "DATABASE_URL (",
            "refused: ",
            "password authentication failed",
            f"where {vault}/{FILE}#DATABASE_URL",
            "no secret was written, so the app runs with what it has",
            "preflight-refused",
        )
        assert wrong not in refused.output
        assert applied.world.answer() == 200

        (vault / FILE).write_text(f"DATABASE_URL={right}\n")
        applied.up().ok()


def test_a_database_that_does_not_exist_is_not_staged(applied: Stack, tmp_path: Path) -> None:
    vault = own_vault(applied, tmp_path)
    right = vault_values(applied.world)["DATABASE_URL"]
    (vault / FILE).write_text(f"DATABASE_URL={right.rpartition('/')[0]}/no_such_database\n")
    with applied.nothing_changed():
        applied.up().failed(
            "no_such_database",
            "no secret was written",
            "preflight-refused",
        )


def test_a_host_that_cannot_be_reached_from_here_is_told_and_staged(applied: Stack, tmp_path: Path) -> None:
    vault = own_vault(applied, tmp_path)
    # One that Chatwoot does not read, because its machines could not reach it either.
    (vault / "occ/reports.env").write_text(
        "REPORTS_DATABASE_URL=postgres://reports:s3cretword@127.0.0.1:1/reports\n"
    )
    applied.config["hotdash:secrets"]["REPORTS_DATABASE_URL"] = "occ/reports.env"

    answer: Answer = applied.up().ok()
    assert "REPORTS_DATABASE_URL: tried from here: could not tell from here" in answer.text
    assert "staged REPORTS_DATABASE_URL" in answer.text
    assert "s3cretword" not in answer.output
    assert "REPORTS_DATABASE_URL" in applied.world.status()["secrets"]
    applied.expect_clean()
    applied.clean = False


def test_a_preview_says_which_database_a_new_url_leads_to(applied: Stack, tmp_path: Path) -> None:
    vault = own_vault(applied, tmp_path)
    secret = "pooled-and-secret-5b1d"
    (vault / FILE).write_text(
        f"DATABASE_URL=postgres://postgres:{secret}@db.abcdefghijklmnopqrst.supabase.co:5432/postgres\n"
    )
    with applied.nothing_changed():
        seen = applied.drift()
        port = Dsn.parse(vault_values(applied.world)["DATABASE_URL"]).port
        direct = "db.abcdefghijklmnopqrst.supabase.co:5432/postgres as postgres"
        local = f"127.0.0.1:{port}/chatwoot_production as chatwoot"
        [told] = [line.strip() for line in seen.output.splitlines() if "leads to" in line]
        assert (
            told
            == f"DATABASE_URL leads to {direct} (Supabase, direct), until now to {local} (this machine, unknown)"
        )
        detailed = applied.preview("--diff")
        assert '"127.0.0.1" => "db.abcdefghijklmnopqrst.supabase.co"' in detailed.text
        assert '"unknown" => "direct"' in detailed.text
        assert secret not in seen.output + detailed.output


def test_what_cannot_be_told_from_here_is_refused_where_the_stack_is_strict(
    applied: Stack, tmp_path: Path
) -> None:
    vault = own_vault(applied, tmp_path)
    (vault / "occ/reports.env").write_text(
        "REPORTS_DATABASE_URL=postgres://reports:s3cretword@127.0.0.1:1/reports\n"
    )
    applied.config["hotdash:secrets"]["REPORTS_DATABASE_URL"] = "occ/reports.env"
    applied.config["hotdash:preflight"] = "strict"
    with applied.nothing_changed():
        refused = applied.up().failed(
            "REPORTS_DATABASE_URL (",
            "could not tell from here",
            "hotdash:preflight to warn",
            "preflight-refused",
        )
        assert "s3cretword" not in refused.output


def test_a_database_that_must_not_be_used_is_refused_by_a_preview(applied: Stack, tmp_path: Path) -> None:
    """However its URL is written."""
    vault = own_vault(applied, tmp_path)
    own = "postgres.abcdefghijklmnopqrst:s3cretword@aws-1-us-east-1.pooler.supabase.com:6543/postgres"
    (vault / "occ/supabase").mkdir()
    (vault / "occ/supabase/database_url_staging.env").write_text(f"DATABASE_URL=postgres://{own}\n")
    (vault / FILE).write_text(
        "DATABASE_URL=postgres://postgres:s3cretword@db.abcdefghijklmnopqrst.supabase.co:5432/postgres\n"
    )
    applied.config["hotdash:forbiddenDatabases"] = {"HotDash": "occ/supabase/database_url_staging.env"}
    with applied.nothing_changed():
        refused = applied.preview().failed(
            "DATABASE_URL leads to HotDash's database, which Chatwoot must not use",
            "occ/chatwoot/database_url.env#DATABASE_URL",
            "wrong-database",
        )
        assert "s3cretword" not in refused.output


def test_a_database_that_turns_out_to_be_another_ones_is_refused_by_up(
    applied: Stack, tmp_path: Path
) -> None:
    """Two ways to write one address: the texts cannot tell, the server can."""
    vault = own_vault(applied, tmp_path)
    right = vault_values(applied.world)["DATABASE_URL"]
    (vault / "occ/supabase").mkdir()
    (vault / "occ/supabase/database_url_staging.env").write_text(f"DATABASE_URL={right}\n")
    elsewhere = right.replace("@127.0.0.1:", "@2130706433:")
    assert elsewhere != right
    (vault / FILE).write_text(f"DATABASE_URL={elsewhere}\n")
    applied.config["hotdash:forbiddenDatabases"] = {"HotDash": "occ/supabase/database_url_staging.env"}
    with applied.nothing_changed():
        applied.drift()
        applied.up().failed("HotDash", "preflight-refused", "no secret was written")


def test_a_vault_that_git_tracks_in_plain_is_refused(applied: Stack, tmp_path: Path) -> None:
    vault = own_vault(applied, tmp_path)
    for words in (("init", "-q"), ("add", "-A")):
        subprocess.run(["git", *words], cwd=vault, check=True, timeout=30)
    with applied.nothing_changed():
        applied.preview().failed("git tracks the vault in plain", FILE, "git rm --cached", "code vault")


POOLED = "DATABASE_URL=postgres://postgres.abcdefghijklmnopqrst:s3cretword@aws-1-us-east-1.pooler.supabase.com:5432/postgres\n"


def test_migrations_through_a_pooler_are_refused_without_the_policies_too(
    applied: Stack, tmp_path: Path
) -> None:
    vault = own_vault(applied, tmp_path)
    (vault / FILE).write_text(POOLED)
    with applied.nothing_changed():
        for answer in (applied.preview(), applied.up()):
            refused = answer.failed(
                "migrations would go through a pooler (session)",
                "where hotdash:migration.database",
                "declare the direct URL (postgres://postgres:…@db.abcdefghijklmnopqrst.supabase.co:5432/postgres",
                "migrations-direct",
            )
            assert "s3cretword" not in refused.output
        applied.config["hotdash:exceptions"] = [
            {"rule": "migrations-direct", "reason": "the direct URL is on its way", "until": "2999-01-01"}
        ]
        applied.drift()


def test_keys_that_encrypted_what_is_in_the_database_are_not_dropped(applied: Stack, tmp_path: Path) -> None:
    vault, name = own_vault(applied, tmp_path), "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"
    (vault / "occ/encryption.env").write_text(f"{name}=0123456789abcdef0123456789abcdef\n")
    applied.config["hotdash:secrets"][name] = "occ/encryption.env"
    applied.up().ok()
    del applied.config["hotdash:secrets"][name]
    applied.config["hotdash:undeclaredSecrets"] = "remove"

    applied.up().failed(f"{name} is not declared any more", f"declare {name} again", "encryption-keys-kept")
    assert name in applied.world.status()["secrets"]
