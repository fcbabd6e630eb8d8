"""Two opposite LEDs: a known shift is found, and through the simulated optics a signed defocus."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.config.settings import Objective, parse_settings
from runtime.errors import CalibrationRefused, InputRefused
from runtime.focus.led_pair import (
    PairShift,
    PairSlope,
    both_sidebands,
    fit_pair_slope,
    measure_pair,
    pair_shift,
)
from runtime.instrument.opening import open_microscope
from runtime.instrument.simulator.side_light import Material, SideLight
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import TrueExposure, read_truth
from tests.honest import assert_honest
from tests.runtime.focus.bench import Bench, rig_of
from tests.simulated import SIMULATED

SHAPE = (224, 288)
OBJECTIVE = Objective(magnification=10, na=0.3, pixel_size_um=0.5)
DEPTH_UM = OBJECTIVE.depth_of_field_um
SINE = 0.2
BAND = both_sidebands(na=0.3, sine=SINE, wavelength_um=0.53, pixel_um=0.5)
MATERIALS = {
    "amplitude": Material(),
    "weak phase": Material(absorption=0.0, phase_rad=0.3),
    "mixed": Material(absorption=1.0, phase_rad=1.0),
}


def moved(texture, x_px, y_px):
    """Return a periodic picture moved by parts of a pixel."""
    fy, fx = np.fft.fftfreq(texture.shape[0])[:, None], np.fft.fftfreq(texture.shape[1])[None, :]
    spectrum = np.fft.fft2(texture) * np.exp(-2j * np.pi * (fx * x_px + fy * y_px))
    return np.fft.ifft2(spectrum).real


def texture(seed):
    grain = np.random.default_rng(seed).normal(size=SHAPE)
    smooth = cv2.GaussianBlur(grain, (0, 0), 2.0, borderType=cv2.BORDER_REFLECT)
    return smooth / smooth.std()


def frames(seed, x_px, y_px, *, contrast=200.0, noise=20.0, extra=0.0):
    rng = np.random.default_rng(1000 + seed)
    picture = texture(seed)
    return [
        (2000 + contrast * one + extra + rng.normal(0, noise, SHAPE)).astype(np.uint16)
        for one in (picture, moved(picture, x_px, y_px))
    ]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.6), (14.25, 3.5), (-41.7, 22.2)])
def test_a_known_shift_is_found_to_a_hundredth_of_a_pixel(shift):
    found = pair_shift(*frames(1, *shift, noise=2.0), highest=0.2)
    assert (found.x_px, found.y_px) == pytest.approx(shift, abs=0.02)
    assert found.score > 0.6
    assert found.sigma_px < 0.05


@pytest.mark.slow
def test_sigma_is_how_far_off_the_shift_is():
    seen = [pair_shift(*frames(seed, 5.3, -2.4, noise=150.0), highest=0.2) for seed in range(30)]
    errors = [value for one in seen for value in (one.x_px - 5.3, one.y_px + 2.4)]
    sigmas = [one.sigma_px for one in seen for _ in range(2)]
    # The larger of what parts and what bands say: a little too large rather than too small.
    assert_honest(errors, sigmas, one_sigma=(0.6, 0.97), two_sigma=(0.88, 1.0))


def test_frames_with_nothing_in_common_have_no_shift():
    noise = frames(2, 0.0, 0.0, contrast=0.0)
    assert pair_shift(*noise, highest=0.2) is None
    assert pair_shift(frames(2, 0, 0)[0], frames(3, 0, 0)[0], highest=0.2) is None
    blank = np.full(SHAPE, 700, np.uint16)
    assert pair_shift(blank, blank, highest=0.2) is None


def test_noise_alone_has_no_shift_in_however_narrow_a_band():
    """A few hundred frequencies agree by chance up to a fifth of what they could."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = [rng.normal(1600, 12, (256, 320)).astype(np.uint16) for _ in range(2)]
        assert pair_shift(*noise, highest=0.094) is None


