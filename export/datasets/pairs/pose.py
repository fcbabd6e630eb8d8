"""How two strips lie upon one specimen: from the pixels of either to the specimen, and across.

A tile that bends the picture shows at its pixel p what a straight one has at p + d(p). About the
strip's centre c that is turned, mirrored and scaled onto the specimen: s = A (p + d(p) - c). The
second strip is turned, scaled and moved against it: q + d'(q) = B (p + d(p) - c) + c + t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval2d
from numpy.typing import NDArray

from export.datasets.pairs.hardness import PoseRanges
from export.datasets.pairs.pair import cell_places

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]

# The bend is a contraction by less than 0.1: eight rounds leave 1e-7 px of 8.
ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileBend:
    """The displacement in px over a strip: x and y as (4, 4) polynomials of the tile's (x, y).

    The tile's coordinates are -1 to 1 over a tile: `origin` + `step` * (x, y) of the strip's pixel.
    """

    x: Matrix
    y: Matrix
    origin: tuple[float, float]
    step: float

    def at(self, points: Points) -> Points:
        """Return the (..., 2) displacement at the (..., 2) x and y of a strip."""
        u = self.origin[0] + self.step * points[..., 0]
        v = self.origin[1] + self.step * points[..., 1]
        return np.stack([polyval2d(u, v, self.x), polyval2d(u, v, self.y)], axis=-1)

    def over(self, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the displacement in x and in y of every pixel, each (h, w)."""
        u = np.vander(self.origin[0] + self.step * np.arange(shape[1]), 4, increasing=True)
        v = np.vander(self.origin[1] + self.step * np.arange(shape[0]), 4, increasing=True)
        wide, high = u.astype(np.float32).T, v.astype(np.float32)
        return (
            high @ (self.x.T.astype(np.float32) @ wide),
            high @ (self.y.T.astype(np.float32) @ wide),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StripPose:
    """From a strip's pixels to the specimen: s = `turn` (p + d(p)) + `offset`, all (x, y)."""

    turn: Matrix
    offset: NDArray[np.float64]
    bend: TileBend | None

    def to_specimen(self, points: Points) -> Points:
        """Return the (..., 2) places on the specimen of the (..., 2) pixels of the strip."""
        straight = points if self.bend is None else points + self.bend.at(points)
        return straight @ self.turn.T + self.offset

    def from_specimen(self, places: Points) -> Points:
        """Return the (..., 2) pixels of the strip that show the (..., 2) places."""
        straight = (places - self.offset) @ np.linalg.inv(self.turn).T
        if self.bend is None:
            return straight
        points = straight
        for _ in range(ROUNDS):
            points = straight - self.bend.at(points)
        return points

    def box(self, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the least and largest (x, y) that the strip's border shows of the specimen."""
        height, width = shape
        x = np.linspace(0, width - 1, 9)
        y = np.linspace(0, height - 1, 9)
        border = [(a, b) for a in x for b in (0, height - 1)]
        border += [(a, b) for a in (0, width - 1) for b in y]
        seen = self.to_specimen(np.array(border))
        return seen.min(axis=0), seen.max(axis=0)

    def moved(self, by: NDArray[np.float64]) -> StripPose:
        """Return the pose on a specimen whose origin lies elsewhere."""
        return StripPose(turn=self.turn, offset=self.offset + by, bend=self.bend)


def draw_poses(
    rng: np.random.Generator, shape: tuple[int, int], ranges: PoseRanges, *, bent: bool
) -> tuple[StripPose, StripPose]:
    """Return the poses of the two strips; the first one's centre is the specimen's (0, 0)."""
    height, width = shape
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    low, high = ranges.scale
    common = np.exp(rng.uniform(np.log(low), np.log(high)))
    onto = np.eye(2) if ranges.upright else _turn(rng.uniform(0, 2 * np.pi))
    if not ranges.upright and rng.random() < 0.5:
        onto = onto @ np.diag([-1.0, 1.0])
    onto = onto / common
    angle = np.deg2rad(rng.uniform(-ranges.rotation_deg, ranges.rotation_deg))
    across = _turn(angle) * (1 + rng.uniform(-ranges.stretch, ranges.stretch))
    shift = rng.uniform(-1, 1, 2) * (ranges.along_px, ranges.across_px)
    first, second = draw_bends(rng, shape, ranges) if bent else (None, None)
    back = onto @ np.linalg.inv(across)
    return (
        StripPose(turn=onto, offset=-onto @ centre, bend=first),
        StripPose(turn=back, offset=-back @ (centre + shift), bend=second),
    )


def places(first: StripPose, second: StripPose, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return where the cells of the first strip lie in the second, (h/8, w/8, 2)."""
    return second.from_specimen(first.to_specimen(cell_places(shape)))


def draw_bends(
    rng: np.random.Generator, shape: tuple[int, int], ranges: PoseRanges
) -> tuple[TileBend, TileBend]:
    """Return how the tiles bend the lower strip of one and the upper strip of the next."""
    height, width = shape
    side = max(ranges.tile_px, width, height)
    order = np.add.outer(np.arange(4), np.arange(4))
    wanted = (order == 2) | (order == 3)
    most = rng.uniform(0, ranges.bend_px)
    x, y = (np.where(wanted, rng.standard_normal((4, 4)), 0.0) for _ in range(2))
    corner = np.hypot(np.abs(x).sum(), np.abs(y).sum())
    x, y = x * most / corner, y * most / corner
    step = 2 / side
    left = rng.uniform(-1, 1 - step * (width - 1))
    return (
        _centred(x, y, (left, 1 - step * (height - 1)), step, shape),
        _centred(x, y, (left, -1.0), step, shape),
    )


def _centred(
    x: Matrix, y: Matrix, origin: tuple[float, float], step: float, shape: tuple[int, int]
) -> TileBend:
    """Return the bend that leaves the strip's centre where it is: its mean is no bend but a shift,
    and shifts have a range of their own."""
    there = TileBend(x=x, y=y, origin=origin, step=step)
    by = there.at(np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2]))
    constant = np.zeros((4, 4))
    constant[0, 0] = 1.0
    return TileBend(x=x - by[0] * constant, y=y - by[1] * constant, origin=origin, step=step)


def _turn(angle_rad: float) -> Matrix:
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cosine, -sine], [sine, cosine]])
