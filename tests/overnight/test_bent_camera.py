"""A simulated camera that bends its frames: calibrated by the routine, then a night."""

import pytest

from calibration.routines import ensure, run_routine
from runtime.cli.commands.demo import against_the_truth
from tests.simulated import by_itself, spend_night

SETTINGS = by_itself(speed=1000, camera='distortion = {kind = "radial", corner_px = 6}')
PLAN = """
name: bent
objective: 10x
grid: {rows: 5, columns: 5, centre_um: [0, 0]}
overlap: 0.15
focus: {range_um: 80, sweep_every: 6}
"""


def with_the_distortion(rig, settings, *, objectives, progress):
    """Measure all that a plan needs, and the distortion."""
    ensure(rig, settings, objectives, progress)
    run_routine(rig, settings, name="distortion", objective=objectives[0])


@pytest.mark.slow
def test_tiles_of_a_calibrated_night_lie_within_a_seventh_of_a_pixel(tmp_path):
    folder, summary = spend_night(
        tmp_path / "night", plan=PLAN, settings=SETTINGS, calibrate=with_the_distortion
    )
    errors_px = against_the_truth(folder)["position_error_px"]
    assert errors_px["p95"] <= 0.15
    assert summary["map"]["truth"]["mismatch_px"]["p95"] <= 0.25
    assert summary["bent_px"] == 0.0


@pytest.mark.slow
def test_a_night_that_was_not_calibrated_says_so(tmp_path):
    folder, summary = spend_night(tmp_path / "night", plan=PLAN, settings=SETTINGS)
    assert summary["bent_px"] == pytest.approx(6.0, abs=1.5)
    assert "nightscope calibrate distortion" in folder.report.read_text()
