"""Refine an integer shift to a fraction of a pixel on sub-blocks of the true overlap.

Each block's cross-spectrum is evaluated on a fine grid of shifts by a matrix product (Guizar-
Sicairos, Thurman and Fienup, doi:10.1364/OL.33.000156) and a parabola is put through the highest
value. Several blocks rather than one whole: they give point pairs, from which a rotation can be
told, and their scatter is an honest uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from runtime.stitch.phase import Image, ncc, whitened

BLOCKS = 8
BLOCK_MIN_PX, BLOCK_MAX_PX = 32, 128
REACH_PX, STEP_PX = 1.6, 0.2
AGREE_PX = 1.0
"""Blocks further than this from the median follow a fold, a speck or noise."""

SIGMA_FLOOR_PX = 0.03
"""What interpolation and lens leave even where every block agrees."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Residual shifts of the sub-blocks that agree.

    `centres_px` (n, 2) are block centres (x, y) in the overlap crop, `shifts_px` (n, 2) how much
    further b's content lies in a beyond the integer shift, `weights` (n,) in 0..1.
    """

    centres_px: Floats
    shifts_px: Floats
    weights: Floats

    @property
    def mean_px(self) -> Floats:
        """Return the weighted mean shift (x, y)."""
        mean: Floats = np.average(self.shifts_px, axis=0, weights=self.weights)
        return mean

    @property
    def covariance_px2(self) -> Floats:
        """Return the 2x2 covariance of the mean, from the blocks' scatter, with a floor."""
        share = self.weights / self.weights.sum()
        off = self.shifts_px - self.mean_px
        effective = 1.0 / float((share**2).sum())
        scatter = (share[:, None] * off).T @ off / max(effective - 1.0, 0.5)
        floored: Floats = scatter + SIGMA_FLOOR_PX**2 * np.eye(2)
        return floored


def refine(a: Image, b: Image) -> Blocks | None:
    """Return the sub-block shifts between two equal crops already aligned to the pixel.

    None when fewer than half of the blocks agree: then the integer match was chance.
    """
    corners, (height, width) = _layout(a.shape[0], a.shape[1])
    blocks_a = np.stack([a[y : y + height, x : x + width] for y, x in corners])
    blocks_b = np.stack([b[y : y + height, x : x + width] for y, x in corners])
    shifts = _upsampled_peaks(blocks_a, blocks_b)
    weights = np.array([max(ncc(p, q), 0.0) ** 2 for p, q in zip(blocks_a, blocks_b, strict=True)])
    weights[np.isnan(shifts).any(axis=1)] = 0.0
    if not weights.any():
        return None
    voting = weights > 0
    middle = np.median(shifts[voting], axis=0)
    agree = voting & (np.hypot(*(np.nan_to_num(shifts, nan=np.inf) - middle).T) < AGREE_PX)
    if 2 * agree.sum() < len(corners):
        return None
    centres = np.array([(x + (width - 1) / 2, y + (height - 1) / 2) for y, x in corners])
    return Blocks(centres[agree], shifts[agree], weights[agree])


def _layout(height: int, width: int) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return the corners (y, x) of the blocks, spread along the longer side, and their size."""
    long, short = max(height, width), min(height, width)
    count = min(BLOCKS, max(long // BLOCK_MIN_PX, 2))
    along, across = min(max(long // count, 1), BLOCK_MAX_PX), min(short, BLOCK_MAX_PX)
    starts = [round((i + 0.5) * long / count - along / 2) for i in range(count)]
    middle = (short - across) // 2
    if height >= width:
        return [(start, middle) for start in starts], (along, across)
    return [(middle, start) for start in starts], (across, along)


def _upsampled_peaks(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """Return (n, 2) shifts x, y of block stacks (n, y, x); NaN where the peak is at the rim."""
    height, width = a.shape[1:]
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)
    spectra = [fft.rfft2((s - s.mean(axis=(1, 2), keepdims=True)) * window) for s in (a, b)]
    cross = whitened(spectra[0] * np.conj(spectra[1]))
    cross[:, :, 1:] *= 2  # the half of the spectrum that rfft2 leaves out
    steps = np.arange(-REACH_PX, REACH_PX + STEP_PX / 2, STEP_PX)
    turn_y = np.exp(2j * np.pi * np.outer(steps, fft.fftfreq(height))).astype(np.complex64)
    turn_x = np.exp(2j * np.pi * np.outer(fft.rfftfreq(width), steps)).astype(np.complex64)
    surfaces = np.real(turn_y @ cross @ turn_x)
    return np.array([_vertex(surface, steps) for surface in surfaces])


def _vertex(surface: NDArray[np.float32], steps: Floats) -> tuple[float, float]:
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    last = len(steps) - 1
    if row in (0, last) or column in (0, last):
        return float("nan"), float("nan")
    down, across = surface[row - 1 : row + 2, column], surface[row, column - 1 : column + 2]
    return steps[column] + STEP_PX * _parabola(across), steps[row] + STEP_PX * _parabola(down)


def _parabola(values: NDArray[np.float32]) -> float:
    before, top, after = (float(v) for v in values)
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend else 0.0
