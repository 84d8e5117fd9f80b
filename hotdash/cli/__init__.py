"""The `hotdash` command. A command parses and prints; what it does lives in the library."""

from __future__ import annotations

import importlib
from typing import Final

import click

from hotdash.errors import HotdashError

LOADED_WHEN_CALLED: Final = {
    "dsn": (
        "hotdash.cli.dsn",
        "dsn",
        "What a database URL is, and what Chatwoot makes of it.",
    ),
    "gate": (
        "hotdash.cli.gate",
        "gate",
        "What stands against merging: drift, and what policies refuse.",
    ),
    "migrate": (
        "hotdash.cli.migrate",
        "migrate",
        "Migrate Chatwoot's schema by hand, or end a run that was left.",
    ),
    "preflight": (
        "hotdash.cli.preflight",
        "preflight",
        "Try every credential of a stack from here, writing nothing.",
    ),
    "sandbox": ("sandbox.cli", "sandbox", "A Fly on this machine, to try things out on."),
    "vault": ("hotdash.cli.vault", "vault", "The folder of credentials: check it, set values, encrypt it."),
}
"""Commands, each loaded when it is called: name to module, attribute and a line of help. That of the sandbox belongs to
a package that the library does not see."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LOADED_WHEN_CALLED])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LOADED_WHEN_CALLED:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = LOADED_WHEN_CALLED[cmd_name]
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as missing:
            raise click.ClickException(
                f"`hotdash {cmd_name}` needs packages that are not installed, {missing.name} among them\n"
                f"  next   in a checkout: make setup; else: pip install 'hotdash-chatwoot[{cmd_name}]'"
            ) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            if name in LOADED_WHEN_CALLED:
                rows.append((name, LOADED_WHEN_CALLED[name][2]))
            elif command := super().get_command(ctx, name):
                rows.append((name, command.get_short_help_str(80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except HotdashError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hotdash-chatwoot", prog_name="hotdash")
def main() -> None:
    """Chatwoot on Fly.io, declared: what drifted is seen by `pulumi preview` and mended by `pulumi up`."""
