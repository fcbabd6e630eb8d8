"""The intensity input: grey levels on the sampling grid, scaled by the tile's own contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.preprocess.kernels import frozen, share_rows
from runtime.preprocess.spec import PreprocessSpec, sample_points
from runtime.tile import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """`scaled` is (height_px, width_px) float32, 0 at the tile's bright level, -1 at its dark one;
    `contrast_levels` is the distance of the two in the tile's own levels.
    """

    scaled: NDArray[np.float32]
    contrast_levels: float


def normalised_intensity(pixels: Pixels, spec: PreprocessSpec, *, threads: int = 1) -> Intensity:
    """Return the tile on the sampling grid.

    `pixels` is (y, x) uint8 or uint16 of any size; the map does not change with the gain of the
    camera. Sums are integers and the percentiles are order statistics, so the same bits come out
    on every machine.
    """
    levels = _LEVELS[spec.intensity](pixels, spec, threads)
    ranks = [(levels.size - 1) * p // 100 for p in (spec.dark_percentile, spec.bright_percentile)]
    dark, bright = np.partition(levels, ranks, axis=None)[ranks].tolist()
    # At least 1 digital number, for a tile that is black all over.
    contrast = max(bright - dark, spec.contrast_floor * bright, 1.0)
    scaled = np.clip((levels - bright) / contrast, spec.lowest, spec.highest)
    return Intensity(scaled=np.asarray(scaled, dtype=np.float32), contrast_levels=contrast)


def _nearest(pixels: Pixels, spec: PreprocessSpec, _: int) -> NDArray[np.float64]:
    """Return the pixel at each sample point, (y, x): OpenCV's INTER_NEAREST."""
    rows = sample_points(source_px=pixels.shape[0], target_px=spec.height_px)
    columns = sample_points(source_px=pixels.shape[1], target_px=spec.width_px)
    return np.asarray(pixels[rows].take(columns, axis=1), dtype=np.float64)


def _block_means(pixels: Pixels, spec: PreprocessSpec, threads: int) -> NDArray[np.float64]:
    """Return the mean of the pixels from each sample point up to the next, (y, x)."""
    rows = sample_points(source_px=pixels.shape[0], target_px=spec.height_px)
    columns = sample_points(source_px=pixels.shape[1], target_px=spec.width_px)
    heights = np.maximum(np.diff(rows, append=pixels.shape[0]), 1)
    widths = np.maximum(np.diff(columns, append=pixels.shape[1]), 1)
    image = frozen(pixels)
    sums = np.empty((rows.size, columns.size), dtype=np.int64)
    share_rows(
        lambda first, last: _add_blocks(image, rows, heights, columns, widths, sums, first, last),
        rows=rows.size,
        threads=threads,
    )
    return np.asarray(sums / (heights[:, None] * widths[None, :]), dtype=np.float64)


_LEVELS = {"means": _block_means, "nearest": _nearest}


@njit(cache=True, nogil=True)
def _add_blocks(image, rows, heights, columns, widths, sums, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill sums[first:last]: down the columns of the image first, where the memory is in order."""
    down = np.empty(image.shape[1], dtype=np.int64)
    for i in range(first, last):
        down[:] = 0
        for row in range(rows[i], rows[i] + heights[i]):
            line = image[row]
            for x in range(down.size):
                down[x] += line[x]
        for j in range(columns.size):
            sums[i, j] = down[columns[j] : columns[j] + widths[j]].sum()
