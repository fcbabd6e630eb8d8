"""The slope of a pair of LEDs: the angle and the sign that the simulated microscope has."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from calibration.led_pair import judge
from calibration.routines import run_routine
from runtime.errors import CalibrationRefused
from runtime.focus.led_pair import PairShift, PairSlope
from runtime.focus.loop import find_focus
from runtime.focus.search import FocusRequest
from runtime.focus.sight import Lamp
from runtime.focus.single_shot import Defocus, LedPair
from runtime.instrument.simulator.imperfections import draw
from runtime.instrument.simulator.side_light import SideLight
from runtime.night.measurers import measurers

SINE = 0.15
SIDE = SideLight(sine=SINE, source=0.01)


@pytest.fixture(scope="module")
def calibrated(make_rig, make_settings, tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("pair"))
    rig = make_rig(settings, side_light=SIDE)
    (record,) = run_routine(rig, settings, name="led-pair", objective="10x")
    return rig, settings, record


@pytest.mark.slow
def test_the_slope_and_its_sign_are_those_of_the_light(calibrated):
    """The second picture, lit from the right, lies to the left above focus: a slope below 0."""
    rig, settings, record = calibrated
    assert record.passed, record.advice
    seat = draw(seed=3, objectives=settings.objectives).seats["10x"]
    per_um = -2 * SINE / np.sqrt(1 - SINE**2) / seat.pixel_size_um
    assert record.values["x_px_per_um"] == pytest.approx(per_um, rel=0.02)
    assert abs(record.values["y_px_per_um"]) < 0.02 * abs(per_um)
    assert record.uncertainties["x_px_per_um"] < 0.02 * abs(per_um)
    assert not rig.light.lit


def focused(calibrated, singles):
    """What a night's loop, told of focus only that it may lie within 60 µm, finds with these."""
    rig, settings, _ = calibrated
    optics = settings.objectives["10x"]
    rig.approach(x_um=60.0, y_um=-40.0)
    return find_focus(
        rig,
        request=FocusRequest(
            start_z_um=rig.position().z_um + 15.0,
            range_um=60.0,
            depth_of_field_um=optics.depth_of_field_um,
            limits_um=rig.stage.limits.z_um,
        ),
        lamp=Lamp(channel="brightfield", brightness=0.5, exposure_ms=10.0),
        correct=lambda pixels: pixels,
        singles=singles,
    )


def pair_of(calibrated, *channels):
    _, settings, record = calibrated
    return [LedPair.of(record, channels=channels, optics=settings.objectives["10x"])]


@pytest.mark.slow
def test_a_night_focuses_by_the_pair_and_knows_when_its_leds_were_swapped(calibrated):
    rig, settings, _ = calibrated
    by_pair = focused(calibrated, pair_of(calibrated, "led_left", "led_right"))
    assert (by_pair.by, by_pair.verdict.status, by_pair.verdict.reason) == ("led-pair", "ok", "")
    assert by_pair.verdict.exposures <= 6
    by_sweep = focused(calibrated, pair_of(calibrated, "led_right", "led_left"))
    assert (by_sweep.by, by_sweep.verdict.status) == ("sweep", "ok")
    assert "are the LEDs swapped?" in by_sweep.verdict.reason
    half_um = settings.objectives["10x"].depth_of_field_um / 2
    assert by_pair.verdict.z_um == pytest.approx(by_sweep.verdict.z_um, abs=half_um)
    assert not rig.light.lit


@dataclass
class Stubborn:
    """A network that says the same of every frame."""

    says: Defocus
    name: str = "stubborn 1.0.0"
    asked: int = 0

    def measure(self, frame):
        self.asked += 1
        return self.says

    def refuse_others(self, **optics):
        assert optics["sine"] == pytest.approx(SINE, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "asked"),
    [
        (Defocus(z_um=4.0, sigma_um=6.0), 1),
        (Defocus(z_um=4.0, sigma_um=0.5, doubt="never seen"), 1),
        (Defocus(z_um=-16.0, sigma_um=0.2), 2),
    ],
    ids=["unsure", "doubting", "sure and wrong"],
)
def test_a_network_that_cannot_tell_or_errs_leaves_it_to_the_pair(calibrated, says, asked):
    rig, settings, record = calibrated
    network = Stubborn(says)
    both = measurers(settings, record, objective="10x", network=network)
    found = focused(calibrated, both)
    assert (found.by, found.verdict.status) == ("led-pair", "ok")
    assert network.asked == asked
    alone = focused(calibrated, pair_of(calibrated, "led_left", "led_right"))
    assert found.verdict.z_um == pytest.approx(alone.verdict.z_um, abs=2.0)
    assert not rig.light.lit


@pytest.mark.slow
def test_swapped_leds_are_another_sign(calibrated, make_rig, tmp_path):
    _, settings, record = calibrated
    swapped = settings.model_copy(
        update={
            "calibration": settings.calibration.model_copy(
                update={"led_pair": ("led_right", "led_left"), "folder": tmp_path}
            )
        }
    )
    (other,) = run_routine(
        make_rig(swapped, side_light=SIDE), swapped, name="led-pair", objective="10x"
    )
    assert other.values["x_px_per_um"] == pytest.approx(-record.values["x_px_per_um"], rel=0.02)


def test_a_light_without_leds_is_refused_by_name(rig, settings):
    with pytest.raises(CalibrationRefused, match="no such pair of LEDs; value led_left, led_right"):
        run_routine(rig, settings, name="led-pair", objective="10x")
    assert not rig.light.lit


def test_a_line_that_is_not_sure_or_not_met_does_not_pass():
    line = PairSlope(x_px_per_um=0.6, y_px_per_um=0.0, sigma_px_per_um=0.002)
    z_um = [-20.0, -10.0, 0.0, 10.0, 20.0]
    shifts = [PairShift(x_px=0.6 * z, y_px=0.0, sigma_px=0.01, score=0.9) for z in z_um]
    how = {"depth_um": 7.6, "exposure_ms": 20.0}
    assert judge(line, z_um, shifts, **how).passed
    unsure = judge(replace(line, sigma_px_per_um=0.03), z_um, shifts, **how)
    assert "not sure" in unsure.advice
    shifts[1] = replace(shifts[1], x_px=-8.0)
    assert "off the line" in judge(line, z_um, shifts, **how).advice
