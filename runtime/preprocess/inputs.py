"""Pixels to network inputs: the functions that training, calibration and the device all call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.intensity import normalised_intensity
from runtime.preprocess.lbp import lbp_codes
from runtime.preprocess.spec import PART_RADII_PX, PreprocessSpec, input_parts, sample_points
from runtime.tile import Pixels

Inputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A tile on the sampling grid, before the streams share it out.

    `intensity` is (height_px, width_px) float32; `codes` (len(radii_px), height_px, width_px)
    uint8, the LBP codes of the spec's radii, ascending.
    """

    intensity: NDArray[np.float32]
    codes: NDArray[np.uint8]


def to_input(
    pixels: Pixels, spec: PreprocessSpec, lut: NDArray[np.float32], *, threads: int = 1
) -> Inputs:
    """Return the networks' inputs for one tile, (1, channels, height_px, width_px) float32 each.

    `pixels` is (y, x) uint8 or uint16 of any size; `lut` the (256, 3) float32 table of the codes.
    The same bits come out wherever it runs and however many threads share the work.
    """
    return assemble(sample(pixels, spec, threads=threads), spec, lut)


def sample(pixels: Pixels, spec: PreprocessSpec, *, threads: int = 1) -> Sampled:
    """Return the tile's intensity and LBP codes at the spec's sample points."""
    codes = lbp_codes(
        pixels,
        rows=sample_points(source_px=pixels.shape[0], target_px=spec.height_px),
        columns=sample_points(source_px=pixels.shape[1], target_px=spec.width_px),
        radii_px=spec.radii_px,
        threads=threads,
    )
    return Sampled(intensity=normalised_intensity(pixels, spec), codes=codes)


def assemble(sampled: Sampled, spec: PreprocessSpec, lut: NDArray[np.float32]) -> Inputs:
    """Return the inputs by name, each the parts its name lists along the channel axis."""
    coordinates = np.ascontiguousarray(lut.T)
    maps = {"intensity": sampled.intensity[None]}
    for part, radius_px in PART_RADII_PX.items():
        if radius_px in spec.radii_px:
            scale = spec.radii_px.index(radius_px)
            maps[part] = np.take(coordinates, sampled.codes[scale], axis=1)
    return {
        name: np.concatenate([maps[part] for part in input_parts(name)])[None]
        for name in spec.inputs
    }
