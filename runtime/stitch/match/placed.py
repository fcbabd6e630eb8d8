"""Cells that agree on a motion, each placed anew by the pixels around it.

A network tells its cells to half a pixel; the pixels of a window around a cell know to a tenth and
better where there is texture. So b is drawn as it lies in a, and every cell's window is laid on it.
What has no slopes beyond those of its noise, or lies elsewhere, is no point.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.agreed import Agreed
from runtime.stitch.match.blank import noise_of
from runtime.stitch.match.blocks import BLOCK_FLOOR_PX, FLOOR_PX, floor
from runtime.stitch.match.correlation import Floats, Image
from runtime.stitch.match.phase import SMOOTHING_SIGMA_PX, smooth
from runtime.stitch.match.placed_kernel import lay, sharing
from runtime.stitch.match.refined import as_covariance
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.turned import RigidMotion, turned_back
from runtime.tile import PointPair

HALF_PX = 10
"""A window is a pixel and so many on either side of it."""

MOST_PX = 1.5
"""What lies further than this from the motion of all is something else that looks alike."""

TELLING_PX = 0.5
"""A window that is no surer than this says no more than the cell does."""

FEWEST, LEAST_SHARE = 16, 1 / 3
"""So many cells must be placed, and that share of them: less is the luck of their noise."""

CELL_PX = 8
"""Of cells in one square of this side one is enough: where windows of the network overlap, both
find the same.
"""

RIM_PX = 3
"""What is drawn as near to b's rim as this is smoothed with what lies beyond."""

SLOPE_NOISE = 0.0252
"""What unit white noise, smoothed, adds to the square of a slope."""

SPREAD_PX2 = 4 * np.pi * SMOOTHING_SIGMA_PX**2
"""As many pixels of smoothed noise hold as much as one of white noise."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Points (n, 2) x, y of either tile that show the same, and the motion that fits them best.

    `covariances_px2` (n, 2, 2) are as sure as lets every pixel speak once, though windows overlap.
    """

    motion: RigidMotion
    a_px: Floats
    b_px: Floats
    covariances_px2: Floats

    @classmethod
    def of(cls, pair: StripPair, agreed: Agreed) -> Placed | None:
        """Return the cells that their pixels place, None where those are few of them."""
        found = np.rint(agreed.a_px - pair.origin_a).astype(np.int64)
        places = found[np.unique(found // CELL_PX, axis=0, return_index=True)[1]]
        off, covariances = _laid(pair, agreed.motion, places)
        sure = np.trace(covariances, axis1=1, axis2=2) < 2 * TELLING_PX**2
        if sure.sum() < max(FEWEST, LEAST_SHARE * len(places)):
            return None
        a_px = places[sure] + np.array(pair.origin_a, float)
        b_px = agreed.motion.into_b(a_px + off[sure])
        shared = sharing(places[sure], 2 * HALF_PX + 1)[:, None, None]
        told = (covariances[sure] + floor(BLOCK_FLOOR_PX)) * shared
        return cls(RigidMotion.fitted(a_px, b_px), a_px, b_px, told)

    @property
    def shift_px(self) -> Floats:
        """How far (2,) a's pixels lie from b's in the middle of the points."""
        middle = (self.a_px.min(axis=0) + self.a_px.max(axis=0)) / 2
        way: Floats = middle - self.motion.into_b(middle[None])[0]
        return way

    @property
    def covariance_px2(self) -> Floats:
        """The covariance (2, 2) of that, as the points scatter about it if that is more."""
        inverse = np.linalg.inv(self.covariances_px2)
        off = self.a_px - self.motion.into_a(self.b_px)
        chi2 = float(np.einsum("ni,nij,nj", off, inverse, off)) / (2 * len(off) - 3)
        covariance: Floats = np.linalg.inv(inverse.sum(axis=0)) * max(chi2, 1.0)
        return covariance + floor(FLOOR_PX)

    @property
    def pairs(self) -> tuple[PointPair, ...]:
        """The points as a match tells them."""
        return tuple(
            PointPair(a_px=(ax, ay), b_px=(bx, by), covariance_px2=as_covariance(covariance))
            for (ax, ay), (bx, by), covariance in zip(
                self.a_px.tolist(), self.b_px.tolist(), self.covariances_px2, strict=True
            )
        )


def _laid(pair: StripPair, motion: RigidMotion, places: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return how far off the motion the windows about places (n, 2) of a's crop lie, (n, 2), and
    the covariances (n, 2, 2) of that; NaN where one lies nowhere.
    """
    a, drawn, inside = turned_back(pair, motion)
    around = np.ones((2 * RIM_PX + 1,) * 2, np.uint8)
    seen = cv2.erode(inside.astype(np.uint8), around, borderValue=0) > 0
    grain = noise_of(a) ** 2 * SLOPE_NOISE
    off, covariances = np.full((len(places), 2), np.nan), np.full((len(places), 2, 2), np.nan)
    layers, b = _layers(smooth(a)), smooth(drawn)
    lay(layers, b, seen, places, HALF_PX, grain, MOST_PX, off, covariances)
    return off, covariances * SPREAD_PX2


def _layers(image: Image) -> NDArray[np.float32]:
    """Return a picture, its slopes along x and along y per pixel, and these smoothed, (5, y, x)."""
    ways = ((1, 0), (0, 1))
    slopes = [cv2.Sobel(image, cv2.CV_32F, x, y, ksize=1, scale=0.5) for x, y in ways]
    softened = [smooth(np.asarray(slope, np.float32)) for slope in slopes]
    return np.asarray([image, *slopes, *softened], np.float32)
