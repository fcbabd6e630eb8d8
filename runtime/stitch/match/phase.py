"""Match two overlap strips by partially whitened phase correlation.

Band-pass and window both strips, take the three highest peaks of the whitened correlation inside
the stage gate, and let the mean-centred NCC on the true overlap decide between them. Plain phase
correlation trusts its highest peak; on noisy, nearly empty specimens that is often a wrong one.

Kuglin and Hines, Proc. IEEE Conf. Cybernetics and Society (1975) for the method; Foroosh, Zerubia
and Berthod, doi:10.1109/83.988953, for its sub-pixel form.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from runtime.stitch.match.correlation import Image, ncc, whitened
from runtime.stitch.match.strips import XY, Strip, StripPair

LOCAL_MEAN_PX = 31
"""Structure wider than this is shading more often than specimen."""

SMOOTHING_SIGMA_PX = 1.0
"""Above this band a pixel is mostly noise, and a half-pixel shift no longer hurts the NCC."""

CLIP_SIGMAS = 4.0
"""A few saturated specks must not decide a correlation."""

LEAST_SPREAD = 0.02
"""What rounding leaves of a constant strip, in digital numbers: 65535 in 32-bit floats."""

PEAKS = 3
PEAK_RADIUS_PX = 3
FIXED_PATTERN_PX = 2.0
"""A shift closer to zero than this is dust and sensor pattern, which stay with the sensor."""

MIN_SHARE = 0.25
"""Peaks that leave less than this share of the predicted overlap are not looked at."""


@dataclass(frozen=True, slots=True)
class Peak:
    """An integer shift between the tiles (x, y), its NCC and the overlap's area in pixels."""

    shift_px: tuple[int, int]
    ncc: float
    area_px: int


def smooth(pixels: Strip) -> Image:
    """Return the strip as float32 with its pixel noise taken out."""
    image = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), SMOOTHING_SIGMA_PX)
    return np.asarray(image, dtype=np.float32)


def band_pass(pixels: Strip) -> Image:
    """Return the strip as float32 with shading and pixel noise taken out, unit variance, clipped.

    A strip without any variation but rounding comes back as zeros.
    """
    smoothed = smooth(pixels)
    detail = smoothed - cv2.blur(smoothed, (LOCAL_MEAN_PX, LOCAL_MEAN_PX))
    spread = float(detail.std())
    if spread < LEAST_SPREAD:
        return np.zeros_like(smoothed)
    scaled: Image = np.clip(detail / spread, -CLIP_SIGMAS, CLIP_SIGMAS)
    return scaled


def best_peak(pair: StripPair, a: Image, b: Image) -> Peak | None:
    """Return the peak with the highest NCC, or None when no peak leaves enough overlap.

    `a`, `b` are the band-passed crops of `pair`.
    """
    surface, (x0, y0) = _gate(pair, _correlation(a, b, pair.gate_px))
    least = MIN_SHARE * _overlap_area(pair, (round(pair.shift_px[0]), round(pair.shift_px[1])))
    judged = []
    for row, column in _peaks(surface):
        shift = (x0 + column, y0 + row)
        area = _overlap_area(pair, shift)
        if area > least and not stays_put(shift):
            judged.append(Peak(shift, _judge(*overlap(pair, a, b, shift), shift), area))
    return max(judged, key=lambda peak: peak.ncc, default=None)


def stays_put(shift_px: XY) -> bool:
    """Return whether a tile shift is what dust or sensor pattern would give: none at all."""
    return float(np.hypot(*shift_px)) < FIXED_PATTERN_PX


def _judge(a: Image, b: Image, shift_px: tuple[int, int]) -> float:
    """Return the NCC without what rows or columns of the sensor would share at this shift."""
    for axis in (0, 1):
        if abs(shift_px[1 - axis]) < FIXED_PATTERN_PX:
            a, b = (part - part.mean(axis=1 - axis, keepdims=True) for part in (a, b))
    return ncc(a, b)


def overlap(pair: StripPair, a: Image, b: Image, shift_px: tuple[int, int]) -> tuple[Image, Image]:
    """Return the parts of both crops that show the same specimen under an integer tile shift."""
    (xa, xb, width), (ya, yb, height) = overlap_box(pair, shift_px)
    return a[ya : ya + height, xa : xa + width], b[yb : yb + height, xb : xb + width]


def overlap_box(
    pair: StripPair, shift_px: tuple[int, int]
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return (start in a, start in b, length) of the true overlap within the crops, x then y."""
    spans = []
    for axis in (0, 1):
        s = shift_px[axis] + pair.crop_offset[axis]
        start_a, start_b = max(s, 0), max(-s, 0)
        size_a, size_b = pair.a.shape[1 - axis], pair.b.shape[1 - axis]
        spans.append((start_a, start_b, max(min(size_a - start_a, size_b - start_b), 0)))
    return spans[0], spans[1]


def _correlation(a: Image, b: Image, gate_px: int) -> Image:
    """Return the circular correlation; index (y, x) modulo its shape is the crops' shift."""
    height, width = (
        fft.next_fast_len(max(na, nb, 2 * gate_px + 1), real=True)
        for na, nb in zip(a.shape, b.shape, strict=True)
    )
    spectra = [fft.rfft2(image * _taper(image.shape), s=(height, width)) for image in (a, b)]
    cross = whitened(spectra[0] * np.conj(spectra[1]))
    # Rows and columns of a sensor differ; their pattern lives on the two axes of the spectrum.
    cross[0, :] = 0
    cross[:, 0] = 0
    surface: Image = fft.irfft2(cross, s=(height, width))
    return surface


def _taper(shape: tuple[int, ...]) -> Image:
    """Return a window that falls to zero over the outer eighth of each side."""
    sides = []
    for size in shape:
        edge = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
        sides.append(np.sin(np.pi / 2 * np.minimum(edge / max(size / 8, 1), 1.0)) ** 2)
    return np.outer(sides[0], sides[1]).astype(np.float32)


def _gate(pair: StripPair, surface: Image) -> tuple[Image, tuple[int, int]]:
    """Return the part of the surface inside the gate and the tile shift (x, y) of its corner."""
    x0, y0 = (round(shift) - pair.gate_px for shift in pair.shift_px)
    steps = np.arange(2 * pair.gate_px + 1)
    rows = (y0 + pair.crop_offset[1] + steps) % surface.shape[0]
    columns = (x0 + pair.crop_offset[0] + steps) % surface.shape[1]
    return surface[np.ix_(rows, columns)], (x0, y0)


def _peaks(surface: Image) -> list[tuple[int, int]]:
    """Return the (row, column) of the highest peaks, apart from one another."""
    left = surface.copy()
    found = []
    for _ in range(PEAKS):
        row, column = np.unravel_index(int(np.argmax(left)), left.shape)
        found.append((int(row), int(column)))
        near = slice(max(row - PEAK_RADIUS_PX, 0), row + PEAK_RADIUS_PX + 1)
        left[near, max(column - PEAK_RADIUS_PX, 0) : column + PEAK_RADIUS_PX + 1] = -np.inf
    return found


def _overlap_area(pair: StripPair, shift_px: tuple[int, int]) -> int:
    (_, _, width), (_, _, height) = overlap_box(pair, shift_px)
    return width * height
