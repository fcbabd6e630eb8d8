"""FSIM: two pictures are alike where edges and corners, found by their phases, are alike.

Zhang, Zhang, Mou, Zhang 2011, doi:10.1109/TIP.2011.2109730, on phase congruency as Kovesi 1999
(Videre 1(3)) has it. No library that is still kept has it without torchvision.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float64]

SHORT_PX = 256
"""Pictures are made smaller by a whole factor, so that their shorter side is near this."""

PHASE_CONSTANT, GRADIENT_CONSTANT = 0.85, 160.0
"""T1 and T2, for grey levels from 0 to 255: so much alike is anything."""

SCALES, ORIENTATIONS = 4, 4
SHORTEST_WAVE_PX, GROWTH, BANDWIDTH = 6.0, 2.0, 0.55
ANGULAR = 1.2
"""The way between two orientations, in standard deviations of their filters."""

CUTOFF, STEEP = 0.45, 15
NOISE_SIGMAS = 2.0
NOISE_OVERSTATED = 1.7
"""By this the noise that one filter shows overstates that of phase congruency (Kovesi)."""

TINY = 1e-12


def fsim(a: Floats, b: Floats) -> float:
    """Return how alike two (y, x) grey pictures are, levels from 0 to 255: 1 for the same."""
    a, b = _smaller(a), _smaller(b)
    phase_a, phase_b = phase_congruency(a), phase_congruency(b)
    alike = _alike(phase_a, phase_b, PHASE_CONSTANT)
    alike *= _alike(_gradient(a), _gradient(b), GRADIENT_CONSTANT)
    weight = np.maximum(phase_a, phase_b)
    total = float(weight.sum())
    # Where neither shows an edge anywhere, nothing tells them apart.
    return float((alike * weight).sum()) / total if total > 0 else 1.0


def phase_congruency(picture: Floats) -> Floats:
    """Return, for each pixel (y, x), how far waves of all lengths agree in phase there, 0 to 1.

    Over orientations, the energy of the waves summed as vectors, above what noise gives, is divided
    by the sum of their amplitudes.
    """
    spectrum = fft.fft2(picture)
    energy, amplitude = np.zeros(picture.shape), np.zeros(picture.shape)
    for bank in _filters((picture.shape[0], picture.shape[1])):
        waves = [fft.ifft2(spectrum * one) for one in bank]
        total = np.sum(waves, axis=0)
        towards = total / (np.abs(total) + TINY)
        in_phase = [wave * np.conj(towards) for wave in waves]
        agreed = np.sum([w.real - np.abs(w.imag) for w in in_phase], axis=0)
        noise = _noise(float(np.median(np.abs(waves[0]) ** 2)), bank)
        energy += np.maximum(agreed - noise, 0)
        amplitude += np.sum([np.abs(wave) for wave in waves], axis=0)
    return energy / (amplitude + TINY)


def _noise(median_power: float, bank: list[Floats]) -> float:
    """Return the energy up to which an orientation shows noise.

    Of white noise the smallest filter's power has an exponential distribution, whose median tells
    its mean, and so the noise; what that leaves in the sum of all filters is Rayleigh distributed.
    """
    power = median_power / np.log(2) / float((bank[0] ** 2).sum())
    # Filters as they are in space, their real parts: by Parseval, their even parts here.
    even = [(one + np.roll(one[::-1, ::-1], 1, axis=(0, 1))) / 2 for one in bank]
    squares = sum(float((one**2).sum()) for one in even)
    products = sum(float((x * y).sum()) for i, x in enumerate(even) for y in even[i + 1 :])
    spread = np.sqrt(power * (squares + 2 * products))
    expected = spread * (np.sqrt(np.pi / 2) + NOISE_SIGMAS * np.sqrt(2 - np.pi / 2))
    return float(expected) / NOISE_OVERSTATED


@lru_cache(maxsize=4)
def _filters(shape: tuple[int, int]) -> list[list[Floats]]:
    """Return, for each orientation, log-Gabor filters from the shortest to the longest wave."""
    v, u = np.meshgrid(*(_frequencies(side) for side in shape), indexing="ij")
    radius, angle = np.hypot(u, v), np.arctan2(-v, u)
    low_pass = 1 / (1 + (radius / CUTOFF) ** (2 * STEEP))
    radius[0, 0] = 1.0
    radial = []
    for scale in range(SCALES):
        wave_px = SHORTEST_WAVE_PX * GROWTH**scale
        band = np.exp(-(np.log(radius * wave_px) ** 2) / (2 * np.log(BANDWIDTH) ** 2)) * low_pass
        band[0, 0] = 0.0
        radial.append(band)
    sigma = np.pi / ORIENTATIONS / ANGULAR
    banks = []
    for index in range(ORIENTATIONS):
        away = angle - index * np.pi / ORIENTATIONS
        away = np.arctan2(np.sin(away), np.cos(away))
        fan = np.exp(-(away**2) / (2 * sigma**2))
        banks.append([band * fan for band in radial])
    return banks


def _frequencies(side: int) -> Floats:
    """Return cycles a pixel of each row or column of a spectrum; of odd sides the outermost are
    half a cycle, as Kovesi has it.
    """
    span = side - 1 if side % 2 else side
    steps: Floats = fft.fftfreq(side) * side / span
    return steps


def _alike(a: Floats, b: Floats, constant: float) -> Floats:
    return (2 * a * b + constant) / (a**2 + b**2 + constant)


def _gradient(picture: Floats) -> Floats:
    """Return the length of Scharr's gradient, (y, x); beyond the rim is 0."""
    across = np.array([[3.0, 0.0, -3.0], [10.0, 0.0, -10.0], [3.0, 0.0, -3.0]]) / 16
    x, y = (
        cv2.filter2D(picture, cv2.CV_64F, kernel, borderType=cv2.BORDER_CONSTANT)
        for kernel in (across, across.T)
    )
    return np.asarray(np.hypot(x, y), np.float64)


def _smaller(picture: Floats) -> Floats:
    """Return block means of a picture (y, x), what is left over at its end cut off."""
    factor = max(1, round(min(picture.shape) / SHORT_PX))
    height, width = (side // factor for side in picture.shape)
    blocks = picture[: height * factor, : width * factor].reshape(height, factor, width, factor)
    means: Floats = blocks.mean(axis=(1, 3))
    return means
