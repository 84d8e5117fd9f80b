"""`hotdash sandbox`: bring the sandbox up and down, look at it, break it, mend it.

Each command parses and prints; the work is in instance.py, breaks/, shell.py and display.py. Those about migrations and
the pooler are in database_commands.py."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console

from sandbox import breaks, database_commands, display, instance, seed, shell
from sandbox.client import SandboxError
from sandbox.display import say


class Commands(click.Group):
    """Shows our own errors as click shows its own: one message, no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SandboxError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where the sandbox keeps everything (default: HOTDASH_SANDBOX_DIR, else .sandbox in the checkout).",
)
@click.pass_context
def sandbox(ctx: click.Context, directory: Path | None) -> None:
    """A Fly that runs on this machine: its API, its machines, a Postgres and a Redis, on 127.0.0.1."""
    ctx.obj = directory.absolute() if directory else instance.default_directory()


@sandbox.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=None,
    help=f"The API's port; the apps' follow (default: HOTDASH_SANDBOX_PORT, else {instance.DEFAULT_PORT}; "
    "0: free ones, kept).",
)
@click.pass_obj
def up(directory: Path, port: int | None) -> None:
    """Start the sandbox in the background and wait until its app answers. Seeds a new one; else all is as it was."""
    begun = time.monotonic()
    running = instance.find(directory)
    if running:
        say(f"already up (process {running.pid})")
    else:
        say(f"starting Postgres, Redis and the API in {display.relative(directory)}")
        running = instance.start(directory, instance.default_port() if port is None else port)
    if instance.ensure_seeded(running):
        say(f"seeding {seed.APP}: machines, secrets, the vault that fits them")
    _settle(running)
    say(f"ready after {time.monotonic() - begun:.1f} s")
    _introduce(running)


@sandbox.command()
@click.pass_obj
def down(directory: Path) -> None:
    """Stop the sandbox and everything it runs. Its state stays: `up` brings it back as it was."""
    if instance.stop(directory, say):
        say(f"down; its state stays in {display.relative(directory)}")
    else:
        say("nothing to stop: no sandbox runs there")


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
@click.pass_obj
def status(directory: Path, as_json: bool) -> None:
    """Show apps and URLs, machines and their checks, secrets that are not live, faults and breaks. Exits 1 if it is
    down."""
    running = instance.find(directory)
    if as_json:
        body: dict[str, Any] = {"running": running is not None, "directory": str(directory)}
        if running:
            with running.client() as client:
                body |= client.status()
            body |= {"pid": running.pid, "broken": breaks.active(directory)}
        click.echo(json.dumps(body, indent=2))
        raise SystemExit(0 if running else 1)
    if running is None:
        click.echo(f"down: no sandbox runs in {display.relative(directory)} (hotdash sandbox up)")
        raise SystemExit(1)
    with running.client() as client:
        found = client.status()
    # Into a file or a pipe nothing is cut to the width of a terminal that is not there.
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 200
    console.print(f"up        {running.url}, process {running.pid}, {display.relative(directory)}\n")
    display.show_status(console, found, breaks.active(directory))


@sandbox.command()
@click.pass_obj
def env(directory: Path) -> None:
    """Print what to evaluate so that plain `pulumi` and `fly` mean the sandbox: eval "$(hotdash sandbox env)"."""
    running = instance.require(directory)
    if not shell.ensure_stack(directory):
        say("no pulumi found, so the sandbox's stack is not made yet: make engine, then run this again")
    click.echo(shell.exports(shell.environment(running, os.environ.get("PATH", ""))), nl=False)


@sandbox.command(name="break")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Explain them all.")
@click.option("--secret", default="", metavar="NAME", help="For secret-…: this secret instead of the usual.")
@click.pass_obj
def break_(directory: Path, names: tuple[str, ...], listing: bool, secret: str) -> None:
    """Make troubles of the outage, as people made them by hand, and wait until they can be seen."""
    if listing or not names:
        _explain_breaks()
        if not listing:
            raise click.UsageError("name the trouble to make")
        return
    breaks.chosen(names)
    running = instance.require(directory)
    with running.client() as client:
        seen = breaks.make(client, directory, names, secret=secret)
        for name, evidence in zip(seen.names, seen.evidence, strict=True):
            click.echo(f"{name}: {evidence}")
        _tell_answer(client.app(seed.APP))
    mends = (
        "by hand: hotdash sandbox mend"
        if "never-healthy" in names
        else "pulumi up, or by hand: hotdash sandbox mend"
    )
    say(f"see it: pulumi preview; mend it: {mends}")


@sandbox.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.pass_obj
def mend(directory: Path, names: tuple[str, ...]) -> None:
    """Put back by hand what `break` did; without a name, all of it."""
    running = instance.require(directory)
    with running.client() as client:
        mended = breaks.mend(client, directory, names)
        click.echo(
            f"mended: {', '.join(mended)}" if mended else "nothing to mend: `break` made no such trouble"
        )
        _tell_answer(client.app(seed.APP))


