"""Pixels to network inputs: the function that training, calibration and the device all call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.intensity import normalised_intensity
from runtime.preprocess.lbp import lbp_codes
from runtime.preprocess.spec import PreprocessSpec, sample_points
from runtime.tile import Pixels

Inputs = dict[str, NDArray[np.float32]]


def to_input(pixels: Pixels, spec: PreprocessSpec, lut: NDArray[np.float32]) -> Inputs:
    """Return the networks' inputs for one tile, batch axis first, float32.

    "intensity": (1, 1, height_px, width_px). "lbp": (1, 3 * radii, height_px, width_px), the codes
    of each radius mapped to three coordinates by `lut`, a (256, 3) float32 table. `pixels` is
    (y, x) uint8 or uint16 of any size. The same bits come out wherever it runs.
    """
    codes = lbp_codes(
        pixels,
        rows=sample_points(source_px=pixels.shape[0], target_px=spec.height_px),
        columns=sample_points(source_px=pixels.shape[1], target_px=spec.width_px),
        radii_px=spec.radii_px,
    )
    coordinates = np.ascontiguousarray(lut.T)
    lbp = np.stack([np.take(coordinates, scale, axis=1) for scale in codes])
    lbp = lbp.reshape(1, -1, spec.height_px, spec.width_px)
    return {"intensity": normalised_intensity(pixels, spec)[None, None], "lbp": lbp}
