"""Flat-field correction: exact, safe on dead pixels, refused when it does not fit."""

import numpy as np
import pytest

from runtime.calibrated.correct import Corrector, NoCorrection
from runtime.calibrated.record import CalibrationRecord
from runtime.errors import CalibrationRefused
from runtime.instant import Instant


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_it_is_the_rounded_quotient(dtype):
    rng = np.random.default_rng(0)
    dark, flat = rng.uniform(3, 9, (40, 50)), rng.uniform(0.5, 1.5, (40, 50))
    pixels = rng.integers(0, np.iinfo(dtype).max, (40, 50), dtype=dtype, endpoint=True)
    corrected = Corrector(dark, flat).apply(pixels)
    exact = (pixels - dark) / (flat / flat.mean())
    assert corrected.dtype == dtype
    expected = np.clip(exact, 0, np.iinfo(dtype).max)
    assert np.abs(corrected - expected).max() <= 0.51


def test_an_empty_slide_keeps_its_mean_above_dark():
    y, x = np.mgrid[-1:1:60j, -1:1:80j]
    flat = 1 - 0.3 * (x**2 + y**2)
    raw = (64 + 2000 * flat / flat.mean()).round().astype(np.uint16)
    corrected = Corrector(np.full(flat.shape, 64.0), 7 * flat).apply(raw)
    assert corrected.min() >= 1999
    assert corrected.max() <= 2001


def test_dead_pixels_pass_without_gain():
    dark, flat = np.full((4, 4), 10.0), np.ones((4, 4))
    flat[0, 0], flat[1, 1], flat[2, 2], flat[2, 3] = 0.0, np.nan, 0.001, -1.0
    dark[3, 3] = np.nan
    corrected = Corrector(dark, flat).apply(np.full((4, 4), 110, np.uint16))
    assert corrected[0, 0] == corrected[1, 1] == corrected[2, 2] == corrected[2, 3] == 100
    assert corrected[3, 3] == 110
    assert np.isin(corrected, [100, 110]).all()


def test_frames_and_calibrations_must_fit():
    with pytest.raises(ValueError, match="both must be one"):
        Corrector(np.zeros((4, 4)), np.ones((4, 5)))
    with pytest.raises(ValueError, match="no lit pixel"):
        Corrector(np.zeros((4, 4)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"frame is \(4, 5\)"):
        Corrector(np.zeros((4, 4)), np.ones((4, 4))).apply(np.zeros((4, 5), np.uint8))


def test_recorded_scans_stay_as_they_are():
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert NoCorrection().apply(pixels) is pixels


def record(kind, files):
    return CalibrationRecord(
        kind=kind,
        made=Instant(boot_id="b", monotonic_s=0.0, wall_s=0.0),
        values={},
        uncertainties={},
        units={},
        acceptance="",
        passed=True,
        depends_on="",
        files=files,
    )


def test_records_without_their_arrays_are_refused_by_name(tmp_path):
    np.save(tmp_path / "d.npy", np.zeros((4, 4)))
    np.save(tmp_path / "f.npy", np.ones((5, 4)))
    dark, flat = record("dark", {"dark": "d.npy"}), record("flat-field", {"flat": "f.npy"})
    with pytest.raises(CalibrationRefused, match="'dark' and 'flat-field' do not fit together"):
        Corrector.from_records(dark, flat, folder=tmp_path)
    again = r"'flat-field' has lost its array.*run: nightscope calibrate flat-field"
    (tmp_path / "f.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(CalibrationRefused, match=again):
        Corrector.from_records(dark, flat, folder=tmp_path)
    (tmp_path / "f.npy").unlink()
    with pytest.raises(CalibrationRefused, match=again):
        Corrector.from_records(dark, flat, folder=tmp_path)
    with pytest.raises(CalibrationRefused, match="no 'flat' in the record"):
        Corrector.from_records(dark, record("flat-field", {}), folder=tmp_path)
