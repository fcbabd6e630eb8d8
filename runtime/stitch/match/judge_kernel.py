"""What blocks say together, compiled by Numba: NumPy takes longer to be called for a few blocks
than all of that takes. To give the interpreter's lock away and back would, too.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from runtime.stitch.match.likelihood_kernel import steps_of


@njit(cache=True)
def agreed(shifts, telling, curvature, score, variance, apart_px, least_px2):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return which blocks (n,) lie within `apart_px` of most, of those that are `telling` (n,) and
    found a shift (n, 2); the one shift (2,) of these, its covariance (2, 2), and their own
    (m, 2, 2), to which `least_px2` is added. Without any the last is empty.
    """
    agree = _near(shifts, telling & np.isfinite(shifts[:, 0]), apart_px)
    _, own = steps_of(curvature[agree], score[agree], variance[agree], False)
    shift, covariance = np.zeros(2), np.zeros((2, 2))
    if not len(own):
        return agree, shift, covariance, own
    bent, pull, spread = np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2))
    for n in np.flatnonzero(agree):
        bent += curvature[n]
        spread += variance[n]
        for i in range(2):
            pull[i] += curvature[n, i, 0] * shifts[n, 0] + curvature[n, i, 1] * shifts[n, 1]
    inverse = _inverse(bent)
    for i in range(2):
        shift[i] = inverse[i, 0] * pull[0] + inverse[i, 1] * pull[1]
    for m in range(len(own)):
        own[m, 0, 0] += least_px2
        own[m, 1, 1] += least_px2
    more = _misfit(shifts[agree], shift, own)
    for i in range(2):
        for j in range(2):
            for k in range(2):
                for m in range(2):
                    covariance[i, j] += more * inverse[i, k] * spread[k, m] * inverse[m, j]
    return agree, shift, covariance, own


@njit(cache=True)
def _near(shifts, found, apart_px):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return which of the shifts (n, 2) that were found (n,) lie near their median."""
    near = found.copy()
    if found.any():
        x, y = _middle(shifts[found, 0]), _middle(shifts[found, 1])
        for n in range(len(shifts)):
            near[n] = found[n] and np.hypot(shifts[n, 0] - x, shifts[n, 1] - y) < apart_px
    return near


@njit(cache=True)
def _misfit(shifts, shift, covariances):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return by how much the blocks differ more than they should, at least 1.

    It is their chi squared per degree of freedom, and covers what no noise explains.
    """
    chi2 = 0.0
    for n in range(len(shifts)):
        known = _inverse(covariances[n])
        x, y = shifts[n, 0] - shift[0], shifts[n, 1] - shift[1]
        chi2 += x * (known[0, 0] * x + known[0, 1] * y) + y * (known[1, 0] * x + known[1, 1] * y)
    return max(chi2 / max(2 * len(shifts) - 2, 1), 1.0)


@njit(cache=True)
def _middle(values):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the median of values (n,)."""
    ordered = np.sort(values)
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


@njit(cache=True)
def _inverse(matrix):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the inverse of a matrix (2, 2)."""
    out = np.empty((2, 2))
    a, b, c, d = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    whole = a * d - b * c
    out[0, 0], out[0, 1], out[1, 0], out[1, 1] = d / whole, -b / whole, -c / whole, a / whole
    return out
