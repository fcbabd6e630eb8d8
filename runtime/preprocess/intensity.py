"""The intensity input: block means on the sampling grid, scaled by the tile's own contrast."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.preprocess.spec import PreprocessSpec, sample_points
from runtime.tile import Pixels


def normalised_intensity(pixels: Pixels, spec: PreprocessSpec) -> NDArray[np.float32]:
    """Return a (height_px, width_px) float32 map, 0 at the tile's bright level, -1 at its dark one.

    `pixels` is (y, x) uint8 or uint16 of any size; the result does not change with the gain of the
    camera. Sums are integers and the percentiles are order statistics, so the same bits come out
    on every machine.
    """
    means = _block_means(pixels, spec)
    bright = _order_statistic(means, spec.bright_percentile)
    dark = _order_statistic(means, spec.dark_percentile)
    contrast = max(bright - dark, spec.contrast_floor * bright, 1.0)
    return np.clip((means - bright) / contrast, spec.lowest, spec.highest).astype(np.float32)


def _block_means(pixels: Pixels, spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return the mean of the pixels from each sample point up to the next, (y, x)."""
    rows = sample_points(source_px=pixels.shape[0], target_px=spec.height_px)
    columns = sample_points(source_px=pixels.shape[1], target_px=spec.width_px)
    heights = np.maximum(np.diff(rows, append=pixels.shape[0]), 1)
    widths = np.maximum(np.diff(columns, append=pixels.shape[1]), 1)
    frozen = np.ascontiguousarray(pixels).view()
    frozen.flags.writeable = False  # One kernel for owned and borrowed arrays alike.
    sums = np.zeros((rows.size, columns.size), dtype=np.int64)
    _add_blocks(frozen, rows, heights, columns, widths, sums)
    return np.asarray(sums / (heights[:, None] * widths[None, :]), dtype=np.float64)


@njit(cache=True, nogil=True)
def _add_blocks(image, rows, heights, columns, widths, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(rows.size):
        for row in range(rows[i], rows[i] + heights[i]):
            for j in range(columns.size):
                total = sums[i, j]
                for column in range(columns[j], columns[j] + widths[j]):
                    total += image[row, column]
                sums[i, j] = total


def _order_statistic(values: NDArray[np.float64], percentile: int) -> float:
    rank = (values.size - 1) * percentile // 100
    return float(np.partition(values, rank, axis=None)[rank])
