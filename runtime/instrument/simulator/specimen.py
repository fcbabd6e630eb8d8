"""The specimen under the simulated microscope: a slide with a real section in its middle.

Specimen coordinates are micrometres, x to the right and y down in the picture, (0, 0) at the
picture's centre. Beyond the picture the slide is clear.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from importlib.resources import files
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

# The scale we assign to the committed section; see specimen/ORIGIN.md.
SECTION_PIXEL_UM = 0.25
# A clear slide passes a little more light than the section's own resin (median 237).
CLEAR_GREY = 245
# Wide enough that the picture's cut edge is no sharp line, narrow enough to keep tissue whole.
FEATHER_PX = 48
PYRAMID_LEVELS = 7
DUST_STREAM = 4


@cache
def read_section() -> Grey:
    """Return the committed section, (y, x) uint8 and read-only; decoding it takes about 0.6 s."""
    packed = files("runtime.instrument.simulator").joinpath("specimen/s3_section.webp").read_bytes()
    decoded = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None, "the packaged specimen does not decode; reinstall nightscope"
    section: Grey = decoded.astype(np.uint8, copy=False)
    section.setflags(write=False)
    return section


def dusty(
    read: Callable[[], Grey], *, specks: int, seed: int, radius_px: tuple[float, float] = (6, 30)
) -> Callable[[], Grey]:
    """Return a reader of the same picture with opaque specks lying on it, which move with it."""

    def with_dust() -> Grey:
        picture = read().copy()
        height, width = picture.shape
        rng = np.random.default_rng([seed, DUST_STREAM])
        for _ in range(specks):
            at = (round(rng.uniform(0, width)), round(rng.uniform(0, height)))
            long, short = (round(rng.uniform(*radius_px)) for _ in range(2))
            turn, shade = rng.uniform(0, 180), int(rng.integers(5, 40))
            cv2.ellipse(picture, at, (long, short), turn, 0, 360, (shade,), -1, cv2.LINE_AA)
        picture.setflags(write=False)
        return picture

    return with_dust


class Specimen:
    """A picture as a slide; read on first use, then kept with its pyramid (1.33 x its bytes).

    Without a picture of one's own it is the committed section.
    """

    def __init__(
        self, read: Callable[[], Grey] = read_section, *, pixel_um: float = SECTION_PIXEL_UM
    ) -> None:
        self._read = read
        self._lock = Lock()
        self.pixel_um = pixel_um

    @property
    def levels(self) -> tuple[Grey, ...]:
        """Return the pyramid, (y, x) uint8; level n has pixels of `pixel_um * 2**n`."""
        with self._lock:
            return self._levels

    @cached_property
    def _levels(self) -> tuple[Grey, ...]:
        levels = [feathered(self._read())]
        while len(levels) < PYRAMID_LEVELS and min(levels[-1].shape) >= 32:
            levels.append(_halved(levels[-1]))
        return tuple(levels)

    @property
    def size_um(self) -> tuple[float, float]:
        """Return the picture's (width, height) in micrometres."""
        height, width = self.levels[0].shape
        return width * self.pixel_um, height * self.pixel_um

    def window(self, *, level: int, x0: int, y0: int, x1: int, y1: int) -> Grey:
        """Return pixels [y0, y1) x [x0, x1) of a level, clear slide where the picture ends."""
        picture = self.levels[level]
        height, width = picture.shape
        left, top = _clip(x0, width), _clip(y0, height)
        right, bottom = _clip(x1, width), _clip(y1, height)
        inside = picture[top:bottom, left:right]
        if inside.shape == (y1 - y0, x1 - x0):
            return inside
        window = np.full((y1 - y0, x1 - x0), CLEAR_GREY, np.uint8)
        window[top - y0 : bottom - y0, left - x0 : right - x0] = inside
        return window


def feathered(picture: Grey) -> Grey:
    """Return the picture blended into clear slide along its edges."""
    height, width = picture.shape
    weight_x, weight_y = _ramp(width), _ramp(height)
    blended = picture.copy()
    for rows, columns in _border(height, width):
        weight = np.minimum(weight_y[rows, None], weight_x[None, columns])
        mixed = weight * picture[rows, columns] + (1 - weight) * CLEAR_GREY
        blended[rows, columns] = np.rint(mixed).astype(np.uint8)
    return blended


def _border(height: int, width: int) -> list[tuple[slice, slice]]:
    whole, rim = slice(None), FEATHER_PX
    if min(height, width) <= 2 * rim:
        return [(whole, whole)]
    middle = slice(rim, height - rim)
    return [
        (slice(0, rim), whole),
        (slice(height - rim, height), whole),
        (middle, slice(0, rim)),
        (middle, slice(width - rim, width)),
    ]


def _ramp(length: int) -> NDArray[np.float32]:
    """Return a raised-cosine weight, 0 at both ends and 1 from FEATHER_PX inwards."""
    rim = np.minimum(np.arange(length), np.arange(length)[::-1])
    inward = np.clip(rim / FEATHER_PX, 0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * inward)).astype(np.float32)


def _halved(picture: Grey) -> Grey:
    """Return 2 x 2 means; an odd last row or column is left out to keep pixel centres exact."""
    height, width = picture.shape
    even = picture[: height // 2 * 2, : width // 2 * 2]
    half = cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return half.astype(np.uint8, copy=False)


def _clip(value: int, size: int) -> int:
    return min(max(value, 0), size)
