"""Which distortion fields overlaps can show, and the few numbers that say one.

Opposite sides of a frame meet in an overlap, so it shows the difference of the field between them.
A term that depends on x alone, or on y alone, is the same all along such a side: it only moves the
neighbours, as another pixel size or another step of the stage would, and no overlap tells it from
those. What is left are the mixed terms. A lens has its pure cubes too, tied to the mixed ones: its
field is along the way from the centre, k r^2 (x, y), and they are taken with them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.distortion import exponents, terms

Floats = NDArray[np.float64]

DEGREE = 5
"""Keystone and barrel are of the third order. A scanned beam settles after each flyback: on two
real scans the fifth order halves what the third leaves."""


SIMPLE_PX, HIGH_PX = 10.0, 2.0
"""What a number of a field may be, one standard deviation, up to the third order and above: seams
lie along the edges, where x y^2 and x^3 y^2 look alike, and then the simpler one is meant."""


def _mixed() -> list[tuple[int, int]]:
    """Return the index of the term and the axis (0 for x) of every number."""
    powers = exponents(DEGREE)
    return [(t, axis) for t, power in enumerate(powers) if min(power) > 0 for axis in (0, 1)]


def _basis() -> Floats:
    """Return the coefficients (terms, 2, n) that each of the n numbers of a field stands for."""
    powers, mixed = exponents(DEGREE), _mixed()
    basis = np.zeros((len(powers), 2, len(mixed)))
    for n, (t, axis) in enumerate(mixed):
        basis[t, axis, n] = 1.0
        if powers[t] == ((1, 2), (2, 1))[axis]:
            basis[powers.index(((3, 0), (0, 3))[axis]), axis, n] = 1.0
    return basis


BASIS = _basis()
NUMBERS = BASIS.shape[2]
LIKELY_PX = np.array(
    [SIMPLE_PX if sum(exponents(DEGREE)[t]) <= 3 else HIGH_PX for t, _ in _mixed()]
)


def moves(points_px: Floats, shape_px: tuple[int, int]) -> Floats:
    """Return how each number of a field moves pixels (k, 2) x, y of a tile: (k, 2, n)."""
    found: Floats = np.tensordot(terms(points_px, shape_px=shape_px, degree=DEGREE), BASIS, axes=1)
    return found


def coefficients_px(numbers: Floats) -> Floats:
    """Return the coefficients (terms, 2) of the field of `numbers` (n,)."""
    return BASIS @ numbers


def numbers_of(coefficients_px: Floats) -> Floats:
    """Return the numbers (n,) of a field that `coefficients_px` made."""
    found: Floats = np.tensordot(coefficients_px, BASIS, axes=2) / (BASIS**2).sum(axis=(0, 1))
    return found
