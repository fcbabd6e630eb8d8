"""Which distortion fields overlaps can show, and the few numbers that say one.

Opposite sides of a frame meet in an overlap, so it shows the difference of the field between them.
A term that depends on x alone, or on y alone, is the same all along such a side: it moves the
neighbours, as another pixel size or another step of the stage would, and only from one rim of a
deep overlap to the other does a pure square stretch it: a tilted specimen is seen in perspective,
p.r (x, y), which has squares as large as its mixed term. Of higher powers no overlap tells. What is
left are the mixed terms and the squares. A lens has its pure cubes too, tied to the mixed ones: its
field is along the way from the centre, k r^2 (x, y), and they are taken with them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.distortion import exponents

Floats = NDArray[np.float64]

DEGREE = 5
"""Keystone and barrel are of the third order. A scanned beam settles after each flyback: on two
real scans the fifth order halves what the third leaves."""


SIMPLE_PX, HIGH_PX = 10.0, 2.0
"""What a number of a field may be, one standard deviation, up to the third order and above: seams
lie along the edges, where x y^2 and x^3 y^2 look alike, and then the simpler one is meant."""


def _told() -> list[tuple[int, int]]:
    """Return the index of the term and the axis (0 for x) of every number."""
    told = [t for t, power in enumerate(exponents(DEGREE)) if min(power) > 0 or sum(power) == 2]
    return [(t, axis) for t in told for axis in (0, 1)]


POWERS = np.array([exponents(DEGREE)[t] for t, _ in _told()])
AXES = np.array([axis for _, axis in _told()])
CUBES = np.array([exponents(DEGREE)[t] == ((1, 2), (2, 1))[axis] for t, axis in _told()])
"""The powers (n, 2) of x and y of each number's term, the axis (n,) along which it moves points,
and whether (n,) the pure cube of that axis goes with it."""

SQUARES = (POWERS.sum(axis=1) == 2) & (POWERS.min(axis=1) == 0)
"""Which numbers (n,) stand for pure squares."""

NUMBERS = len(AXES)
HIGH = POWERS.sum(axis=1) > 3
"""Which numbers (n,) are above the third order."""

LIKELY_PX = np.where(HIGH, HIGH_PX, SIMPLE_PX)


def _basis() -> Floats:
    """Return the coefficients (terms, 2, n) that each of the n numbers of a field stands for."""
    powers = exponents(DEGREE)
    basis = np.zeros((len(powers), 2, NUMBERS))
    for n, (t, axis) in enumerate(_told()):
        basis[t, axis, n] = 1.0
        if CUBES[n]:
            basis[powers.index(((3, 0), (0, 3))[axis]), axis, n] = 1.0
    return basis


BASIS = _basis()


def coefficients_px(numbers: Floats) -> Floats:
    """Return the coefficients (terms, 2) of the field of `numbers` (n,)."""
    return BASIS @ numbers


def numbers_of(coefficients_px: Floats) -> Floats:
    """Return the numbers (n,) of a field that `coefficients_px` made."""
    found: Floats = np.tensordot(coefficients_px, BASIS, axes=2) / (BASIS**2).sum(axis=(0, 1))
    return found
