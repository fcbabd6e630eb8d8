"""Which of several places an overlap speaks for, where all of it but a few flaws repeats.

Under two places of b, a shows the same lattice twice, so that lattice drops out of the difference
of the two, and what is left are a's flaws here and there. Multiplied with what b has over their
mean, it says which of the two b agrees with: that is half the difference of the squares that either
place leaves, the lattice taken out of both factors, where it would only add its noise. Stretch by
stretch along the seam the product tells its own error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import log_ndtr

from runtime.stitch.match.correlation import Floats, Image, Ints
from runtime.stitch.match.phase import smooth
from runtime.stitch.match.resample import moved
from runtime.stitch.match.strips import StripPair
from runtime.tile import Alternative

STRETCHES = 24

LEAST_PX = 12
"""Narrower common ground tells nothing."""

LEAST_NORM = 1e-6

RIM_PX = 5
"""What smoothing and moving make up at the rim of a crop would pass for flaws."""

FLAWLESS = 0.5
"""How likely a specimen repeats without any flaw, before it is looked at."""

FLAW_SIGMAS = 4.0
"""How far flaws set two places apart where there are some, in units of the noise."""

Span = tuple[int, int]


def lead_nats(pair: StripPair, places: Sequence[Alternative]) -> Floats:
    """Return by how much the best of the places is likelier than each (n,), natural logarithm."""
    seen = _InBoth(pair, places)
    first = [seen.sigmas(0, other) for other in range(len(places))]
    best = int(np.argmin(first))
    against = first if best == 0 else [seen.sigmas(best, other) for other in range(len(places))]
    lead = _log_odds(np.array(against))
    found: Floats = lead - lead.min()
    return found


class _InBoth:
    """Both crops, smoothed, each moved by the fraction of a pixel that every place asks for."""

    def __init__(self, pair: StripPair, places: Sequence[Alternative]) -> None:
        a, b = smooth(pair.a), smooth(pair.b)
        ways = np.array([(p.dx_px, p.dy_px) for p in places]) + pair.crop_offset
        self._whole = np.rint(ways).astype(np.int64)
        self._a = [moved(a, way) for way in ways - self._whole]
        self._b = [moved(b, -way) for way in ways - self._whole]
        self._raw = a, b

    def sigmas(self, one: int, other: int) -> float:
        """Return by how much the overlap speaks for one place against another, in sigmas."""
        if one == other:
            return 0.0
        a, b = self._raw
        ways = self._whole[[one, other]]
        told = _product((self._a[one], self._a[other]), b, ways)
        back = _product((self._b[one], self._b[other]), a, -ways)
        if told is None or back is None:
            return 0.0
        both = told + back
        spread = float(both.std(ddof=1)) / STRETCHES**0.5
        return float(both.mean()) / spread if spread > 0 else 0.0


def _product(pictures: tuple[Image, Image], other: Image, ways: Ints) -> Floats | None:
    """Return the product for each stretch (`STRETCHES`,); None for too little common ground.

    A point of `other` lies `ways` (2, 2) x, y further in each of the pictures.
    """
    (left, right), (top, bottom) = (
        _common(pictures[0].shape[1 - axis], other.shape[1 - axis], ways[:, axis])
        for axis in (0, 1)
    )
    if min(right - left, bottom - top) < LEAST_PX:
        return None
    here, there = (
        picture[top + y : bottom + y, left + x : right + x]
        for picture, (x, y) in zip(pictures, ways.tolist(), strict=True)
    )
    mean = (here + there) / 2
    # Gain, offset and what the places are still off are nuisances.
    terms = np.stack([np.ones_like(mean), mean - mean.mean(), *np.gradient(mean)]).reshape(4, -1)
    terms /= np.linalg.norm(terms, axis=1, keepdims=True) + LEAST_NORM
    both = np.stack([other[top:bottom, left:right], here - there]).reshape(2, -1)
    both -= both.mean(axis=1, keepdims=True)
    both -= np.linalg.lstsq(terms @ terms.T, terms @ both.T, rcond=None)[0].T @ terms
    product = (both[0] * both[1]).reshape(mean.shape)
    lines = product.sum(axis=1 if product.shape[0] >= product.shape[1] else 0, dtype=np.float64)
    stretch = np.arange(len(lines)) * STRETCHES // len(lines)
    summed: Floats = np.bincount(stretch, lines, STRETCHES).astype(np.float64)
    return summed


def _common(size: int, other: int, ways: Ints) -> Span:
    """Return which pixels of a side of `other` lie in both pictures of `size`, rims left out."""
    return (
        max(0, -int(ways.min())) + RIM_PX,
        min(other, size - int(ways.max())) - RIM_PX,
    )


def _log_odds(sigmas: Floats) -> Floats:
    """Return how much likelier a place is than another that it leads by so many sigmas, log.

    How much the flaws of a specimen tell is not known beforehand; that they may tell nothing keeps
    chance, which reaches two or three sigmas, from deciding.
    """
    wide = np.hypot(1.0, FLAW_SIGMAS)
    none = np.log(FLAWLESS) - sigmas**2 / 2
    some = np.log(2 * (1 - FLAWLESS) / wide) - (sigmas / wide) ** 2 / 2
    slope = sigmas * FLAW_SIGMAS / wide
    odds: Floats = np.logaddexp(none, some + log_ndtr(slope)) - np.logaddexp(
        none, some + log_ndtr(-slope)
    )
    return odds
