"""Database URLs are tried from here before Fly gets them: one that does not work is not staged."""

from pathlib import Path

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
            "the vault's DATABASE_URL does not work",
            "password authentication failed",
            "no secret was written, so the app runs with what it has",
            "correct the value in the vault",
            "connection-refused",
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
            "the vault's DATABASE_URL does not work",
            "no_such_database",
            "no secret was written",
            "connection-refused",
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
