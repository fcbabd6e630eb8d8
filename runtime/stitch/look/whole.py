"""Where two whole tiles overlap, wherever that is: for scans whose positions cannot be trusted.

Both tiles are made small, and correlated with room for any shift at all; of the highest peaks the
one that the pictures themselves agree with best counts. How well tiles that share nothing agree is
learned from the same pair with one tile turned by half a turn: the same texture, another place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from runtime.stitch.match.correlation import Image, ncc, whitened
from runtime.tile import Pixels

FINE_SIGMA_PX, COARSE_SIGMA_PX = 1.0, 8.0
"""Band that is compared, in pixels of the small picture."""

CLIP_SIGMAS = 4.0
PEAKS = 8
PEAK_RADIUS_PX = 4

LEAST_SIDE_PX = 6
"""Overlaps narrower than this in the small picture hold nothing to compare."""

FIXED_PATTERN_PX = COARSE_SIGMA_PX
"""Shifts closer to none than this are dust and sensor pattern, which stay with the sensor: they
agree as far off as the coarsest detail is wide."""

LEAST_SPREAD = 0.02
"""What rounding leaves of a constant tile, in digital numbers."""


@dataclass(frozen=True, slots=True)
class Small:
    """A tile made small: band-passed float32 (y, x), and how many pixels became one."""

    image: Image
    factor: int

    @classmethod
    def of(cls, pixels: Pixels, *, side_px: int) -> Small:
        """Return a tile whose longer side has at most `side_px` pixels, by block means; more where
        the shorter one would have none.
        """
        factor = max(min(-(-max(pixels.shape) // side_px), *pixels.shape), 1)
        height, width = (size // factor for size in pixels.shape)
        whole = pixels[: height * factor, : width * factor].astype(np.float32)
        small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        fine = cv2.GaussianBlur(small, (0, 0), FINE_SIGMA_PX)
        detail = np.asarray(fine - cv2.GaussianBlur(small, (0, 0), COARSE_SIGMA_PX), np.float32)
        spread = float(detail.std())
        image = np.zeros_like(detail)
        if spread >= LEAST_SPREAD:
            image = np.clip(detail / spread, -CLIP_SIGMAS, CLIP_SIGMAS)
        return cls(image, factor)

    def turned(self) -> Small:
        """Return the tile turned by half a turn."""
        return Small(np.ascontiguousarray(self.image[::-1, ::-1]), self.factor)


@dataclass(frozen=True, slots=True)
class WholeShift:
    """The best shift of two tiles: b's pixel (0, 0) lies at `shift_px` (x, y) in a.

    `score` is the NCC on the overlap times the root of the overlap's area.
    """

    shift_px: tuple[float, float]
    score: float


def whole_shift(a: Small, b: Small) -> WholeShift:
    """Return the best shift of two tiles of one size, good to about a pixel of the small ones."""
    (x, y), score = _best(a, b)
    return WholeShift((float(x * a.factor), float(y * a.factor)), score)


def whole_shifts(a: Small, b: Small) -> list[WholeShift]:
    """Return every shift of two tiles of one size that stands out, none of them left out because
    the sensor's own pattern would lie there; the one with the highest score first.
    """
    found = (
        WholeShift((float(x * a.factor), float(y * a.factor)), score)
        for (x, y), score in _scored(a, b)
    )
    return sorted(found, key=lambda shift: -shift.score)


def chance_score(a: Small, b: Small) -> float:
    """Return the score that two tiles reach when they cannot match: with one turned about."""
    return _best(a, b.turned())[1]


def _best(a: Small, b: Small) -> tuple[tuple[int, int], float]:
    """Return the whole shift (x, y) with the highest score, and that score; the sensor's own
    pattern is no shift.
    """
    apart = (found for found in _scored(a, b) if np.hypot(*found[0]) >= FIXED_PATTERN_PX)
    return max(((at, score) for at, score in apart if score > 0), key=_score, default=((0, 0), 0.0))


def _score(found: tuple[tuple[int, int], float]) -> float:
    return found[1]


def _scored(a: Small, b: Small) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield the shifts (x, y) that stand out, highest peak first, with their scores."""
    for x, y in _peaks(_correlation(a, b), a.image.shape):
        part_a, part_b = _shared(a.image, b.image, x, y)
        if min(part_a.shape) >= LEAST_SIDE_PX:
            yield (x, y), ncc(part_a, part_b) * float(np.sqrt(part_a.size))


def _room(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(fft.next_fast_len(2 * side, real=True) for side in shape)


def _correlation(a: Small, b: Small) -> NDArray[np.float32]:
    """Return the correlation at every shift, (y, x) modulo its shape.

    Either spectrum is that of the picture in twice its room, so that any shift is told apart; four
    times as large as the picture, it is not kept for the tile's next pair.
    """
    room = _room(a.image.shape)
    cross = whitened(fft.rfft2(a.image, s=room) * np.conj(fft.rfft2(b.image, s=room)))
    # Rows and columns of a sensor differ; their pattern lives on the two axes of the spectrum.
    cross[0, :] = 0
    cross[:, 0] = 0
    surface: NDArray[np.float32] = fft.irfft2(cross, s=room)
    return surface


def _peaks(surface: NDArray[np.float32], shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the shifts (x, y) of the highest peaks, apart from one another."""
    left = surface.copy()
    height, width = surface.shape
    found = []
    for _ in range(PEAKS):
        row, column = (int(v) for v in np.unravel_index(int(np.argmax(left)), left.shape))
        x = column - width if column >= shape[1] else column
        y = row - height if row >= shape[0] else row
        found.append((x, y))
        rows = np.arange(row - PEAK_RADIUS_PX, row + PEAK_RADIUS_PX + 1) % height
        columns = np.arange(column - PEAK_RADIUS_PX, column + PEAK_RADIUS_PX + 1) % width
        left[np.ix_(rows, columns)] = -np.inf
    return found


def _shared(a: Image, b: Image, x: int, y: int) -> tuple[Image, Image]:
    """Return the parts of a and b that show the same place when b lies at (x, y) in a."""
    height, width = a.shape
    rows_a, rows_b = _span(y, height)
    columns_a, columns_b = _span(x, width)
    return a[rows_a, columns_a], b[rows_b, columns_b]


def _span(shift: int, size: int) -> tuple[slice, slice]:
    if abs(shift) >= size:
        return slice(0, 0), slice(0, 0)
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size - max(shift, 0))
