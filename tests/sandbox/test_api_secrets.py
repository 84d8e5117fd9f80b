"""Secrets: what can be read of them, versions, and when a machine has them."""

import re
from typing import Any

import pytest

from tests.sandbox.box import Box


def listed(box: Box, app: str) -> dict[str, dict[str, Any]]:
    return {secret["name"]: secret for secret in box.ok("GET", f"/v1/apps/{app}/secrets")["secrets"]}


def write(box: Box, app: str, **values: str | None) -> dict[str, Any]:
    answer: dict[str, Any] = box.ok("POST", f"/v1/apps/{app}/secrets", {"values": values})
    return answer


def test_bulk_writes_merge_and_null_removes(box: Box) -> None:
    app = box.app()
    write(box, app, KEPT="1", GONE="2")

    answer = write(box, app, GONE=None, NEVER_THERE=None, ADDED="3")

    assert [secret["name"] for secret in answer["secrets"]] == ["ADDED", "KEPT"]
    assert answer["version"] == answer["Version"]
    assert set(listed(box, app)) == {"ADDED", "KEPT"}


def test_digests_tell_equal_values_apart_from_others_and_never_the_value(box: Box) -> None:
    first, second = box.app(), box.app()
    write(box, first, A="the same value", B="another value")
    write(box, second, C="the same value")

    a, b, c = listed(box, first)["A"], listed(box, first)["B"], listed(box, second)["C"]

    assert re.fullmatch(r"[0-9a-f]{16}", a["digest"])
    assert a["digest"] == c["digest"] != b["digest"]
    text = box.call("GET", f"/v1/apps/{first}/secrets", params={"show_secrets": "true"}).text
    assert "the same value" not in text


def test_updated_at_moves_with_the_value_alone(box: Box) -> None:
    app = box.app()
    write(box, app, SAME="1", CHANGED="1")
    before = listed(box, app)

    write(box, app, SAME="1", CHANGED="2")

    after = listed(box, app)
    assert after["SAME"] == before["SAME"]
    assert after["CHANGED"]["updated_at"] > before["CHANGED"]["updated_at"]
    assert after["CHANGED"]["created_at"] == before["CHANGED"]["created_at"]
    assert after["CHANGED"]["digest"] != before["CHANGED"]["digest"]


def test_every_write_makes_the_version_one_greater(box: Box) -> None:
    app = box.app()
    versions = [
        write(box, app, A="1")["version"],
        write(box, app, A="1")["version"],
        write(box, app, BogusDummySecret_0a1b=None)["version"],
        box.ok("POST", f"/v1/apps/{app}/secrets/B", {"value": "2"})["version"],
        box.ok("DELETE", f"/v1/apps/{app}/secrets/B")["Version"],
    ]

    assert versions == list(range(versions[0], versions[0] + 5))


def test_one_secret_is_set_read_and_deleted(box: Box) -> None:
    app = box.app()
    answer = box.call("POST", f"/v1/apps/{app}/secrets/ONE", {"value": "x"})
    assert answer.status_code == 201

    shown = box.ok("GET", f"/v1/apps/{app}/secrets/ONE")

    assert shown == {key: answer.json()[key] for key in ("name", "digest", "created_at", "updated_at")}
    box.ok("DELETE", f"/v1/apps/{app}/secrets/ONE")
    box.refused(404, "GET", f"/v1/apps/{app}/secrets/ONE")


@pytest.mark.parametrize("name", ["1A", "A-B", "A B", "", "A=B", "Ä"])
def test_a_bad_name_is_refused_and_nothing_of_the_write_is_done(box: Box, name: str) -> None:
    app = box.app()

    text = box.refused(400, "POST", f"/v1/apps/{app}/secrets", {"values": {"GOOD": "1", name: "2"}})

    assert text == f'"{name}" is not a valid secret name'
    assert listed(box, app) == {}


@pytest.mark.parametrize("values", [None, [], {"A": 1}, {"A": {"b": "c"}}])
def test_values_of_a_wrong_type_are_refused(box: Box, values: object) -> None:
    box.refused(400, "POST", f"/v1/apps/{box.app()}/secrets", {"values": values})


def test_a_write_only_stages_until_the_machine_has_a_new_version(box: Box) -> None:
    app = box.app()
    write(box, app, A="old", GONE="1")
    machine = box.machine(app)

    def not_live() -> list[str]:
        found: list[str] = box.status(app)["machines"][0]["secrets_not_live"]
        return found

    assert not_live() == []
    version = write(box, app, A="new", GONE=None, ADDED="1")["version"]
    assert not_live() == ["A", "ADDED", "GONE"]

    box.ok("POST", f"{machine.path}/restart")
    machine.wait("started")
    box.ok("POST", f"{machine.path}/stop")
    machine.wait("stopped")
    box.ok("POST", f"{machine.path}/start")
    machine.wait("started")
    assert not_live() == ["A", "ADDED", "GONE"]

    machine.update(min_secrets_version=version)
    machine.wait("started")
    assert not_live() == []


def test_skip_secrets_leaves_them_out(box: Box) -> None:
    app = box.app()
    write(box, app, A="1")

    box.machine(app, skip_secrets=True)

    assert box.status(app)["machines"][0]["secrets_not_live"] == ["A"]


def test_a_secrets_version_that_is_not_there_yet_is_412(box: Box) -> None:
    app = box.app()
    version = write(box, app, A="1")["version"]
    machine = box.machine(app)
    before = machine.get()["instance_id"]

    body = {"config": machine.get()["config"], "min_secrets_version": version + 1}
    text = box.refused(412, "POST", machine.path, body)
    box.refused(412, "POST", f"/v1/apps/{app}/machines", body)

    assert f"min_secrets_version {version + 1} is not yet available" in text
    assert machine.get()["instance_id"] == before
