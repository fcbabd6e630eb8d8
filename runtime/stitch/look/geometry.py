"""What pairs of neighbours say of a scan's geometry: one linear map from claimed to seen places."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

# x and y kept, swapped, mirrored: what a stage's axes and a camera's can be to each other.
SQUARE_TURNS = tuple(
    np.array(rows, np.float64)
    for sx, sy in product((1, -1), repeat=2)
    for rows in (((sx, 0), (0, sy)), ((0, sx), (sy, 0)))
)

PARALLEL = 0.2
"""Sine of the angle between two claimed directions below which they say nothing of a plane."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The map `matrix` @ claimed = seen, and which pairs agree with it (n,).

    `axes` says whether the pairs tell of x and of y, as claimed; an axis they say nothing of is
    taken as it is claimed, as far as that goes.
    """

    matrix: Matrix
    agree: NDArray[np.bool_]
    axes: tuple[bool, bool]

    @property
    def turn(self) -> Matrix:
        """The square turn or mirror nearest to the map: a matrix of 0, 1 and -1."""
        unit = self.matrix / np.maximum(np.linalg.norm(self.matrix, axis=0), 1e-12)
        return max(SQUARE_TURNS, key=lambda turn: float((turn * unit).sum()))

    @property
    def angle_deg(self) -> float:
        """How far the axes are turned beyond that, clockwise as seen with y down."""
        return float(np.mean(self._angles_deg()))

    @property
    def shear_deg(self) -> float:
        """How far the axes are from a right angle."""
        x, y = self._angles_deg()
        return y - x

    def _angles_deg(self) -> tuple[float, float]:
        """Return how far each axis is turned beyond the square turn."""
        x, y = (
            float(np.degrees(np.arctan2(t[0] * v[1] - t[1] * v[0], t @ v)))
            for t, v in zip(self.turn.T, self.matrix.T, strict=True)
        )
        return x, y

    @property
    def scales(self) -> tuple[float, float]:
        """Pixels seen for a pixel claimed, along the claimed x and y."""
        x, y = np.linalg.norm(self.matrix, axis=0)
        return float(x), float(y)


def fit(claimed: Matrix, seen: Matrix, *, within_px: float) -> Geometry | None:
    """Return the map that most pairs agree with to `within_px`; None without pairs.

    `claimed`, `seen` are (n, 2) shifts between tiles, x then y. Every pair, and every two that are
    not parallel, propose a map; least squares over those that agree with the best ends it.
    """
    if len(claimed) == 0:
        return None
    proposals = [_alike(p, s) for p, s in zip(claimed, seen, strict=True)]
    for k, m in combinations(range(len(claimed)), 2):
        base = claimed[[k, m]].T
        if not _parallel(*base.T):
            proposals.append(seen[[k, m]].T @ np.linalg.inv(base))
    judged = [_off_px(proposal, claimed, seen) for proposal in proposals]
    best = max(range(len(judged)), key=lambda i: _merit(judged[i], within_px))
    agree = judged[best] <= within_px
    planar = any(
        not _parallel(claimed[k], claimed[m]) for k, m in combinations(np.flatnonzero(agree), 2)
    )
    matrix = proposals[best]
    if planar:
        matrix = np.asarray(
            np.linalg.lstsq(claimed[agree], seen[agree], rcond=None)[0].T, np.float64
        )
    elif agree.any():
        along = np.argmax(np.linalg.norm(claimed[agree], axis=1))
        typical = np.median(_relative(claimed[agree], seen[agree]), axis=0)
        matrix = _alike(*_typical(claimed[agree][along], typical))
    agree = np.asarray(_off_px(matrix, claimed, seen) <= within_px)
    tell = np.abs(claimed[agree]).max(axis=0, initial=0.0)
    along_x, along_y = tell > PARALLEL * tell.max()
    return Geometry(matrix, agree, (planar or bool(along_x), planar or bool(along_y)))


def _merit(off_px: Matrix, within_px: float) -> tuple[int, float]:
    agree = off_px <= within_px
    return int(agree.sum()), -float(off_px[agree].sum())


def _off_px(matrix: Matrix, claimed: Matrix, seen: Matrix) -> Matrix:
    off: Matrix = np.linalg.norm(seen - claimed @ matrix.T, axis=1)
    return off


def _parallel(a: Matrix, b: Matrix) -> bool:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return size == 0 or abs(a[0] * b[1] - a[1] * b[0]) < PARALLEL * size


def _alike(claimed: Matrix, seen: Matrix) -> Matrix:
    """Return the map of one shift onto another that scales both axes alike.

    It turns, or it mirrors: whichever leaves the other axis nearer to where it is claimed. Where
    x becomes y and neither is nearer, the two are swapped.
    """
    (px, py), (sx, sy) = claimed, seen
    size = px * px + py * py
    if size == 0:
        return np.eye(2)
    along, across = (px * sx + py * sy) / size, (px * sy - py * sx) / size
    turned = np.array([[along, -across], [across, along]])
    if along > np.sin(np.pi / 12) * np.hypot(along, across):
        return turned
    # The same after a mirror about the claimed direction.
    cos, sin = (px * px - py * py) / size, 2 * px * py / size
    mirrored: Matrix = turned @ np.array([[cos, sin], [sin, -cos]])
    return mirrored


def _relative(claimed: Matrix, seen: Matrix) -> Matrix:
    """Return seen shifts in the frame of the claimed ones: along them, and across."""
    size = (claimed**2).sum(axis=1)
    along = (claimed * seen).sum(axis=1) / size
    across = (claimed[:, 0] * seen[:, 1] - claimed[:, 1] * seen[:, 0]) / size
    return np.column_stack([along, across])


def _typical(claimed: Matrix, relative: Matrix) -> tuple[Matrix, Matrix]:
    along, across = relative
    turned = np.array([-claimed[1], claimed[0]])
    return claimed, along * claimed + across * turned
