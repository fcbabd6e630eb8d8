"""The same routines through the real driver, the serial line and the board's emulator."""

import pytest

from calibration.routines import ensure
from runtime.calibrated.loaded import Calibrated
from runtime.config.port_settings import SimulationSection
from runtime.config.settings import MotionSection
from runtime.focus.loop import find_focus
from runtime.focus.search import FocusRequest
from runtime.focus.sight import Lamp
from runtime.instrument.opening import open_microscope


@pytest.mark.slow  # so does the demo, whose errors tests/overnight/test_demo.py limits
def test_calibrate_and_focus_over_the_wire(settings):
    quick = settings.model_copy(
        update={
            "simulation": SimulationSection(speed=1000.0),
            "motion": MotionSection(settle_ms=0.0),
        }
    )
    with open_microscope(quick) as rig:
        rig.stage.home()
        ensure(rig, quick, ["10x"])
        calibrated = Calibrated.load(rig, quick, objectives=["10x"])
        rig.approach(x_um=250.0, y_um=-150.0)
        verdict = find_focus(
            rig,
            request=FocusRequest(
                start_z_um=0.0,
                range_um=60.0,
                depth_of_field_um=quick.objectives["10x"].depth_of_field_um,
                limits_um=rig.stage.limits.z_um,
            ),
            lamp=Lamp(channel="brightfield", brightness=0.5, exposure_ms=10.0),
            correct=calibrated.corrector("10x").apply,
        ).verdict
        assert verdict.status == "ok", verdict.reason
        assert abs(rig.stage.position().z_um - verdict.z_um) < 0.06
        assert rig.simulated
        nominal_um = quick.objectives["10x"].pixel_size_um
        assert abs(calibrated.pixel_size_um("10x") / nominal_um - 1) < 0.01
