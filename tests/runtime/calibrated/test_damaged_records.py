"""A record that cannot be what its name says is refused by its file."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.calibrated.loaded import stage_from_px
from runtime.calibrated.record import CalibrationRecord, latest, read_array
from runtime.errors import CalibrationRefused
from tests.untrusted import refused

GOOD: dict[str, Any] = {
    "kind": "camera-stage",
    "objective": "10x",
    "made": {"boot_id": "b", "monotonic_s": 1.0, "wall_s": 1.8e9},
    "values": {"m00": 0.5, "m01": 0.0, "m10": 0.0, "m11": 0.5, "pixel_size_um": 0.5},
    "uncertainties": {},
    "units": {},
    "acceptance": "any",
    "passed": True,
    "depends_on": "x",
    "files": {"flat": "a.npy"},
}


def record(**other: Any) -> CalibrationRecord:
    return CalibrationRecord.read(GOOD | other, source="test")


CONTENTS: dict[str, tuple[bytes | str, str]] = {
    "nothing": (b"", "cannot be read"),
    "bytes": (bytes(range(128, 256)), "not a text file"),
    "a list": ("[]", "holds no record"),
    "brackets": ("[" * 100_000, "cannot be read"),
    "digits": ('{"kind": ' + "9" * 5000 + "}", "cannot be read"),
    "NaN": (json.dumps(GOOD | {"values": {"m00": float("nan")}}), "a value is no number"),
    "another kind": (json.dumps(GOOD | {"kind": "dark"}), "than its name says; value dark-10x"),
    "another objective": (json.dumps(GOOD | {"objective": "20x"}), "than its name says"),
    "no time": (
        json.dumps(GOOD | {"made": {"boot_id": "", "monotonic_s": 1, "wall_s": 1}}),
        "made",
    ),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_a_damaged_record_is_named(tmp_path: Path, case: str) -> None:
    content, says = CONTENTS[case]
    path = tmp_path / "camera-stage-10x@2026.json"

    def read() -> object:
        return latest(tmp_path, kind="camera-stage", objective="10x")

    assert path.name in refused(path, content, read, refuse=CalibrationRefused, says=says)


def test_a_record_that_is_no_text_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "dark@2026.json").write_bytes(bytes(range(128, 256)))
    with pytest.raises(CalibrationRefused, match="remove the file and run the routine again"):
        latest(tmp_path, kind="dark")


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dark@2026.json")
    with pytest.raises(CalibrationRefused, match="is no plain file"):
        latest(tmp_path, kind="dark")


def test_a_failed_record_may_hold_what_is_no_number(tmp_path: Path) -> None:
    nothing = {"m00": float("nan")}
    failed = GOOD | {"passed": False, "values": nothing}
    (tmp_path / "camera-stage-10x@2026.json").write_text(json.dumps(failed))
    found = latest(tmp_path, kind="camera-stage", objective="10x")
    assert found is not None
    assert not found.passed


def saved(array: Any, **how: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **how)
    return buffer.getvalue()


ARRAYS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no array"),
    "cut": (saved(np.ones((9, 9)))[:-8], "promises 648 bytes, 640 follow"),
    "words": (saved(np.array([["x"]])), "holds no numbers"),
    "complex": (saved(np.ones((2, 2), complex)), "holds no numbers"),
    "objects": (saved(np.array([{}]), allow_pickle=True), "objects"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_a_damaged_array_is_named(tmp_path: Path, case: str) -> None:
    content, says = ARRAYS[case]

    def read() -> object:
        return read_array(record(), "flat", folder=tmp_path)

    says = rf"lost its array .*a\.npy.*{says}"
    refused(tmp_path / "a.npy", content, read, refuse=CalibrationRefused, says=says)


@pytest.mark.parametrize("name", ["../a.npy", "/dev/zero", "deeper/a.npy"])
def test_an_array_lies_beside_its_record_and_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(CalibrationRefused, match="it lies in another folder"):
        read_array(record(files={"flat": name}), "flat", folder=tmp_path)


MATRICES: dict[str, Callable[[dict[str, float]], object]] = {
    "lacks a value": lambda values: values.pop("m10"),
    "contradicts itself": lambda values: values.update(m00=0.0),
    "contradicts itself ": lambda values: values.update(m00=1e300, m11=1e300),
}


@pytest.mark.parametrize("says", MATRICES)
def test_a_matrix_that_is_none_is_refused(says: str) -> None:
    values = dict(GOOD["values"])
    MATRICES[says](values)
    with pytest.raises(CalibrationRefused, match=says.strip()):
        stage_from_px(record(values=values))
