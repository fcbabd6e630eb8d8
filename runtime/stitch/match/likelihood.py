"""The most likely shift of blocks that show the same specimen, and how sure it is.

Two pictures of one specimen, a = s + noise and b = gain * s(x + shift) + offset + shading + noise,
with s and the spectra of both noises unknown. Where the two are coherent at frequency w, the phase
of their cross-spectrum is w * shift, and the maximum likelihood estimate of the shift weighs the
frequencies by c / (1 - c) with c their squared coherence: what is mostly noise has no vote, and
sharp texture is used as far as it is sharp. It reaches the Cramer-Rao bound (Knapp and Carter,
doi:10.1109/TASSP.1976.1162830). Gain cancels in the coherence; offset and quadratic shading are
taken out of each block by least squares.

The bound holds only where both windows see the same specimen, so b is cut again at the shift found
(`resample`). Frequencies that interpolation or the camera's pixels distort are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from runtime.stitch.match.correlation import Correlation, Floats, Spectra, Stack, whitened
from runtime.stitch.match.likelihood_kernel import (
    crossed_together,
    level,
    phases,
    ring_power,
    ring_shared,
    sigmas_of,
    steps_of,
    votes_between,
    votes_of,
)

TAPER_PX = 4
"""Blocks fade to zero over this rim, against the jump where a periodic spectrum wraps around."""

BAND = 0.75
"""Highest frequency used, as a share of Nyquist's: above it twelve taps interpolate badly (the
phase errors pull by 0.013 px on the shipped section) and most pictures are aliased."""

RING = np.pi / 16
"""Width of the frequency rings over which power is averaged, radians per pixel."""

TRUSTED_SIGMAS = 2.0
"""A coherence below this many standard errors of chance counts as none."""

MOST_COHERENT = 0.9999

STEP_PX = 0.2
"""Pitch at which the correlation is looked at for a start."""

STARTING_STEPS = 2

NOWHERE = np.zeros(2)

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plane:
    """The half plane of frequencies that `rfft2` keeps, for blocks of one size.

    `shape` is the transform's (height, width); `y`, `x` are its angular frequencies, `used` (y, x)
    the bins that vote, `ring` (y, x) their rings and `bins` how many a ring has. `dependence` is
    how many bins hold as much as one would if all were independent, because of taper and padding.
    """

    shape: Size
    y: NDArray[np.float32]
    x: NDArray[np.float32]
    used: NDArray[np.bool_]
    ring: NDArray[np.int64]
    bins: Floats
    dependence: float


@dataclass(frozen=True, slots=True)
class BlockSpectra:
    """The spectra (n, y, x/2+1) of n blocks and their `power` in each ring, all blocks summed."""

    size: Size
    spectra: Spectra
    power: Floats

    @classmethod
    def of(cls, blocks: Stack) -> BlockSpectra:
        """Return what blocks (n, y, x) show, without their quadratic shading."""
        size = (blocks.shape[1], blocks.shape[2])
        here = plane(size)
        faded = np.zeros((len(blocks), *here.shape), np.float32)
        (down, fade_y), (across, fade_x) = (_side(length) for length in size)
        level(blocks, down, across, fade_y, fade_x, faded)
        spectra: Spectra = fft.rfft2(faded)
        power = np.zeros(len(here.bins))
        ring_power(spectra, here.ring, here.used, power)
        return cls(size, spectra, power)


@dataclass(frozen=True, slots=True)
class Votes:
    """What each of n blocks says of the shift that is left: Newton's step and its sandwich.

    `curvature` (n, 2, 2) of the log-likelihood at the shift looked at, its `score` (n, 2), and
    the score's `variance` (n, 2, 2) as the scatter of the phases shows it; x before y. `texture`
    (n,) is the mean curvature that the block would have if it were well aligned. `weight` is that
    of all that has a vote, so that the curvature is a mean squared frequency of it, and `evidence`
    how much more likely the blocks are with what they share than without, nats.
    """

    curvature: Floats
    score: Floats
    variance: Floats
    texture: Floats
    weight: float
    evidence: float

    def together(self) -> tuple[Floats, Floats] | None:
        """Return the one step (2,) for all blocks and its covariance (2, 2), None if unsure."""
        steps, covariances = steps_of(self.curvature, self.score, self.variance, True)
        return None if math.isnan(steps[0, 0]) else (steps[0], covariances[0])

    def apart(self) -> tuple[Floats, Floats]:
        """Return each block's own step (n, 2) and its covariance (n, 2, 2); NaN where it has none.

        A block whose curvature is not positive lies too far off, or holds nothing.
        """
        steps, covariances = steps_of(self.curvature, self.score, self.variance, False)
        return steps, covariances

    def expected_sigma_px(self) -> Floats:
        """Return how surely each block would tell its shift if it were well aligned, (n,).

        What should know and does not agree is another matter than what holds nothing.
        """
        sigmas: Floats = sigmas_of(self.variance, self.texture)
        return sigmas

    def some(self, group: NDArray[np.int64]) -> Votes:
        """Return the votes of blocks put together: those of each number in `group` (n,).

        Blocks of a negative number are left out.
        """
        kept, number = group >= 0, group[group >= 0]
        return Votes(
            summed(self.curvature[kept], number),
            summed(self.score[kept], number),
            summed(self.variance[kept], number),
            summed(self.texture[kept], number),
            self.weight,
            self.evidence,
        )

    def periods(self, size: Size) -> float:
        """Return how many periods of what tells the shift fit into a block of `size` (height,
        width), along the axis on which they are fewest.
        """
        square = np.diag(self.curvature.sum(axis=0)) / max(self.weight, 1e-30)
        return float((np.sqrt(np.maximum(square, 0.0)) * size[::-1]).min()) / (2 * np.pi)

    def under(self, response: Floats) -> Votes:
        """Return the votes of blocks of which a shift shows as `response` (2, 2) of it only."""
        bent = self.curvature @ response
        return replace(self, curvature=(bent + bent.transpose(0, 2, 1)) / 2)


def summed(values: Floats, group: NDArray[np.int64]) -> Floats:
    """Return the sums of the rows of (n, ...) with one number in `group` (n,), by that number."""
    total = np.zeros((int(group.max(initial=-1)) + 1, *values.shape[1:]))
    np.add.at(total, group, values)
    return total


def common_shift(a: BlockSpectra, b: BlockSpectra) -> Floats | None:
    """Return the shift (2,) x, y that blocks share, None where it lies beyond 1.6 px.

    Near the peak of the partly whitened correlation, all blocks together, Newton's method finds
    that of the likelihood.
    """
    here = plane(a.size)
    cross = crossed_together(a.spectra, b.spectra)
    seen = Correlation(whitened(cross * here.used), here.shape)
    start = seen.peaks(np.zeros((1, 2), np.int64), step_px=STEP_PX)
    shift: Floats = start[0]
    for _ in range(STARTING_STEPS):
        if math.isnan(shift[0]):
            return None
        found = Votes(*votes_of(cross, shift, *_known(a, b))).together()
        if found is None:
            return None
        shift = shift + found[0]
    return shift


def agreement(a: BlockSpectra, b: BlockSpectra, shift_px: Floats) -> float:
    """Return the correlation, -1 to 1, of what both show under a shift (2,), whole or not."""
    here = plane(a.size)
    shared = _shared(crossed_together(a.spectra, b.spectra), here, shift_px)
    power = float(a.power.sum()) * float(b.power.sum())
    return float(shared.sum()) / power**0.5 if power > 0 else 0.0


def vote(a: BlockSpectra, b: BlockSpectra) -> Votes:
    """Return what each pair of blocks says of the shift that is left between them."""
    return Votes(*votes_between(a.spectra, b.spectra, NOWHERE, *_known(a, b)))


def _known(a: BlockSpectra, b: BlockSpectra) -> tuple[Any, ...]:
    """Return what `votes_of` wants to know of either's blocks beside their cross-spectra."""
    here = plane(a.size)
    bins, power2 = here.bins * len(a.spectra), a.power * b.power
    return (
        here.y, here.x, here.ring, here.used, bins, power2, here.dependence,
        TRUSTED_SIGMAS**2, MOST_COHERENT,
    )  # fmt: skip