def test_a_few_specks_of_the_sensor_decide_nothing():
    specks = np.zeros(SHAPE)
    for at in ((50, 60), (130, 200), (200, 90)):
        cv2.circle(specks, at[::-1], 5, -900.0, -1)
    found = pair_shift(*frames(4, 9.0, 1.0, extra=specks), highest=0.2)
    assert (found.x_px, found.y_px) == pytest.approx((9.0, 1.0), abs=0.05)


@pytest.mark.parametrize("spots", [1, 3])
def test_a_few_textured_spots_on_a_bare_slide_are_enough(spots):
    """Each is 40 px wide: 2 % of the frame."""
    kept = np.zeros(SHAPE)
    for at in ((60, 70), (170, 220), (150, 80))[:spots]:
        cv2.circle(kept, at[::-1], 20, 1.0, -1)
    picture = texture(6) * cv2.GaussianBlur(kept, (0, 0), 3)
    rng = np.random.default_rng(8)
    pair = [
        rng.poisson(2000 + 400 * one).astype(np.uint16)
        for one in (picture, moved(picture, 7.3, -1.2))
    ]
    found = pair_shift(*pair, highest=0.2)
    # The edge of a part cuts through a spot: half a pixel is half the limit at this angle.
    assert (found.x_px, found.y_px) == pytest.approx((7.3, -1.2), abs=0.5)
    assert found.sigma_px < 1.0


@pytest.fixture(scope="module")
def measured():
    """Returns shift and z of fields of the committed section at random within ten depths of field,
    by material, seen with shot noise.
    """
    specimen, seen = Specimen(), {}
    exposure = TrueExposure(
        time_s=0.0, exposure_ms=10.0, objective="10x", light_level=0.5, centre_um=(0.0, 0.0),
        defocus_um=0.0, rotation_rad=0.012, pixel_size_um=0.5, position_nm=(0, 0, 0), frame_index=0,
    )  # fmt: skip
    for name, material in MATERIALS.items():
        rng, side = np.random.default_rng(7), SideLight(sine=SINE, material=material)
        seen[name] = []
        for _ in range(12):
            z_um = float(rng.uniform(-10, 10)) * DEPTH_UM
            centre_um = (float(rng.uniform(-250, 150)), float(rng.uniform(-200, 200)))
            pair = []
            for channel in ("led_right", "led_left"):
                here = replace(exposure, defocus_um=z_um, centre_um=centre_um, channel=channel)
                share = side.transmitted(
                    specimen, OBJECTIVE, here, width_px=SHAPE[1], height_px=SHAPE[0]
                )
                pair.append(rng.poisson(6000 * share).astype(np.uint16))
            seen[name].append((z_um, pair_shift(*pair, highest=BAND)))
    return seen


@pytest.fixture(scope="module")
def slope(measured):
    known = [(z, shift) for z, shift in measured["amplitude"] if shift is not None]
    return fit_pair_slope([z for z, _ in known], [shift for _, shift in known])


@pytest.mark.slow
def test_the_slope_is_that_of_the_angle(slope):
    per_um = 2 * SINE / np.sqrt(1 - SINE**2) / OBJECTIVE.pixel_size_um
    assert slope.x_px_per_um == pytest.approx(per_um, rel=0.01)
    assert abs(slope.y_px_per_um) < 0.01 * per_um


@pytest.mark.slow
@pytest.mark.parametrize("material", MATERIALS)
def test_z_is_right_to_a_quarter_of_the_depth_of_field_with_its_sign(measured, slope, material):
    """Within ten depths of field; a weak phase object in focus may show nothing at all."""
    found = [(z, slope.z_um(shift)) for z, shift in measured[material] if shift is not None]
    assert len(found) >= 11
    errors = np.array([seen - z for z, (seen, _) in found])
    sigmas = np.array([sigma for _, (_, sigma) in found])
    sure = sigmas < DEPTH_UM / 4
    assert sure.sum() >= len(found) - 1
    assert np.percentile(np.abs(errors[sure]), 95) < DEPTH_UM / 4
    assert np.mean(np.abs(errors) < 3 * sigmas) > 0.85
    assert all(np.sign(seen) == np.sign(z) for z, (seen, _) in found if abs(z) > DEPTH_UM)


