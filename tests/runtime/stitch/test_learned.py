"""The rung of a network: where its windows lie, what it may say, and when it is believed.

The network is stood in for by finders whose answers are known: specimens whose grey levels are
places, read back from the pixels, and OpenCV's keypoints.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from runtime.errors import ConfigRefused
from runtime.stitch.match.ladder import LADDERS, ladder
from runtime.stitch.match.learned import RIM_PX, cells, match_learned
from runtime.stitch.match.strips import StripPair
from tests.runtime.stitch.test_turned import MIDDLE, SIDE_PX, strips_of, turn, view

SHAPE = (64, 96)


@dataclass(frozen=True)
class Finder:
    """A network whose answers are known."""

    shape_px: tuple[int, int]
    find: Callable


def where_it_was(first, second):
    """Find by grey level: every level stands for one place, as far as both strips show it once."""
    there = {level: place for place, level in np.ndenumerate(second)}
    found = [(at, there[level]) for at, level in np.ndenumerate(first) if level in there]
    places = np.array(found, float).reshape(-1, 2, 2)[:, :, ::-1]
    return places[:, 0], places[:, 1]


def of_places(rows, columns):
    """Return a specimen whose grey levels count its pixels."""
    return np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)


def by_sift(first, second):
    """Find as keypoints do."""
    finder = cv2.SIFT.create(nfeatures=800, contrastThreshold=0.01)
    grey = (
        cv2.normalize(one, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
        for one in (first, second)
    )
    (in_a, of_a), (in_b, of_b) = (finder.detectAndCompute(one, None) for one in grey)
    near = cv2.BFMatcher(crossCheck=True).match(of_a, of_b)
    return (
        np.array([in_a[one.queryIdx].pt for one in near]),
        np.array([in_b[one.trainIdx].pt for one in near]),
    )


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize(
    ("shape", "offset"),
    [
        ((60, 96), (12, 0)),
        ((64, 250), (20, 9)),
        ((40, 200), (-8, -30)),
        ((100, 120), (31, 4)),
    ],
)
def test_a_place_found_in_a_window_is_that_place_in_the_crops(upright, shape, offset):
    rows, columns = shape
    whole = of_places(rows + abs(offset[0]), columns + abs(offset[1]))
    (top_a, top_b), (left_a, left_b) = ((max(-o, 0), max(o, 0)) for o in offset)
    a = whole[top_a : top_a + rows, left_a : left_a + columns]
    b = whole[top_b : top_b + rows, left_b : left_b + columns]
    shift = offset[::-1]
    if upright:
        a, b, shift = a.T, b.T, offset
    pair = StripPair(a, b, (500, 40), (7, 3), np.add(shift, (500 - 7, 40 - 3)), 5)
    in_a, in_b = cells(pair, Finder(shape_px=SHAPE, find=where_it_was))
    assert len(in_a)
    assert np.array_equal(in_a - in_b, np.broadcast_to(shift, in_a.shape))
    column, row = in_a.astype(int).T
    assert np.array_equal(a[row, column], b[row - shift[1], column - shift[0]])
    # All along the seam, and nothing within reach of pixels that were made up.
    long = int(a.shape[0] > a.shape[1])
    begin, end = max(shift[long], 0), min(a.shape[1 - long], a.shape[1 - long] + shift[long])
    assert in_a[:, long].min() - begin <= RIM_PX
    assert end - in_a[:, long].max() <= RIM_PX + 1
    assert in_a.min() >= RIM_PX
    assert in_b.min() >= RIM_PX


def test_crops_that_show_nothing_in_common_are_not_looked_at():
    a = of_places(64, 96)
    far = StripPair(a, a, (0, 0), (0, 0), (96.0, 0.0), 5)
    in_a, in_b = cells(far, Finder(shape_px=SHAPE, find=where_it_was))
    assert in_a.shape == in_b.shape == (0, 2)


def test_the_network_sees_sixteen_bits_whatever_the_crops_are():
    seen = []

    def find(first, second):
        seen.extend((first, second))
        return np.zeros((0, 2)), np.zeros((0, 2))

    crop = np.full((64, 96), 70000.4, np.float32)
    crop[0] = -3
    cells(StripPair(crop, crop, (0, 0), (0, 0), (0.0, 0.0), 5), Finder(shape_px=SHAPE, find=find))
    assert [(one.dtype, one.shape) for one in seen] == [(np.uint16, SHAPE)] * 2
    assert (seen[0].min(), seen[0].max()) == (0, 65535)


@pytest.mark.parametrize(("prior", "degrees"), [((270.0, 0.0), 3.0), ((0.0, 270.0), -4.0)])
def test_what_most_cells_agree_on_is_refined_and_told(prior, degrees):
    centres = np.array([(500.0, 500.0), np.add((504.0, 497.0), prior)])
    angles = np.deg2rad([degrees / 2, -degrees / 2])
    a, b = (view(c, angle, n) for n, (c, angle) in enumerate(zip(centres, angles, strict=True)))
    finder = Finder(shape_px=(96, 320), find=by_sift)
    match = match_learned(strips_of(a, b, prior), finder)
    assert match is not None
    assert match.method == "loftr"
    assert match.inliers >= 8
    assert match.rotation_rad == pytest.approx(angles[1] - angles[0], abs=5e-4)
    for pair in match.pairs:
        in_a, in_b = (
            centre + turn(angle) @ np.subtract(at, MIDDLE)
            for centre, angle, at in zip(centres, angles, (pair.a_px, pair.b_px), strict=True)
        )
        assert in_a == pytest.approx(in_b, abs=0.08)


def everywhere(_, second):
    """A network that finds every cell where it is, whatever it is shown."""
    y, x = (8.0 * np.mgrid[: second.shape[0] // 8, : second.shape[1] // 8]).reshape(2, -1)
    places = np.stack([x, y], axis=1)
    return places, places


def by_luck(first, second):
    """A network that finds anything anywhere."""
    places = np.random.default_rng(int(first[0, 0]) + int(second[0, 0]))
    return tuple(places.uniform(0, 320, (2, 900, 2)))


@pytest.mark.parametrize("find", [everywhere, by_luck, by_sift])
def test_strips_of_two_specimens_match_nowhere_whatever_a_network_says(find):
    a, b = (view(np.array(at, float), 0.0, 7) for at in ((300, 300), (1100, 900)))
    finder = Finder(shape_px=(96, 320), find=find)
    assert match_learned(strips_of(a, b, (270.0, 0.0)), finder) is None


def test_strips_of_one_grey_level_are_shown_to_no_network():
    def never(*_):
        raise AssertionError

    flat = np.full((SIDE_PX, SIDE_PX), 900, np.uint16)
    finder = Finder(shape_px=(96, 320), find=never)
    assert match_learned(strips_of(flat, flat, (270.0, 0.0)), finder) is None


def test_a_network_is_asked_last_or_alone_and_only_where_it_is_wanted():
    finder = Finder(shape_px=SHAPE, find=where_it_was)
    assert ladder("auto", lambda: finder)[:-1] == LADDERS["auto"]
    assert len(ladder("loftr", lambda: finder)) == 1
    assert ladder("phase", lambda: finder) == LADDERS["phase"]
    with pytest.raises(ConfigRefused, match="'loftr' has no network to ask"):
        ladder("loftr", lambda: None)


def test_the_last_rung_finds_nothing_where_there_is_no_network():
    a, b = (view(np.array(at, float), 0.0, 7) for at in ((300, 300), (570, 300)))
    strips = strips_of(a, b, (270.0, 0.0))
    assert ladder("auto", lambda: None)[-1](lambda _: strips, (0.0,)) is None


def test_where_pixels_say_nothing_a_network_that_is_sure_is_not_believed():
    """Two crops of noise, and a network that claims to see one specimen behind both."""
    rng = np.random.default_rng(5)
    a, b = (rng.integers(900, 1100, (96, 320)).astype(np.uint16) for _ in "ab")

    def find(_, second):
        y, x = 8.0 * np.mgrid[2:10, 2:38].reshape(2, -1)
        in_a = np.stack([x, y], axis=1)
        if np.array_equal(second, b):
            return in_a, in_a + np.array((4, 2)) + rng.normal(0, 0.8, in_a.shape)
        return in_a, rng.uniform(0, 96, in_a.shape)

    pair = StripPair(a, b, (0, 400), (0, 0), (0.0, 400.0), 20)
    assert match_learned(pair, Finder(shape_px=(96, 320), find=find)) is None
