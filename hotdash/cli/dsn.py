"""`hotdash dsn`: what a database URL is, read from a pipe or from the vault, and by which rules that is told.

A DSN is never taken as an argument: everyone on the machine can read those. So no message of click's own may repeat
one either.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

from hotdash.dsn import Explanation, MalformedDsn, Severity, explain
from hotdash.vault import Reference, Vault

DEFAULT_KEY: Final = "DATABASE_URL"
_DOTENV: Final = re.compile(r"\s*(?:#|(?:export\s+)?[A-Z][A-Z0-9_]*\s*=)")


class _Group(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            _refuse_if_dsn(ctx, args[0])
        return super().resolve_command(ctx, args)


@click.group(cls=_Group)
def dsn() -> None:
    """What a database URL is, and what Chatwoot makes of it. Asks no server."""


@dsn.command("explain", short_help="Explain a database URL of the vault or of a pipe.")
@click.argument("words", nargs=-1, metavar="[REF|-]")
@click.option(
    "--vault", "folder", default="vault", show_default=True, metavar="DIR", help="The vault's folder."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def explain_command(ctx: click.Context, words: tuple[str, ...], folder: str, as_json: bool) -> None:
    """Explain a database URL: parts, pooling, which database it is, what to migrate through, what is wrong with it.

    REF names a file of the vault and a key in it: occ/chatwoot/database_url.env#DATABASE_URL, which is the key where
    none is named. With - or a pipe the URL is read from stdin; on a terminal - asks for
    it, unseen. Its password is never shown.

    Exit: 0; 1 where it is no database URL or a finding is an error; 2 for a wrong call.
    """
    text = _read(ctx, words, folder)
    try:
        explanation = explain(text)
    except MalformedDsn as malformed:
        _tell_malformed(malformed, text, as_json)
    click.echo(_shown(explanation, as_json))
    ctx.exit(1 if explanation.worst is Severity.ERROR else 0)


@dsn.command("rules", short_help="Show the rules that `explain` goes by.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def rules_command(as_json: bool) -> None:
    """The rules that `explain` goes by, in their order: the first that fits tells."""
    from hotdash.dsn.rules import PROVIDERS, RULES

    if as_json:
        rows = [
            {
                "id": rule.id,
                "provider": rule.provider,
                "provider_title": PROVIDERS[rule.provider],
                "when": rule.when,
                "pooling": rule.pooling.value,
                "certainty": rule.certainty.value,
                "why": rule.why,
                "source": rule.source.where,
                "ground": rule.source.ground.value,
                "examples": rule.examples,
            }
            for rule in RULES
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    widest = max(len(rule.id) for rule in RULES)
    for rule in RULES:
        told = f"{rule.pooling:<11}  {rule.certainty:<7}"
        click.echo(f"{rule.id:<{widest}}  {told}  {rule.when.replace('`', '')}")
        click.echo(f"{'':<{widest}}  {rule.source}")


def _read(ctx: click.Context, words: tuple[str, ...], folder: str) -> str:
    for word in words:
        _refuse_if_dsn(ctx, word)
    if len(words) > 1:
        raise click.UsageError("one REF, or - for stdin", ctx)
    if words and words[0] != "-":
        try:
            reference = Reference.parse(words[0], default_key=DEFAULT_KEY)
        except ValueError as error:
            # The word is not repeated: it may be a value.
            raise click.UsageError(f"REF {error}", ctx) from None
        # A placeholder may be explained: nothing goes anywhere.
        return Vault(Path(folder), folder, placeholders=True).read(reference)
    if sys.stdin.isatty():
        if not words:
            raise click.UsageError("name a REF, pipe the URL in, or say - to be asked for it", ctx)
        return str(click.prompt("database URL (not shown)", hide_input=True, err=True))
    text = sys.stdin.buffer.read().decode("utf-8-sig", "replace")
    if not text.strip():
        raise click.ClickException("nothing came through the pipe\n  next   pipe one database URL in")
    return text


def _refuse_if_dsn(ctx: click.Context, word: str) -> None:
    if "://" in word or "=" in word.partition("#")[0]:
        raise click.UsageError(
            "a database URL is not taken as an argument: everyone on this machine can read those, and the shell keeps "
            "them\n"
            "  next   pipe it in (hotdash dsn explain -), or name where it lies in the vault; if this was a real one, "
            "take it out of the shell's history",
            ctx,
        )


def _tell_malformed(malformed: MalformedDsn, text: str, as_json: bool) -> NoReturn:
    remedy = malformed.remedy
    if _DOTENV.match(text):
        remedy = "this looks like a whole dotenv file: name it as REF, or pipe in the value alone"
    if as_json:
        click.echo(json.dumps({"malformed": {"reason": str(malformed), "remedy": remedy}}, indent=2))
        raise click.exceptions.Exit(1)
    raise click.ClickException(f"this is no database URL: {malformed}\n  next   {remedy}")


def _shown(explanation: Explanation, as_json: bool) -> str:
    if as_json:
        return json.dumps(explanation.as_json(), indent=2, ensure_ascii=False)
    return explanation.as_text(min(shutil.get_terminal_size((100, 24)).columns, 100))
