"""Local binary patterns LBP(r, p=8), at sample points alone or at every pixel.

Ojala, Pietikainen, Maenpaa 2002, doi:10.1109/TPAMI.2002.1017623. The codes equal, bit for bit,
those of scikit-image's `local_binary_pattern(image, 8, r, method="default")`, looked up at the
same points. For that the circle's offsets are rounded to five decimals, the fractions are taken
per row and column (constant ones differ on ties), the interpolation runs in float64 in the
library's order of operations, ties count as set, and outside the image the value is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.code_classes import NEIGHBOURS
from runtime.preprocess.kernels import frozen, share_rows
from runtime.preprocess.lbp_kernel import REACH_PX, fill_all_rows, fill_sampled_rows
from runtime.tile import Pixels


def circle_offsets(radii_px: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the (radius, neighbour, (dy, dx)) offsets of the eight neighbours in pixels."""
    angles = 2 * np.pi * np.arange(NEIGHBOURS, dtype=np.float64) / NEIGHBOURS
    radii = np.asarray(radii_px, dtype=np.float64)[:, None]
    return np.stack([np.round(-radii * np.sin(angles), 5), np.round(radii * np.cos(angles), 5)], -1)


def lbp_codes(
    pixels: Pixels,
    *,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    radii_px: tuple[int, ...],
    threads: int = 1,
) -> NDArray[np.uint8]:
    """Return the codes at (rows x columns), one (len(rows), len(columns)) uint8 map per radius.

    `pixels` is (y, x) uint8 or uint16; `rows` and `columns` ascend within it. Radii are 1 to 3 px.
    """
    image = frozen(pixels)
    offsets = circle_offsets(radii_px)
    codes = np.empty((len(radii_px), len(rows), len(columns)), dtype=np.uint8)
    share_rows(
        lambda first, last: fill_sampled_rows(image, rows, columns, offsets, codes, first, last),
        rows=len(rows),
        threads=threads,
    )
    return codes


def full_codes(
    pixels: Pixels, *, radii_px: tuple[int, ...] = (1, 2, 3), threads: int = 1
) -> NDArray[np.uint8]:
    """Return the codes of every pixel, (radius, y, x) uint8, for training and for looking at.

    `pixels` is (y, x) uint8 or uint16. Radii are 1 to 3 px.
    """
    height, width = pixels.shape
    padded = frozen(np.pad(pixels, REACH_PX))
    offsets = circle_offsets(radii_px)
    codes = np.empty((len(radii_px), height, width), dtype=np.uint8)
    share_rows(
        lambda first, last: fill_all_rows(padded, offsets, codes, first, last),
        rows=height,
        threads=threads,
    )
    return codes
