"""Match two overlap strips by partially whitened phase correlation.

Band-pass and window both strips, take the highest peaks of the whitened correlation inside the
stage gate, and let the mean-centred NCC on the true overlap decide between them. Plain phase
correlation trusts its highest peak; on noisy, nearly empty specimens that is often a wrong one.

On a periodic specimen several peaks agree equally well, and the highest is a matter of noise. A
peak whose NCC is not surely below the best one's, block by block along the seam, stays a candidate.

Kuglin and Hines, Proc. IEEE Conf. Cybernetics and Society (1975) for the method; Foroosh, Zerubia
and Berthod, doi:10.1109/83.988953, for its sub-pixel form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from runtime.stitch.match.blank import noise_of
from runtime.stitch.match.correlation import (
    LEAST_SHARE,
    WHITENING,
    Floats,
    Image,
    Ints,
    Spectra,
    whitened,
)
from runtime.stitch.match.correlation_kernel import cross_evened, detail_of
from runtime.stitch.match.peaks_kernel import agreements, climb, crests, highest
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
"""Peaks judged in every pair; noise seldom puts the true one lower."""

MOST_PEAKS = 32
"""Peaks judged where the first ones cannot be told apart: what a specimen with a pitch of 12 px has
within the gate of a stage with a sigma of 7 px."""

MOST_CANDIDATES = 32

MOST_CLIMBED = 6
"""Steps from a crest of the correlation to where the overlap agrees best."""

PEAK_RADIUS_PX = 3

STRETCHES = 8
"""Parts of the seam whose agreement is compared between two peaks."""

CREST_SHARE = 0.4
"""What repeats has several peaks of the plain correlation higher than this share of the highest."""

ALIKE = 0.05
"""A lead in NCC that says nothing: the rim of the band-pass and shading make as much."""

WIDE = 0.02
"""Share of a peak that half a pixel costs: a texture of camera pixels loses a tenth and more."""

RIVAL_SHARE = 0.7
"""A peak with less than this share of the best one's NCC is no rival."""

SURELY_LOWER = 4.0
"""Student's t, at seven degrees of freedom, of an NCC that is no match for the best: chance gives
it once in four hundred times."""

FIXED_PATTERN_PX = 2.0
"""A shift closer to zero than this is dust and sensor pattern, which stay with the sensor."""

MIN_SHARE = 0.25
"""Peaks that leave less than this share of the predicted overlap are not looked at."""


@dataclass(frozen=True, slots=True)
class Peak:
    """An integer shift between the tiles (x, y), and how well their overlap agrees under it.

    `along` (`STRETCHES`,) is the NCC of each stretch of the seam and `share` (`STRETCHES`,) what
    it counts for in that of the whole; `area_px` is the overlap's area.
    """

    shift_px: tuple[int, int]
    along: NDArray[np.float64]
    share: NDArray[np.float64]
    area_px: int

    @property
    def ncc(self) -> float:
        """The mean-centred correlation on the overlap."""
        return float(self.share @ self.along)

    def rivals(self, best: Peak, *, margin: float) -> bool:
        """Return whether this peak's NCC may be as high as that of the best one.

        A lead of less than `margin`, as a share of the NCC, is none.
        """
        if self.ncc < RIVAL_SHARE * best.ncc:
            return False
        lower = best.along * (1 - margin) - self.along
        mean, count = float(best.share @ lower), len(lower)
        spread2 = float(best.share**2 @ (lower - mean) ** 2) * count / (count - 1)
        return bool(mean <= SURELY_LOWER * spread2**0.5)


def smooth(pixels: Strip) -> Image:
    """Return the strip as float32 with its pixel noise taken out."""
    image = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), SMOOTHING_SIGMA_PX)
    return np.asarray(image, dtype=np.float32)


def band_pass(pixels: Strip) -> Image:
    """Return the strip as float32 with shading and pixel noise taken out, unit variance, clipped.

    A strip without any variation but rounding comes back as zeros.
    """
    smoothed = smooth(pixels)
    local_mean = cv2.blur(smoothed, (LOCAL_MEAN_PX, LOCAL_MEAN_PX))
    scaled: Image = detail_of(smoothed, local_mean, LEAST_SPREAD, CLIP_SIGMAS)
    return scaled


def passed(pair: StripPair) -> tuple[Image, Image]:
    """Return the crops of a pair band-passed, each of them once however often it is asked for."""
    for crop in (pair.a, pair.b):
        if id(crop) not in pair.passed:
            pair.passed[id(crop)] = crop, band_pass(crop)
    return pair.passed[id(pair.a)][1], pair.passed[id(pair.b)][1]


