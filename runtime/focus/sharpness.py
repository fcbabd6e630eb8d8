"""How sharp is one frame: one function a measure, each blind to the level of the light.

Every measure is divided by the square of the mean, so a lamp that dims by a tenth leaves it where
it was. Larger is sharper; the values of different measures cannot be compared. Dark offset should
be gone (see `runtime.calibrated.correct`) or the division is by the wrong mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from runtime.tile import Pixels

Sharpness = Callable[[Pixels], float]

# OpenCV returns the square of a rounded root. Below 2^50 that is still within half of the integer,
# and this many uint16 differences, squared, stay below it.
EXACT_PIXELS = 2**50 // 65535**2


def brenner_sum(pixels: Pixels) -> int:
    """Return Σ (g(i, j) - g(i + 2, j))² over a (y, x) frame, i counting rows; exact.

    Summed by OpenCV in double precision over bands small enough to round to the true integer, at
    memory bandwidth. (NumPy subtraction of unsigned frames wraps around and is silently wrong.)

    Brenner et al., J. Histochem. Cytochem. 24(1), 1976, doi:10.1177/24.1.1254907.
    """
    above, below = pixels[:-2], pixels[2:]
    band = max(1, EXACT_PIXELS // pixels.shape[1])
    return sum(
        round(cv2.norm(below[row : row + band], above[row : row + band], cv2.NORM_L2SQR))
        for row in range(0, len(above), band)
    )


def brenner(pixels: Pixels) -> float:
    """Return the mean Brenner gradient over the squared mean; 0 for a black frame."""
    return _over_mean_squared(brenner_sum(pixels) / max(1, pixels[2:].size), pixels)


def tenengrad(pixels: Pixels) -> float:
    """Return the mean squared Sobel gradient over the squared mean; 0 for a black frame.

    Krotkov, Int. J. Comput. Vis. 1, 1988, doi:10.1007/BF00127822.
    """
    squares = sum(
        cv2.norm(cv2.Sobel(pixels, cv2.CV_32F, dx, dy), cv2.NORM_L2SQR)
        for dx, dy in ((1, 0), (0, 1))
    )
    return _over_mean_squared(squares / pixels.size, pixels)


def normalised_variance(pixels: Pixels) -> float:
    """Return the variance over the squared mean; 0 for a black frame.

    Broad in z where the gradient measures are narrow, so it still slopes far from focus.
    Groen, Young & Ligthart, Cytometry 6(2), 1985, doi:10.1002/cyto.990060202.
    """
    _, deviation = cv2.meanStdDev(pixels)
    return _over_mean_squared(float(deviation[0, 0]) ** 2, pixels)


MEASURES: Mapping[str, Sharpness] = {
    "brenner": brenner,
    "tenengrad": tenengrad,
    "normalised-variance": normalised_variance,
}


def saturated_fraction(pixels: Pixels, *, full_scale: int) -> float:
    """Return the share of pixels at or above `full_scale`; measure it before any correction."""
    return float(np.count_nonzero(pixels >= full_scale)) / pixels.size


def _over_mean_squared(value: float, pixels: Pixels) -> float:
    mean = cv2.mean(pixels)[0]
    return float(value / mean**2) if mean > 0 else 0.0
