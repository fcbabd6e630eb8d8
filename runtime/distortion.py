"""How a camera's lens or a scanning beam bends every tile in the same way.

A polynomial of low order over the tile, as in classical lens calibration (Brown, Photogrammetric
Engineering 37 (1971) 855) but with all terms, for the field of a scanned beam has no symmetry.
Constant and linear terms are left out: they are the tile's place and the pixel size.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UNBENDING_ROUNDS = 6
"""Each round of the inverse shrinks the error by the field's slope, a few per cent."""


@dataclass(frozen=True, slots=True, eq=False)
class Distortion:
    """One distortion field for all tiles of `shape_px` (height, width).

    `coefficients_px` is (terms, 2): how far, in pixels (x, y), each of `terms` moves a point at the
    edge of the tile. The order of the terms is that of `exponents`.
    """

    shape_px: tuple[int, int]
    degree: int
    coefficients_px: Floats

    def straightened(self, points_px: Floats) -> Floats:
        """Return where pixels (n, 2) x, y of a tile would lie without distortion, (n, 2) x, y."""
        moved: Floats = points_px + self.terms(points_px) @ self.coefficients_px
        return moved

    def bent(self, points_px: Floats) -> Floats:
        """Return which pixels (n, 2) x, y of a tile show undistorted places (n, 2) x, y."""
        found = points_px
        for _ in range(UNBENDING_ROUNDS):
            found = points_px - self.terms(found) @ self.coefficients_px
        return found

    def terms(self, points_px: Floats) -> Floats:
        """Return the value of every term (n, terms) at pixels (n, 2) x, y."""
        return terms(points_px, shape_px=self.shape_px, degree=self.degree)

    def apart_px(self, other: Distortion | None) -> float:
        """Return the longest way that two fields of one degree move a pixel of the rim apart; from
        none, what this one moves it.
        """
        if other is None:
            return self.largest_px
        apart = self.coefficients_px - other.coefficients_px
        return Distortion(self.shape_px, self.degree, apart).largest_px

    @property
    def fingerprint(self) -> str:
        """What is the same for fields that move every pixel alike, and for no others."""
        coefficients = np.ascontiguousarray(self.coefficients_px, np.float64).tobytes()
        return sha256(repr((self.shape_px, self.degree)).encode() + coefficients).hexdigest()

    @property
    def largest_px(self) -> float:
        """The longest way that it moves a pixel of the tile's rim."""
        rim = self.rim_px
        return float(np.hypot(*(self.straightened(rim) - rim).T).max())

    @property
    def rim_px(self) -> Floats:
        """Places (n, 2) x, y all along the tile's rim."""
        height, width = self.shape_px
        x, y = np.linspace(0, width - 1, 33), np.linspace(0, height - 1, 33)
        sides = [(x, 0 * x), (x, 0 * x + height - 1), (0 * y, y), (0 * y + width - 1, y)]
        return np.concatenate([np.column_stack(side) for side in sides])


def degree_of(count: int) -> int:
    """Return the degree of a field of so many terms; raises ValueError where there is none."""
    degree = 2
    while len(exponents(degree)) < count:
        degree += 1
    if len(exponents(degree)) != count:
        raise ValueError(f"no distortion has {count} terms")
    return degree


def exponents(degree: int) -> list[tuple[int, int]]:
    """Return the powers of (x, y) of every term from the second order to `degree`."""
    return [(order - j, j) for order in range(2, degree + 1) for j in range(order + 1)]


def terms(points_px: Floats, *, shape_px: tuple[int, int], degree: int) -> Floats:
    """Return the terms (n, terms) at pixels (n, 2) x, y: powers of the way from the tile's centre.

    The way is measured in half the tile's longer side, so that the field turns with the tile.
    """
    height, width = shape_px
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    u, v = ((points_px - middle) / (max(height, width) / 2)).T
    return np.column_stack([u**i * v**j for i, j in exponents(degree)])
