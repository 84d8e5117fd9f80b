"""The rollout: its order, what it does when answers are lost or a machine does not come up, and what it leaves."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from hotdash.drift import DeclaredGroup, Drift, Kind, group_drift
from hotdash.errors import Conflict, FlyError, LeaseHeld, RolloutFailed, TokenRefused
from hotdash.fly.client import Fly
from hotdash.fly.model import HttpCheck
from hotdash.fly.rollout import Rollout
from hotdash.fly.token import Token
from hotdash.plan import Action, GroupPlan, Move, RolloutSettings, plan_group
from tests.hotdash.scripted import NEW, OLD, OTHER, Script, as_machine, body, ended, result
from tests.hotdash.strategies import NOW
from tests.sandbox.box import Box, Machine, web_config

SETTINGS = RolloutSettings(health_timeout=5, start_timeout=5, settle=0.1, lease_wait=0, poll=0.02)
CHECK = HttpCheck("/api", 3000, "get", 2.0, 2.0, 1.0)
DECLARED = DeclaredGroup("web", None, "shared", 1, 2048, CHECK, None)
UPDATE = "POST /v1/apps/{app}/machines/{machine}"
CREATE = "POST /v1/apps/{app}/machines"


class Scene:
    """One app on a sandbox of the test's own, and a rollout of its group `web`."""

    def __init__(self, box: Box, machines: int) -> None:
        self.box = box
        self.app = box.app()
        self.fly = Fly(Token(box.token, "a test"), base_url=box.url)
        self.machines = [box.machine(self.app) for _ in range(machines)]
        self.before = self.versions()
        self.told: list[str] = []
        box.call("POST", "/sandbox/requests/clear")

    def run(self, declared: DeclaredGroup = DECLARED, settings: RolloutSettings = SETTINGS) -> GroupPlan:
        machines = self.fly.machines(self.app)
        plan = plan_group(declared, machines, group_drift(declared, machines, {}, now=NOW))
        self.rollout(declared, machines, settings).run(plan)
        return plan

    def rollout(
        self, declared: DeclaredGroup, machines: Any, settings: RolloutSettings = SETTINGS
    ) -> Rollout:
        version = self.fly.write_secrets(self.app, {"STAGED": "1"}).version
        return Rollout(
            self.fly,
            self.app,
            declared,
            (),
            machines,
            min_secrets_version=version,
            settings=settings,
            progress=self.told.append,
        )

    def fault(self, kind: str, route: str, **options: Any) -> None:
        self.box.ok("POST", "/sandbox/faults", {"kind": kind, "route": route, **options})

    def status(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.box.status(self.app)["machines"]
        return found

    def versions(self) -> dict[str, str]:
        return {machine["id"]: machine["instance_id"] for machine in self.status()}

    def made(self, machine_id: str) -> int:
        """How many versions a machine has had."""
        return len(self.box.ok("GET", f"/v1/apps/{self.app}/machines/{machine_id}/versions"))

    def calls(self) -> list[tuple[str, str]]:
        """What was asked about machines: a verb and the machine's number, in order."""
        numbers = {machine.id: str(number) for number, machine in enumerate(self.machines)}
        verbs = {
            ("POST", "/lease"): "lease",
            ("DELETE", "/lease"): "release",
            ("POST", ""): "update",
            ("POST", "/start"): "start",
            ("DELETE", ""): "destroy",
            ("GET", ""): "look",
        }
        found = []
        for entry in self.box.ok("GET", "/sandbox/requests")["requests"]:
            id_, slash, rest = entry["path"].partition(f"/apps/{self.app}/machines/")[2].partition("/")
            if id_ in numbers:
                found.append((verbs.get((entry["method"], slash + rest), "other"), numbers[id_]))
        return found

    def expect_no_leases(self) -> None:
        assert [machine["lease"] for machine in self.status()] == [None] * len(self.status())


@pytest.fixture
def scene(own_box: Box) -> Iterator[Callable[[int], Scene]]:
    scenes: list[Scene] = []

    def make(machines: int) -> Scene:
        scenes.append(Scene(own_box, machines))
        return scenes[-1]

    yield make
    for made in scenes:
        made.fly.close()


# All goes well


def test_each_machine_gets_one_new_version_with_what_is_declared_and_staged(
    scene: Callable[[int], Scene],
) -> None:
    web = scene(3)
    web.run()
    for machine in web.status():
        assert machine["memory_mb"] == 2048
        assert machine["secrets_not_live"] == []
        assert web.made(machine["id"]) == 2
    web.expect_no_leases()
    assert web.run().moves == ()


def test_leases_come_first_then_one_machine_alone_then_a_share_at_a_time(
    scene: Callable[[int], Scene],
) -> None:
    web = scene(5)
    web.run(settings=replace(SETTINGS, max_unavailable=2))
    calls = [call for call in web.calls() if call[0] != "other"]
    leased = [verb for verb, _ in calls].index("update")
    assert sorted(number for verb, number in calls[:leased] if verb == "lease") == list("01234")
    assert all(verb == "lease" for verb, _ in calls[:leased])

    updates = [index for index, (verb, _) in enumerate(calls) if verb == "update"]
    first = calls[updates[0]][1]
    alone = calls[updates[0] + 1 : updates[1]]
    assert alone
    assert {number for _, number in alone} == {first}
    # From then on never more than two are between their update and the last look at them.
    ends = {number: max(i for i, call in enumerate(calls) if call == ("look", number)) for number in "01234"}
    begins = {calls[index][1]: index for index in updates}
    for index in range(len(calls)):
        moving = [number for number in "01234" if begins[number] < index < ends[number]]
        assert len(moving) <= 2
    assert [verb for verb, _ in calls[-5:]] == ["release"] * 5


def test_what_is_only_stopped_is_only_started(scene: Callable[[int], Scene]) -> None:
    web = scene(2)
    stopped = web.machines[0]
    web.box.ok("POST", f"{stopped.path}/stop")
    stopped.wait("stopped", instance_id=web.before[stopped.id])
    web.run(replace(DECLARED, memory_mb=None))
    assert stopped.state() == "started"
    assert web.versions() == web.before
    web.expect_no_leases()


def test_what_is_missing_is_made_and_what_is_too_much_goes_last(scene: Callable[[int], Scene]) -> None:
    web = scene(1)
    web.run(replace(DECLARED, count=3))
    assert len(web.status()) == 3
    assert {machine["memory_mb"] for machine in web.status()} == {2048}
    web.machines = [Machine(web.box, web.app, machine["id"]) for machine in web.status()]
    web.box.call("POST", "/sandbox/requests/clear")
    web.run(replace(DECLARED, count=1, memory_mb=1024))
    assert [machine["memory_mb"] for machine in web.status()] == [1024]
    verbs = [verb for verb, _ in web.calls()]
    assert verbs.count("destroy") == 2
    assert verbs.index("destroy") > max(
        index for index, verb in enumerate(verbs) if verb in ("update", "look")
    )
    web.expect_no_leases()


def test_a_plan_without_moves_asks_nothing(scene: Callable[[int], Scene]) -> None:
    web = scene(1)
    rollout = web.rollout(DECLARED, ())
    web.box.call("POST", "/sandbox/requests/clear")
    rollout.run(GroupPlan("web", ()))
    assert web.calls() == []


def test_what_changed_after_the_plan_is_built_upon(scene: Callable[[int], Scene]) -> None:
    web = scene(1)
    machines = web.fly.machines(web.app)
    plan = plan_group(DECLARED, machines, group_drift(DECLARED, machines, {}, now=NOW))
    web.machines[0].update(web_config(env={"SET": "by somebody else"}))
    web.rollout(DECLARED, machines).run(plan)
    config = web.machines[0].get()["config"]
    assert config["env"] == {"SET": "by somebody else"}
    assert config["guest"]["memory_mb"] == 2048


# Answers are lost


@pytest.mark.parametrize("kind", ["reset-before", "reset-after", "500", "429"])
def test_an_update_is_done_once_whatever_became_of_its_answer(
    scene: Callable[[int], Scene], kind: str
) -> None:
    web = scene(3)
    web.fault(kind, UPDATE, count=2)
    web.run()
    assert {web.made(machine.id) for machine in web.machines} == {2}
    assert {machine["memory_mb"] for machine in web.status()} == {2048}
    web.expect_no_leases()


@pytest.mark.parametrize("kind", ["reset-before", "reset-after", "500"])
def test_as_many_machines_are_made_as_lack_though_all_answers_are_lost(
    scene: Callable[[int], Scene], kind: str
) -> None:
    web = scene(1)
    web.fault(kind, CREATE, count=3)
    web.run(replace(DECLARED, count=4), replace(SETTINGS, max_unavailable=3))
    assert len(web.status()) == 4
    assert {machine["memory_mb"] for machine in web.status()} == {2048}


def test_a_start_whose_answer_is_lost_is_waited_for(scene: Callable[[int], Scene]) -> None:
    web = scene(1)
    stopped = web.machines[0]
    web.box.ok("POST", f"{stopped.path}/stop")
    stopped.wait("stopped", instance_id=web.before[stopped.id])
    web.fault("reset-after", f"{UPDATE}/start")
    web.run(replace(DECLARED, memory_mb=None))
    assert stopped.state() == "started"


# Somebody else is there


def test_under_anothers_lease_nothing_is_changed(scene: Callable[[int], Scene]) -> None:
    web = scene(3)
    web.machines[2].lease()
    with pytest.raises(LeaseHeld) as caught:
        web.run()
    assert caught.value.meaning.startswith("nothing was changed")
    assert web.versions() == web.before
    assert [machine["lease"] for machine in web.status()].count(None) == 2


# A machine does not come up


def test_an_image_that_cannot_be_pulled_stops_the_rollout_at_the_first(scene: Callable[[int], Scene]) -> None:
    web = scene(3)
    with pytest.raises(RolloutFailed, match="went back to another version") as caught:
        web.run(replace(DECLARED, image="chatwoot/chatwoot:missing"))
    assert caught.value.meaning == (
        "the machine has its previous config back; 2 others of the group were not touched"
    )
    assert len([call for call in web.calls() if call[0] == "update"]) == 1
    assert web.versions() == web.before
    web.expect_no_leases()


@pytest.mark.parametrize("share", [1, 2])
def test_a_failure_later_on_leaves_the_rest_untouched(scene: Callable[[int], Scene], share: int) -> None:
    web = scene(5)
    web.fault("422", UPDATE, skip=1, count=5)
    with pytest.raises(FlyError, match="Fly answered 422") as caught:
        web.run(settings=replace(SETTINGS, max_unavailable=share))
    assert [machine["memory_mb"] for machine in web.status()].count(2048) == 1
    begun = len([call for call in web.calls() if call[0] == "update"])
    assert begun <= 1 + share
    assert f"{5 - begun} others of the group were not touched" in caught.value.meaning
    web.expect_no_leases()


class Failing(Script):
    """One machine, scripted: what is asked of it is kept, and answered as a test says."""

    def __init__(self, *scenes: tuple[float, dict[str, Any]], updates: Sequence[Any] = ()) -> None:
        self._updates = list(updates)
        self.sent: list[dict[str, Any]] = []
        super().__init__(*scenes, others=self._answer_write)

    def _answer_write(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/lease"):
            return httpx.Response(201, json={"data": {"nonce": "n1", "version": OLD, "expires_at": 5}})
        if request.method == "DELETE":
            return httpx.Response(200, json={})
        self.sent.append(
            {**json.loads(request.content), "nonce": request.headers.get("fly-machine-lease-nonce")}
        )
        answer = self._updates.pop(0) if self._updates else httpx.Response(200, json=body(state="replacing"))
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx.Response)
        return answer

    def run(self, *moves: Move, reasons: tuple[Kind, ...] = (Kind.MACHINE_MEMORY,)) -> None:
        machine = as_machine(body(OLD, checks=[result("passing", -60)]))
        settings = RolloutSettings(health_timeout=10, start_timeout=20, settle=1, poll=0.25)
        plan = GroupPlan("web", moves or (Move(Action.UPDATE, machine, reasons),))
        declared = replace(DECLARED, check=None)
        Rollout(
            self.fly,
            "a",
            declared,
            (),
            [machine],
            min_secrets_version=7,
            settings=settings,
            progress=self.told.append,
            clock=self.clock,
        ).run(plan)

    def given_back(self) -> bool:
        return [r.method for r in self.asked if r.url.path.endswith("/lease")][-1] == "DELETE"


def test_a_machine_that_does_not_come_up_gets_its_previous_config_back() -> None:
    script = Failing((0, body(OLD)), (0.1, body()), (5, body(events=[ended(5, exit_code=1)])))
    with pytest.raises(RolloutFailed, match="exit code 1") as caught:
        script.run()
    update, back = script.sent
    assert (update["current_version"], update["nonce"], update["min_secrets_version"]) == (OLD, "n1", 7)
    assert update["config"]["guest"]["memory_mb"] == 2048
    assert back == {"config": body()["config"], "current_version": NEW, "nonce": "n1"}
    assert caught.value.meaning == "the machine has its previous config back"
    assert script.given_back()


def test_where_only_secrets_differ_it_is_said_that_they_stay() -> None:
    script = Failing((0, body(OLD)), (0.1, body(events=[ended(5, exit_code=1)])))
    with pytest.raises(RolloutFailed) as caught:
        script.run(reasons=(Kind.SECRET_NOT_LIVE,))
    assert "runs with the secrets that are staged now" in caught.value.meaning


def test_a_config_that_cannot_be_given_back_is_told_with_the_first_failure() -> None:
    no = httpx.Response(422, json={"error": "no room"})
    script = Failing(
        (0, body(OLD)),
        (0.1, body(events=[ended(5, exit_code=1)])),
        updates=[httpx.Response(200, json=body()), no],
    )
    with pytest.raises(RolloutFailed, match="exit code 1") as caught:
        script.run()
    assert (
        caught.value.meaning == "and its previous config could not be given back: Fly answered 422: no room"
    )
    assert script.given_back()


def test_secrets_that_a_host_cannot_serve_yet_are_waited_for() -> None:
    not_yet = httpx.Response(412, json={"error": "min_secrets_version 7 is not yet available"})
    script = Failing((0, body(checks=[result("passing", 1)])), updates=[not_yet, not_yet])
    script.run()
    assert len(script.sent) == 3
    assert 6 <= script.seconds <= 8
    for_ever = Failing((0, body(OLD)), updates=[not_yet] * 9)
    with pytest.raises(Conflict, match="not yet available"):
        for_ever.run()
    assert for_ever.given_back()


@pytest.mark.parametrize("status", [400, 409, 422])
def test_an_update_that_fly_refuses_is_not_tried_again(status: int) -> None:
    script = Failing((0, body(OLD)), updates=[httpx.Response(status, json={"error": "no"})] * 9)
    with pytest.raises(FlyError) as caught:
        script.run()
    assert caught.value.status == status
    assert len(script.sent) == 1
    assert script.given_back()


def test_a_conflict_after_a_lost_answer_may_be_with_ourselves() -> None:
    # The first write is done only after Fly was asked whether it was; the second one meets it.
    lost, conflict = (
        httpx.ReadError("reset"),
        httpx.Response(412, json={"error": "current_version does not match"}),
    )

    class Late(Failing):
        def _answer(self, request: httpx.Request) -> httpx.Response:
            answer = super()._answer(request)
            if request.method == "GET" and len(self.sent) == 2:
                shown = body(checks=[result("passing", 1)])
                shown["config"]["metadata"] = self.sent[0]["config"]["metadata"]
                return httpx.Response(200, json=shown)
            return answer

    script = Late((0, body(OLD)), updates=[lost, conflict])
    script.run()
    assert len(script.sent) == 2
    foreign = Failing((0, body(OLD)), (0.1, body(OTHER)), updates=[lost, conflict])
    with pytest.raises(Conflict):
        foreign.run()


def test_a_write_whose_every_answer_is_lost_ends_with_that() -> None:
    script = Failing((0, body(OLD)), updates=[httpx.ReadError("reset")] * 9)
    with pytest.raises(FlyError, match="broke the connection"):
        script.run()
    assert len(script.sent) == 4
    assert script.given_back()


def test_a_new_machine_that_does_not_come_up_is_destroyed_again() -> None:
    new = {**body(), "id": "m2"}
    script = Failing((0, {**new, "events": [ended(5, exit_code=1)]}), updates=[httpx.Response(200, json=new)])
    with pytest.raises(RolloutFailed, match="exit code 1") as caught:
        script.run(Move(Action.CREATE, None, (Kind.MACHINE_COUNT,)))
    assert caught.value.meaning == "the new machine was destroyed again"
    assert [r.url.path for r in script.asked if r.method == "DELETE"] == [
        "/v1/apps/a/machines/m2",
        "/v1/apps/a/machines/m2/lease",
    ]


def test_a_new_machine_that_cannot_be_destroyed_again_is_told_with_the_first_failure() -> None:
    new = {**body(), "id": "m2"}

    class Stubborn(Failing):
        def _answer_write(self, request: httpx.Request) -> httpx.Response:
            if request.method == "DELETE" and request.url.path.endswith("/m2"):
                return httpx.Response(401, json={"error": "revoked"})
            return super()._answer_write(request)

    script = Stubborn(
        (0, {**new, "events": [ended(5, exit_code=1)]}), updates=[httpx.Response(200, json=new)]
    )
    with pytest.raises(RolloutFailed, match="exit code 1") as caught:
        script.run(Move(Action.CREATE, None, (Kind.MACHINE_COUNT,)))
    assert (
        caught.value.meaning == "and the new machine could not be destroyed again: Fly answered 401: revoked"
    )


def test_any_error_says_how_many_were_not_touched() -> None:
    refused = httpx.Response(401, json={"error": "revoked"})
    script = Failing((0, body(OLD)), updates=[refused])
    machines = [as_machine({**body(OLD), "id": f"m{number}"}) for number in range(3)]
    with pytest.raises(TokenRefused) as caught:
        script.run(*(Move(Action.UPDATE, machine, (Kind.IMAGE,)) for machine in machines))
    assert caught.value.meaning.endswith("; 2 others of the group were not touched")
    assert len(script.sent) == 1


def test_what_is_told_names_group_machine_and_reason() -> None:
    script = Failing((0, body(checks=[result("passing", 1)])))
    script.run(reasons=(Kind.MACHINE_MEMORY, Kind.SECRET_NOT_LIVE))
    assert script.told[0] == "web: machine 1 of 1 (m1): updating for machine-memory, secret-not-live"


def test_the_drift_of_the_plan_is_the_drift_that_is_shown(scene: Callable[[int], Scene]) -> None:
    web = scene(2)
    found: tuple[Drift, ...] = group_drift(DECLARED, web.fly.machines(web.app), {}, now=NOW)
    plan = web.run()
    assert [move.machine.id for move in plan.moves if move.machine] == [item.machine for item in found]