@sandbox.command()
@click.argument("kind", required=False)
@click.option(
    "--route", default="*", help="`*`, a method, the end of a path (`secrets`), or both (`POST secrets`)."
)
@click.option(
    "--count", type=click.IntRange(0), default=1, show_default=True, help="How often; 0: until cleared."
)
@click.option("--skip", type=click.IntRange(0), default=0, help="Let so many calls pass first.")
@click.option("--ms", type=click.IntRange(0), default=None, help="Milliseconds of latency.")
@click.option("--retry-after", type=float, default=None, help="Seconds, for 429 and 503.")
@click.option("--ttl", type=float, default=None, help="Seconds that a foreign lease lasts.")
@click.option("--list", "listing", is_flag=True, help="Show the faults that are waiting to strike.")
@click.option("--clear", is_flag=True, help="Take all faults away.")
@click.pass_obj
def fault(
    directory: Path,
    kind: str | None,
    route: str,
    count: int,
    skip: int,
    ms: int | None,
    retry_after: float | None,
    ttl: float | None,
    listing: bool,
    clear: bool,
) -> None:
    """Make the API fail on purpose. KIND is latency, a status from 400 to 599, reset-before (nothing was done),
    reset-after (it was done), or lease (somebody else takes the machine's lease)."""
    running = instance.require(directory)
    with running.client() as client:
        if clear:
            client.call("DELETE", "/sandbox/faults")
            click.echo("no faults")
            return
        if not listing:
            if not kind:
                raise click.UsageError("name the KIND of fault, or give --list or --clear")
            body: dict[str, Any] = {"kind": kind, "route": route, "count": count or None, "skip": skip}
            body |= {
                k: v for k, v in (("ms", ms), ("retry_after", retry_after), ("ttl", ttl)) if v is not None
            }
            client.call("POST", "/sandbox/faults", body)
        found = client.call("GET", "/sandbox/faults")["faults"]
    for waiting in found:
        often = "until cleared" if waiting["count"] is None else f"{waiting['count']} times"
        click.echo(f"{waiting['kind']} on {waiting['route']}, {often}")
    if not found:
        click.echo("no faults")


@sandbox.command()
@click.option("--forget-stack", is_flag=True, help="Forget what Pulumi applied, too.")
@click.pass_obj
def reset(directory: Path, forget_stack: bool) -> None:
    """Back to the seeded world: apps, machines, secrets, vault, databases; no breaks, no faults."""
    running = instance.require(directory)
    instance.reset(running)
    if forget_stack:
        shell.forget_stack(directory)
    _settle(running)
    say("reset")


@sandbox.command()
@click.argument("machine", required=False)
@click.option(
    "--lines", "-n", type=click.IntRange(1), default=20, show_default=True, help="How many, of each."
)
@click.pass_obj
def logs(directory: Path, machine: str | None, lines: int) -> None:
    """Show the end of the logs: of every machine there is, of one (its id, or how it begins), of a group, or of
    server, postgres, redis, pgbouncer."""
    sources = _logs_of(directory, machine)
    if not sources:
        raise SandboxError(f"no log of {machine or 'any machine'} in {display.relative(directory / 'log')}")
    for title, path in sources:
        if len(sources) > 1:
            click.echo(f"== {title}")
        text = path.read_text(errors="replace") if path.exists() else ""
        click.echo("\n".join(text.splitlines()[-lines:]))


def _settle(running: instance.Running) -> None:
    with running.client() as client:
        if client.app(seed.APP) is None:
            say(f"there is no app {seed.APP}; `hotdash sandbox reset` brings it back")
            return
        say("waiting for the machines to boot and pass their checks")
        machines = seed.wait_until_settled(client, seed.APP, 60.0)
        for line in display.failing(machines):
            say(f"not well: {line}")
        broken = breaks.active(running.directory)
        if broken:
            say(f"broken before by `hotdash sandbox break`: {', '.join(broken)}")


def _introduce(running: instance.Running) -> None:
    directory = display.relative(running.directory)
    with running.client() as client:
        app = client.app(seed.APP)
    click.echo(f"Fly API     {running.url}   (token in {directory}/token)")
    if app:
        click.echo(f"{seed.APP}   {app['url']}   {_answer(app['url'])}")
    click.echo(f"vault       {directory}/vault")
    click.echo(
        "\nNext:\n"
        '  eval "$(.venv/bin/hotdash sandbox env)"    pulumi, hotdash and (after make flyctl) fly mean it\n'
        "  pulumi preview, pulumi up                  what differs from the stack file, and mend it\n"
        "  hotdash sandbox break outage               the outage again (break --list: what else can be broken)\n"
        "  hotdash sandbox status, down               look at it, stop it"
    )


def _tell_answer(app: dict[str, Any] | None) -> None:
    if app and app["url"]:
        click.echo(f"{app['url']}/api answers {_answer(app['url'])}")


def _answer(url: str) -> str:
    try:
        return str(httpx.get(f"{url}/api", trust_env=False, timeout=5.0).status_code)
    except httpx.HTTPError as error:
        return f"not ({type(error).__name__})"


def _explain_breaks() -> None:
    for entry in breaks.explain():
        click.echo(f"{entry.name}\n    {entry.trouble}\n    preview: {', '.join(entry.kinds)}")


def _logs_of(directory: Path, wanted: str | None) -> Sequence[tuple[str, Path]]:
    folder = directory / "log"
    if wanted in ("server", "postgres", "redis", "pgbouncer"):
        return [(wanted, folder / f"{wanted}.log")]
    found = []
    running = instance.find(directory)
    if running:
        with running.client() as client:
            for app in client.status()["apps"]:
                for machine in sorted(app["machines"], key=lambda m: (m["group"], m["id"])):
                    if wanted is None or machine["group"] == wanted or machine["id"].startswith(wanted):
                        title = f"{app['name']} {machine['group']} {machine['id']}"
                        found.append((title, folder / f"{machine['id']}.log"))
    if not found and wanted:
        # A machine that is gone, or a sandbox that is down.
        found = [(path.stem, path) for path in sorted(folder.glob(f"{wanted}*.log"))]
    return found


sandbox.add_command(database_commands.migration)
sandbox.add_command(database_commands.pooler)

if __name__ == "__main__":
    sandbox()
