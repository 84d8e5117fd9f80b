"""`hotdash vault`: a folder of credentials that can be checked, changed and committed, and is never shown.

Each command parses and prints; the work is in hotdash/vault/. No value is taken from the command line, where the
shell's history and every process list would have it, and one command alone gives any out.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from hotdash.cli.vault_given import Chosen, about_a_vault, references_of, source_of, value_for
from hotdash.errors import HotdashError, VaultError
from hotdash.stack.file import chosen_stack, project_root
from hotdash.vault import age, beginning, recipients, sealing, storing
from hotdash.vault.checking import Finding, Level, check, needs_of
from hotdash.vault.reading import Vault, command
from hotdash.vault.reference import fingerprint

EXAMPLE: Final = "vault.example"


@click.group()
def vault() -> None:
    """The folder of credentials: begin one, check it, set values, encrypt it. No value is ever shown.

    REF is FILE#KEY, such as occ/chatwoot/smtp.env#SMTP_PASSWORD; with a stack it may be a secret's name.
    """


@vault.command()
@click.option(
    "--age", "for_whom", metavar="RECIPIENT", multiple=True, help="Encrypt for this one; repeat it."
)
@click.option("--new-identity", is_flag=True, help="Make an age identity of your own, and encrypt for it.")
@about_a_vault
def init(chosen: Chosen, for_whom: tuple[str, ...], new_identity: bool) -> None:
    """Begin a vault in the shape that the stack needs, or that vault.example/ has. Nothing is overwritten."""
    if new_identity:
        path, mine = beginning.make_identity(os.environ)
        click.echo(
            f"your age identity is in {age.shown_path(path)}: keep a copy where your team keeps such things"
        )
        click.echo(f"its recipient is {mine}")
        for_whom = (*for_whom, mine)
    example = beginning.shape_of((chosen.project or Path.cwd()) / EXAMPLE)
    needed: dict[str, list[str]] = {}
    for reference in references_of(chosen.settings):
        needed.setdefault(reference.file, []).append(reference.key)
    shape = beginning.shape_for(needed, example) if chosen.settings else example
    begun = beginning.begin(chosen.folder, shape, for_whom)
    shown = chosen.folder.shown
    for file in begun.made:
        click.echo(f"{shown}/{file}: made; its values are still placeholders")
    if begun.kept:
        click.echo(
            f"{shown}/: {_count(len(begun.kept), 'file')} kept as {'it was' if len(begun.kept) == 1 else 'they were'}"
        )
    if begun.recipients:
        click.echo(
            f"{shown}/: encrypted for {_count(len(begun.recipients), 'recipient')}; "
            f"{_count(len(begun.missing), 'file')} to come, each encrypted when a value in it is set"
        )
    stack = ["--stack", chosen.stack] if chosen.stack else []
    click.echo(f"next: {command(shown, 'check', *stack)}   tells what is to be set")


@vault.command(
    "set",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("ref")
@click.option("--force", is_flag=True, help="Let a placeholder through.")
@about_a_vault
def set_(chosen: Chosen, ref: str, force: bool) -> None:
    """Set one value: from a pipe (one line break at its end is cut off), or typed twice, unseen.

    The rest of the file stays as it is. An encrypted file stays encrypted.
    """
    if click.get_current_context().args:
        raise click.UsageError(
            "set takes one REF and no value.\nIf a value was given, the shell's history has it now: change it where "
            "it came from, and pipe the new one in"
        )
    reference = source_of(ref, chosen, for_writing=True).reference
    stored = storing.set_value(chosen.folder, reference, value_for(reference), os.environ, placeholders=force)
    places = " and ".join(f"{chosen.folder.shown}/{file}" for file in stored.files)
    click.echo(f"{places}: {reference.key} {stored.outcome}")
    if stored.readable:
        mend = command(chosen.folder.shown, "encrypt", reference.file)
        click.echo(f"note: the vault is encrypted and this file is plain; {mend}", err=True)


@vault.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
@about_a_vault
def check_(chosen: Chosen, as_json: bool) -> None:
    """Name everything that is wrong, each with the mend. Exits 1 if there is a problem; notes are none.

    With a stack: whether the vault has all that the stack needs. Without one: whatever is there. Nobody is asked
    whether a value is right; `hotdash preflight` does that.
    """
    needs = needs_of(chosen.settings, _token_in_environment()) if chosen.settings else None
    findings = check(
        Vault(chosen.folder.root, chosen.folder.shown, placeholders=True),
        needs,
        placeholders=chosen.placeholders,
    )
    problems = [finding for finding in findings if finding.level is Level.PROBLEM]
    notes = [finding for finding in findings if finding.level is Level.NOTE]
    if as_json:
        answer = {
            "vault": chosen.folder.shown,
            "stack": chosen.stack or None,
            "problems": [_as_json(finding) for finding in problems],
            "notes": [_as_json(finding) for finding in notes],
        }
        click.echo(json.dumps(answer, indent=2))
    else:
        for line in _told(findings):
            click.echo(line)
        what = (
            f"all that stack {chosen.stack} needs is there"
            if chosen.stack
            else "nothing is wrong with what is there"
        )
        total = f"{_count(len(problems), 'problem')}, {_count(len(notes), 'note')}"
        ending = what + (f"; {_count(len(notes), 'note')}" if notes else "")
        click.echo(f"{chosen.folder.shown}/: {total if problems else ending}")
    raise SystemExit(1 if problems else 0)


@vault.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Every file; those that are encrypted are encrypted anew.")
@click.option("--keep-plain", is_flag=True, help="Leave the plain files where they are.")
@click.option("--force", is_flag=True, help="Do without the proof that you can decrypt what comes out.")
@about_a_vault
def encrypt(chosen: Chosen, files: tuple[str, ...], all_: bool, keep_plain: bool, force: bool) -> None:
    """Encrypt files for all recipients. A plain file is removed once the encrypted one was read back.

    A FILE that you name goes by its plain text, even where an encrypted one beside it differs.
    """
    if bool(files) == all_:
        raise click.UsageError("name the files to encrypt, or give --all")
    recipients.required(chosen.folder)
    named = [sealing.file_named(file, chosen.folder) for file in files] or chosen.folder.files()
    if not named:
        click.echo(f"{chosen.folder.shown}/: there is nothing to encrypt")
    failed = 0
    for file in named:
        try:
            done = sealing.encrypt_file(
                chosen.folder, file, os.environ, plain_wins=not all_, keep_plain=keep_plain, force=force
            )
        except VaultError as error:
            failed += 1
            click.echo(f"Error: {error}", err=True)
            continue
        anew = " anew" if done.again else ""
        line = (
            f"{chosen.folder.shown}/{done.file}: encrypted{anew} for {_count(done.recipients, 'recipient')}"
        )
        if done.plain_kept:
            line += f"; {file} is still there, {done.plain_kept}"
        elif not done.again:
            line += f"; {file} is gone"
        click.echo(line)
    if failed:
        raise click.ClickException(f"{_count(failed, 'file')} of {len(named)} could not be encrypted")


@vault.command("decrypt-to-stdout")
@click.argument("file")
@click.option("--show", is_flag=True, help="Print it even on a terminal.")
@about_a_vault
def decrypt_to_stdout(chosen: Chosen, file: str, show: bool) -> None:
    """Print what an encrypted file holds: THE VALUES, IN PLAIN. On a terminal only with --show."""
    name = sealing.file_named(file, chosen.folder)
    where = f"{chosen.folder.shown}/{name}{age.SUFFIX}"
    if not show and sys.stdout.isatty():
        raise VaultError(
            "this would show every value in the file on your screen",
            where=where,
            meaning="whoever looks over your shoulder, and your terminal's memory, would have them",
            remedy="pipe it to where it is needed, or add --show",
        )
    sealed = chosen.folder.read(name + age.SUFFIX)
    if sealed is None:
        plain = chosen.folder.read(name) is not None
        raise VaultError(
            "this file is not encrypted" if plain else "the vault file does not exist",
            where=f"{chosen.folder.shown}/{name}" if plain else where,
            remedy="it can be read as it is"
            if plain
            else f"`{command(chosen.folder.shown, 'check')}` tells what is there",
        )
    identity = age.find_identity(os.environ)
    if identity is None:
        raise VaultError(
            "there is no age identity to decrypt it with",
            where=where,
            remedy=age.how_to_get_an_identity(os.environ),
        )
    sys.stdout.buffer.write(age.unsealed(sealed, identity, where=where))


@vault.group("recipients", invoke_without_command=True)
@about_a_vault
def recipients_(chosen: Chosen) -> None:
    """List for whom the vault is encrypted; add some, remove some."""
    found = recipients.recipients(chosen.folder)
    identity = _identity_or_none()
    for text in found:
        mine = identity is not None and text in identity.recipients
        click.echo(f"{text}   (yours)" if mine else text)
    if not found:
        mend = command(chosen.folder.shown, "recipients", "add", "RECIPIENT")
        click.echo(f"{chosen.folder.shown}/: no recipients, so values are plain; {mend}", err=True)


@recipients_.command()
@click.argument("new", metavar="RECIPIENT...", nargs=-1, required=True)
@click.option("--comment", default="", help="Whose it is; goes into the line above.")
@about_a_vault
def add(chosen: Chosen, new: tuple[str, ...], comment: str) -> None:
    """Add recipients: age1…, or 'ssh-ed25519 …' as in a .pub file."""
    chosen.folder.make()
    added = recipients.add(chosen.folder, new, comment=comment)
    click.echo(
        f"{chosen.folder.shown}/{recipients.FILE}: {len(added)} added, {len(new) - len(added)} there already"
    )
    if added:
        click.echo(
            f"next: {command(chosen.folder.shown, 'encrypt', '--all')}   until then they can decrypt nothing"
        )


@recipients_.command()
@click.argument("old", metavar="RECIPIENT...", nargs=-1, required=True)
@about_a_vault
def remove(chosen: Chosen, old: tuple[str, ...]) -> None:
    """Remove recipients. They keep what they have seen, and what git's history has."""
    removed = recipients.remove(chosen.folder, old)
    click.echo(f"{chosen.folder.shown}/{recipients.FILE}: {len(removed)} removed")
    click.echo(
        f"next: {command(chosen.folder.shown, 'encrypt', '--all')}   keeps them out of what is encrypted from now on;\n"
        "      then change every value that they could read: docs/vault.md"
    )


