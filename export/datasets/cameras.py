"""Cameras that the guard has to serve: any depth, noise and exposure, compressed or not.

What is foreign to a model passes through the same cameras as what it knows: else a guard is told
from how it was recorded, not from what it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.tile import Pixels

Light = NDArray[np.float32]

BITS = (8, 10, 12, 16)
WHITE = (0.35, 0.95)
ELECTRONS = (3e3, 1e5)
BLUR_PX = (0.0, 1.0)
# Of JPEG, which is of 8 bits. Below some 85 its blocks and missing grain can be seen.
COMPRESSED_SHARE, QUALITY = 0.15, (85, 95)
# Cameras whose own noise is nothing beside that of the picture: recorded images are of such a one.
FAITHFUL_SHARE = 0.15
READ_NOISE = 2e-4
LEAST_BLUR_PX = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCamera:
    """How light becomes numbers.

    `bits` of each pixel are used; `white` is the share of full scale that light of 1 comes to,
    `electrons` how many that light frees in a pixel, whose number varies as by Poisson's law;
    `blur_px` the Gaussian sigma of the optics; `quality` that of a JPEG, None for none.
    """

    bits: int
    white: float = 0.7
    electrons: float = 3e4
    blur_px: float = 0.0
    quality: int | None = None

    def record(self, light: Light, rng: np.random.Generator) -> Pixels:
        """Return the pixels of (y, x) light, 1 where it is white: uint8 for 8 bits, else uint16."""
        seen = light * np.float32(self.white)
        if self.blur_px > LEAST_BLUR_PX:
            seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), self.blur_px), np.float32)
        if np.isfinite(self.electrons):
            variance = np.maximum(seen, 0) * np.float32(self.white / self.electrons) + READ_NOISE**2
            seen = seen + np.sqrt(variance) * rng.standard_normal(seen.shape, dtype=np.float32)
        full = 2**self.bits - 1
        numbers = np.clip(np.rint(seen * full), 0, full)
        if self.bits > 8:
            return np.asarray(numbers, np.uint16)
        return _compressed(np.asarray(numbers, np.uint8), self.quality)


def random_camera(
    rng: np.random.Generator, *, bits: int | None = None, compressed: bool = False
) -> RecordingCamera:
    """Return one of the cameras that there are, of that depth where one is given; with `compressed`
    some of them write JPEG.
    """
    quality = None
    if compressed and rng.random() < COMPRESSED_SHARE:
        bits, quality = 8, int(rng.integers(*QUALITY, endpoint=True))
    if bits is None:
        bits = int(rng.choice(BITS))
    if rng.random() < FAITHFUL_SHARE:
        return RecordingCamera(bits=bits, white=1.0, electrons=np.inf, quality=quality)
    return RecordingCamera(
        bits=bits,
        white=rng.uniform(*WHITE),
        electrons=float(np.exp(rng.uniform(*np.log(ELECTRONS)))),
        blur_px=rng.uniform(*BLUR_PX),
        quality=quality,
    )


def light_of(pixels: Pixels) -> Light:
    """Return the light of a recorded image: 1 where it is as white as its depth allows, or, of more
    than 8 bits, whose depth nobody states, where all but a thousandth is darker.
    """
    values = pixels.astype(np.float32)
    white = 255.0 if pixels.dtype == np.uint8 else max(float(np.percentile(values, 99.9)), 1.0)
    return np.asarray(np.minimum(values / np.float32(white), 1), np.float32)


def _compressed(pixels: NDArray[np.uint8], quality: int | None) -> Pixels:
    if quality is None:
        return pixels
    _, stored = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), np.uint8)
