"""How sharp is one frame: one table of measures, each blind to the level of the light.

Every measure is divided by the square of the mean, so a lamp that dims by a tenth leaves it where
it was. Larger is sharper; the values of different measures cannot be compared. Dark offset should
be gone (see `runtime.calibrated.correct`) or the division is by the wrong mean. What is summed is
summed in integers, exactly; only the band power, which goes through a Fourier transform, is not.

Noise adds the same to a measure at every z: a floor under its curve, highest for the Laplacian,
lower for Brenner and Tenengrad, and none, on average, for Vollath's F4, which multiplies different
pixels only. Where frames are mostly noise, as of a fast electron beam, the floor of the narrow ones
(Brenner, Tenengrad, Laplacian) may change more than the rest; the other three see further. Dust and
hot pixels of the sensor are such a floor, too; `runtime.focus.regions` leaves them out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from runtime.focus import sharpness_kernel as kernel
from runtime.preprocess.kernels import frozen, share_rows
from runtime.tile import Pixels

Real = NDArray[np.float32]

# A smaller frame is summed sooner than another thread hears of it.
WORTH_A_THREAD_PX = 2**19
MOST_THREADS = 2
# Cycles a pixel: below lie shading and haze, above, where the camera samples the optics as it
# should, little but noise.
BAND = (1 / 32, 1 / 4)
FADE_PX = 32
WARM_PX = (64, 64)


def brenner_sum(pixels: Pixels) -> int:
    """Return Σ (g(i, j) - g(i + 2, j))² over a (y, x) frame, i counting rows; exact.

    At memory bandwidth, by one thread: a second one would wait for the same memory. (NumPy
    subtraction of unsigned frames wraps around and is silently wrong.)

    Brenner et al., J. Histochem. Cytochem. 24(1), 1976, doi:10.1177/24.1.1254907.
    """
    return int(kernel.brenner(frozen(pixels), 0, max(0, len(pixels) - 2)))


def brenner(pixels: Pixels) -> float:
    """Return the mean Brenner gradient over the squared mean; 0 for a black frame."""
    return _over_mean_squared(brenner_sum(pixels) / max(1, pixels[2:].size), pixels)


def tenengrad(pixels: Pixels) -> float:
    """Return the mean squared Sobel gradient over the squared mean; 0 for a black frame.

    Krotkov, Int. J. Comput. Vis. 1, 1988, doi:10.1007/BF00127822.
    """
    total = _summed(kernel.sobel, pixels, len(pixels) - 2)
    return _over_mean_squared(total / max(1, pixels[2:, 2:].size), pixels)


def normalised_variance(pixels: Pixels) -> float:
    """Return the mean variance within cells of 32 x 32 pixels over the squared mean; 0 for a black
    frame, and the variance of the whole of one that is smaller than a cell.

    Broad in z where the gradient measures are narrow, so it still slopes far from focus. Over the
    whole frame, as it was published, it would measure shading, haze and the lamp as well: the real
    stack that the tests look at has its highest one two planes from the sharpest.

    Groen, Young & Ligthart, Cytometry 6(2), 1985, doi:10.1002/cyto.990060202.
    """
    side = kernel.CELL_PX
    cells = (len(pixels) // side) * (pixels.shape[1] // side)
    if not cells:
        return _over_mean_squared(float(np.var(pixels)), pixels)
    total = _summed(kernel.spread, pixels, len(pixels) // side)
    return _over_mean_squared(total / (cells * side**4), pixels)


def vollath_f4(pixels: Pixels) -> float:
    """Return Vollath's F4 over the squared mean: the autocorrelation one row apart minus that two
    rows apart; 0 for a black frame.

    White noise adds nothing to it, so on an empty field it scatters around 0 and may be below: by
    it alone nobody can tell that a field is empty.

    Vollath, J. Microsc. 147(3), 1987, doi:10.1111/j.1365-2818.1987.tb02839.x.
    """
    rows = len(pixels) - 2
    if rows < 1:
        return 0.0
    parts = _parts(kernel.vollath, pixels, rows)
    products, steps = (sum(int(part[which]) for part in parts) for which in (0, 1))
    # The frame's mean goes out of the first factor: else what lies along the rim would decide.
    above_mean = products - cv2.mean(pixels)[0] * steps
    return _over_mean_squared(above_mean / pixels[2:].size, pixels)


def laplacian_energy(pixels: Pixels) -> float:
    """Return the mean squared Laplacian (four neighbours) over the squared mean; 0 for a black
    frame.

    Subbarao, Choi & Nikzad, Opt. Eng. 32(11), 1993, doi:10.1117/12.147706.
    """
    total = _summed(kernel.laplacian, pixels, len(pixels) - 2)
    return _over_mean_squared(total / max(1, pixels[2:, 2:].size), pixels)


def band_power(pixels: Pixels) -> float:
    """Return the power between 1/32 and 1/4 cycles a pixel over the squared mean; 0 for a black
    frame, and for one of less than 8 pixels a side. In float32, good to about 1e-5.

    The frame fades out over its outer 32 pixels: else its rim would be an edge, always sharp.
    """
    if min(pixels.shape) < 8:
        return 0.0
    window_y, window_x, gain = _spectrum(pixels.shape)
    faded = (pixels - np.float32(cv2.mean(pixels)[0])) * window_y[:, None]
    faded *= window_x
    found = scipy.fft.rfft2(faded, workers=_threads(pixels), overwrite_x=True)
    power = sum(
        float(np.vdot(np.square(np.abs(part)), weights))
        for part, weights in zip(_in_band(found), gain, strict=True)
    )
    return _over_mean_squared(power, pixels)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of sharpness, and how far noise scatters it.

    `white_noise` is the relative variance over N pixels of nothing but white noise, times N; 0 for
    one that noise adds nothing to. Found by drawing frames of 96 x 96 pixels, rounded up; of larger
    ones the band power, which does not use the rim, scatters less.
    """

    value: Callable[[Pixels], float]
    white_noise: float

    def __call__(self, pixels: Pixels) -> float:
        """Return the sharpness of a (y, x) frame."""
        return self.value(pixels)

    def noise(self, size_px: int) -> float:
        """Return the relative standard error over so many pixels of nothing but noise."""
        return math.sqrt(self.white_noise / size_px)


