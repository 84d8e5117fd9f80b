"""Secrets: that they come out of the vault and nowhere else, and that those which cannot be replaced stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hotdash.stack.refusals import ENCRYPTION_KEYS_KEPT, ENCRYPTION_PREFIX, SECRETS_FROM_VAULT
from policies.rules.facts import Facts
from policies.rules.rule import Config, Enforcement, Finding, Rule, Severity


def _secrets_from_vault(facts: Facts, _config: Config) -> Iterator[Finding]:
    for key, found in facts.literals.items():
        yield Finding(key, found, f"hotdash:{key}")
    if not facts.key_encrypted:
        yield Finding(
            "fingerprintKey",
            "the fingerprint key stands in the stack file in clear",
            "hotdash:fingerprintKey",
            "make a new one: `openssl rand -hex 32 | pulumi config set --secret hotdash:fingerprintKey`",
        )


def _no_secret_in_env(facts: Facts, _config: Config) -> Iterator[Finding]:
    places = sorted({place for machine in facts.machines for place in machine.literals})
    for place in places:
        having = [str(machine) for machine in facts.machines if place in machine.literals]
        name = place.removeprefix("env ")
        yield Finding(
            name,
            f"{place} of {_listed(having)} seems to be a credential",
            f"the machines' config ([env] or a command in fly.toml): {place}",
            f"put it into the vault, declare it under hotdash:secrets, and take it out of fly.toml: {name}",
        )


def _no_shadowed_secret(facts: Facts, _config: Config) -> Iterator[Finding]:
    for name in facts.secrets:
        having = [str(machine) for machine in facts.machines if name in machine.env]
        if having:
            yield Finding(
                name,
                f"{name} is a declared secret, and an env entry of {_listed(having)} too",
                f"the machines' config ([env] in fly.toml): {name}",
                f"take {name} out of [env] in fly.toml and deploy",
            )


def _encryption_keys_kept(facts: Facts, _config: Config) -> Iterator[Finding]:
    for name in sorted(facts.held_secrets):
        if name.startswith(ENCRYPTION_PREFIX) and name not in facts.secrets:
            yield Finding(
                name,
                f"{name} was set from here or stands on Fly, and is not declared",
                f"hotdash:secrets.{name}",
                f"declare {name} with the value that Fly has; a machine can show it: `fly ssh console -C 'printenv "
                f"{name}'`",
            )


def _listed(machines: list[str]) -> str:
    return ", ".join(machines[:3]) + (f" and {len(machines) - 3} more" if len(machines) > 3 else "")


RULES: Final = (
    Rule(
        id=SECRETS_FROM_VAULT,
        title="No credential stands in the stack file",
        severity=Severity.CRITICAL,
        enforcement=Enforcement.MANDATORY,
        why="what stands there is in git, in previews and in the state, for everybody and for good",
        mend="put it into the vault, declare it under hotdash:secrets, and change it where it counts",
        subjects="the key of the stack file, without `hotdash:`",
        example="processGroups.web.command.2",
        needs=frozenset({"literals", "key_encrypted"}),
        check=_secrets_from_vault,
    ),
    Rule(
        id="no-secret-in-env",
        title="No credential stands in a machine's env or command",
        severity=Severity.CRITICAL,
        enforcement=Enforcement.MANDATORY,
        why="whoever may read the app's machines reads it, `fly machine status` shows it, and nothing here notices "
        "when it is wrong",
        mend="put it into the vault and declare it under hotdash:secrets",
        subjects="the env entry, or the place (`init.cmd`)",
        example="FCM_TOKEN",
        needs=frozenset({"machines"}),
        check=_no_secret_in_env,
    ),
    Rule(
        id="no-shadowed-secret",
        title="No env entry has the name of a declared secret",
        severity=Severity.MEDIUM,
        enforcement=Enforcement.MANDATORY,
        why="the secret wins over the env entry (Fly's docs), so the entry says what does not count: whoever reads it "
        "mends the wrong value, and where the secret is unset the old entry comes back",
        mend="take the entry out of fly.toml",
        subjects="the secret",
        example="FRONTEND_URL",
        needs=frozenset({"machines", "secrets"}),
        check=_no_shadowed_secret,
    ),
    Rule(
        id=ENCRYPTION_KEYS_KEPT,
        title="ACTIVE_RECORD_ENCRYPTION_* stay declared once they were there",
        severity=Severity.CRITICAL,
        enforcement=Enforcement.MANDATORY,
        why="what Chatwoot encrypted with them (two-factor secrets, webhook secrets) stays in its database, and "
        "without them nobody can read it again",
        mend="declare it again, with the value that it had",
        subjects="the secret",
        example="ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
        needs=frozenset({"held_secrets", "secrets"}),
        check=_encryption_keys_kept,
    ),
)
