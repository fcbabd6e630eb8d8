"""How far two pictures of the same textured field lie apart, by the matcher that stitches tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.ladder import match_phase
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.threshold import FAR, Chance
from runtime.tile import UNSURE_PX2, Covariance

SMALLEST_OVERLAP = 0.25
"""The smallest overlap, as a share of the frame's side, that still makes a match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShift:
    """Picture b's pixel (0, 0) lies at (dx_px, dy_px) in picture a's pixels (see runtime.tile).

    `covariance_px2` is 2x2 over (dx, dy). `ncc` is the mean-centred correlation on the overlap, 1
    for the same picture, 0 where there is no more in common than chance gives.
    """

    dx_px: float
    dy_px: float
    ncc: float
    covariance_px2: Covariance = UNSURE_PX2

    @property
    def variance_px2(self) -> float:
        """The variance of the shift on either axis."""
        (xx, _), (_, yy) = self.covariance_px2
        return (xx + yy) / 2


def measure_shift(a: NDArray[Any], b: NDArray[Any]) -> ImageShift:
    """Return how b lies against a; both (y, x) of one shape and any real dtype.

    Shifts up to three quarters of the frame are found.
    """
    first, second = (np.ascontiguousarray(picture, np.float32) for picture in (a, b))
    gate_px = int((1 - SMALLEST_OVERLAP) * max(a.shape))
    # Far from the other frame as the matcher sees it: it takes no shift near zero for anything but
    # dust on the sensor, and here the flat field has taken that away.
    pair = StripPair(first, second, FAR, (0, 0), FAR, gate_px)
    chance = Chance.of(first, gate_px=gate_px) + Chance.of(second, gate_px=gate_px)
    match = match_phase(pair, chance)
    if match is None:
        return ImageShift(dx_px=0.0, dy_px=0.0, ncc=0.0)
    return ImageShift(
        dx_px=match.shift_px[0] - FAR[0],
        dy_px=match.shift_px[1] - FAR[1],
        ncc=match.ncc,
        covariance_px2=match.covariance_px2,
    )
