"""Light from beside the axis: LEDs at one angle on four sides, and what a specimen is to waves.

An electron column has the same channels: the beam tilted to four sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from runtime.config.settings import Objective
from runtime.distortion import Distortion
from runtime.instrument.simulator.optics import camera_to_level, level_of, straight_px, window_box
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import TrueExposure
from runtime.instrument.simulator.wave_optics import (
    ElectronLens,
    Field,
    Image,
    LightLens,
    Tilt,
    WaveLens,
    finest_um,
    intensity,
    reach_um,
    source_points,
)

# Where the light comes from, in the camera's axes (y down), so that it travels the other way.
SIDES: dict[str, Tilt] = {
    "led_left": (1.0, 0.0),
    "led_right": (-1.0, 0.0),
    "led_top": (0.0, 1.0),
    "led_bottom": (0.0, -1.0),
}
# The wings of rings reach further than rays.
MARGIN_PX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a picture's darkness does to waves: t = T^(absorption/2) exp(i phase (1 - T)).

    T is the picture's grey over white. (1, 0) is the amplitude object that brightfield shows, (0,
    0.3) a weak phase object, and (1, 1) a mixed one.
    """

    absorption: float = 1.0
    phase_rad: float = 0.0

    def transmission(self, grey: NDArray[np.float32]) -> Field:
        """Return the complex transmission of a picture of greys 0..1, bicubic overshoot cut off."""
        share = np.clip(grey, 0, 1)
        passed = np.power(share, np.float32(self.absorption / 2)).astype(np.complex64)
        if self.phase_rad:
            angle = np.float32(self.phase_rad) * (1 - share)
            passed *= np.cos(angle) + 1j * np.sin(angle)
        return passed


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLight:
    """Four sources at one angle, whose sine is `sine`, each a disc of radius `source` (a sine).

    With a `column` they are the tilts of an electron beam.
    """

    sine: float
    source: float = 0.0
    material: Material = Material()
    column: ElectronLens | None = None

    def lens(self, objective: Objective) -> WaveLens:
        """Return what passes the waves: the column, or the objective."""
        return self.column or LightLens(
            na=objective.na,
            wavelength_um=objective.wavelength_um,
            refractive_index=objective.refractive_index,
        )

    def tilts(self, channel: str) -> tuple[Tilt, ...]:
        """Return the tilts of the source that a channel lights."""
        x, y = SIDES[channel]
        return source_points((x * self.sine, y * self.sine), radius=self.source)

    def transmitted(
        self,
        specimen: Specimen,
        objective: Objective,
        exposure: TrueExposure,
        *,
        width_px: int,
        height_px: int,
        distortion: Distortion | None = None,
    ) -> Image:
        """Return the share of light that reaches each camera pixel, (y, x) float32 about 1 on clear
        slide, as `optics.transmitted` does; it can exceed 1 where waves meet.
        """
        lens, tilts = self.lens(objective), self.tilts(exposure.channel)
        pixel_um = exposure.pixel_size_um
        finer = math.ceil(pixel_um / finest_um(lens, tilts))
        bulge = 0.0 if distortion is None else distortion.largest_px
        reach_px = reach_um(lens, defocus_um=exposure.defocus_um, tilts=tilts) / pixel_um
        least = math.ceil(reach_px + bulge) + MARGIN_PX
        left, top = (_margin(size, least, finer) for size in (width_px, height_px))
        wide, high = width_px + 2 * left, height_px + 2 * top
        to_camera = np.array(
            [[1, 0, 0.5 - (0.5 + left) * finer], [0, 1, 0.5 - (0.5 + top) * finer]]
        )
        grey = _picture(
            specimen,
            exposure,
            to_camera=to_camera / finer,
            fine_px=(wide * finer, high * finer),
            camera_px=(width_px, height_px),
        )
        light = intensity(
            self.material.transmission(grey),
            lens,
            pixel_um=pixel_um / finer,
            defocus_um=exposure.defocus_um,
            tilts=tilts,
        )
        seen = light.reshape(high, finer, wide, finer).mean(axis=(1, 3), dtype=np.float32)
        if exposure.smear_um:
            sigma_px = exposure.smear_um / math.sqrt(12) / pixel_um
            seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), sigma_px), np.float32)
        if distortion is None:
            return np.ascontiguousarray(seen[top : top + height_px, left : left + width_px])
        at = np.add(straight_px(distortion), (left, top)).astype(np.float32)
        bent = cv2.remap(seen, at, np.empty(0, np.float32), cv2.INTER_CUBIC)
        return np.maximum(np.asarray(bent, np.float32), 0)


def _margin(size_px: int, least_px: int, finer: int) -> int:
    """Return a margin of at least so much with which a side is quickly transformed."""
    margin = least_px
    while (length := (size_px + 2 * margin) * finer) != scipy.fft.next_fast_len(length):
        margin += 1
    return margin


def _picture(
    specimen: Specimen,
    exposure: TrueExposure,
    *,
    to_camera: NDArray[np.float64],
    fine_px: tuple[int, int],
    camera_px: tuple[int, int],
) -> NDArray[np.float32]:
    """Return the greys 0..1 at `fine_px` (width, height) pixels, which the affine `to_camera` takes
    to camera pixels.
    """
    fine_um = exposure.pixel_size_um * to_camera[0, 0]
    level = level_of(specimen, fine_um)
    level_px_um = specimen.pixel_um * 2**level
    square = np.vstack([to_camera, (0, 0, 1)])
    to_level = camera_to_level(specimen, exposure, level_px_um, *camera_px) @ square
    x0, y0, x1, y1 = window_box(to_level, *fine_px, margin=MARGIN_PX)
    window = specimen.window(level=level, x0=x0, y0=y0, x1=x1, y1=y1).astype(np.float32)
    to_level[:, 2] -= (x0, y0)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(window, to_level, fine_px, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.float32) / np.float32(255)
