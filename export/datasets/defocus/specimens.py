"""What stands in the light: specimens made of pictures, as waves see them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np

from export.datasets.pairs.source import PairSource, Patch
from runtime.instrument.simulator.side_light import Material
from runtime.instrument.simulator.wave_optics import Field

Span = tuple[float, float]

# Pixels of the picture for one of the specimen: coarser and finer texture than it was taken with.
SCALE = (0.7, 2.5)
# How dark its darkest part is made, and how often its greys are turned round.
DEPTH, INVERTED = (0.5, 1.0), 0.3
DARKEST, CLEAREST = 1, 99
# Of a sparse field discs of so many pixels are left, on clear slide, 1 to 5 % of its area.
DISC_PX, SPARSE_SHARE = (15, 70), (0.01, 0.05)
# Discs are faded out over so many pixels, and not cut.
FADED_PX = 2.0


class Matter(NamedTuple):
    """How a kind of specimen absorbs, and by how many radians it delays, lowest and highest."""

    absorption: Span
    phase_rad: Span

    def material(self, rng: np.random.Generator) -> Material:
        """Return one of the kind."""
        return Material(
            absorption=rng.uniform(*self.absorption), phase_rad=rng.uniform(*self.phase_rad)
        )


KINDS: Mapping[str, Matter] = MappingProxyType(
    {
        "amplitude": Matter((0.4, 1.6), (0.0, 0.0)),
        "weak phase": Matter((0.0, 0.0), (0.1, 0.4)),
        "mixed": Matter((0.3, 1.0), (0.3, 1.0)),
    }
)


def draw_specimen(
    source: PairSource,
    kind: str,
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    sparse: bool = False,
) -> Field:
    """Return the transmission of a part of a specimen, (y, x) complex of `shape`.

    `kind` is one of KINDS. With `sparse` most of it is clear slide.
    """
    share = _greys(source, rng, shape)
    if sparse:
        share = 1 - _discs(rng, shape) * (1 - share)
    return KINDS[kind].material(rng).transmission(share)


def _greys(source: PairSource, rng: np.random.Generator, shape: tuple[int, int]) -> Patch:
    """Return greys from dark to 1, clear, of a picture at a chance scale, turned and mirrored."""
    scale = math.exp(rng.uniform(*np.log(SCALE)))
    wanted = (math.ceil(shape[0] * scale), math.ceil(shape[1] * scale))
    turned = bool(rng.integers(2))
    patch = source.patch(rng, wanted[::-1] if turned else wanted)
    patch = patch.T if turned else patch
    patch = patch[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    seen = cv2.resize(np.ascontiguousarray(patch), shape[::-1], interpolation=how)
    dark, clear = np.percentile(seen[::4, ::4], (DARKEST, CLEAREST))
    grey = np.clip((seen - dark) / max(clear - dark, np.finfo(np.float32).eps), 0, 1)
    if rng.random() < INVERTED:
        grey = 1 - grey
    depth = rng.uniform(*DEPTH)
    return np.asarray(1 - depth * (1 - grey), np.float32)


def _discs(rng: np.random.Generator, shape: tuple[int, int]) -> Patch:
    """Return how much is left of every place: discs that cover little of the field."""
    left = np.zeros(shape, np.float32)
    wanted = rng.uniform(*SPARSE_SHARE) * left.size
    covered = 0.0
    while covered < wanted:
        radius = min(rng.uniform(*DISC_PX), math.sqrt(wanted / math.pi))
        at = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        cv2.circle(left, at, round(radius), (1.0,), -1)
        covered += math.pi * radius**2
    return np.asarray(cv2.GaussianBlur(left, (0, 0), FADED_PX), np.float32)
