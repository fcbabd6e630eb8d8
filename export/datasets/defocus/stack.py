"""One field at several distances from focus, as a camera gives it under an off-axis LED."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from export.config.optics import OpticsRanges
from export.datasets.defocus.specimens import KINDS, draw_specimen
from export.datasets.pairs.source import PairSource, Patch
from runtime.instrument.simulator.wave_optics import (
    LightLens,
    Tilt,
    intensities,
    reach_um,
    source_points,
)
from runtime.tile import Pixels

# Electrons a pixel on clear slide, and of the amplifier.
ELECTRONS, READ_ELECTRONS = (1500.0, 8000.0), 8.0
# A source of some size takes seven times as long: so often one is drawn.
WIDE_SHARE = 0.1
# What lies beyond the range lies no further than so many times it.
BEYOND = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStack:
    """Frames (planes, y, x) and how far above focus each is, `z_um`."""

    frames: NDArray[np.uint16]
    z_um: NDArray[np.float32]

    def frame(self, plane: int) -> Pixels:
        """Return one frame."""
        frame: NDArray[np.uint16] = self.frames[plane]
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """What is photographed: a `source` of pictures, under the `optics`, the light travelling
    towards x."""

    source: PairSource
    optics: OpticsRanges

    def draw(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int],
        *,
        kind: str | None = None,
        sparse: bool = False,
        beyond: bool = False,
        planes: int = 1,
    ) -> KnownStack:
        """Return a field of `shape` at so many chance places within the range, or all beyond it, of
        a kind drawn too where none is named.
        """
        kind = kind or str(rng.choice(list(KINDS)))
        optics = self.optics
        lens = LightLens(
            na=rng.uniform(*optics.na), wavelength_um=rng.uniform(*optics.wavelength_um)
        )
        tilts = _tilts(optics, rng)
        pixel_um = rng.uniform(*optics.pixel_size_um)
        z_um = _distances(rng, optics.range_um, planes, beyond=beyond)
        furthest_um = optics.range_um * (BEYOND if beyond else 1)
        reach_px = math.ceil(reach_um(lens, defocus_um=furthest_um, tilts=tilts) / pixel_um)
        whole = tuple(scipy.fft.next_fast_len(side + 2 * reach_px) for side in shape)
        field = draw_specimen(self.source, kind, rng, (whole[0], whole[1]), sparse=sparse)
        electrons = math.exp(rng.uniform(*np.log(ELECTRONS)))
        top, left = ((all_of - side) // 2 for all_of, side in zip(whole, shape, strict=True))
        lit = intensities(field, lens, pixel_um=pixel_um, defoci_um=z_um.tolist(), tilts=tilts)
        frames = [
            _counted(one[top : top + shape[0], left : left + shape[1]], electrons, rng)
            for one in lit
        ]
        return KnownStack(frames=np.stack(frames), z_um=z_um.astype(np.float32))


def _distances(
    rng: np.random.Generator, range_um: float, planes: int, *, beyond: bool
) -> NDArray[np.float64]:
    if not beyond:
        return rng.uniform(-range_um, range_um, planes)
    away_um = rng.uniform(range_um, BEYOND * range_um, planes)
    return np.asarray(away_um * rng.choice([-1.0, 1.0], planes), np.float64)


def _tilts(optics: OpticsRanges, rng: np.random.Generator) -> tuple[Tilt, ...]:
    wide = optics.source > 0 and rng.random() < WIDE_SHARE
    radius = rng.uniform(0, optics.source) if wide else 0.0
    return source_points((rng.uniform(*optics.sine), 0.0), radius=radius)


def _counted(light: Patch, electrons: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return the light as counts of electrons: shot noise, which for so many is a normal one, and
    that of the amplifier."""
    wanted = electrons * light
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    seen = wanted + np.sqrt(wanted + np.float32(READ_ELECTRONS**2)) * noise
    return np.asarray(np.clip(np.rint(seen), 0, np.iinfo(np.uint16).max), np.uint16)
