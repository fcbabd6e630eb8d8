"""The one correlator: peaks found between the pixels, for every size of picture."""

import numpy as np
import pytest

from runtime.stitch.match.correlation import Correlation, ncc
from tests.runtime.stitch.stitch_scans import cut, section

AT_PX = (400.0, 500.0)


def moved(shift_px, *, shape=(120, 161)):
    return cut(section(), at_px=tuple(np.add(AT_PX, shift_px)), shape=shape)


@pytest.mark.parametrize("shape", [(120, 160), (121, 161), (120, 161), (64, 33)])
def test_a_fraction_of_a_pixel_is_found_in_any_size(shape):
    a, b = moved((0, 0), shape=shape), moved((0.37, -0.82), shape=shape)
    found = Correlation.of(a[None], b[None]).peaks(np.zeros((1, 2), np.int64), step_px=0.1)
    assert found[0] == pytest.approx((0.37, -0.82), abs=0.03)


def test_each_pair_of_a_stack_is_looked_at_from_its_own_start():
    true = [(0.2, 0.4), (5.3, -7.1)]
    a = np.stack([moved((0, 0))] * 2)
    b = np.stack([moved(shift) for shift in true])
    start = np.array([(0, 0), (5, -7)])
    found = Correlation.of(a, b).peaks(start, step_px=0.2) + start
    assert found == pytest.approx(np.array(true), abs=0.05)


def test_the_whole_pixels_are_where_the_surface_is_highest():
    surface = Correlation.of(moved((0, 0))[None], moved((6, 4))[None]).surfaces()[0]
    assert np.unravel_index(int(surface.argmax()), surface.shape) == (4, 6)


@pytest.mark.parametrize("shape", [(40, 60), (41, 61)])
def test_between_the_pixels_it_is_the_same_surface_as_at_them(shape):
    rng = np.random.default_rng(6)
    found = Correlation.of(*rng.normal(size=(2, 3, *shape)).astype(np.float32))
    x, y = np.tile(np.arange(-4.0, 5.0), (3, 1)), np.tile(np.arange(0.0, 9.0), (3, 1))
    whole = found.surfaces()[:, :9][:, :, np.arange(-4, 5)]
    assert found.values(x, y) == pytest.approx(whole, abs=1e-4 * float(np.abs(whole).max()))


def test_a_peak_beyond_the_grid_is_not_made_up():
    found = Correlation.of(moved((0, 0))[None], moved((2.2, 0))[None], low_pass_px=1.5)
    assert np.isnan(found.peaks(np.zeros((1, 2), np.int64), step_px=0.2)).all()


def test_a_low_pass_keeps_aliased_detail_from_pulling_towards_whole_pixels():
    """A picture decimated without care: every second pixel of the section."""
    off = {0.0: [], 1.5: []}
    for true in np.linspace(0.1, 0.9, 9):
        a, b = (moved((2 * x, 0), shape=(240, 320))[::2, ::2] for x in (0.0, true))
        for low_pass_px, errors in off.items():
            found = Correlation.of(a[None], b[None], low_pass_px=low_pass_px)
            peak = found.peaks(np.zeros((1, 2), np.int64), step_px=0.1)[0]
            errors.append(np.hypot(*(peak - (true, 0.0))))
    assert np.mean(off[1.5]) < 0.8 * np.mean(off[0.0])


def test_ncc_of_nothing_and_of_flat_pictures_is_zero():
    flat, empty = np.ones((4, 4), np.float32), np.ones((0, 4), np.float32)
    assert ncc(flat, flat) == ncc(empty, empty) == 0.0
    assert ncc(moved((0, 0)), moved((0, 0))) == pytest.approx(1.0)


def test_no_overlap_and_flat_overlaps_have_no_correlation() -> None:
    empty, flat = np.zeros((0, 5), np.float32), np.ones((4, 4), np.float32)
    assert ncc(empty, empty) == 0.0
    assert ncc(flat, flat) == 0.0
