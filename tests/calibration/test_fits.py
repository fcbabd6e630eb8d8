"""Every calibration fit against an answer that is known."""

import cv2
import numpy as np
import pytest

from calibration.backlash import LostMotion, fit_focus_reversal, fit_reversals
from calibration.backlash import judge as judge_backlash
from calibration.camera_stage import fit_camera_stage
from calibration.camera_stage import judge as judge_camera_stage
from calibration.dark import fit_dark
from calibration.dark import judge as judge_dark
from calibration.flat_field import fit_flat_field
from calibration.flat_field import judge as judge_flat
from calibration.image_shift import measure_shift
from calibration.objective_offset import fit_objective_offset
from calibration.objective_offset import judge as judge_offset
from runtime.config.settings import MotionSection


def texture(height, width, *, blur=1.5, seed=0):
    grain = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), blur)
    return 1000 + 200 * smooth / smooth.std()


def moved(picture, dx, dy, height, width):
    """What a camera sees of `picture` when its pixel (0, 0) lies at (100 + dx, 100 + dy)."""
    rows = np.fft.fftfreq(picture.shape[0])[:, None]
    columns = np.fft.rfftfreq(picture.shape[1])
    phase = np.exp(2j * np.pi * ((100 + dy) * rows + (100 + dx) * columns))
    return np.fft.irfft2(np.fft.rfft2(picture) * phase, s=picture.shape)[:height, :width]


@pytest.mark.parametrize(
    ("dx", "dy"), [(0.0, 0.0), (0.37, -0.61), (33.25, 4.5), (-71.4, 60.8), (5.0, -90.3)]
)
def test_the_shift_that_was_made_is_found(dx, dy):
    picture = texture(512, 512)
    noise = np.random.default_rng(1).normal(0, 20, (2, 200, 240))
    a = moved(picture, 0, 0, 200, 240) + noise[0]
    b = moved(picture, dx, dy, 200, 240) + noise[1]
    shift = measure_shift(a, b)
    assert shift.dx_px == pytest.approx(dx, abs=0.05)
    assert shift.dy_px == pytest.approx(dy, abs=0.05)
    assert shift.ncc > 0.8


def test_pictures_of_different_places_do_not_match():
    a, b = texture(200, 240, seed=1), texture(200, 240, seed=2)
    assert measure_shift(a, b).ncc < 0.4


def test_dark_level_and_read_noise():
    rng = np.random.default_rng(0)
    pattern = 64 + rng.normal(0, 5, (60, 80))
    frames = pattern + rng.normal(0, 2, (10, 60, 80))
    fit = fit_dark(frames)
    assert fit.read_noise == pytest.approx(2, rel=0.03)
    assert np.abs(fit.mean - pattern).mean() < 2 / np.sqrt(10)
    assert judge_dark(fit, full_scale=4095).passed
    leak = judge_dark(fit_dark(frames + 600), full_scale=4095)
    assert not leak.passed
    assert "shutter" in leak.advice


