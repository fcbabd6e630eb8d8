"""What a tile of the simulated specimen really shows, from its outlines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.instrument.simulator.truth import TrueExposure, specimen_from_px

# A quarter of full resolution, 1 µm, is as fine as the outlines are.
MASK_SCALE = 4
# Fractions of a bit for cv2.fillPoly's fixed-point vertices.
SHIFT = 4
SAMPLE_EVERY_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """The area of the positive class, and the share of a tile's area from which the tile counts as
    it.

    `mask` is (y, x) bool at a quarter of the picture's resolution, from the same corner;
    `picture_um` is the picture's (width, height).
    """

    positive: str
    negative: str
    min_area_fraction: float
    mask: NDArray[np.bool_]
    mask_pixel_um: float
    picture_um: tuple[float, float]

    def label(self, exposure: TrueExposure, *, width_px: int, height_px: int) -> str:
        """Return the true class of the footprint that was exposed."""
        share = self.positive_share(exposure, width_px=width_px, height_px=height_px)
        return self.positive if share >= self.min_area_fraction else self.negative

    def positive_share(self, exposure: TrueExposure, *, width_px: int, height_px: int) -> float:
        """Return the share of the footprint inside positive polygons; the bare slide is outside."""
        turn = specimen_from_px(
            rotation_rad=exposure.rotation_rad, pixel_size_um=exposure.pixel_size_um
        )
        from_middle = np.stack(
            np.meshgrid(_samples(width_px), _samples(height_px)), axis=-1
        ).reshape(-1, 2)
        at_um = np.array(exposure.centre_um) + from_middle @ turn.T
        height, width = self.mask.shape
        from_corner_um = at_um + np.array(self.picture_um) / 2
        column, row = np.floor(from_corner_um / self.mask_pixel_um).astype(int).T
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return float(self.mask[row[inside], column[inside]].sum() / len(at_um))


def ground_truth(*, picture_px: tuple[int, int], pixel_um: float) -> GroundTruth:
    """Return the committed section's labels; `picture_px` is its (width, height).

    Polygons are painted in the order of the file: a later one, such as a hole, covers an earlier.
    """
    text = (
        files("runtime.instrument.simulator").joinpath("specimen/s3_labels.json").read_text("utf-8")
    )
    drawn = json.loads(text)
    width, height = picture_px
    mask = np.zeros((-(-height // MASK_SCALE), -(-width // MASK_SCALE)), np.uint8)
    for polygon in drawn["polygons"]:
        points = np.array(polygon["points"], np.float64) / MASK_SCALE * 2**SHIFT
        colour = int(polygon["class"] == drawn["positive"])
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], (colour,), shift=SHIFT)
    (negative,) = (name for name in drawn["classes"] if name != drawn["positive"])
    return GroundTruth(
        positive=drawn["positive"],
        negative=negative,
        min_area_fraction=drawn["min_area_fraction"],
        mask=mask.astype(bool),
        mask_pixel_um=pixel_um * MASK_SCALE,
        picture_um=(width * pixel_um, height * pixel_um),
    )


def _samples(length_px: int) -> NDArray[np.float64]:
    """Return evenly spread coordinates of a side, measured from its middle."""
    count = max(length_px // SAMPLE_EVERY_PX, 1)
    middles = np.arange(count, dtype=np.float64) + 0.5
    return np.asarray(middles * (length_px / count) - length_px / 2)