@pytest.mark.slow
def test_leds_in_the_wrong_order_turn_the_sign(slope):
    shift = pair_shift(*frames(5, 12.0, 0.0), highest=0.2)
    swapped = pair_shift(*frames(5, 12.0, 0.0)[::-1], highest=0.2)
    assert slope.z_um(shift)[0] > 5
    assert slope.z_um(swapped)[0] == pytest.approx(-slope.z_um(shift)[0], abs=0.1)


def test_a_stage_that_moved_between_the_exposures_lies_beside_the_line():
    line = PairSlope(x_px_per_um=0.8, y_px_per_um=0.0, sigma_px_per_um=0.001)
    moved_px = PairShift(x_px=8.0, y_px=3.0, sigma_px=0.1, score=0.9)
    assert line.z_um(moved_px)[0] == pytest.approx(10.0)
    assert line.across_px(moved_px) == pytest.approx(3.0)


def shifts(values):
    return [PairShift(x_px=x, y_px=0.0, sigma_px=0.01, score=1.0) for x in values]


def test_too_few_places_make_no_slope():
    with pytest.raises(CalibrationRefused, match="too few places"):
        fit_pair_slope([1.0, 2.0, 2.0], shifts([1.0, 2.0, 2.0]))


def test_pictures_that_do_not_follow_z_make_no_slope():
    with pytest.raises(CalibrationRefused, match="do not move apart"):
        fit_pair_slope([-10, -5, 0, 5, 10], shifts([0.2, -0.1, 0.15, -0.2, 0.1]))


def test_each_led_is_lit_by_itself_in_the_order_named():
    bench = Bench()
    lit = []
    turn_on = bench.on
    bench.on = lambda *, channel, brightness: (
        lit.append((channel, bench.lit)),
        turn_on(channel=channel, brightness=brightness),
    )
    shift = measure_pair(
        rig_of(bench),
        ("led_left", "led_right"),
        brightness=0.5,
        exposure_ms=5.0,
        correct=lambda pixels: pixels,
        highest=0.3,
    )
    assert lit == [("led_left", False), ("led_right", False)]
    assert not bench.lit
    assert (shift.x_px, shift.y_px) == pytest.approx((0.0, 0.0), abs=0.1)


def test_one_led_is_no_pair():
    with pytest.raises(InputRefused, match="two LEDs"):
        measure_pair(
            rig_of(Bench()),
            ("led_left", "led_left"),
            brightness=0.5,
            exposure_ms=5.0,
            correct=lambda pixels: pixels,
            highest=0.3,
        )


def test_over_a_serial_line_with_byte_faults_the_pair_is_lit_in_order_and_right(tmp_path):
    """The board, its line and the camera as a night has them; each LED's frame is the witness's."""
    settings = parse_settings(
        SIMULATED
        + "[simulation]\nspeed = 1000\nline_faults = 0.002\n"
        + f"[simulation.side_light]\nsine = {SINE}\nsource = 0.02\nphase_rad = 0.5\n",
        source=tmp_path / "settings.toml",
    )
    truth = tmp_path / "truth.jsonl"
    with open_microscope(settings, truth=truth) as rig:
        rig.stage.home()
        rig.approach(x_um=-100.0, y_um=0.0, z_um=14.0)
        shift = measure_pair(
            rig,
            ("led_right", "led_left"),
            brightness=0.5,
            exposure_ms=5.0,
            correct=lambda pixels: pixels,
            highest=BAND,
        )
    seen = read_truth(truth)[-2:]
    assert [one.channel for one in seen] == ["led_right", "led_left"]
    per_um = 2 * SINE / np.sqrt(1 - SINE**2) / seen[0].pixel_size_um
    assert abs(seen[0].defocus_um) > 5
    assert shift.x_px / per_um == pytest.approx(seen[0].defocus_um, abs=DEPTH_UM / 4)
