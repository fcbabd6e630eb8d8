"""Simulate cameras: grey levels become raw 12-bit digital numbers.

Sections differ in detector gain and contrast, microscopes in exposure, focus and noise. All of it
is varied here, on the raw tile, before the runtime's own preprocessing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.config.data import ExposuresConfig

FULL_SCALE_DN = 4095


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """The conditions under which one tile is recorded.

    `contrast` scales the distance below the tile's bright level, `gamma` bends the grey scale,
    `blur_px` is the Gaussian sigma of the defocus, `tilt` the relative change of light across the
    tile in x and y, `white_dn` the digital number of grey 255. Noise variance in DN² is value /
    `electrons_per_dn` + `read_dn`².
    """

    contrast: float = 1.0
    gamma: float = 1.0
    blur_px: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)
    white_dn: float = 2800.0
    electrons_per_dn: float = 4.0
    read_dn: float = 1.5


def random_exposure(rng: np.random.Generator, within: ExposuresConfig) -> Exposure:
    """Return conditions drawn from the range of usual cameras, lamps and focus errors; the bend of
    the grey scale and the slope of the light within those of a configuration.
    """
    return Exposure(
        contrast=rng.uniform(0.6, 1.5),
        gamma=float(np.exp(rng.uniform(*np.log(within.gamma)))),
        blur_px=rng.uniform(0.0, 1.2),
        tilt=(rng.uniform(-within.slope, within.slope), rng.uniform(-within.slope, within.slope)),
        white_dn=rng.uniform(1500, 3800),
        electrons_per_dn=rng.uniform(1.5, 10.0),
        read_dn=rng.uniform(0.5, 4.0),
    )


def expose(
    grey: NDArray[np.float32], exposure: Exposure, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Return the (y, x) uint16 raw tile of (y, x) float32 grey levels in 0..255."""
    bright = np.percentile(grey[::8, ::8], 90)
    share = np.clip(bright - (bright - grey) * exposure.contrast, 1, 255) / 255
    share = share**exposure.gamma
    if exposure.blur_px > 0.2:
        share = cv2.GaussianBlur(share, (0, 0), exposure.blur_px)
    height, width = grey.shape
    slope = (
        1
        + np.linspace(-0.5, 0.5, width)[None, :] * exposure.tilt[0]
        + np.linspace(-0.5, 0.5, height)[:, None] * exposure.tilt[1]
    )
    mean = share * slope * exposure.white_dn
    deviation = np.sqrt(mean / exposure.electrons_per_dn + exposure.read_dn**2)
    noisy = mean + deviation * rng.standard_normal(mean.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(noisy), 0, FULL_SCALE_DN), dtype=np.uint16)