BRENNER = Measure(brenner, 4.0)
MEASURES: Mapping[str, Measure] = {
    "brenner": BRENNER,
    "tenengrad": Measure(tenengrad, 4.0),
    "normalised-variance": Measure(normalised_variance, 3.0),
    "vollath-f4": Measure(vollath_f4, 0.0),
    "laplacian": Measure(laplacian_energy, 4.0),
    "band-power": Measure(band_power, 24.0),
}


def warm_kernels() -> None:
    """Compile or load the kernels; seconds the first time on a machine, milliseconds after."""
    blanks: tuple[Pixels, ...] = (np.ones(WARM_PX, np.uint8), np.ones(WARM_PX, np.uint16))
    for pixels in blanks:
        for measure in MEASURES.values():
            measure(pixels)


def saturated_fraction(pixels: Pixels, *, full_scale: int) -> float:
    """Return the share of pixels at or above `full_scale`; measure it before any correction."""
    return float(np.count_nonzero(pixels >= full_scale)) / pixels.size


def _threads(pixels: Pixels) -> int:
    cores = min(MOST_THREADS, os.cpu_count() or 1)
    return cores if pixels.size >= WORTH_A_THREAD_PX else 1


def _summed(work: Callable[..., Any], pixels: Pixels, rows: int) -> int:
    return sum(int(part) for part in _parts(work, pixels, rows))


def _parts(work: Callable[..., Any], pixels: Pixels, rows: int) -> list[Any]:
    """Return what a kernel says of the spans that together cover rows [0, `rows`)."""
    # For each of these names a kernel would be compiled anew: writeable, borrowed, strided.
    image = frozen(pixels)
    parts: list[Any] = []
    share_rows(
        lambda first, last: parts.append(work(image, first, last)),
        rows=max(0, rows),
        threads=_threads(pixels),
    )
    return parts


@lru_cache(maxsize=2)
def _spectrum(shape: tuple[int, int]) -> tuple[Real, Real, tuple[Real, Real]]:
    """Return the window along y and x, and the weights that make the power of each part that
    `_in_band` returns a variance a pixel.

    By Parseval, with the window's own power divided out. The frequencies of a real transform stand
    for their negatives, too, but for the first, along x.
    """
    height, width = shape
    window_y, window_x = _faded(height), _faded(width)
    down, across = scipy.fft.fftfreq(height), scipy.fft.rfftfreq(width)
    radius = np.hypot(down[:, None], across[None, :])
    gain = np.where((radius >= BAND[0]) & (radius < BAND[1]), 2.0, 0.0)
    gain[:, 0] /= 2
    gain /= height * width * float((window_y**2).sum() * (window_x**2).sum())
    upper, lower = (np.ascontiguousarray(part, np.float32) for part in _in_band(gain))
    return window_y, window_x, (upper, lower)


def _in_band(spectrum: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the parts of a real transform that hold the band: at the first rows and the last."""
    rows, columns = len(spectrum) // 4 + 1, spectrum.shape[1] // 2 + 1
    return spectrum[:rows, :columns], spectrum[1 - rows :, :columns]


def _faded(length: int) -> Real:
    """Return a window that is 1 but for a raised cosine at both ends."""
    rim = min(FADE_PX, length // 2)
    inward = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return (0.5 - 0.5 * np.cos(np.pi * np.clip(inward / rim, 0, 1))).astype(np.float32)


def _over_mean_squared(value: float, pixels: Pixels) -> float:
    mean = cv2.mean(pixels)[0]
    return float(value / mean**2) if mean > 0 else 0.0
