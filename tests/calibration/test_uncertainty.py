"""Every uncertainty of a calibration, by how often the known answer lies within it."""

import cv2
import numpy as np
import pytest

from calibration.backlash import fit_focus_reversal, fit_reversals
from calibration.camera_stage import fit_camera_stage
from calibration.objective_offset import fit_objective_offset
from tests.honest import assert_honest

RUNS = 300


@pytest.mark.parametrize(
    ("reversals", "one_sigma", "two_sigma"),
    [(3, (0.48, 0.7), (0.74, 0.9)), (9, (0.58, 0.75), (0.88, 0.98))],
)
def test_lost_motion_with_pictures_that_share_reversals(reversals, one_sigma, two_sigma):
    """Three reversals tell σ to half of itself only, so it covers what Student's t says."""
    rng = np.random.default_rng(0)
    side = np.arange(reversals + 1) % 2
    errors, sigmas = [], []
    for _ in range(RUNS):
        places_um = 3.0 * side + rng.normal(0, 0.1, reversals + 1)
        lost = fit_reversals(np.diff(places_um) * (1 - 2 * side[:-1]))
        errors.append(lost.lost_um - 3.0)
        sigmas.append(lost.sigma_um)
    assert_honest(errors, sigmas, one_sigma=one_sigma, two_sigma=two_sigma)


@pytest.mark.slow
def test_lost_motion_in_z():
    rng = np.random.default_rng(0)
    z_um = np.linspace(-9, 9, 7)
    errors, sigmas = [], []
    for _ in range(60):
        curves = [
            [(z, (0.05 + 1 / (1 + ((z - top) / 4) ** 2)) * rng.normal(1, 0.01)) for z in z_um]
            for top in (1.5, 1.5, 0.3, 0.3)
        ]
        lost = fit_focus_reversal(curves[:2], curves[2:])
        errors.append(lost.lost_um - 1.2)
        sigmas.append(lost.sigma_um)
    assert_honest(errors, sigmas, one_sigma=(0.55, 0.88))


def test_pixel_size_rotation_and_every_element_of_the_matrix():
    """The pixel size rests on all four elements, so it is surer than any of them: σ says less."""
    rng = np.random.default_rng(0)
    angle = np.radians(1.5)
    truth = 0.5 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moves_um = np.array([(s, 0.0) for s in (-60, -30, 30, 60)] + [(0.0, s) for s in (-50, 25, 50)])
    fits = [
        fit_camera_stage(
            moves_um @ np.linalg.inv(truth).T + rng.normal(0, 0.05, moves_um.shape), moves_um
        )
        for _ in range(RUNS)
    ]
    for row, column in np.ndindex(2, 2):
        assert_honest(
            [fit.stage_from_px[row, column] - truth[row, column] for fit in fits],
            [fit.sigma[row, column] for fit in fits],
        )
    assert_honest(
        [fit.rotation_deg - 1.5 for fit in fits], [fit.rotation_sigma_deg for fit in fits]
    )
    assert_honest(
        [fit.pixel_size_um - 0.5 for fit in fits],
        [fit.pixel_size_sigma_um for fit in fits],
        one_sigma=(0.75, 0.92),
        two_sigma=(0.95, 1.0),
    )


def test_an_objectives_offset_is_no_worse_than_it_says():
    """σ holds for the stage between two pictures too, so registration alone stays far below it."""
    rng = np.random.default_rng(0)
    grain = cv2.GaussianBlur(rng.normal(size=(700, 900)).astype(np.float32), (0, 0), 2.0)
    world = 1000 + 200 * grain / grain.std()
    middle_px = np.array([159.5, 119.5])

    def seen(matrix, centre_um):
        to_world = matrix / 0.25
        origin = centre_um / 0.25 + (449.5, 349.5) - to_world @ middle_px
        affine = np.column_stack([to_world, origin])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        picture = cv2.warpAffine(world, affine, (320, 240), flags=flags)
        return picture + rng.normal(0, 100, picture.shape)

    errors_um, sigmas_um = [], []
    for angle in np.radians(rng.uniform(-3, 3, 15)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        overview, other, looks_um = 0.5 * np.eye(2), 0.25 * turn, rng.uniform(-12, 12, 2)
        fit = fit_objective_offset(
            seen(overview, np.zeros(2)),
            seen(other, looks_um),
            overview_from_px=overview,
            other_from_px=other,
        )
        errors_um += [fit.x_um + looks_um[0], fit.y_um + looks_um[1]]
        sigmas_um += [fit.sigma_um] * 2
    assert np.max(np.abs(errors_um)) < np.min(sigmas_um)
    assert sigmas_um == pytest.approx([0.2 * 0.5] * len(sigmas_um))
