"""What every call goes through: request id, token, faults, rate limits, its handler, the log, errors' bodies."""

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox import faults, regions, stamps
from sandbox.api import leases
from sandbox.api.auth import authenticate
from sandbox.api.calls import Answer, Call, Route
from sandbox.refusal import Refusal
from sandbox.requests import Entry
from sandbox.state import Fault

if TYPE_CHECKING:
    from sandbox.plant import Plant

log = logging.getLogger("sandbox.api")


class Endpoint:
    """One route, as Starlette calls it. The admin door's are not logged, limited or struck by faults."""

    def __init__(self, plant: "Plant", route: Route, admin: bool = False) -> None:
        self._plant = plant
        self._route = route
        self._admin = admin

    async def __call__(self, request: Request) -> Response:
        started, began = time.perf_counter(), stamps.rfc3339()
        request_id = stamps.request_id(regions.DEFAULT)
        struck: list[Fault] = []
        try:
            answer = await self._answer(request, struck)
        except Refusal as refusal:
            answer = Answer(refusal.status, {"error": refusal.text, "status": refusal.code}, refusal.headers)
        except ClientDisconnect:
            answer = Answer(499)
        except Exception:
            log.exception("%s %s failed", self._route.method, self._route.template)
            answer = Answer(500, {"error": "the sandbox failed; its log says why", "status": "unknown"})
        kind = struck[0].kind if struck else None
        reset = kind in ("reset-before", "reset-after")
        if not self._admin:
            self._plant.requests.add(
                Entry(
                    time=began,
                    method=request.method,
                    route=self._route.template,
                    path=request.url.path,
                    status=None if reset else answer.status,
                    ms=round((time.perf_counter() - started) * 1000, 2),
                    caller=request.headers.get("user-agent", ""),
                    request_id=request_id,
                    fault=kind,
                    operation=request.scope.get("operation"),
                )
            )
        if reset:
            await self._plant.reset_connection(request.client)
        return _response(answer, request_id)

    async def _answer(self, request: Request, struck: list[Fault]) -> Answer:
        plant, route = self._plant, self._route
        raw = await request.body()
        call = Call(
            plant, request, authenticate(plant.store.world, request.headers.get("authorization")), raw
        )
        if self._admin:
            return await route.handler(call)
        strike = faults.strike(plant.store.world.faults, route.method, route.template)
        if strike.spent:
            await plant.store.commit()
        if strike.ms:
            await asyncio.sleep(strike.ms / 1000)
        if strike.fault is not None:
            struck.append(strike.fault)
            if (refusal := faults.refusal(strike.fault)) is not None:
                raise refusal
            if strike.fault.kind == "reset-before":
                return Answer(500)
            if strike.fault.kind == "lease":
                await _lease_to_a_stranger(call, strike.fault)
        if plant.store.world.settings.rate_limits and route.action is not None:
            names = request.path_params
            plant.limits.take(
                route.action, names.get("machine") or names.get("app") or names.get("org") or ""
            )
        return await route.handler(call)


async def _lease_to_a_stranger(call: Call, fault: Fault) -> None:
    if "machine" in call.request.path_params:
        machines = [call.machine()]
    else:
        machines = list(call.app().active()) if "app" in call.request.path_params else []
    for machine in machines:
        if machine.live_lease() is None:
            leases.grant(machine, fault.owner, fault.ttl, "taken by a fault of the sandbox")
            await call.plant.lifecycle.changed(machine)


async def unknown_route(call: Call) -> Answer:
    raise Refusal(404, "not found")


def _response(answer: Answer, request_id: str) -> Response:
    content: Any = answer.body
    media_type = "application/json"
    if content is None:
        content = b""
    elif isinstance(content, str):
        media_type = "text/plain"
    else:
        content = json.dumps(content, separators=(",", ":"))
    headers = {"fly-request-id": request_id, **answer.headers}
    return Response(content, answer.status, headers, media_type if content else None)
