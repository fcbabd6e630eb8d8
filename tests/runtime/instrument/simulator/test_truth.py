import json

import pytest

from runtime.errors import InputRefused
from runtime.instrument.simulator.truth import append, read_truth


@pytest.fixture
def exposures(make_world):
    world = make_world()
    return [world.expose(exposure_ms=1.0 + n) for n in range(3)]


def test_what_was_witnessed_is_read_back_exactly(exposures, tmp_path):
    for exposure in exposures:
        append(tmp_path / "truth.jsonl", exposure)
    assert read_truth(tmp_path / "truth.jsonl") == exposures


def test_a_line_cut_by_a_power_failure_is_no_entry(exposures, tmp_path):
    path = tmp_path / "truth.jsonl"
    for exposure in exposures:
        append(path, exposure)
    path.write_bytes(path.read_bytes()[:-20])
    assert read_truth(path) == exposures[:2]


def test_a_line_that_is_no_entry_is_refused_by_its_number(exposures, tmp_path):
    path = tmp_path / "truth.jsonl"
    append(path, exposures[0])
    for wrong in ("{", json.dumps({"time_s": 1.0}), "[]"):
        text = path.read_text().splitlines()[0] + "\n" + wrong + "\n"
        path.write_text(text)
        with pytest.raises(InputRefused, match=r"truth.jsonl:2: no entry"):
            read_truth(path)


def test_a_missing_witness_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="only simulated runs have one"):
        read_truth(tmp_path / "truth.jsonl")