def reachable_ncc(pair: StripPair) -> float:
    """Return the NCC that both strips' noise would leave if they showed the same."""
    shares = []
    for pixels in (pair.a, pair.b):
        smoothed = smooth(pixels)
        power = float((smoothed - cv2.blur(smoothed, (LOCAL_MEAN_PX, LOCAL_MEAN_PX))).var())
        noise = noise_of(pixels.astype(np.float32)) ** 2 / (4 * np.pi * SMOOTHING_SIGMA_PX**2)
        shares.append(max(1 - noise / power, 0.0) if power > 0 else 0.0)
    return float((shares[0] * shares[1]) ** 0.5)


def candidates(pair: StripPair, a: Image, b: Image) -> list[Peak]:
    """Return the peaks that the overlap cannot tell apart, the one with the highest NCC first.

    `a`, `b` are the band-passed crops of `pair`. Empty when no peak leaves enough overlap.
    """
    size = padded(a.shape, b.shape, pair.gate_px)
    seen_a, seen_b = spectra((a, b), size)
    plain, even = within_gate(pair, cross_evened(seen_a, seen_b, LEAST_SHARE, WHITENING), size)
    found, corner = best_peaks(pair, a, b, even), _corner(pair)
    # A lattice has few frequencies, and whitening gives the noise in all others an equal say.
    crests = _crests(plain)
    if len(crests) > 1 or any(_lost_to_rounding(plain, *crest) < WIDE for crest in crests):
        tops = {_top(pair, a, b, (corner[0] + x, corner[1] + y)) for y, x in crests}
        others = sorted(tops - {peak.shift_px for peak in found})
        found = sorted([*found, *_likely(pair, a, b, others)], key=lambda peak: -peak.ncc)
    if len(found) < 2:
        return found
    best = found[0]
    row, column = best.shift_px[1] - corner[1], best.shift_px[0] - corner[0]
    margin = ALIKE + _lost_to_rounding(plain, row, column)
    rivals = [peak for peak in found if peak is best or peak.rivals(best, margin=margin)]
    return rivals[:MOST_CANDIDATES]


def best_peaks(pair: StripPair, a: Image, b: Image, gated: Image) -> list[Peak]:
    """Return the highest peaks of a correlation within the gate, that whose overlap agrees best
    first.

    Empty if all leave too little overlap.
    """
    return _likely(pair, a, b, _peaks(gated, _corner(pair)))


def _likely(pair: StripPair, a: Image, b: Image, shifts_px: list[tuple[int, int]]) -> list[Peak]:
    """Return the peaks at shifts between the tiles, the one with the best NCC first.

    Those that leave too little overlap, or are what dust would give, are left out.
    """
    least = MIN_SHARE * pair.area_px((round(pair.shift_px[0]), round(pair.shift_px[1])))
    seen = judged(pair, a, b, shifts_px)
    kept = [peak for peak in seen if peak.area_px > least and not stays_put(peak.shift_px)]
    return sorted(kept, key=lambda peak: -peak.ncc)


def judged(pair: StripPair, a: Image, b: Image, shifts_px: Sequence[tuple[int, int]]) -> list[Peak]:
    """Return how well the overlap agrees under shifts between the tiles, without what the rows or
    columns of the sensor share.

    `a`, `b` are the band-passed crops of `pair`.
    """
    if not shifts_px:
        return []
    along, share, areas = stretches(pair, a, b, shifts_px)
    return [
        Peak(shift, *told)
        for shift, *told in zip(shifts_px, along, share, areas.tolist(), strict=True)
    ]


def stretches(
    pair: StripPair, a: Image, b: Image, shifts_px: Sequence[tuple[int, int]]
) -> tuple[Floats, Floats, Ints]:
    """Return the fields of a `Peak` at each of the shifts: `along` and `share` (n, `STRETCHES`),
    `area_px` (n,).
    """
    shifts = np.array(shifts_px)
    bare_columns, bare_rows = np.ascontiguousarray(np.abs(shifts.T) < FIXED_PATTERN_PX)
    told: tuple[Floats, Floats, Ints] = agreements(
        a, b, shifts + pair.crop_offset, bare_rows, bare_columns, STRETCHES
    )
    return told


