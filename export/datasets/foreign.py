"""What a guard is shown as foreign: pictures of nine other things, and patterns made up.

A guard that has seen what is foreign knows by which numbers it differs from what a model was made
for, also where a kind comes that it has not seen (Hendrycks, Mazeika, Dietterich 2019,
arXiv:1812.04606). Where the pictures come from: `export/data/foreign/ORIGIN.md`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from export.datasets.cameras import Light, light_of
from export.datasets.patterns import pattern
from runtime.instrument.camera.files import read_image

PICTURES = Path(__file__).parents[1] / "data" / "foreign"
PATTERN_SHARE = 0.3
ZOOM = (0.6, 1.8)
# Half of them as others might record them: out of focus, dark for light, faint.
VARIED_SHARE, BLURRED_SHARE, BLUR_PX, INVERTED_SHARE, FAINT_SHARE = 0.5, 0.25, 10.0, 0.25, 0.5
LEAST_CONTRAST = 0.3
BRIGHT_PERCENTILE = 90


def foreign_light(shape: tuple[int, int], rng: np.random.Generator) -> Light:
    """Return (h, w) light of something foreign: a part of a picture, turned over and at a scale by
    chance, continued as in a mirror where it is too small, or a pattern made up.
    """
    light = pattern(shape, rng) if rng.random() < PATTERN_SHARE else _part(shape, rng)
    return _varied(light, rng) if rng.random() < VARIED_SHARE else light


@cache
def pictures() -> dict[str, tuple[Light, ...]]:
    """Return the light of the pictures by kind, which is what a file is named for."""
    files = sorted(PICTURES.glob("*.png"))
    kinds = sorted({file.stem.rstrip("_0123456789") for file in files})
    return {
        kind: tuple(light_of(read_image(f)) for f in files if f.stem.startswith(kind))
        for kind in kinds
    }


def _part(shape: tuple[int, int], rng: np.random.Generator) -> Light:
    known = pictures()
    kind = known[sorted(known)[int(rng.integers(len(known)))]]
    light = kind[int(rng.integers(len(kind)))]
    zoom = float(np.exp(rng.uniform(*np.log(ZOOM))))
    height, width = (round(side / zoom) for side in shape)
    short = [max(0, want - side) for want, side in zip((height, width), light.shape, strict=True)]
    whole = np.pad(light, ((0, short[0]), (0, short[1])), mode="symmetric")
    y, x = (
        int(rng.integers(side - want + 1))
        for side, want in zip(whole.shape, (height, width), strict=True)
    )
    cut = whole[y : y + height, x : x + width]
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    sized = cv2.resize(cut, shape[::-1], interpolation=how)
    return np.ascontiguousarray(sized[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])])


def _varied(light: Light, rng: np.random.Generator) -> Light:
    if rng.random() < BLURRED_SHARE:
        sigma_px = float(np.exp(rng.uniform(0, np.log(BLUR_PX))))
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), sigma_px), np.float32)
    if rng.random() < INVERTED_SHARE:
        light = light.max() + light.min() - light
    if rng.random() < FAINT_SHARE:
        bright = np.float32(np.percentile(light[::8, ::8], BRIGHT_PERCENTILE))
        light = bright + np.float32(rng.uniform(LEAST_CONTRAST, 1)) * (light - bright)
    return np.asarray(np.clip(light, 0, 1), np.float32)
