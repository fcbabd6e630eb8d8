"""How like its reference a stitched picture is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from export.datasets.demis import DemisGrid
from export.evaluate.matching.brisque import brisque
from export.evaluate.matching.fsim import fsim
from runtime.tile import Pixels

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
WHITE = 255.0
RIM_PX = 5
SIGMA_PX = 1.5
"""Of the window in which SSIM compares, as its authors have it."""


@dataclass(frozen=True, slots=True)
class PictureScore:
    """PSNR in dB, SSIM and FSIM against the reference, and BRISQUE, of a stitched picture and of
    the reference itself.
    """

    psnr_db: float
    ssim: float
    fsim: float
    brisque: float
    reference_brisque: float


def compared(shown: Pixels, reference: Pixels, *, part: tuple[slice, slice]) -> PictureScore:
    """Return how like the `reference` a picture is in a part of both, (y, x) of one shape.

    Gain and offset of the whole picture, which no stitching can know, are taken out first. PSNR and
    SSIM by scikit-image (Wang et al. 2004, doi:10.1109/TIP.2003.819861).
    """
    true, seen = _grey(reference[part]), _grey(shown[part])
    covered = shown[part] > 0
    seen = _toned(seen, true, covered)
    return PictureScore(
        psnr_db=float(peak_signal_noise_ratio(true, seen, data_range=WHITE)),
        ssim=float(
            structural_similarity(
                true,
                seen,
                data_range=WHITE,
                gaussian_weights=True,
                sigma=SIGMA_PX,
                use_sample_covariance=False,
            )
        ),
        fsim=fsim(true, seen),
        brisque=brisque(seen),
        reference_brisque=brisque(true),
    )


def inner_part(grid: DemisGrid, shape_px: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a reference that the tiles cover without a gap, where they
    truly lie: the same for every matcher, so that what one leaves open counts.
    """
    height, width = grid.tile_shape
    corners = np.array(
        [(0, 0, 1), (width - 1, 0, 1), (width - 1, height - 1, 1), (0, height - 1, 1)]
    )
    covered = np.zeros(shape_px, np.uint8)
    for tile in grid.tiles:
        outline = np.rint(corners @ np.array(tile.to_reference).T).astype(np.int32)
        cv2.fillConvexPoly(covered, outline, 1)
    # Outlines are rounded, and a tile's outermost pixels are not drawn.
    return _whole_box(cv2.erode(covered, np.ones((RIM_PX, RIM_PX), np.uint8)) > 0)


def _whole_box(covered: Mask) -> tuple[slice, slice]:
    """Return a box that is covered throughout: of the outline, the side with the largest share of
    gaps gives way, row by row, until there are none.
    """
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    while top < bottom and left < right:
        gaps = {
            "top": _gaps(covered[top, left:right]),
            "bottom": _gaps(covered[bottom - 1, left:right]),
            "left": _gaps(covered[top:bottom, left]),
            "right": _gaps(covered[top:bottom, right - 1]),
        }
        worst = max(gaps, key=gaps.__getitem__)
        if gaps[worst] == 0:
            break
        top, bottom = top + (worst == "top"), bottom - (worst == "bottom")
        left, right = left + (worst == "left"), right - (worst == "right")
    return slice(top, bottom), slice(left, right)


def _gaps(side: Mask) -> float:
    return 1.0 - float(side.mean())


def _grey(pixels: Pixels) -> Floats:
    return pixels.astype(np.float64) * (WHITE / np.iinfo(pixels.dtype).max)


def _toned(seen: Floats, true: Floats, covered: Mask) -> Floats:
    """Return a picture with the gain and offset that bring it nearest to the true one."""
    x, y = seen[covered], true[covered]
    spread = float(x.var()) if len(x) else 0.0
    if spread == 0:
        return seen
    gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread
    toned = np.clip((seen - x.mean()) * gain + y.mean(), 0, WHITE)
    return np.where(covered, toned, 0.0)
