"""`hotdash sandbox migration` and `hotdash sandbox pooler`: what the app's database is like to whoever migrates it."""

from pathlib import Path
from typing import Any

import click

from sandbox import display, instance, seed
from sandbox.display import say
from sandbox.services import pgbouncer
from sandbox.services.endpoints import load_or_create


@click.command()
@click.option(
    "--slow", type=click.FloatRange(0), default=None, metavar="S", help="Each migration takes S seconds."
)
@click.option("--fail-at", default=None, metavar="V", help="The migration of version V fails in its middle.")
@click.option(
    "--memory",
    type=click.IntRange(0),
    default=None,
    metavar="MB",
    help="A one-off machine with less memory is killed in the middle of its last migration.",
)
@click.option(
    "--statement",
    type=click.FloatRange(0),
    default=None,
    metavar="S",
    help="One statement of the last migration takes S seconds; POSTGRES_STATEMENT_TIMEOUT may end it.",
)
@click.option("--reset", "anew", is_flag=True, help="As usual again: fast, and no failures.")
@click.pass_obj
def migration(
    directory: Path,
    slow: float | None,
    fail_at: str | None,
    memory: int | None,
    statement: float | None,
    anew: bool,
) -> None:
    """Say how the next `rails db:chatwoot_prepare` goes, and show what is said.

    It holds until --reset (or `hotdash sandbox reset`), for machines that are started from now on. What is migrated
    stays so. A further option adds to what was said; 0 takes one back."""
    running = instance.require(directory)
    given = {"slow": slow, "fail_at": fail_at, "memory_mb": memory, "statement": statement}
    said = {name: value for name, value in given.items() if value is not None}
    with running.client() as client:
        now: dict[str, Any] = client.status()["settings"]["migration"]
        if anew or said:
            body = {"migration": {**({} if anew else now), **said}}
            now = client.call("PUT", "/sandbox/settings", body)["migration"]
    click.echo(f"migrations: {display.migration_told(now)}")
    for version, names in display.known_migrations():
        click.echo(f"  v{version}  {names}")


@click.command()
@click.argument("mode", required=False, type=click.Choice(["session", "transaction", "off"]))
@click.option(
    "--size",
    type=click.IntRange(1),
    default=15,
    show_default=True,
    metavar="N",
    help="Connections in its pool.",
)
@click.option(
    "--fill/--no-fill",
    default=None,
    help="Machines hold all the connections that they may: RAILS_MAX_THREADS each (5), a worker SIDEKIQ_CONCURRENCY "
    "(10). Restarts them.",
)
@click.option(
    "--vault", is_flag=True, help="Let the vault's DATABASE_URL lead there; with `off`, back to Postgres."
)
@click.pass_obj
def pooler(directory: Path, mode: str | None, size: int, fill: bool | None, vault: bool) -> None:
    """Put a PgBouncer before Postgres, as hosted databases have one; without MODE, show what is there.

    session: a client has its connection for life, and one client more than N is refused. transaction: each
    transaction gets any connection, which Rails' migration lock does not survive. The app goes through it once its
    DATABASE_URL does: --vault, then pulumi up."""
    running = instance.require(directory)
    with running.client() as client:
        before = client.status()["pooler"]
        now, filled = before, client.status()["settings"]["fill_pools"]
        if mode:
            body: dict[str, Any] = {"mode": mode, "size": size}
            if fill is not None:
                body["fill"] = fill
            answer = client.call("PUT", "/sandbox/pooler", body)
            now, filled = answer["pooler"], answer["fill"]
        elif vault or fill is not None:
            raise click.UsageError("name the MODE: session, transaction or off")
    endpoints = load_or_create(directory)
    if vault:
        seed.point_vault(directory, pgbouncer.url(endpoints, now["port"]) if now else endpoints.database_url)
    click.echo(f"pooler      {display.pooler_told(now, filled)}")
    port = now["port"] if now else endpoints.postgres_port
    account = endpoints.chatwoot
    # The password is the one that the vault has.
    click.echo(
        f"URL         postgresql://{account.role}:…@{endpoints.postgres_host}:{port}/{account.database}"
    )
    leads = now and seed.vault_leads_to(directory, now["port"])
    if leads or vault:
        click.echo(f"vault       DATABASE_URL leads {'to the pooler' if leads else 'straight to Postgres'}")
    if now is None and before and not vault and seed.vault_leads_to(directory, before["port"]):
        say("the vault's DATABASE_URL still leads to the pooler: hotdash sandbox pooler off --vault")
    elif mode and vault:
        say("pulumi up gives it to the app")