def _shared(cross: Spectra, here: Plane, shift_px: Floats) -> Floats:
    """Return the power that both pictures share in each ring under a shift."""
    shared = np.zeros(len(here.bins))
    down, across = phases(here.y, shift_px[1]), phases(here.x, shift_px[0])
    ring_shared(cross, down, across, here.ring, here.used, shared)
    return shared


@lru_cache(maxsize=64)
def plane(size: Size) -> Plane:
    """Return the frequencies for blocks of `size` (height, width)."""
    height, width = (_fast_even(n) for n in size)
    y = (2 * np.pi * fft.fftfreq(height)).astype(np.float32)
    x = (2 * np.pi * fft.rfftfreq(width)).astype(np.float32)
    grid_y, grid_x = np.meshgrid(np.abs(y), x, indexing="ij")
    # Rows and columns of a sensor differ; their pattern lives on the two axes of the spectrum.
    used = (grid_x < BAND * np.pi) & (grid_y < BAND * np.pi) & (grid_x > 0) & (grid_y > 0)
    ring = (np.hypot(grid_x, grid_y) / RING).astype(np.int64)
    fades = [_side(length)[1].astype(np.float64) for length in size]
    held = [(fade**2).sum() ** 2 / (fade**4).sum() for fade in fades]
    dependence = height * width / float(held[0] * held[1])
    bins = np.bincount(ring.ravel(), used.ravel()).astype(np.float64)
    return Plane((height, width), y, x, used, ring, bins, dependence)


def _fast_even(size: int) -> int:
    """Return a length that is quick to transform; even, so that Nyquist's frequency is a bin."""
    return 2 * int(fft.next_fast_len((size + 1) // 2, real=True))


@lru_cache(maxsize=64)
def _side(length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return orthonormal polynomials (3, length) of order 0 to 2, and the window (length,)."""
    x = np.linspace(-1, 1, length)
    basis = np.ascontiguousarray(np.linalg.qr(np.stack([np.ones_like(x), x, x * x], axis=1))[0].T)
    edge = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    window = np.sin(np.pi / 2 * np.minimum(edge / TAPER_PX, 1.0)) ** 2
    return basis.astype(np.float32), window.astype(np.float32)
