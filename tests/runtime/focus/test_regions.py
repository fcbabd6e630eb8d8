"""The parts of a frame that tell about focus: no dust, no hot pixels, no clipped spots."""

import cv2
import numpy as np
import pytest

from runtime.focus.regions import informative_regions, whole_cells
from runtime.focus.sharpness import MEASURES

DEPTHS = np.arange(-4.0, 5.0)
BEST = 4
FULL_SCALE = 4095


def stack(*, spots=0.0, dust=0.0, textured=256, seed=0):
    """Nine planes of 512 x 512 pixels, sharpest at index 4, textured in the left columns only."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(size=(512, 512)).astype(np.float32)
    grain[:, textured:] = 0
    glints = np.zeros((512, 512), np.float32)
    glints[64 + 128 * np.arange(4)[:, None], 384 + 64 * np.arange(2)] = spots
    hot = dust * (rng.random((512, 512)) < 0.01)
    frames = []
    for depth in DEPTHS:
        blur = float(np.hypot(1.0, 0.8 * depth))
        seen = 1000 + 900 * cv2.GaussianBlur(grain, (0, 0), blur)
        # Where a glint is too bright for the sensor it is clipped, most of all in focus.
        seen += cv2.GaussianBlur(glints, (0, 0), 4 * blur)
        seen = seen + hot + rng.normal(0, 10, seen.shape)
        frames.append(np.clip(seen, 0, FULL_SCALE).astype(np.uint16))
    return frames


def curve(frames, measure):
    return np.array([measure(one) for one in frames])


@pytest.mark.parametrize("name", MEASURES)
def test_half_a_frame_with_texture_is_found_and_tells_more(name):
    frames = stack()
    regions = informative_regions(frames, full_scale=FULL_SCALE)
    assert {columns.start for _, columns in regions.windows} == {0, 128}
    assert regions.share == 0.5
    inside = curve(frames, regions.measure(MEASURES[name]))
    assert inside.argmax() == BEST
    if name in ("brenner", "tenengrad", "laplacian"):
        whole = curve(frames, MEASURES[name])
        assert inside.max() / inside.min() > 1.05 * whole.max() / whole.min()


def test_clipped_spots_turn_the_whole_frames_curve_and_not_that_of_its_regions():
    frames = stack(spots=3e7)
    name = "normalised-variance"
    assert curve(frames, MEASURES[name]).argmax() != BEST
    regions = informative_regions(frames, full_scale=FULL_SCALE)
    assert {columns.start for _, columns in regions.windows} <= {0, 128}
    for measure in MEASURES.values():
        assert curve(frames, regions.measure(measure)).argmax() == BEST


def test_cells_of_hot_pixels_alone_are_left_out():
    frames = stack(dust=1500.0)
    regions = informative_regions(frames, full_scale=FULL_SCALE)
    assert {columns.start for _, columns in regions.windows} == {0, 128}
    for measure in MEASURES.values():
        assert curve(frames, regions.measure(measure)).argmax() == BEST


def test_an_empty_field_is_looked_at_whole():
    frames = stack(textured=0)
    assert informative_regions(frames, full_scale=FULL_SCALE).share == 1.0


def test_where_everything_saturates_every_cell_counts():
    frames = [np.full((256, 256), FULL_SCALE, np.uint16)] * 3
    assert len(informative_regions(frames, full_scale=FULL_SCALE).windows) == 4


def test_a_frame_smaller_than_a_cell_is_one():
    assert whole_cells((80, 96)) == ((slice(0, 80), slice(0, 96)),)


def test_without_frames_there_is_nothing_to_choose():
    with pytest.raises(ValueError, match="no frames"):
        informative_regions([], full_scale=255)


def test_noise_over_regions_counts_their_pixels_only():
    regions = informative_regions(stack(), full_scale=FULL_SCALE)
    whole = MEASURES["brenner"]
    assert regions.measure(whole).noise(512 * 512) == pytest.approx(whole.noise(256 * 512))
