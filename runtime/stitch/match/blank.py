"""Is there anything to match: the texture of a strip against its own noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.noise_kernel import laplace_pair
from runtime.stitch.match.strips import Strip

BIN_PX = 2
"""The band lies far below Nyquist's frequency, so it is looked at in a picture half as large."""

FINE_SIGMA, COARSE_SIGMA = 1.0, 3.0
"""Band in which texture is looked for, in binned pixels: coarse enough to average noise away."""

BLANK_RATIO = 1.6
"""Texture power over the noise expected in that band; 1 is noise alone."""

SAMPLES = 10_000
"""Pixels looked at for a median: within 2 % of all of them, at a fraction of the time."""

KEPT_SAMPLES = 2_500

GAINS = tuple(round(0.7 + 0.05 * step, 2) for step in range(15))
"""By how much more light may have fallen on one of two images than on the other."""

LAPLACE_PAIR_NOISE = 6.0
"""What unit white noise leaves under the mask of `laplace_pair`."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What an image shows in the band in which texture is looked for: `samples` of it, at the same
    pixels in every image of one shape, its `spread`, and what power white noise of the image's own
    level would leave there.
    """

    samples: NDArray[np.float32]
    spread: float
    noise: float

    @classmethod
    def of(cls, pixels: Strip) -> Detail:
        """Return the detail of a (y, x) image."""
        image = pixels.astype(np.float32)
        # Quantisation alone is a noise of 1/sqrt(12) digital numbers.
        noise = max(noise_of(image), 12**-0.5) ** 2 * _noise_gain()
        band = _band(image)
        kept = np.ascontiguousarray(_thinned(band, KEPT_SAMPLES))
        return cls(kept, _spread(band), noise)

    @property
    def ratio(self) -> float:
        """The band-passed power over that of noise."""
        return self.spread**2 / self.noise

    @property
    def blank(self) -> bool:
        """Whether there is no more structure than noise would show."""
        return self.ratio < BLANK_RATIO

    def alike(self, other: Detail) -> float:
        """Return the correlation of what two images show at the same pixels.

        About 0 where the specimen moved between them, towards 1 where all they show is dust.
        """
        a, b = (one.samples - one.samples.mean() for one in (self, other))
        power = float(np.vdot(a, a)) * float(np.vdot(b, b))
        return float(np.vdot(a, b)) / power**0.5 if power > 0 else 0.0

    def blank_beside(self, other: Detail) -> bool:
        """Return whether there is no more than noise, and what dust and sensor leave in all images.

        That lies at the same pixels in the `other` one, and no specimen does: the difference of two
        blank images is noise. Beside one that shows specimen none is blank.
        """
        return any(
            _spread(self.samples - gain * other.samples) ** 2
            < BLANK_RATIO * (self.noise + gain**2 * other.noise)
            for gain in GAINS
        )


def noise_of(image: NDArray[np.float32]) -> float:
    """Return the standard deviation of a (y, x) image's pixel noise."""
    return _robust(laplace_pair(image, _stride(image.shape, SAMPLES))) / LAPLACE_PAIR_NOISE


def texture_ratio(pixels: Strip) -> float:
    """Return the band-passed power over what white noise of the image's own level would leave.

    About 1 for noise alone, above 1 with structure, 0 for a constant image. Medians are used, so
    a few specks or one edge do not make an empty field textured.
    """
    return Detail.of(pixels).ratio


def is_blank(pixels: Strip) -> bool:
    """Return whether a (y, x) image holds no more structure than its noise would show."""
    return Detail.of(pixels).blank


def _band(image: NDArray[np.float32]) -> NDArray[np.float32]:
    size = tuple(max(n // BIN_PX, 1) for n in image.shape[::-1])
    binned = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    fine = cv2.GaussianBlur(binned, (0, 0), FINE_SIGMA)
    coarse = cv2.GaussianBlur(binned, (0, 0), COARSE_SIGMA)
    return np.asarray(fine - coarse, np.float32)


def _thinned(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    stride = _stride(values.shape, count)
    return values[::stride, ::stride]


def _stride(shape: tuple[int, ...], count: int) -> int:
    """Return which pixels of an image, along either side, are about `count`."""
    return math.ceil(math.sqrt(math.prod(shape) / count))


def _spread(values: NDArray[np.float32]) -> float:
    """Return the spread of an image, by a sample of its pixels."""
    return _robust(_thinned(values, SAMPLES))


def _robust(values: NDArray[np.float32]) -> float:
    """Return a standard deviation that outliers do not move: 1.4826 times the median size."""
    return 1.4826 * _median(np.abs(values - np.float32(_median(values))))


def _median(values: NDArray[np.float32]) -> float:
    """Return the median of pixels that are all numbers: NumPy's own takes twice as long, for it
    looks for both in the middle of an even number.
    """
    half = values.size // 2
    parted = np.partition(values, half, axis=None)
    above = parted[half]
    return float(above if values.size % 2 else (parted[:half].max() + above) / 2)


def _noise_gain() -> float:
    """Return the variance that unit white noise keeps in the band."""
    fine, coarse = FINE_SIGMA**2, COARSE_SIGMA**2
    binned = (1 / (4 * fine) + 1 / (4 * coarse) - 1 / (fine + coarse)) / np.pi
    return float(binned) / BIN_PX**2
