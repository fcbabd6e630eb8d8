"""The intensity input: block means on the sampling grid, scaled by the tile's own contrast."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.preprocess.kernels import frozen, share_rows
from runtime.preprocess.spec import PreprocessSpec, sample_points
from runtime.tile import Pixels


def normalised_intensity(
    pixels: Pixels, spec: PreprocessSpec, *, threads: int = 1
) -> NDArray[np.float32]:
    """Return a (height_px, width_px) float32 map, 0 at the tile's bright level, -1 at its dark one.

    `pixels` is (y, x) uint8 or uint16 of any size; the result does not change with the gain of the
    camera. Sums are integers and the percentiles are order statistics, so the same bits come out
    on every machine.
    """
    means = _block_means(pixels, spec, threads=threads)
    ranks = [(means.size - 1) * p // 100 for p in (spec.dark_percentile, spec.bright_percentile)]
    dark, bright = np.partition(means, ranks, axis=None)[ranks].tolist()
    # At least 1 digital number, for a tile that is black all over.
    contrast = max(bright - dark, spec.contrast_floor * bright, 1.0)
    scaled = np.clip((means - bright) / contrast, spec.lowest, spec.highest)
    return np.asarray(scaled, dtype=np.float32)


def _block_means(pixels: Pixels, spec: PreprocessSpec, *, threads: int) -> NDArray[np.float64]:
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
