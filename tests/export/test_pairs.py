"""Pairs of strips: where they say a place lies, there it lies."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.datasets.pairs.draw import draw_pair
from export.datasets.pairs.hardness import FULL, GENTLE, CameraRanges, Hardness, PoseRanges
from export.datasets.pairs.made import FAMILIES, MadeSource
from export.datasets.pairs.pair import cell_places
from export.datasets.pairs.source import MixedSource
from runtime.errors import ConfigRefused

pytestmark = pytest.mark.export

SHAPE = (96, 256)
# Nothing but the light: what is seen is the specimen's brightness, scaled and moved.
CLEAN = CameraRanges(
    noise=(1e-6, 1e-6), blur_px=0, contrast=(1, 1), shading=0, pattern=0, eight_bit=0
)
STRAIGHT = PoseRanges(rotation_deg=0, stretch=0, scale=(1, 1), upright=True)
BARE = Hardness(camera=CLEAN, bent=0, blank=0, patterned=0, apart=0)
SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=15, deadline=None)


class Ramp:
    """A specimen whose brightness is its own x or y, so that every pixel tells where it lies."""

    def __init__(self, axis):
        self.axis = axis

    def patch(self, rng, shape):
        return np.indices(shape, dtype=np.float32)[1 - self.axis]

    def two_patches(self, rng, shape):
        return self.patch(rng, shape), self.patch(rng, shape)


class Even:
    """The same fine texture everywhere."""

    def patch(self, rng, shape):
        noise = rng.standard_normal(shape, dtype=np.float32)
        return cv2.GaussianBlur(noise, (0, 0), 2.5)

    def two_patches(self, rng, shape):
        return self.patch(rng, shape), self.patch(rng, shape)


class HalfEmpty:
    """Texture whose right half is constant."""

    def patch(self, rng, shape):
        patch = Even().patch(rng, shape)
        patch[:, shape[1] // 2 :] = 1.0
        return patch

    def two_patches(self, rng, shape):
        return self.patch(rng, shape), self.patch(rng, shape)


def pair_of(source, seed, hardness, shape=SHAPE):
    return draw_pair(source, np.random.default_rng(seed), shape, hardness)


def sampled(strip, points):
    x, y = np.moveaxis(points.astype(np.float32)[None], -1, 0)
    return cv2.remap(strip.astype(np.float32), x, y, cv2.INTER_LINEAR)[0].astype(float)


def seen_at_both(pair):
    found = np.isfinite(pair.places_px[..., 0])
    centres = cell_places(SHAPE)[found]
    there = pair.places_px[found]
    inside = np.all((there >= 0) & (there <= (SHAPE[1] - 1, SHAPE[0] - 1)), axis=-1)
    return sampled(pair.first, centres[inside]), sampled(pair.second, there[inside])


@few
@given(seed=SEEDS)
@pytest.mark.parametrize("bent", [0.0, 1.0])
def test_what_lies_at_a_cell_lies_at_its_place(seed, bent):
    """Turned, mirrored, scaled, moved and bent as far as it goes, to a twentieth of a pixel."""
    hardness = replace(BARE, bent=bent)
    for axis in (0, 1):
        one, other = seen_at_both(pair_of(Ramp(axis), seed, hardness))
        if len(one) < 10 or np.ptp(one) == 0:
            continue
        slope, level = np.polyfit(one, other, 1)
        counts_per_px = np.ptp(other) / 300
        assert slope > 0
        assert np.abs(slope * one + level - other).max() < max(0.05 * counts_per_px, 2.5)


def test_a_pair_that_is_only_moved_says_by_how_much():
    for seed in range(8):
        pair = pair_of(Even(), seed, replace(BARE, pose=STRAIGHT))
        moved = pair.places_px - cell_places(SHAPE)
        shift = np.nanmedian(moved, axis=(0, 1))
        assert np.nanmax(np.abs(moved - shift)) < 1e-4
        assert abs(shift[0]) <= STRAIGHT.along_px
        assert abs(shift[1]) <= STRAIGHT.across_px
        whole = np.rint(shift).astype(int)
        assert np.hypot(*(shift - whole - rest_px(*common_part(pair, whole)))) < 0.03


def rest_px(first, second):
    """Return the (x, y) by which the second is moved still, by Lucas and Kanade's equation."""
    one, other = ((strip - strip.mean()) / strip.std() for strip in (first, second))
    down, right = np.gradient((one + other) / 2)
    slopes = np.column_stack([right.ravel(), down.ravel()])
    return np.linalg.lstsq(slopes, (one - other).ravel(), rcond=None)[0]


