"""What machines print, as Fly's older API gives it, which flyctl polls.

Nothing documents the call; its form is fly-go's (resource_logs.go). A token says how far each machine's log has been
read, so an old one gives the same lines again."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from sandbox.api.calls import Answer, Call, Route
from sandbox.refusal import bad_request

MOST_LINES = 500
"""Of one machine in one answer; the next one goes on behind them."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z\Z")


async def show(call: Call) -> Answer:
    """Whole lines behind `next_token`, the oldest first; of one machine (`instance`, one that is gone too) or of one
    region. Without a token from the beginning: what is kept of a log is all of it."""
    app, query = call.app(), call.query
    instance, region = query.get("instance", ""), query.get("region", "")
    read = _offsets(query.get("next_token", ""))
    found: list[tuple[str, dict[str, Any]]] = []
    for machine in app.machines.values():
        path = call.plant.lifecycle.host.log_path(machine.id)
        if path is None or (instance and machine.id != instance) or (region and machine.region != region):
            continue
        lines, read[machine.id] = _lines(path, read.get(machine.id, 0))
        stamp = machine.created_at
        for at, line in lines:
            stamp, text = _parts(line, stamp)
            found.append((stamp, _entry(machine.id, machine.region, at, stamp, text)))
    found.sort(key=lambda entry: entry[0])
    return Answer(200, {"data": [entry for _, entry in found], "meta": {"next_token": _token(read)}})


def _lines(path: Path, begin: int) -> tuple[list[tuple[int, str]], int]:
    """Whole lines from an offset on, each with its own, and the offset behind them."""
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read()
    except OSError:
        return [], begin
    lines, at = [], begin
    for raw in data[: data.rfind(b"\n") + 1].splitlines(keepends=True)[:MOST_LINES]:
        lines.append((at, raw.decode(errors="replace").rstrip("\r\n")))
        at += len(raw)
    return lines, at


def _parts(line: str, before: str) -> tuple[str, str]:
    """When, and what; a line of no time of its own (a traceback) has that of the one before."""
    stamp, _, text = line.partition(" ")
    return (stamp, text) if _STAMP.match(stamp) else (before, line)


def _token(read: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(read).encode()).decode()


def _offsets(token: str) -> dict[str, int]:
    if not token:
        return {}
    try:
        kept = json.loads(base64.urlsafe_b64decode(token))
        return {str(machine): max(int(at), 0) for machine, at in kept.items()}
    except (AttributeError, TypeError, ValueError):
        raise bad_request("invalid next_token") from None


def _entry(machine_id: str, region: str, at: int, stamp: str, text: str) -> dict[str, Any]:
    return {
        "id": hashlib.sha256(f"{machine_id}{at}".encode()).hexdigest()[:24],
        "type": "log",
        "attributes": {
            "timestamp": stamp,
            "message": text,
            "level": "info",
            "instance": machine_id,
            "region": region,
            "meta": {"instance": machine_id, "region": region, "event": {"provider": "app"}},
        },
    }


ROUTES = (Route("GET", "/api/v1/apps/{app}/logs", show),)