@vault.command("fingerprint")
@click.argument("ref")
@about_a_vault
def fingerprint_(chosen: Chosen, ref: str) -> None:
    """Print a value's fingerprint as previews and the state have it. Asks the engine for the stack's key."""
    if chosen.project is None or chosen.settings is None:
        chosen_stack(None, project_root())  # says which there are
        return
    from hotdash.stack.values import value_of
    from hotdash.vault.stack_key import fingerprint_key

    source = source_of(ref, chosen)
    reading = Vault(chosen.folder.root, chosen.folder.shown, chosen.placeholders)
    value = value_of(reading, str(source), source)
    click.echo(f"{source} {fingerprint(value, fingerprint_key(chosen.stack, chosen.project))}")


def _token_in_environment() -> str:
    from hotdash.fly.token import ENVIRONMENT

    return next(
        (f"the environment has {name}" for name in ENVIRONMENT if os.environ.get(name, "").strip()), ""
    )


# What is shown


def _identity_or_none() -> age.Identity | None:
    try:
        return age.find_identity(os.environ)
    except HotdashError:
        return None


def _told(findings: Sequence[Finding]) -> list[str]:
    """Findings as text; what is wrong with several things is said once."""
    together: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.level, finding.said), []).append(finding)
    lines: list[str] = []
    for (level, said), same in together.items():
        mends = list(dict.fromkeys(finding.mend.strip("`") for finding in same))
        if len(same) == 1:
            lines.append(f"{level:<8} {_place(same[0])} {said}")
        else:
            lines.append(f"{level:<8} {said}:")
            lines += [f"           {_place(finding)}" for finding in same]
        lines += [f"  {'next' if mend == mends[0] else '':<6} {mend}" for mend in mends]
        lines.append("")
    return lines


def _place(finding: Finding) -> str:
    place = f"{finding.file}#{finding.key}" if finding.key else finding.file or "the vault"
    # Five parts of one URL are one thing to a reader.
    names = dict.fromkeys("POSTGRES_*" if n.startswith("POSTGRES_") else n for n in finding.needed_by)
    return f"{place} (for {', '.join(names)})" if set(names) - {finding.key} else place


def _as_json(finding: Finding) -> Mapping[str, Any]:
    named = asdict(finding)
    return {
        **{name: named[name] for name in ("kind", "file", "key", "said", "mend")},
        "neededBy": list(finding.needed_by),
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