def common_part(pair, shift):
    """Return what both strips show once the second is moved back by whole pixels."""
    dx, dy = shift
    height, width = SHAPE
    first = pair.first[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    second = pair.second[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
    return first.astype(np.float32), second.astype(np.float32)


@few
@given(seed=SEEDS)
def test_places_lie_in_the_second_strip(seed):
    places = pair_of(MadeSource(), seed, FULL).places_px
    assert places.dtype == np.float32
    assert places.shape == (12, 32, 2)
    found = np.isfinite(places)
    assert np.array_equal(found[..., 0], found[..., 1])
    x, y = places[found[..., 0]].T
    assert np.all((x >= -0.5) & (x < 255.5) & (y >= -0.5) & (y < 95.5))


@few
@given(seed=SEEDS)
@pytest.mark.parametrize(("hardness", "most"), [(GENTLE, 3.0), (FULL, 10.0)])
def test_strips_are_turned_and_stretched_within_the_ranges(seed, hardness, most):
    places = pair_of(MadeSource(), seed, replace(hardness, bent=0, apart=0, blank=0)).places_px
    found = np.isfinite(places[..., 0])
    matrix, *_ = np.linalg.lstsq(
        np.c_[cell_places(SHAPE)[found], np.ones(found.sum())], places[found], rcond=None
    )
    assert abs(np.rad2deg(np.arctan2(matrix[0, 1], matrix[0, 0]))) <= most + 1e-3
    assert 0.97 - 1e-3 <= np.hypot(*matrix[0]) <= 1.03 + 1e-3


def test_empty_resin_has_no_places_and_the_rest_has():
    pair = pair_of(HalfEmpty(), 3, replace(BARE, pose=replace(STRAIGHT, along_px=0, across_px=0)))
    found = np.isfinite(pair.places_px[..., 0])
    # A cell's neighbours count: the border between the halves is itself something to see.
    assert found[:, :15].all()
    assert not found[:, 18:].any()


def test_painted_resin_is_blank_in_both_strips():
    blanked = 0
    for seed in range(10):
        pair = pair_of(MadeSource(), seed, replace(BARE, blank=1.0))
        found = np.isfinite(pair.places_px[..., 0])
        cells = pair.first.reshape(12, 8, 32, 8).astype(int)
        flat = np.ptp(cells, axis=(1, 3)) == 0
        # What is flat along with all its neighbours has nothing to be found by.
        lonely = cv2.erode(flat.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        assert not (found & lonely).any()
        blanked += bool(lonely.any())
    assert blanked >= 5


def test_strips_apart_have_no_places():
    for seed in range(5):
        pair = pair_of(MadeSource(), seed, replace(FULL, apart=1.0))
        assert np.isnan(pair.places_px).all()
        assert pair.first.std() > 0


def test_one_seed_is_one_pair():
    def drawn(seed):
        pair = pair_of(MadeSource(), seed, FULL)
        return pair.first.tobytes(), pair.second.tobytes(), pair.places_px.tobytes()

    assert [drawn(seed) for seed in range(5)] == [drawn(seed) for seed in range(5)]
    assert len({drawn(seed) for seed in range(5)}) == 5


def test_strips_are_what_a_camera_of_16_or_8_bits_gives():
    steps = set()
    for seed in range(30):
        pair = pair_of(MadeSource(), seed, replace(FULL, camera=CameraRanges(eight_bit=0.5)))
        for strip in (pair.first, pair.second):
            assert strip.dtype == np.uint16
            assert strip.shape == SHAPE
            assert np.mean((strip == 0) | (strip == 65535)) < 0.01
            steps.add(bool(np.all(strip % 257 == 0)))
    assert steps == {True, False}


@pytest.mark.parametrize("ratio", [0.1, 2.0])
def test_noise_is_the_promised_multiple_of_the_signal(ratio):
    """The signal over 56 px, where a flattening leaves it; noise is drawn last, so a pair without
    it is otherwise the same."""
    for seed in range(5):
        noisy, clean = (
            pair_of(Even(), seed, replace(BARE, camera=replace(CLEAN, noise=(n, n))))
            for n in (ratio, 1e-6)
        )
        for one, other in ((noisy.first, clean.first), (noisy.second, clean.second)):
            noise = np.std(one.astype(float) - other)
            flat = other - cv2.blur(other.astype(float), (56, 56))
            assert noise / flat.std() == pytest.approx(ratio, rel=0.1)


def test_noise_is_drawn_from_clean_to_heavy():
    heard = []
    for seed in range(60):
        pair = pair_of(Ramp(0), seed, replace(BARE, camera=replace(CLEAN, noise=(0.05, 2.2))))
        quiet = pair_of(Ramp(0), seed, BARE)
        difference = pair.first.astype(float) - quiet.first
        flat = quiet.first - cv2.blur(quiet.first.astype(float), (56, 56))
        heard.append(np.log(difference.std() / flat[28:-28, 28:-28].std()))
    low, middle, high = np.percentile(np.array(heard) - np.mean(heard), [5, 50, 95])
    assert high - low > 0.75 * np.log(2.2 / 0.05)
    assert abs(middle) < 0.5


def test_a_sensors_pattern_is_the_same_in_both_strips_where_they_are():
    camera = replace(CLEAN, pattern=1.0, noise=(1e-6, 1e-6))
    with_it, without = (
        pair_of(MadeSource(), 4, replace(BARE, camera=camera, patterned=share))
        for share in (1.0, 0.0)
    )
    assert np.corrcoef(with_it.first.ravel(), with_it.second.ravel())[0, 1] > 0.05
    assert abs(np.corrcoef(without.first.ravel(), without.second.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("shape", [(90, 256), (96, 0), (96, 100)])
def test_strips_that_are_no_whole_cells_are_refused(shape):
    with pytest.raises(ConfigRefused, match="whole cells"):
        pair_of(MadeSource(), 0, FULL, shape)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_texture_is_new_each_time_and_fills_the_patch(family):
    one, other = (family(np.random.default_rng(seed), (200, 300)) for seed in (1, 2))
    assert one.shape == (200, 300)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.5
    blocks = one.reshape(4, 50, 6, 50).std(axis=(1, 3))
    assert np.mean(blocks > 0.05 * one.std()) > 0.7


def test_sources_are_mixed_by_their_shares():
    mixed = MixedSource([Ramp(0), Ramp(1)], [3, 1])
    rng = np.random.default_rng(0)
    along = [mixed.patch(rng, (8, 8))[0, 1] == 1 for _ in range(400)]
    assert np.mean(along) == pytest.approx(0.75, abs=0.06)
