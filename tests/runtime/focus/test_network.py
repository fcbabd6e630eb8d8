"""A network as a measurer: whichever way the light comes from, it sees it travel towards x."""

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Objective
from runtime.errors import ModelRefused
from runtime.focus.led_pair import PairSlope
from runtime.focus.network import Aim, NetworkShot
from runtime.focus.single_shot import Defocus
from runtime.instant import Instant
from runtime.instrument.simulator.side_light import SIDES
from runtime.instrument.simulator.wave_optics import LightLens, intensity

OPTICS = Objective(magnification=10, na=0.3, pixel_size_um=0.5)
LENS = LightLens(na=0.3, wavelength_um=0.53)
SINE, Z_UM, SIDE = 0.2, 30.0, 192
TANGENT = SINE / math.sqrt(1 - SINE**2)
SAID = Defocus(z_um=3.0, sigma_um=0.5)
OPPOSITE = {
    "led_left": "led_right",
    "led_right": "led_left",
    "led_top": "led_bottom",
    "led_bottom": "led_top",
}


def pair_record(slope):
    """Return what `nightscope calibrate led-pair` files."""
    values = {
        "x_px_per_um": slope.x_px_per_um,
        "y_px_per_um": slope.y_px_per_um,
        "x0_px": 0.0,
        "y0_px": 0.0,
        "brightness": 0.5,
        "exposure_ms": 20.0,
    }
    return CalibrationRecord(
        kind="led-pair",
        objective="10x",
        made=Instant(boot_id="b", monotonic_s=0.0, wall_s=0.0),
        values=values,
        uncertainties=dict.fromkeys(values, 0.001),
        units=dict.fromkeys(values, ""),
        acceptance="",
        passed=True,
        depends_on="",
    )


@dataclass
class Looks:
    """A network that keeps what it is shown, and says what it is told to."""

    says: Defocus = SAID
    name: str = "looks 1.0.0"
    seen: list = field(default_factory=list)
    asked: dict = field(default_factory=dict)

    def measure(self, frame):
        self.seen.append(frame)
        return self.says

    def refuse_others(self, **optics):
        self.asked = optics


def frame(channel, z_um):
    """Return what the simulator's waves make of soft blobs under an LED."""
    grain = np.random.default_rng(5).normal(size=(SIDE, SIDE)).astype(np.float32)
    soft = cv2.GaussianBlur(grain, (0, 0), 8, borderType=cv2.BORDER_REFLECT)
    amplitude = (0.8 + 0.05 * soft / soft.std()).astype(np.complex64)
    x, y = SIDES[channel]
    seen = intensity(amplitude, LENS, pixel_um=0.5, defocus_um=z_um, tilts=[(x * SINE, y * SINE)])
    return np.rint(4000 * seen).astype(np.uint16)


def moved_px(here, there):
    """Return how far (x, y) the second picture lies from the first, whole pixels."""
    inner = here[30:-30, 30:-30].astype(np.float32)
    alike = cv2.matchTemplate(there.astype(np.float32), inner, cv2.TM_CCOEFF_NORMED)
    y, x = np.unravel_index(int(alike.argmax()), alike.shape)
    return x - 30, y - 30


def slope_of(channel):
    """Return the slope of a pair whose first LED is this one, as it is measured."""
    x, y = moved_px(frame(channel, Z_UM), frame(OPPOSITE[channel], Z_UM))
    return PairSlope(x_px_per_um=x / Z_UM, y_px_per_um=y / Z_UM, sigma_px_per_um=0.001)


@pytest.mark.parametrize("channel", SIDES)
def test_light_from_every_side_travels_towards_x(channel):
    slope = slope_of(channel)
    network = Looks()
    shot = NetworkShot.of(
        network, pair_record(slope), channels=(channel, OPPOSITE[channel]), optics=OPTICS
    )
    assert [lamp.channel for lamp in shot.lamps] == [channel]
    assert network.asked == {
        "na": 0.3,
        "wavelength_um": 0.53,
        "pixel_size_um": 0.5,
        "sine": pytest.approx(SINE, rel=0.06),
    }
    for z_um in (0.0, Z_UM):
        assert shot.measure([frame(channel, z_um)]) == SAID
    x, y = moved_px(*network.seen)
    assert x == pytest.approx(Z_UM * TANGENT / 0.5, abs=1)
    assert y == pytest.approx(0, abs=1)


def test_the_angle_is_what_the_slope_says():
    for sine, turned_deg in ((0.1, 3.0), (0.25, -4.0), (0.2, 93.0)):
        tangent = sine / math.sqrt(1 - sine**2)
        along = -2 * tangent / 0.5
        slope = PairSlope(
            x_px_per_um=along * math.cos(math.radians(turned_deg)),
            y_px_per_um=along * math.sin(math.radians(turned_deg)),
            sigma_px_per_um=0.001,
        )
        aim = Aim.of(slope, pixel_size_um=0.5)
        assert aim.sine == pytest.approx(sine)
        assert aim.turns == round(turned_deg / 90)
        assert aim.askew_deg == pytest.approx(abs(turned_deg - 90 * aim.turns))


def test_a_camera_that_stands_askew_to_the_leds_is_refused():
    slope = PairSlope(x_px_per_um=-0.78, y_px_per_um=-0.2, sigma_px_per_um=0.001)
    with pytest.raises(ModelRefused, match=r"looks 1\.0\.0 was trained for LEDs.*14\.4° off.*5°"):
        NetworkShot.of(Looks(), pair_record(slope), channels=("a", "b"), optics=OPTICS)


def test_what_the_network_doubts_the_loop_is_told():
    slope = PairSlope(x_px_per_um=-0.8, y_px_per_um=0.0, sigma_px_per_um=0.001)
    doubting = Looks(says=Defocus(z_um=1.0, sigma_um=math.inf, doubt="never seen"))
    shot = NetworkShot.of(doubting, pair_record(slope), channels=("a", "b"), optics=OPTICS)
    told = replace(shot, name="other").measure([np.zeros((8, 8), np.uint16)])
    assert (told.sigma_um, told.doubt) == (math.inf, "never seen")
