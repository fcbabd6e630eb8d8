"""Blocks of a picture cut at any fraction of a pixel, by a windowed sinc.

Exact to a thousandth up to three quarters of Nyquist's frequency (Kaiser window, twelve taps);
bilinear and bicubic sampling blur what lies between pixels and pull a match towards whole ones.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.blocks import Layout
from runtime.stitch.match.correlation import Floats, Image, Stack

REACH = 6
"""Taps on either side of a point."""

BETA = 5.0
"""Shape of the Kaiser window: wide enough a band, small enough a ripple."""

STEPS = 256
"""Fractions tabulated; between them the taps are interpolated."""


def _tabulated() -> NDArray[np.float64]:
    fraction = np.linspace(0, 1, STEPS + 1)[:, None]
    away = np.arange(1 - REACH, REACH + 1) - fraction
    window = np.i0(BETA * np.sqrt(np.clip(1 - (away / REACH) ** 2, 0, 1)))
    taps = np.sinc(away) * window
    scaled: NDArray[np.float64] = taps / taps.sum(axis=1, keepdims=True)
    return scaled


_TAPS = _tabulated()


def blocks_at(image: Image, layout: Layout, shifts_px: Floats) -> Stack:
    """Return the blocks (n, y, x) of b that show what those of a show.

    `image` is b, whose content lies `shifts_px` x, y further in a: (n, 2), or (1, 2) where all
    blocks share it. The picture is mirrored at its rim.
    """
    if len(shifts_px) == 1:
        dx, dy = shifts_px[0]
        return layout.cut(_block(image, (-dy, -dx), (image.shape[0], image.shape[1])))
    blocks = np.empty((len(layout.corners), *layout.size), np.float32)
    for block, (y, x), (dx, dy) in zip(blocks, layout.corners, shifts_px, strict=True):
        block[:] = _block(image, (y - dy, x - dx), layout.size)
    return blocks


def moved(image: Image, shift_px: Floats) -> Image:
    """Return the picture that shows at a point what it has `shift_px` (2,) x, y further on."""
    return _block(image, (shift_px[1], shift_px[0]), (image.shape[0], image.shape[1]))


def _block(image: Image, corner: tuple[float, float], size: tuple[int, int]) -> Image:
    whole = [int(np.floor(at)) for at in corner]
    spans = [(at - REACH, at + n + REACH) for at, n in zip(whole, size, strict=True)]
    inside = [(max(lo, 0), min(hi, n)) for (lo, hi), n in zip(spans, image.shape, strict=True)]
    if any(lo >= hi for lo, hi in inside):
        return _beside(image, whole, size)
    piece = image[slice(*inside[0]), slice(*inside[1])]
    missing = [
        abs(wanted - had)
        for span, held in zip(spans, inside, strict=True)
        for wanted, had in zip(span, held, strict=True)
    ]
    if any(missing):
        top, bottom, left, right = missing
        piece = np.asarray(
            cv2.copyMakeBorder(piece, top, bottom, left, right, cv2.BORDER_REFLECT_101), np.float32
        )
    down, across = (_taps(at - n) for at, n in zip(corner, whole, strict=True))
    moved = cv2.sepFilter2D(piece, -1, across, down, anchor=(REACH - 1, REACH - 1))
    return np.asarray(moved[REACH:-REACH, REACH:-REACH], np.float32)


def _beside(image: Image, whole: list[int], size: tuple[int, int]) -> Image:
    """Return a block of which the picture holds nothing, to the pixel: of its mirrored pictures.

    OpenCV would look for a rim of nothing for ever.
    """
    down, across = (
        _mirrored(np.arange(at, at + n), length)
        for at, n, length in zip(whole, size, image.shape, strict=True)
    )
    return np.asarray(image[np.ix_(down, across)], np.float32)


def _mirrored(at: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    period = max(2 * (length - 1), 1)
    folded = at % period
    return np.where(folded < length, folded, period - folded)


def _taps(fraction: float) -> NDArray[np.float64]:
    """Return the weights of the pixels from `1 - REACH` to `REACH` around a point."""
    at = fraction * STEPS
    below = min(int(at), STEPS - 1)
    taps: NDArray[np.float64] = _TAPS[below] + (at - below) * (_TAPS[below + 1] - _TAPS[below])
    return taps
