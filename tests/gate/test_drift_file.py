"""Drift passed from the program's process to the gate's."""

from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.drift import Drift, Kind
from hotdash.gate import drift_file
from hotdash.gate.drift_file import Told

drifts = st.builds(
    Drift,
    kind=st.sampled_from(Kind),
    subject=st.text(max_size=10),
    was=st.text(max_size=10),
    wants=st.text(max_size=10),
    why=st.text(max_size=10),
    remedy=st.text(max_size=10),
    since=st.none() | st.datetimes(timezones=st.just(UTC)),
    machine=st.text(max_size=10),
)
tolds = st.builds(
    Told,
    resource=st.text(max_size=10),
    drift=st.lists(drifts, max_size=3).map(tuple),
    notes=st.lists(st.text(max_size=10), max_size=3).map(tuple),
)


@given(told=st.lists(tolds, max_size=4))
def test_what_is_read_is_what_was_told(tmp_path_factory: pytest.TempPathFactory, told: list[Told]) -> None:
    file = tmp_path_factory.mktemp("told") / "drift"
    file.touch()
    for item in told:
        drift_file.append(str(file), item)
    assert drift_file.read(file) == tuple(told)


def test_a_file_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        drift_file.append(str(tmp_path / "gone"), Told("x", (), ()))
    assert list(tmp_path.iterdir()) == []
