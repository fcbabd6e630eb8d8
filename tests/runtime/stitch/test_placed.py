"""Cells placed by the pixels around them: where, how surely, and which are no points."""

import numpy as np
import pytest

from runtime.stitch.match.agreed import Agreed
from runtime.stitch.match.placed import HALF_PX, TELLING_PX, Placed
from runtime.stitch.match.placed_kernel import sharing
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.turned import RigidMotion
from tests.honest import assert_honest
from tests.runtime.stitch.test_turned import MIDDLE, SIDE_PX, strips_of, turn, view

PRIOR = (230.0, 0.0)
SIDE_OF_WINDOW_PX = 2 * HALF_PX + 1


class Turned:
    """Two tiles turned against each other, and where what one shows lies in the other."""

    def __init__(self, degrees, seed, noise=0.0):
        self.rng = np.random.default_rng(seed)
        self.centres = np.array([(500.0, 500.0), np.add((503.3, 498.4), PRIOR)])
        self.angles = np.deg2rad([degrees / 2, -degrees / 2])
        a, b = (
            view(c, angle, 2 * seed + n) + self.rng.normal(0, noise, (SIDE_PX, SIDE_PX))
            for n, (c, angle) in enumerate(zip(self.centres, self.angles, strict=True))
        )
        self.pair = strips_of(a.astype(np.uint16), b.astype(np.uint16), PRIOR)

    def truly(self, a_px):
        there = self.centres[0] + (a_px - MIDDLE) @ turn(self.angles[0]).T
        return (there - self.centres[1]) @ turn(self.angles[1]) + MIDDLE

    def cells(self):
        """What a network finds: every eighth pixel, to a pixel or so, all a little off one way."""
        x, y = np.meshgrid(np.arange(248.0, 312, 8), np.arange(16.0, 304, 8))
        a_px = np.stack([x.ravel(), y.ravel()], axis=1)
        b_px = self.truly(a_px) + self.rng.normal(0, 0.8, a_px.shape) + (0.3, -0.2)
        kept = ((b_px > 8) & (b_px < SIDE_PX - 8)).all(axis=1)
        return Agreed(RigidMotion.fitted(a_px[kept], b_px[kept]), a_px[kept], b_px[kept])


@pytest.mark.parametrize("degrees", [0.0, 6.0])
def test_cells_are_placed_to_a_tenth_and_say_how_surely(degrees):
    turned = Turned(degrees, seed=1)
    agreed = turned.cells()
    placed = Placed.of(turned.pair, agreed)
    assert placed is not None
    assert len(placed.a_px) > 0.9 * len(agreed.a_px)
    off = placed.b_px - turned.truly(placed.a_px)
    assert np.median(np.hypot(*off.T)) < 0.1
    assert np.hypot(*off.T).max() < 3 * TELLING_PX
    # Told are covariances as large as if a pixel had one window only.
    shared = sharing(np.rint(placed.a_px).astype(np.int64), SIDE_OF_WINDOW_PX)
    sigma_px = np.sqrt(placed.covariances_px2[:, [0, 1], [0, 1]] / shared[:, None])
    assert_honest(off.ravel(), sigma_px.ravel())
    assert placed.motion.rotation_rad == pytest.approx(np.deg2rad(-degrees), abs=2e-4)


def test_all_points_together_say_how_surely_the_seam_lies():
    ratios = []
    for seed in range(10):
        turned = Turned(2.0, seed, noise=16 * 12.0)
        placed = Placed.of(turned.pair, turned.cells())
        assert placed is not None
        middle = (placed.a_px.min(axis=0) + placed.a_px.max(axis=0)) / 2
        off = placed.shift_px - (middle - turned.truly(middle[None])[0])
        ratios.append(off / np.sqrt(np.diag(placed.covariance_px2)))
    assert 0.3 < np.mean(np.square(ratios)) < 2.0


def test_where_pixels_say_nothing_cells_are_no_points():
    turned = Turned(0.0, seed=3)
    agreed = turned.cells()
    a = turned.pair.a.copy()
    upper = agreed.a_px[:, 1] < SIDE_PX * 0.45
    a[: int(SIDE_PX * 0.45)] = np.random.default_rng(4).integers(1900, 2100, a.shape)[
        : int(SIDE_PX * 0.45)
    ]
    half_blank = StripPair(
        a, turned.pair.b, turned.pair.origin_a, turned.pair.origin_b, PRIOR, turned.pair.gate_px
    )
    placed = Placed.of(half_blank, agreed)
    assert placed is not None
    assert (placed.a_px[:, 1] > SIDE_PX * 0.45 - HALF_PX).mean() > 0.95
    # Of cells that are mostly there nothing is told.
    few = Agreed(agreed.motion, *(of[upper] for of in (agreed.a_px, agreed.b_px)))
    assert Placed.of(half_blank, few) is None


def test_along_an_edge_a_window_has_no_place():
    rows = np.linspace(-20, 20, SIDE_PX)[:, None]
    edge = (3000 + 1000 * np.tanh(rows)) * np.ones(120)
    pair = StripPair(edge, edge.copy(), (0, 0), (0, 0), (0.0, 0.0), 10)
    a_px = np.stack([np.arange(20.0, 100, 4), np.full(20, SIDE_PX / 2)], axis=1)
    assert Placed.of(pair, Agreed(RigidMotion(0.0, np.zeros(2)), a_px, a_px)) is None


def test_a_pixel_speaks_once_though_windows_overlap():
    far = np.array([(0, 0), (SIDE_OF_WINDOW_PX, 0), (0, 3 * SIDE_OF_WINDOW_PX)])
    assert sharing(far, SIDE_OF_WINDOW_PX).tolist() == [1, 1, 1]
    assert sharing(np.zeros((5, 2), np.int64), SIDE_OF_WINDOW_PX).tolist() == [5] * 5
    x, y = np.meshgrid(np.arange(0, 400, 7), np.arange(0, 400, 7))
    dense = sharing(np.stack([x.ravel(), y.ravel()], axis=1), SIDE_OF_WINDOW_PX)
    assert np.median(dense) == (SIDE_OF_WINDOW_PX / 7) ** 2