def _top(pair: StripPair, a: Image, b: Image, shift_px: tuple[int, int]) -> tuple[int, int]:
    """Return where the overlap agrees best around a shift.

    Crops that fade to their rims correlate best where much of them overlaps, and where little
    varies along the way that is pixels from where they agree.
    """
    # Nothing is taken out here: it would be from some places and not from others.
    offset = np.array(pair.crop_offset)
    lowest = np.rint(pair.shift_px).astype(np.int64) - pair.gate_px + offset
    x, y = climb(a, b, shift_px + offset, lowest, MOST_CLIMBED, 2 * pair.gate_px + 1) - offset
    return int(x), int(y)


def stays_put(shift_px: XY) -> bool:
    """Return whether a tile shift is what dust or sensor pattern would give: none at all."""
    return math.hypot(*shift_px) < FIXED_PATTERN_PX


def padded(a: tuple[int, ...], b: tuple[int, ...], gate_px: int) -> tuple[int, int]:
    """Return the (height, width) in which crops of shapes a and b are correlated."""
    height, width = (
        int(fft.next_fast_len(max(na, nb, 2 * gate_px + 1), real=True))
        for na, nb in zip(a, b, strict=True)
    )
    return height, width


def spectrum(image: Image, size: tuple[int, int]) -> Spectra:
    """Return the half spectrum of a tapered picture in a frame of `size`."""
    found: Spectra = spectra([image], size)[0]
    return found


def spectra(images: Sequence[Image], size: tuple[int, int]) -> Spectra:
    """Return the half spectra (n, y, x/2+1) of tapered pictures, each in a frame of `size`."""
    framed = np.zeros((len(images), *size), np.float32)
    for image, frame in zip(images, framed, strict=True):
        height, width = image.shape
        np.multiply(image, _taper((height, width)), out=frame[:height, :width])
    found: Spectra = fft.rfft2(framed)
    return found


def evened(cross: Spectra) -> Spectra:
    """Return cross-spectra (..., y, x) whitened, without what the sensor's lines share."""
    even = whitened(cross)
    # Rows and columns of a sensor differ; their pattern lives on the two axes of the spectrum.
    even[..., 0, :] = 0
    even[..., 0] = 0
    return even


def within_gate(pair: StripPair, cross: Spectra, size: tuple[int, int]) -> Image:
    """Return the part inside the gate (..., k, k) of the circular correlations whose spectra, in
    frames of `size`, are given; the crops' shift at its first pixel is `pair`'s least.

    Rows beyond the gate are not transformed.
    """
    x0, y0 = _corner(pair)
    row, column = y0 + pair.crop_offset[1], x0 + pair.crop_offset[0]
    reach = np.arange(2 * pair.gate_px + 1)
    rows = np.take(fft.ifft(cross, axis=-2), row + reach, axis=-2, mode="wrap")
    gated: Image = np.take(fft.irfft(rows, n=size[1]), column + reach, axis=-1, mode="wrap")
    return gated


@lru_cache(maxsize=64)
def _taper(shape: tuple[int, int]) -> Image:
    """Return a window that falls to zero over the outer eighth of each side."""
    sides = []
    for size in shape:
        edge = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
        sides.append(np.sin(np.pi / 2 * np.minimum(edge / max(size / 8, 1), 1.0)) ** 2)
    return np.outer(sides[0], sides[1]).astype(np.float32)


def _corner(pair: StripPair) -> tuple[int, int]:
    """Return the tile shift (x, y) at the first pixel of what lies inside the gate."""
    x, y = (round(shift) - pair.gate_px for shift in pair.shift_px)
    return x, y


def _peaks(gated: Image, corner: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the tile shifts (x, y) of the highest peaks, apart from one another.

    `corner` is the shift of the first pixel that is gated.
    """
    places = highest(gated, PEAKS, PEAK_RADIUS_PX).tolist()
    return [(corner[0] + x, corner[1] + y) for y, x in places]


def _lost_to_rounding(surface: Image, row: int, column: int) -> float:
    """Return which share of a peak is lost half a pixel off on both axes, by the parabola."""
    top, lost = float(surface[row, column]), 0.0
    for axis, at in ((0, row), (1, column)):
        line = surface[:, column] if axis == 0 else surface[row]
        if 0 < at < len(line) - 1:
            lost += max(top - float(line[at - 1] + line[at + 1]) / 2, 0.0) / 4
    return lost / top if top > 0 else 0.0


def _crests(surface: Image) -> list[tuple[int, int]]:
    """Return the (row, column) of every point that is the highest around and nearly of all."""
    rows, columns = crests(surface, PEAK_RADIUS_PX, CREST_SHARE).T
    highest = np.argsort(-surface[rows, columns], kind="stable")[:MOST_PEAKS]
    return [(int(rows[i]), int(columns[i])) for i in highest]
