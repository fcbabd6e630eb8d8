"""Signed defocus from two opposite LEDs: how far apart their pictures lie.

Light at the angle θ moves a picture that is z out of focus by z·tanθ, light from opposite by as
much the other way, so the two lie Δx = 2z tanθ apart. The slope and the direction are calibrated,
and with them the sign: the geometry is not trusted. Only frequencies that both sidebands bring
through the pupil move so, f < (NA - sinθ)/λ: above, a phase object's picture changes sign between
the LEDs. A weak phase object in focus shows nothing to either: then σ is large, or there is no
shift.

Where both pictures show dust of the sensor, that has its peak at no shift at all; correct them
first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from runtime.errors import CalibrationRefused, InputRefused
from runtime.instrument.rig import Rig
from runtime.tile import Pixels

Real = NDArray[np.float64]

# Where nobody knows the angle, the band compared is that of one at two thirds of the aperture.
NOMINAL_SINE = 2 / 3
# Shading lies below this many cycles a frame.
LOWEST_CYCLES = 4
# How much of its amplitude a frequency keeps: 1 lets the strongest decide, 0 the noise.
WHITENING = 0.5
# Parts of the frame that answer for themselves, a side; what they disagree by is σ.
PARTS = 4
FEWEST_PARTS = 4
NEWTON_STEPS = 8
STILL_PX = 1e-4
# Another peak of this share of the highest and above this score, further away than its own width,
# which is so many periods of the highest frequency, is a rival: noise makes none so high.
RIVAL_SHARE, RIVAL_SCORE = 0.3, 0.2
LOBE = 2.0
# Below this share of its best possible height a peak is chance, and so it is where it stands out by
# less than so many times what chance leaves at one place: in hundreds of frames noise came to 5,
# fields full of specimen to 12 and more.
LEAST_SCORE = 0.1
LEAST_SIGMAS = 6.0
# A part is believed by itself above this, which noise alone never reached; and if it holds no less
# than this share of the power of the best.
SURE_SCORE = 0.5
LEAST_POWER = 0.1
LOW_BAND = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class PairShift:
    """How far the second picture's content lies from where the first shows it, pixels (x, y).

    `sigma_px` is the standard error of each; `score` how alike the pictures are there, at most 1.
    """

    x_px: float
    y_px: float
    sigma_px: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSlope:
    """Shift per micrometre of z, pixels (x, y), with its standard error, and the shift in focus."""

    x_px_per_um: float
    y_px_per_um: float
    sigma_px_per_um: float
    x0_px: float = 0.0
    y0_px: float = 0.0

    @property
    def px_per_um(self) -> float:
        """Return its size."""
        return math.hypot(self.x_px_per_um, self.y_px_per_um)

    def z_um(self, shift: PairShift) -> tuple[float, float]:
        """Return the defocus and its σ, micrometres, that a shift says."""
        along_x, along_y = self.x_px_per_um / self.px_per_um, self.y_px_per_um / self.px_per_um
        away = (shift.x_px - self.x0_px) * along_x + (shift.y_px - self.y0_px) * along_y
        z_um = away / self.px_per_um
        relative = self.sigma_px_per_um / self.px_per_um
        return z_um, math.hypot(shift.sigma_px / self.px_per_um, z_um * relative)

    def across_px(self, shift: PairShift) -> float:
        """Return how far the shift lies beside the line that defocus moves it on: other LEDs, or a
        stage that moved between the exposures.
        """
        x, y = shift.x_px - self.x0_px, shift.y_px - self.y0_px
        return abs(x * self.y_px_per_um - y * self.x_px_per_um) / self.px_per_um


def both_sidebands(*, na: float, sine: float, wavelength_um: float, pixel_um: float) -> float:
    """Return the highest frequency, cycles a pixel, that two opposite LEDs show alike."""
    # LEDs at the rim of the aperture or beyond leave none; a tenth of it still tells something.
    return min(max(na - sine, 0.1 * na) / wavelength_um * pixel_um, 0.45)


def measure_pair(
    rig: Rig,
    channels: tuple[str, str],
    *,
    brightness: float,
    exposure_ms: float,
    correct: Callable[[Pixels], Pixels],
    highest: float,
) -> PairShift | None:
    """Expose under one LED, then under the other, where the stage stands; return the shift of the
    second picture against the first.

    The light is off before, between and after the exposures, and each LED burns before its exposure
    begins: `Rig.expose` waits for the board's answer. Raises InputRefused for one LED named twice.
    """
    first, second = channels
    if first == second:
        raise InputRefused(f"a pair needs two LEDs, not {first} twice", remedy="name its opposite")
    frames = [
        rig.expose(channel=channel, brightness=brightness, exposure_ms=exposure_ms).pixels
        for channel in (first, second)
    ]
    return pair_shift(correct(frames[0]), correct(frames[1]), highest=highest)


def pair_shift(first: Pixels, second: Pixels, *, highest: float) -> PairShift | None:
    """Return the shift between two frames (y, x) of one size, to a small part of a pixel, or None
    where they have nothing in common.

    `highest` is the frequency up to which they are compared, cycles a pixel. The whole frame finds
    the peak of a partly whitened correlation; parts of it climb that by Newton's method, each by
    itself, and the median counts of those that hold something: so dust or an empty corner decides
    nothing, and a few textured spots on bare slide are enough. Where two shifts are about as good,
    as of two layers or a regular pattern, σ is infinite.
    """
    coarse = _Comparison(first, second, highest=highest)
    (x, y), rival, sigmas = coarse.highest_peak()
    score = coarse.score(x, y)
    if score < LEAST_SCORE or sigmas < LEAST_SIGMAS:
        return None
    if rival > RIVAL_SHARE and rival * score > RIVAL_SCORE:
        return PairShift(x_px=x, y_px=y, sigma_px=math.inf, score=score)
    told = _told_by_parts(first, second, (x, y), highest)
    if told is None:
        return None
    middle, sigma = told
    score = coarse.score(*middle)
    bias = _bands_disagree(coarse, _Comparison(first, second, highest=LOW_BAND * highest), middle)
    sigma = math.hypot(sigma, bias)
    return PairShift(x_px=float(middle[0]), y_px=float(middle[1]), sigma_px=sigma, score=score)


def _told_by_parts(
    first: Pixels, second: Pixels, coarse_px: tuple[float, float], highest: float
) -> tuple[NDArray[np.float64], float] | None:
    """Return the shift that the parts tell, and its σ by how far they disagree; None if none does.

    Where only a part or two hold anything, as in a sparse field, those do.
    """
    x, y = coarse_px
    climbed = []
    for part_a, part_b, (x0, y0) in _parts(first, second, round(x), round(y)):
        comparison = _Comparison(part_a, part_b, highest=highest)
        top = comparison.climb(x - x0, y - y0)
        if top is not None:
            climbed.append((comparison.score(*top), comparison.power, top[0] + x0, top[1] + y0))
    table = np.array(climbed).reshape(-1, 4)
    sure = table[table[:, 0] >= SURE_SCORE]
    if len(sure):
        sure = sure[sure[:, 1] >= LEAST_POWER * sure[:, 1].max()]
    elif len(table) >= FEWEST_PARTS:
        # Noise everywhere: none is sure by itself, but many may agree.
        sure = table[table[:, 0] >= 2 * LEAST_SCORE]
    if len(sure) >= FEWEST_PARTS:
        at = sure[:, 2:]
        middle = np.median(at, axis=0)
        # 1.4826 times the median deviation is σ, 1.2533 more that of a median, not of a mean.
        spread = 1.4826 * np.median(np.abs(at - middle), axis=0)
        return middle, 1.2533 * float(np.hypot(*spread)) / math.sqrt(2 * len(at))
    if not len(sure) or sure[:, 0].max() < SURE_SCORE:
        return None
    middle = np.average(sure[:, 2:], axis=0, weights=sure[:, 1])
    return middle, float(np.hypot(*np.ptp(sure[:, 2:], axis=0))) / 2


def fit_pair_slope(z_um: ArrayLike, shifts: Sequence[PairShift]) -> PairSlope:
    """Return the line through shifts measured at known z, by least squares in both directions.

    z is counted from focus. Raises CalibrationRefused where fewer than three differ, or where the
    shift does not follow z.
    """
    z = np.asarray(z_um, float)
    if len(np.unique(z)) < 3 or len(z) != len(shifts):
        raise CalibrationRefused(
            "too few places to tell how far two LEDs' pictures move",
            value=len(np.unique(z)),
            limit=3,
            remedy="measure at more z, on a textured field",
        )
    seen = np.array([(one.x_px, one.y_px) for one in shifts])
    design = np.stack([z, np.ones_like(z)], axis=1)
    (slope, offset), *_ = np.linalg.lstsq(design, seen, rcond=None)
    left = seen - design @ np.array([slope, offset])
    variance = float((left**2).sum()) / max(2 * len(z) - 4, 1)
    sigma = math.sqrt(variance * float(np.linalg.inv(design.T @ design)[0, 0]))
    if np.hypot(*slope) < 5 * sigma:
        raise CalibrationRefused(
            "the pictures of the two LEDs do not move apart with z",
            value=f"{np.hypot(*slope):.3f} ± {sigma:.3f} px/µm",
            remedy="check that two opposite LEDs light the field, one after the other",
        )
    return PairSlope(
        x_px_per_um=float(slope[0]),
        y_px_per_um=float(slope[1]),
        sigma_px_per_um=sigma,
        x0_px=float(offset[0]),
        y0_px=float(offset[1]),
    )


class _Comparison:
    """The cross-spectrum of two pictures of one size, in the band that is compared."""

    def __init__(self, first: NDArray[Any], second: NDArray[Any], *, highest: float) -> None:
        self._shape, self._highest = first.shape, highest
        window, rows, columns, self._fx, self._fy = _band(first.shape, highest)
        a, b = (
            scipy.fft.rfft2((p - np.float32(p.mean())) * window)[rows, columns]
            for p in (first, second)
        )
        self._rows, self._columns = rows, columns
        cross = np.conj(a) * b
        size = np.maximum(np.abs(cross), np.finfo(np.float32).tiny)
        self.power = float(size.sum())
        # Partly whitened: else the lowest frequencies are all there is, and their peak is wide.
        self._cross = cross / size**WHITENING
        self._best = float(np.abs(self._cross).sum())

    def highest_peak(self) -> tuple[tuple[float, float], float, float]:
        """Return the whole pixels (x, y) at which the correlation is highest, the share of it that
        another place reaches, and by how many of its standard deviations it rises above chance.
        """
        height, width = self._shape
        spectrum = np.zeros((height, width // 2 + 1), np.complex64)
        spectrum[self._rows, self._columns] = self._cross
        correlation = scipy.fft.irfft2(spectrum, s=self._shape)
        y, x = np.unravel_index(int(np.argmax(correlation)), self._shape)
        top = float(correlation[y, x])
        down, across = _overlap(height), _overlap(width)
        chance = math.sqrt(float(np.vdot(correlation, correlation)) / (down.sum() * across.sum()))
        sigmas = top / max(chance * math.sqrt(down[y] * across[x]), 1e-300)
        reach = math.ceil(LOBE / self._highest)
        rows = np.arange(y - reach, y + reach + 1) % height
        columns = np.arange(x - reach, x + reach + 1) % width
        correlation[np.ix_(rows, columns)] = 0
        rival = float(correlation.max()) / max(top, 1e-300)
        return (float(_signed(int(x), width)), float(_signed(int(y), height))), rival, sigmas

    def score(self, x: float, y: float) -> float:
        """Return the correlation at a shift over the highest that these amplitudes allow."""
        return float((self._cross * self._turned(x, y)).real.sum()) / max(self._best, 1e-300)

    def climb(self, x: float, y: float) -> tuple[float, float] | None:
        """Return the top of the correlation next to a shift, or None where there is none."""
        start = np.array([x, y])
        at = start.copy()
        for _ in range(NEWTON_STEPS):
            turned = self._cross * self._turned(*at)
            slope = -2 * math.pi * np.array([(turned.imag * f).sum() for f in (self._fx, self._fy)])
            bend = (
                -4
                * math.pi**2
                * np.array(
                    [
                        [(turned.real * f * g).sum() for g in (self._fx, self._fy)]
                        for f in (self._fx, self._fy)
                    ]
                )
            )
            if np.linalg.det(bend) <= 0 or bend[0, 0] >= 0:
                return None
            step = np.linalg.solve(bend, slope)
            at = at - np.clip(step, -1, 1)
            if np.abs(step).max() < STILL_PX:
                break
        return (float(at[0]), float(at[1])) if np.abs(at - start).max() < 3 else None

    def _turned(self, x: float, y: float) -> NDArray[Any]:
        return np.asarray(np.exp(2j * np.pi * (self._fx * x + self._fy * y)))


def _bands_disagree(whole: _Comparison, low: _Comparison, at: NDArray[np.float64]) -> float:
    """Return by how much the shift depends on the frequencies that are asked.

    The pictures of two LEDs are not one picture moved: what absorbs and delays at once has another
    contrast to each. No part of a frame knows that, as all are wrong alike; two bands do.
    """
    tops = [one.climb(float(at[0]), float(at[1])) for one in (whole, low)]
    if tops[0] is None or tops[1] is None:
        return math.inf
    return math.hypot(tops[0][0] - tops[1][0], tops[0][1] - tops[1][1])


@lru_cache(maxsize=8)
def _overlap(length: int) -> Real:
    """Return the share of the variance of chance that is left at every shift along a side, cyclic.

    The window lets two pictures overlap less the further they are moved.
    """
    power = np.abs(scipy.fft.rfft(np.hanning(length) ** 2)) ** 2
    overlap = scipy.fft.irfft(power, length)
    return np.asarray(overlap / overlap[0])


@lru_cache(maxsize=4)
def _band(
    shape: tuple[int, int], highest: float
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp], Real, Real]:
    """Return a window, and rows, columns and frequencies of what is compared of a transform."""
    height, width = shape
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    fy, fx = scipy.fft.fftfreq(height)[:, None], scipy.fft.rfftfreq(width)[None, :]
    lowest = LOWEST_CYCLES / max(shape)
    radius = np.hypot(fy, fx)
    rows, columns = np.nonzero((radius >= lowest) & (radius <= highest))
    return window, rows, columns, fx[0, columns], fy[rows, 0]


def _parts(
    first: Pixels, second: Pixels, x: int, y: int
) -> list[tuple[Pixels, Pixels, tuple[int, int]]]:
    """Return pairs of windows that show the same if the second frame is moved by whole (x, y), and
    that move itself.
    """
    height, width = first.shape
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(width, width - x), min(height, height - y)
    side_x, side_y = (right - left) // PARTS, (bottom - top) // PARTS
    found = []
    for row in range(PARTS):
        for column in range(PARTS):
            x0, y0 = left + column * side_x, top + row * side_y
            a = first[y0 : y0 + side_y, x0 : x0 + side_x]
            b = second[y0 + y : y0 + y + side_y, x0 + x : x0 + x + side_x]
            found.append((a, b, (x, y)))
    return found


def _signed(at: int, length: int) -> int:
    return at - length if at > length // 2 else at
