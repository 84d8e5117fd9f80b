"""Metadata: changed in place, no new version."""

from tests.sandbox.box import Box


def test_keys_are_set_read_and_removed_without_a_new_version(box: Box) -> None:
    machine = box.machine(box.app())
    instance = machine.get()["instance_id"]

    assert box.call("POST", f"{machine.path}/metadata/note", {"value": "x"}).status_code == 204
    assert box.ok("GET", f"{machine.path}/metadata/note") == {"value": "x"}
    assert box.ok("GET", f"{machine.path}/metadata")["note"] == "x"
    assert machine.get()["config"]["metadata"]["note"] == "x"
    assert box.call("DELETE", f"{machine.path}/metadata/note").status_code == 204
    box.refused(404, "GET", f"{machine.path}/metadata/note")
    assert machine.get()["instance_id"] == instance


def test_patch_merges_and_put_replaces(box: Box) -> None:
    machine = box.machine(box.app())
    box.ok("PATCH", f"{machine.path}/metadata", {"metadata": {"a": "1", "b": "2"}})

    box.ok("PATCH", f"{machine.path}/metadata", {"metadata": {"a": None, "b": "", "c": "3"}})

    found = box.ok("GET", f"{machine.path}/metadata")
    assert found["c"] == "3"
    assert found["fly_process_group"] == "web"
    assert not {"a", "b"} & found.keys()
    box.ok("PUT", f"{machine.path}/metadata", {"metadata": {"d": "4"}})
    assert box.ok("GET", f"{machine.path}/metadata") == {"d": "4"}


def test_a_stale_machine_version_is_412(box: Box) -> None:
    machine = box.machine(box.app())
    old = machine.get()["instance_id"]
    new = machine.update()["instance_id"]

    box.refused(412, "PATCH", f"{machine.path}/metadata", {"metadata": {"a": "1"}, "machine_version": old})

    assert "a" not in box.ok("GET", f"{machine.path}/metadata")
    box.ok("PATCH", f"{machine.path}/metadata", {"metadata": {"a": "1"}, "machine_version": new})


def test_wrong_types_are_400(box: Box) -> None:
    machine = box.machine(box.app())
    box.refused(400, "POST", f"{machine.path}/metadata/a", {"value": 1})
    box.refused(400, "PATCH", f"{machine.path}/metadata", {"metadata": ["a"]})
    box.refused(400, "PATCH", f"{machine.path}/metadata", {})
