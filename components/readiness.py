"""`chatwoot.Readiness`: the app answers from outside. Looked at in every preview, waited for after every rollout."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from components.connection import plain, speaks_plainly, tell
from components.provider import Provider, known
from hotdash.chatwoot import Answer, probe
from hotdash.drift import SAID, Drift, Kind
from hotdash.errors import ReadinessFailed
from hotdash.said import shown

INPUTS = ("app", "url", "path", "status", "timeout", "after")
PAUSE = 0.5
"""Seconds between two probes."""
LOOK = 5.0
"""Seconds that a preview waits for an answer."""


def drift(olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[Drift, ...]:
    """The answer as last read against the one that is wanted: none, where `ignore_changes` has put the one that came
    in its place."""
    if not isinstance(news["status"], int | float):
        return ()
    wanted = int(news["status"])
    answered = olds.get("answered")
    failing = str(olds.get("failing") or "")
    if answered is not None and int(answered) == wanted and not failing:
        return ()
    said = shown(str(olds.get("said") or ""), SAID)
    was, why = (f"answers {int(answered)}", said) if answered else (said or "no answer", "")
    if failing:
        was, why = f"{was} and says that {failing} fails", ""
    remedy = f"waits up to {float(news['timeout']):g} s for it"
    return (Drift(Kind.UNHEALTHY, f"{news['url']}{news['path']}", was, str(wanted), why, remedy),)


class ReadinessProvider(Provider):
    """Inputs: app, url, path, status, timeout (seconds), after (the ids of the groups' last rollouts).

    Outputs besides: answered (the status; absent: no answer), said, failing (what the app says of itself that fails).
    """

    @speaks_plainly
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["app"], _until_ready(props))

    @speaks_plainly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        answer = probe(props["url"], props["path"], timeout=LOOK)
        described = plain(props, *INPUTS)
        well = answer.status and not answer.failing
        described["status"] = answer.status if well else f"{answer} {answer.failing}".strip()
        return ReadResult(id_, {**props, **_outputs(answer)}, described)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaced = [] if olds["app"] == news["app"] else ["app"]
        moved = known(news.get("after")) is None or news["after"] != olds.get("after")
        asked_elsewhere = any(olds[key] != news[key] for key in ("url", "path"))
        return DiffResult(
            changes=bool(replaced or moved or asked_elsewhere or drift(olds, news)), replaces=replaced
        )

    @speaks_plainly
    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_until_ready(news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing was made."""


def look(props: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs as one probe gives them."""
    return _outputs(probe(props["url"], props["path"], timeout=LOOK))


def _until_ready(props: Mapping[str, Any]) -> dict[str, Any]:
    url, path, wanted = props["url"], props["path"], int(props["status"])
    began = told = time.monotonic()
    while True:
        answer = probe(url, path, timeout=LOOK)
        waited = time.monotonic() - began
        if answer.status == wanted and not answer.failing:
            tell(f"{url}{path} answers {wanted}")
            return {**plain(props, *INPUTS), **_outputs(answer)}
        if waited > float(props["timeout"]):
            raise ReadinessFailed(
                f"{url}{path} does not answer {wanted} after {waited:.0f} s: {answer}",
                where=f"app {props['app']}",
                meaning="the machines run as declared, but the app does not work from outside",
                remedy=f"see `fly logs -a {props['app']}`; is hotdash:app, url, the app's address?",
            )
        if time.monotonic() - told >= LOOK:
            told = time.monotonic()
            tell(f"waiting for {url}{path}, {waited:.0f} s: {answer}")
        time.sleep(PAUSE)


def _outputs(answer: Answer) -> dict[str, Any]:
    # What it said holds a time of day where all is well: kept, it would differ at every look.
    said = "" if answer.status == 200 else answer.said
    return {"answered": answer.status, "said": said, "failing": answer.failing}


class Readiness(Resource, module="chatwoot", name="Readiness"):
    """The app answers from outside."""

    def __init__(
        self,
        resource_name: str,
        *,
        app: str,
        url: str,
        path: str,
        status: int,
        timeout: float,
        after: Sequence[pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "app": app,
            "url": url,
            "path": path,
            "status": status,
            "timeout": timeout,
            # One text, so that it is unknown as a whole while any group moves.
            "after": pulumi.Output.all(*after).apply(lambda ids: " ".join(map(str, ids))),
        }
        super().__init__(ReadinessProvider(), resource_name, props, opts)
