"""Secrets: from the vault alone, and kept."""

from __future__ import annotations

from tests.policies.cases.making import SOUND, Case, like, machine

CASES: tuple[Case, ...] = (
    # secrets-from-vault
    Case("secrets-from-vault", "none in sight", SOUND, boundary=True),
    Case(
        "secrets-from-vault",
        "the key in clear",
        like(key_encrypted=False),
        ("fingerprintKey",),
        ("in clear",),
        boundary=True,
    ),
    Case(
        "secrets-from-vault",
        "a literal",
        like(
            literals={"processGroups.web.command.2": "processGroups.web.command.2 seems to be a credential"}
        ),
        ("processGroups.web.command.2",),
    ),
    # no-secret-in-env
    Case("no-secret-in-env", "names alone", machine(env=frozenset({"SMTP_PASSWORD_FILE"})), boundary=True),
    Case(
        "no-secret-in-env",
        "an entry",
        machine(env=frozenset({"SMTP_PASSWORD"}), literals=frozenset({"env SMTP_PASSWORD"})),
        ("SMTP_PASSWORD",),
        ("env SMTP_PASSWORD of web 148e21f0",),
        boundary=True,
    ),
    Case(
        "no-secret-in-env",
        "a command",
        machine(literals=frozenset({"init.cmd"})),
        ("init.cmd",),
    ),
    # no-shadowed-secret
    Case("no-shadowed-secret", "other names", machine(env=frozenset({"REDIS_URI"})), boundary=True),
    Case(
        "no-shadowed-secret",
        "the same name",
        machine(env=frozenset({"REDIS_URL"})),
        ("REDIS_URL",),
        ("web 148e21f0",),
        boundary=True,
    ),
    # encryption-keys-kept
    Case("encryption-keys-kept", "never had any", SOUND),
    Case(
        "encryption-keys-kept",
        "declared",
        like(
            held_secrets=frozenset({"ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"}),
            secrets={**SOUND.secrets, "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY": "occ/keys.env#A"},
        ),
        boundary=True,
    ),
    Case(
        "encryption-keys-kept",
        "dropped",
        like(held_secrets=frozenset({"ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", "OTHER"})),
        ("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",),
        ("is not declared",),
        boundary=True,
    ),
)
