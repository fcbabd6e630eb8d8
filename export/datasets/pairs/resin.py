"""Empty resin: a part of the specimen that shows nothing, with the wavy border of real sections."""

from __future__ import annotations

import cv2
import numpy as np

from export.datasets.pairs.source import Patch

WAVES = 4
# How far from the patch's centre the border passes, and how far it strays, as shares of its side.
AWAY, STRAYS = 0.25, 0.15
FINE_PX = 4


def paint_resin(patch: Patch, rng: np.random.Generator) -> None:
    """Make one side of the patch constant, beyond a wavy border that passes near its centre."""
    height, width = patch.shape
    side, reach = min(height, width), float(height + width)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.linspace(-reach, reach, 129)
    waves = rng.normal(0, STRAYS * side / WAVES**0.5, WAVES)
    turns = rng.uniform(0.3, 2.5, WAVES) / side
    phases = rng.uniform(0, 2 * np.pi, WAVES)
    away = rng.normal(0, AWAY * side)
    away = away + waves @ np.sin(2 * np.pi * turns[:, None] * along + phases[:, None])
    along = np.concatenate([along, [reach, -reach]])
    away = np.concatenate([away, [3 * reach, 3 * reach]])
    cosine, sine = np.cos(angle), np.sin(angle)
    x = width / 2 + cosine * along - sine * away
    y = height / 2 + sine * along + cosine * away
    mask = np.zeros(patch.shape, dtype=np.uint8)
    points = np.rint(np.column_stack([x, y]) * 2**FINE_PX).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=FINE_PX)
    level = rng.choice(patch[::16, ::16].ravel())
    share = mask.astype(np.float32) * np.float32(1 / 255)
    patch += share * (level - patch)
