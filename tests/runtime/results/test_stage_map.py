"""From map pixels to the stage: the answer is made first, then found from tiles."""

import numpy as np
import pytest

from runtime.results.stage_map import fit_stage_map

CALIBRATED = np.array([[0.0, -0.5], [-0.5, 0.0]])
GRID = np.array([(400.0 * c, 350.0 * r) for r in range(5) for c in range(6)])


def stood(places, matrix, *, noise=None):
    where = places @ matrix.T + (120.0, -3000.0)
    return where if noise is None else where + noise


def fitted(places, where):
    return fit_stage_map(places, where, stage_from_px=CALIBRATED, stage_sigma_um=2.0)


def test_a_stage_that_is_scaled_turned_and_swapped_is_found_in_both_directions():
    true = CALIBRATED @ np.array([[1.004, 0.01], [-0.008, 0.997]])
    noise = np.random.default_rng(3).normal(0, 0.5, (len(GRID), 2))
    found = fitted(GRID, stood(GRID, true, noise=noise))
    corner = np.array([[2400.0, 1700.0]])
    # 30 tiles, 0.5 µm each: half a micrometre is five standard errors at a corner.
    assert found.stage_um(corner) == pytest.approx(stood(corner, true), abs=0.5)
    assert found.map_px(found.stage_um(corner)) == pytest.approx(corner, abs=1e-6)
    assert found.residual_um == pytest.approx(0.5 * 2**0.5, rel=0.25)


@pytest.mark.parametrize("places", [GRID[:1], GRID[:6]], ids=["one tile", "one row"])
def test_what_too_few_tiles_leave_unsaid_is_the_calibrations(places):
    found = fitted(places, stood(places, CALIBRATED))
    assert np.array(found.matrix) == pytest.approx(CALIBRATED, abs=1e-6)
    assert found.stage_um([[0.0, 5000.0]]) == pytest.approx(
        stood(np.array([[0.0, 5000.0]]), CALIBRATED), abs=1e-2
    )


def test_one_tile_whose_stage_slipped_carries_nothing_off():
    where = stood(GRID, CALIBRATED)
    where[7] += (90.0, -40.0)
    found = fitted(GRID, where)
    assert found.stage_um(GRID[[0, 29]]) == pytest.approx(stood(GRID[[0, 29]], CALIBRATED), abs=1.0)
    assert found.residual_um > 10
