"""The sandbox's state as a person reads it: one table of machines, then secrets, faults and breaks."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.chatwoot.migrations import BY_VERSION

TASKS_SHOWN = 3
"""Of the one-off machines that are gone, the last ones."""
STYLES = {"started": "green", "passing": "green", "critical": "red", "stopped": "red", "failed": "red"}


def show_status(console: Console, status: Mapping[str, Any], broken: Sequence[str]) -> None:
    """Everything that `hotdash sandbox status` shows."""
    for app in status["apps"]:
        if app["url"] is None:
            continue
        console.print(
            Text.assemble((app["name"], "bold"), f"  {app['status']}  ", (app["url"], "cyan"), _health(app))
        )
        console.print(_machines(app))
        console.print(_secrets(app))
        for task in app["ended_tasks"][-TASKS_SHOWN:]:
            console.print(f"one-off   {task['id']} of {task['image']}: {_ended(task)}")
        if app["never_healthy"]:
            console.print("flag      never healthy: every answer is 500, whatever is changed")
        console.print()
    for fault in status["faults"]:
        left = "until cleared" if fault["count"] is None else f"{fault['count']} more"
        detail = f", {fault['ms']} ms" if fault["kind"] == "latency" else ""
        console.print(f"fault     {fault['kind']} on {fault['route']}{detail} ({left})")
    if status["pooler"]:
        console.print(f"pooler    {pooler_told(status['pooler'], status['settings']['fill_pools'])}")
    if status["settings"]["migration"]:
        console.print(f"migration {migration_told(status['settings']['migration'])}")
    if broken:
        console.print(
            f"broken    {', '.join(broken)} (by `break`; `mend` did not put it back, `pulumi up` may have)"
        )


def migration_told(told: Mapping[str, Any]) -> str:
    """What the sandbox was told to make of migrations."""
    parts = {
        "slow": "{:g} s each",
        "fail_at": "{} fails",
        "statement": "a statement of {:g} s in the last one",
        "memory_mb": "{:g} MB needed",
    }
    return ", ".join(text.format(told[name]) for name, text in parts.items() if name in told) or "as usual"


def known_migrations() -> list[tuple[str, str]]:
    """(version of Chatwoot, the migrations that came with it), of those that somebody may want to run."""
    return [
        (".".join(map(str, since)), ", ".join(f"{m.version} {m.name}" for m in found))
        for since, found in BY_VERSION
        if any(since)
    ]


def pooler_told(pooler: Mapping[str, Any] | None, filled: bool) -> str:
    """The pooler in a line."""
    full = "; machines hold all the connections that they may" if filled else ""
    if pooler is None:
        return f"off{full}"
    where = (
        f"on port {pooler['port']}" if pooler["running"] else "NOT RUNNING (see: hotdash sandbox logs server)"
    )
    return f"{pooler['mode']} pool of {pooler['size']}, {where}{full}"


def failing(machines: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with machines, a line each; from Fly's machine objects."""
    lines = []
    for machine in machines:
        group = (machine["config"].get("metadata") or {}).get("fly_process_group", "app")
        if machine["state"] != "started":
            lines.append(f"{group} machine {machine['id']} is {machine['state']}{_last_exit(machine)}")
        for check in machine.get("checks") or ():
            if check["status"] != "passing":
                output = check["output"].partition(" Output:")[0]
                lines.append(f"{group} machine {machine['id']}: check {check['status']}, {output}")
    return lines


def say(text: str) -> None:
    """Progress and hints; on standard error, so that output can be used."""
    click.echo(f"sandbox: {text}", err=True)


def relative(path: Path) -> str:
    """A path as short as it can be said from where one is."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _health(app: Mapping[str, Any]) -> Text:
    if any(machine["routable"] for machine in app["machines"]):
        return Text("  answers", style="green")
    return Text("  503: no machine passes its checks", style="red")


def _machines(app: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("group", "machine", "state", "memory", "checks", "not live"):
        table.add_column(heading, justify="right" if heading == "memory" else "left")
    for machine in sorted(app["machines"], key=lambda m: (m["group"], m["id"])):
        state = machine["state"] + (
            f" ({machine['restart_count']} restarts)" if machine["restart_count"] else ""
        )
        checks = Text("\n").join(
            Text(f"{c['status']} {_asked(c['output'])}".strip(), style=STYLES.get(c["status"], ""))
            for c in machine["checks"]
        )
        table.add_row(
            machine["group"],
            machine["id"],
            Text(state, style=STYLES.get(machine["state"], "yellow")),
            f"{machine['memory_mb']} MB",
            checks or Text("none" if machine["group"] != "web" else "not yet", style="dim"),
            ", ".join(machine["secrets_not_live"]),
        )
    return table


def _ended(task: Mapping[str, Any]) -> str:
    """How a one-off machine ended, and when."""
    when = f", {task['ended_at'].partition('.')[0].replace('T', ' ')} UTC"
    if task["exit_code"] is None:
        return f"destroyed{when}"
    if task["oom_killed"]:
        return f"killed for memory{when}"
    stopped = ", stopped by somebody" if task["requested_stop"] else ""
    return f"exit {task['exit_code']}{stopped}{when}"


def _asked(output: str) -> str:
    """What a check asked and what it got, out of the text that Fly keeps of it."""
    asked, _, answer = output.partition(" Output:")[0].rpartition(": ")
    path = re.search(r"HTTP (\S+) \w+://[^/]+(\S*)", asked)
    return f"{path[1]} {path[2]} {answer}" if path else answer


def _secrets(app: Mapping[str, Any]) -> str:
    stale = {name for machine in app["machines"] for name in machine["secrets_not_live"]}
    staged = (
        f", {len(stale)} not live on every machine: {', '.join(sorted(stale))}" if stale else ", all live"
    )
    return f"secrets   {len(app['secrets'])}, version {app['secrets_version']}{staged}"


def _last_exit(machine: Mapping[str, Any]) -> str:
    for event in machine.get("events") or ():
        exit_event = (event.get("request") or {}).get("exit_event")
        if exit_event:
            return ", killed for memory" if exit_event["oom_killed"] else f", exit {exit_event['exit_code']}"
    return ""
