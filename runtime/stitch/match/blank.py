"""Is there anything to match: the texture of a strip against its own noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.strips import Strip

BIN_PX = 2
"""The band lies far below Nyquist's frequency, so it is looked at in a picture half as large."""

FINE_SIGMA, COARSE_SIGMA = 1.0, 3.0
"""Band in which texture is looked for, in binned pixels: coarse enough to average noise away."""

BLANK_RATIO = 1.6
"""Texture power over the noise expected in that band; 1 is noise alone."""

SAMPLES = 10_000
"""Pixels looked at for a median: within 2 % of all of them, at a fraction of the time."""

_LAPLACE_PAIR = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
"""Blind to planes and straight edges, so that it sees noise (Immerkaer,
doi:10.1006/cviu.1996.0060); its response to unit white noise has a standard deviation of 6."""


def texture_ratio(pixels: Strip) -> float:
    """Return the band-passed power over what white noise of the image's own level would leave.

    About 1 for noise alone, above 1 with structure, 0 for a constant image. Medians are used, so
    a few specks or one edge do not make an empty field textured.
    """
    image = pixels.astype(np.float32)
    noise = _spread(np.asarray(cv2.filter2D(image, -1, _LAPLACE_PAIR), np.float32)) / 6.0
    size = tuple(max(n // BIN_PX, 1) for n in image.shape[::-1])
    binned = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    fine = cv2.GaussianBlur(binned, (0, 0), FINE_SIGMA)
    coarse = cv2.GaussianBlur(binned, (0, 0), COARSE_SIGMA)
    texture = _spread(np.asarray(fine - coarse, np.float32))
    if texture == 0:
        return 0.0
    # Quantisation alone is a noise of 1/sqrt(12) digital numbers.
    noise = max(noise, 12**-0.5)
    return float(texture**2 / (noise**2 * _noise_gain()))


def is_blank(pixels: Strip) -> bool:
    """Return whether a (y, x) image holds no more structure than its noise would show."""
    return texture_ratio(pixels) < BLANK_RATIO


def _spread(values: NDArray[np.float32]) -> float:
    """Return a standard deviation that outliers do not move: 1.4826 times the median size."""
    stride = int(np.ceil(np.sqrt(values.size / SAMPLES)))
    values = values[::stride, ::stride]
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _noise_gain() -> float:
    """Return the variance that unit white noise keeps in the band."""
    fine, coarse = FINE_SIGMA**2, COARSE_SIGMA**2
    binned = (1 / (4 * fine) + 1 / (4 * coarse) - 1 / (fine + coarse)) / np.pi
    return float(binned) / BIN_PX**2
