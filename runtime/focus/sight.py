"""What a focus loop asks of the microscope and is told: a z under some lamps, and their frames."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.tile import Pixels

Image = NDArray[np.float32]

# Every so many rows tell frames apart: noise writes each differently.
PRINT_ROWS = 16
# Detail is finer than the second and coarser than the first of these.
DETAIL_PX = (3, 25)
PLACE_PX = 17
ALIKE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """A channel of the light, how bright it burns, and how long a frame under it is exposed."""

    channel: str
    brightness: float
    exposure_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen at one z: the z read back, one corrected frame (y, x) per lamp, and when.

    `level` is the mean of the first frame as it came, as a share of full scale;
    `saturated_fraction` the largest of any frame; `prints` tells frames as they came apart.
    """

    z_um: float
    frames: tuple[Pixels, ...]
    level: float
    saturated_fraction: float
    prints: tuple[int, ...]
    time_s: float


def fingerprint(pixels: Pixels) -> int:
    """Return a number that two frames share only if the camera gave the same one twice."""
    return zlib.crc32(pixels[::PRINT_ROWS].tobytes())


def unchanged(first: Pixels, second: Pixels) -> bool:
    """Return whether two frames of one shape show the same detail nearly everywhere.

    Noise is new in every frame, and dust lies in few places: where the median place agrees, the
    same specimen is seen in the same way.
    """
    one, other = _detail(first), _detail(second)
    both, left, right = (_around(a * b) for a, b in ((one, other), (one, one), (other, other)))
    alike = both / np.sqrt(np.maximum(left * right, np.finfo(np.float32).tiny))
    return float(np.median(alike)) > ALIKE


def _detail(pixels: Pixels) -> Image:
    """Return a frame without its shading and most of its noise."""
    whole = np.asarray(pixels, np.float32)
    fine, coarse = (cv2.blur(whole, (side, side)) for side in DETAIL_PX)
    return np.asarray(fine, np.float32) - np.asarray(coarse, np.float32)


def _around(values: Image) -> Image:
    """Return the mean over the neighbourhood of every pixel."""
    return np.asarray(cv2.blur(values, (PLACE_PX, PLACE_PX)), np.float32)