@pytest.fixture(scope="module")
def lit():
    """A flat with shading, dust and pixel response, its dark, and nine noisy frames of it."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1:1:120j, -1:1:160j]
    flat = 1 - 0.2 * (x**2 + y**2) + 0.01 * rng.normal(size=x.shape)
    flat[50:56, 70:78] *= 0.8
    flat /= flat.mean()
    lamp = np.linspace(0.95, 1.05, 9)[:, None, None]
    frames = 64 + 2000 * lamp * flat + rng.normal(0, 20, (9, 120, 160))
    return flat, np.full(flat.shape, 64.0), frames


def test_flat_field_is_recovered_below_its_noise(lit):
    flat, dark, frames = lit
    fit = fit_flat_field(frames, dark)
    error = np.std(fit.flat - flat)
    assert error < 0.01 / np.sqrt(9) * 1.05
    assert fit.noise == pytest.approx(error, rel=0.3)
    assert fit.flat.mean() == pytest.approx(1, abs=1e-5)
    assert judge_flat(fit).passed


def test_flat_field_of_specimen_is_refused(lit):
    _, dark, frames = lit
    spoiled = frames.copy()
    spoiled[4, 20:40, 20:40] *= 0.85
    outcome = judge_flat(fit_flat_field(spoiled, dark))
    assert not outcome.passed
    assert "empty_field_um" in outcome.advice


@pytest.mark.parametrize("handedness", [1, -1])
@pytest.mark.parametrize("rotation_deg", [0.8, 91.0, -150.0])
def test_camera_stage_matrix_is_recovered(rotation_deg, handedness):
    angle = np.radians(rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    truth = 0.5 * turn @ np.diag([1.0, handedness])
    moves = np.array([(s * 60.0, 0.0) for s in (-1, -0.5, 0.5, 1)] + [(0.0, s) for s in (-50, 50)])
    rng = np.random.default_rng(0)
    shifts = moves @ np.linalg.inv(truth).T + rng.normal(0, 0.05, moves.shape)
    fit = fit_camera_stage(shifts, moves)
    assert np.abs(fit.stage_from_px - truth).max() < 4 * fit.sigma.max()
    assert fit.sigma.max() < 1e-3
    assert fit.pixel_size_um == pytest.approx(0.5, abs=4 * fit.pixel_size_sigma_um)
    assert fit.rotation_deg == pytest.approx(rotation_deg, abs=4 * fit.rotation_sigma_deg)
    assert fit.handedness == handedness
    assert judge_camera_stage(fit, nominal_um=0.5, longest_um=60, worst_ncc=0.9).passed


def test_camera_stage_sigma_is_the_scatter_of_the_answer():
    truth = np.array([[-0.5, 0.01], [0.01, 0.25]])
    moves = np.array([(60.0, 0.0), (-60.0, 0.0), (0.0, 30.0), (0.0, -30.0), (20.0, 20.0)])
    rng = np.random.default_rng(0)
    fits = [
        fit_camera_stage(moves @ np.linalg.inv(truth).T + rng.normal(0, 0.2, moves.shape), moves)
        for _ in range(300)
    ]
    scatter = np.std([fit.stage_from_px for fit in fits], axis=0)
    claimed = np.sqrt(np.mean([fit.sigma**2 for fit in fits], axis=0))
    assert np.allclose(scatter, claimed, rtol=0.2)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"nominal_um": 0.6}, "off the nominal 0.6 µm"),
        ({"worst_ncc": 0.2}, "pictures do not match"),
        ({"longest_um": 0.1}, "moves do not repeat"),
    ],
)
def test_camera_stage_says_what_is_wrong(change, advice):
    moves = np.array([(60.0, 0.0), (-60.0, 0.0), (0.0, 50.0)])
    fit = fit_camera_stage(moves * 2 + [(0.1, 0), (0, 0.1), (0, 0)], moves)
    usual = {"nominal_um": 0.5, "longest_um": 60.0, "worst_ncc": 0.9}
    outcome = judge_camera_stage(fit, **(usual | change))
    assert not outcome.passed
    assert advice in outcome.advice


def test_camera_stage_needs_two_directions():
    moves = np.array([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)])
    with pytest.raises(ValueError, match="not all along one line"):
        fit_camera_stage(moves, moves)


def test_reversals_average_and_scatter():
    lost = fit_reversals(np.array([2.9, 3.1, 3.0]))
    assert lost.lost_um == pytest.approx(3.0)
    assert lost.sigma_um == pytest.approx(0.1 * np.sqrt(5 / 6))


def test_focus_reversal_is_the_distance_of_the_tops():
    z = np.linspace(-8, 8, 9)

    def curve(top):
        return [(at, 1 / (1 + ((at - top) / 4) ** 2)) for at in z]

    drift = (0.0, 0.2, 0.4, 0.6)
    up, down, again, back = (
        curve(top + moved_by) for top, moved_by in zip((1.5, 0.3, 0.3, 1.5), drift, strict=True)
    )
    lost = fit_focus_reversal([up, back], [down, again])
    assert lost.lost_um == pytest.approx(1.2, abs=1e-6)
    assert lost.each_um == pytest.approx((1.0, 1.4))
    valley = [(at, 1.0 + at**2) for at in z]
    assert fit_focus_reversal([up, valley], [down, again]) is None


def test_backlash_beyond_the_approach_is_refused():
    small = LostMotion(lost_um=3.0, sigma_um=0.1, each_um=(3.0,))
    large = LostMotion(lost_um=11.9, sigma_um=0.1, each_um=(11.9,))
    motion = MotionSection()
    good = judge_backlash({"x": small, "y": small, "z": small}, motion=motion, worst_ncc=0.9)
    assert good.passed
    bad = judge_backlash({"x": small, "y": large, "z": small}, motion=motion, worst_ncc=0.9)
    assert not bad.passed
    assert bad.advice.startswith("y loses 11.9 µm")
    flat = judge_backlash({"x": small, "y": small, "z": None}, motion=motion, worst_ncc=0.9)
    assert "too poor" in flat.advice


@pytest.mark.parametrize("mirror", [1, -1])
def test_objective_offset_points_where_the_other_objective_must_go(mirror):
    """The other objective looks (12, -7) µm away from the overview and is turned by 2 degrees."""
    world = texture(700, 900, blur=4.0)
    overview_from_px = np.diag([0.5, mirror * 0.5])
    angle = np.radians(2.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    other_from_px = 0.25 * turn @ np.diag([1.0, mirror])
    looks_um = np.array([12.0, -7.0])

    def seen(matrix, centre_um):
        # World pixels are 0.25 µm along the stage's axes, its middle at stage (0, 0). A camera
        # whose content moves with +d when the stage travels matrix @ d sees specimen point
        # centre + matrix @ (p - middle).
        to_world = matrix / 0.25
        middle = np.array([(320 - 1) / 2, (240 - 1) / 2])
        origin = centre_um / 0.25 + (449.5, 349.5) - to_world @ middle
        affine = np.column_stack([to_world, origin])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(world, affine, (320, 240), flags=flags)

    fit = fit_objective_offset(
        seen(overview_from_px, np.zeros(2)),
        seen(other_from_px, looks_um),
        overview_from_px=overview_from_px,
        other_from_px=other_from_px,
    )
    assert (fit.x_um, fit.y_um) == pytest.approx((-12.0, 7.0), abs=3 * fit.sigma_um)
    assert judge_offset(fit, z_um=5.0, sigma_z_um=0.1).passed


def test_objectives_that_show_different_places_are_refused():
    fit = fit_objective_offset(
        texture(240, 320, seed=1),
        texture(240, 320, seed=2),
        overview_from_px=np.diag([0.5, 0.5]),
        other_from_px=np.diag([0.25, 0.25]),
    )
    outcome = judge_offset(fit, z_um=0.0, sigma_z_um=0.1)
    assert not outcome.passed
    assert "different places" in outcome.advice
