"""Pixels to network inputs: the functions that training, calibration and the device all call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.intensity import normalised_intensity
from runtime.preprocess.lbp import lbp_codes
from runtime.preprocess.spec import (
    PART_CHANNELS,
    PART_RADII_PX,
    TEXTURE,
    PreprocessSpec,
    input_parts,
    sample_points,
)
from runtime.preprocess.texture import texture
from runtime.tile import Pixels

Inputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A tile on the sampling grid, before the streams share it out.

    `intensity` is (height_px, width_px) float32; `codes` (len(radii_px), height_px, width_px)
    uint8, the LBP codes of the spec's radii, ascending; `texture` (108, cells, cells) float32, or
    None where neither an input nor the caller asks for it.
    """

    intensity: NDArray[np.float32]
    codes: NDArray[np.uint8]
    texture: NDArray[np.float32] | None = None


def to_input(
    pixels: Pixels, spec: PreprocessSpec, lut: NDArray[np.float32], *, threads: int = 1
) -> Inputs:
    """Return the networks' inputs for one tile, (1, channels, height_px, width_px) float32
    each, and of "texture" (1, 108, cells, cells).

    `pixels` is (y, x) uint8 or uint16 of any size; `lut` the (256, 3) float32 table of the codes.
    The same bits come out wherever it runs and however many threads share the work.
    """
    return assemble(sample(pixels, spec, threads=threads), spec, lut)


def sample(
    pixels: Pixels, spec: PreprocessSpec, *, threads: int = 1, counted: bool = False
) -> Sampled:
    """Return the tile's intensity and LBP codes at the spec's sample points, and its texture if an
    input is "texture" or it is to be `counted` anyway.
    """
    codes = lbp_codes(
        pixels,
        rows=sample_points(source_px=pixels.shape[0], target_px=spec.height_px),
        columns=sample_points(source_px=pixels.shape[1], target_px=spec.width_px),
        radii_px=spec.radii_px,
        threads=threads,
    )
    intensity = normalised_intensity(pixels, spec, threads=threads)
    shares = None
    if counted or spec.counts_texture:
        shares = texture(
            pixels,
            dither_levels=spec.texture_dither * intensity.contrast_levels,
            cells=spec.texture_cells,
            points=spec.texture_points,
            threads=threads,
        )
    return Sampled(intensity=intensity.scaled, codes=codes, texture=shares)


def assemble(sampled: Sampled, spec: PreprocessSpec, lut: NDArray[np.float32]) -> Inputs:
    """Return the inputs by name, each the parts its name lists along the channel axis.

    `sampled` comes from `sample` with the same spec; `lut` is the (256, 3) float32 table.
    """
    coordinates = np.ascontiguousarray(lut.T)
    return {
        name: texture_of(sampled)[None]
        if name == TEXTURE
        else _stack(name, sampled, spec, coordinates)
        for name in spec.inputs
    }


def texture_of(sampled: Sampled) -> NDArray[np.float32]:
    """Return (108, cells, cells); ValueError for a sample whose texture was not counted."""
    if sampled.texture is None:
        raise ValueError("sampled without texture; sample with counted=True or a spec naming it")
    return sampled.texture


def _stack(
    name: str, sampled: Sampled, spec: PreprocessSpec, coordinates: NDArray[np.float32]
) -> NDArray[np.float32]:
    stack = np.empty((1, spec.channels(name), spec.height_px, spec.width_px), dtype=np.float32)
    channel = 0
    for part in input_parts(name):
        planes = stack[0, channel : channel + PART_CHANNELS[part]]
        channel += PART_CHANNELS[part]
        if part == "intensity":
            planes[0] = sampled.intensity
            continue
        codes = sampled.codes[spec.radii_px.index(PART_RADII_PX[part])]
        # No code lies outside the table: "clip" only spares NumPy a buffer and a check.
        np.take(coordinates, codes, axis=1, out=planes, mode="clip")
    return stack
