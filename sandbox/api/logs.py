"""What machines print, as Fly's older API gives it: flyctl polls it. A token says how far each log was read."""

import hashlib
import json
from pathlib import Path
from typing import Any

from sandbox.api.calls import Answer, Call, Route

MOST_LINES = 500
"""Of one answer."""


async def show(call: Call) -> Answer:
    app, query = call.app(), call.query
    wanted, region = query.get("instance", ""), query.get("region", "")
    begins = _begins(query.get("next_token", ""))
    found: list[tuple[str, dict[str, Any]]] = []
    for machine in app.machines.values():
        if (wanted and machine.id != wanted) or (region and machine.region != region):
            continue
        path = getattr(call.plant.lifecycle.host, "log_path", lambda _id: Path("/nonexistent"))(machine.id)
        lines, begins[machine.id] = _lines(path, begins.get(machine.id, 0))
        for number, line in lines:
            stamp, _, text = line.partition(" ")
            found.append((stamp, _entry(machine.id, machine.region, number, stamp, text)))
    found.sort(key=lambda item: item[0])
    return Answer(200, {"data": [entry for _, entry in found], "meta": {"next_token": json.dumps(begins)}})


def _lines(path: Path, begin: int) -> tuple[list[tuple[int, str]], int]:
    """Whole lines from an offset on, each with its own, and the offset behind them."""
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read()
    except OSError:
        return [], begin
    data = data[: data.rfind(b"\n") + 1]
    lines, at = [], begin
    for raw in data.splitlines(keepends=True)[:MOST_LINES]:
        lines.append((at, raw.decode(errors="replace").rstrip("\n")))
        at += len(raw)
    return lines, at


def _begins(token: str) -> dict[str, int]:
    try:
        return {str(id_): int(at) for id_, at in json.loads(token).items()}
    except (AttributeError, TypeError, ValueError):
        return {}


def _entry(machine_id: str, region: str, number: int, stamp: str, text: str) -> dict[str, Any]:
    return {
        "id": hashlib.sha256(f"{machine_id}{number}".encode()).hexdigest()[:24],
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
