"""A machine in a few plain words, and back: what is kept between two looks at it.

Left out is whatever may hold a credential (env, commands, files) and what changes though nothing differs. Of the env
there are the names, and of what looks like a credential the place where it stands: policies ask for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hotdash.fly.model import CheckResult, Exit, Guest, HttpCheck, Machine
from hotdash.fly.wire import parse_duration, parse_time, render_duration
from hotdash.literals import env_names, in_machine


def summarize(machine: Machine) -> dict[str, Any]:
    """Everything that `hotdash.drift` compares, as plain JSON."""
    return {
        "id": machine.id,
        "group": machine.group,
        "state": machine.state,
        "version": machine.instance_id,
        "versionAt": _text(machine.version_at),
        "updatedAt": _text(machine.updated_at),
        "image": machine.image,
        "guest": f"{machine.guest.cpu_kind} {machine.guest.cpus} {machine.guest.memory_mb}",
        "checks": [check_properties(check) for check in machine.checks],
        "results": [
            {
                "name": result.name,
                "status": result.status,
                # What a passing check was answered holds a time of day, and nobody needs it.
                "said": "" if result.status == "passing" else result.output,
                "since": _text(result.updated_at),
            }
            for result in machine.results
        ],
        "resultsExpected": machine.expected_results,
        "exits": [
            {"at": _text(ended.at), "code": ended.exit_code, "outOfMemory": ended.oom_killed}
            for ended in machine.exits
            if not ended.requested
        ],
        "host": machine.host_status,
        "standby": machine.standby,
        "autostop": machine.autostop,
        "env": list(env_names(machine.config)),
        "literals": list(in_machine(machine.config)),
    }


def restore(summary: Mapping[str, Any]) -> Machine:
    """The inverse of `summarize`, as far as it goes: no config, so nothing can be built from it, and no env."""
    cpu_kind, cpus, memory_mb = str(summary["guest"]).split()
    return Machine(
        id=str(summary["id"]),
        name="",
        group=str(summary["group"]),
        state=str(summary["state"]),
        region="",
        instance_id=str(summary["version"]),
        version_at=parse_time(summary.get("versionAt")),
        updated_at=parse_time(summary.get("updatedAt")),
        image=str(summary["image"]),
        guest=Guest(cpu_kind, int(cpus), int(memory_mb)),
        checks=tuple(check_from(check) for check in summary.get("checks") or ()),
        results=tuple(
            CheckResult(str(r["name"]), str(r["status"]), str(r["said"]), parse_time(r.get("since")))
            for r in summary.get("results") or ()
        ),
        expected_results=int(summary.get("resultsExpected") or 0),
        exits=tuple(
            Exit(parse_time(e.get("at")), int(e["code"]), bool(e["outOfMemory"]), requested=False)
            for e in summary.get("exits") or ()
        ),
        standby=bool(summary.get("standby")),
        autostop=bool(summary.get("autostop")),
        host_status=str(summary.get("host") or "ok"),
        config={},
    )


def check_properties(check: HttpCheck) -> dict[str, Any]:
    """An http check in the words of a stack's settings."""
    properties: dict[str, Any] = {
        "port": check.port,
        "path": check.path,
        "method": check.method,
        "interval": render_duration(check.interval),
        "timeout": render_duration(check.timeout),
        "gracePeriod": render_duration(check.grace_period),
    }
    if check.headers:
        properties["headers"] = dict(check.headers)
    return properties


def check_from(properties: Mapping[str, Any]) -> HttpCheck:
    """The inverse of `check_properties`. Raises KeyError, ValueError."""
    return HttpCheck(
        path=str(properties["path"]),
        port=int(properties["port"]),
        method=str(properties["method"]),
        interval=parse_duration(properties["interval"]),
        timeout=parse_duration(properties["timeout"]),
        grace_period=parse_duration(properties["gracePeriod"]),
        headers=tuple(sorted((properties.get("headers") or {}).items())),
    )


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
