"""Textures made by chance: what no training image shows, in ever new specimens.

Seven kinds of structure that micrographs hold, alone or two together.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.pairs.source import Patch

Shape = tuple[int, int]
Family = Callable[[np.random.Generator, Shape], Patch]

MIXED = 0.35
FIBRE_STEPS, FIBRE_STEP_PX = 14, 13.0


class MadeSource:
    """Patches of textures that are drawn anew every time."""

    def patch(self, rng: np.random.Generator, shape: Shape) -> Patch:
        """Return a texture of mean 0 and unit deviation."""
        made = _one(rng, shape)
        if rng.random() < MIXED:
            other = _one(rng, shape)
            made = (
                _joined(made, other, rng)
                if rng.random() < 0.5
                else made + other * np.float32(rng.uniform(0.3, 1))
            )
        return _unit(made)

    def two_patches(self, rng: np.random.Generator, shape: Shape) -> tuple[Patch, Patch]:
        """Return two textures of one kind, drawn apart."""
        family = _family(rng)
        return _unit(family(rng, shape)), _unit(family(rng, shape))


def noise_band(rng: np.random.Generator, shape: Shape) -> Patch:
    """Return noise between two wavelengths, 4 to 40 px."""
    fine_px = np.exp(rng.uniform(np.log(1.0), np.log(4.0)))
    coarse = _smooth(rng, shape, fine_px * rng.uniform(1.5, 4))
    return _smooth(rng, shape, fine_px) + np.float32(rng.uniform(-1, 1)) * coarse


def octaves(rng: np.random.Generator, shape: Shape) -> Patch:
    """Return noise of all scales, as clouds or rough surfaces have it."""
    falls = rng.uniform(0.5, 1.1)
    finest_px = rng.uniform(1.0, 2.5)
    made = np.zeros(shape, dtype=np.float32)
    for octave in range(5):
        made += np.float32(2 ** (falls * octave)) * _smooth(rng, shape, finest_px * 2**octave)
    return made


def membranes(rng: np.random.Generator, shape: Shape) -> Patch:
    """Return cells of chance sizes with dark walls, faintly grainy within."""
    label, _ = _cells(rng, shape, np.exp(rng.uniform(np.log(10), np.log(45))))
    greys = rng.normal(0, rng.uniform(0, 0.6), int(label.max()) + 1).astype(np.float32)
    inside = greys[label]
    wall = _walls(label, int(rng.integers(1, 4)))
    sigma_px = rng.uniform(0.6, 1.6)
    made = cv2.GaussianBlur(inside - 2 * wall, (0, 0), sigma_px)
    return np.asarray(made + rng.uniform(0, 0.4) * _smooth(rng, shape, 1.5))


def grains(rng: np.random.Generator, shape: Shape) -> Patch:
    """Return grains with lamellae, every grain in a direction of its own."""
    label, count = _cells(rng, shape, rng.uniform(30, 90))
    angle = rng.uniform(0, np.pi, count)
    turns = 2 * np.pi / rng.uniform(6, 18, count)
    y, x = (np.arange(side, dtype=np.float32) for side in shape)
    across = (turns * np.cos(angle)).astype(np.float32)[label] * x
    across += (turns * np.sin(angle)).astype(np.float32)[label] * y[:, None]
    across += rng.uniform(0.5, 3) * _smooth(rng, shape, rng.uniform(3, 8))
    return np.asarray(np.cos(across) - 1.5 * _walls(label, 1), dtype=np.float32)


def blobs(rng: np.random.Generator, shape: Shape) -> Patch:
    """Return vesicles and granules: discs of two sizes, some hollow, in uneven numbers."""
    made = np.zeros(shape, dtype=np.float32)
    for radius_px in np.exp(rng.uniform(np.log(2), np.log(12), 2)):
        count = int(rng.uniform(0.03, 0.25) * shape[0] * shape[1] / radius_px**2 / np.pi) + 3
        hollow = rng.random() < 0.4
        at = np.rint(rng.uniform(0, shape[::-1], (count, 2)) * 16).astype(int).tolist()
        radii = np.rint(radius_px * rng.uniform(0.6, 1.5, count) * 16).astype(int).tolist()
        greys = rng.uniform(-1, 1, count).tolist()
        for place, radius, grey in zip(at, radii, greys, strict=True):
            cv2.circle(made, place, radius, grey, 2 if hollow else -1, cv2.LINE_8, 4)
    return np.asarray(cv2.GaussianBlur(made, (0, 0), rng.uniform(0.6, 1.5)))


def fibres(rng: np.random.Generator, shape: Shape) -> Patch:
    """Return bent fibres of about one direction, or of all."""
    made = np.zeros(shape, dtype=np.float32)
    main, spread = rng.uniform(0, np.pi), rng.choice([0.2, 0.5, 3.0])
    count = int(shape[0] * shape[1] / rng.uniform(800, 3000)) + 5
    turns = rng.normal(main, spread, (count, 1)) + np.cumsum(
        rng.normal(0, 0.15, (count, FIBRE_STEPS)), axis=1
    )
    walk = FIBRE_STEP_PX * np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=-1), axis=1)
    at = rng.uniform(0, shape[::-1], (count, 1, 2)) - walk[:, FIBRE_STEPS // 2 :][:, :1]
    lines = np.rint((at + walk) * 16).astype(np.int32)
    greys, thick = rng.uniform(-1, 1, count).tolist(), rng.integers(1, 5, count).tolist()
    for line, grey, thick_px in zip(lines, greys, thick, strict=True):
        cv2.polylines(made, [line], False, grey, thick_px, cv2.LINE_8, 4)
    return np.asarray(cv2.GaussianBlur(made, (0, 0), rng.uniform(0.6, 1.3)))


def islands(rng: np.random.Generator, shape: Shape) -> Patch:
    """Return two phases with soft borders, each with a grain of its own."""
    field = _smooth(rng, shape, rng.uniform(4, 16))
    soft = np.float32(rng.uniform(3, 12))
    share = 1 / (1 + np.exp(-soft * (field - np.float32(rng.uniform(-0.6, 0.6)))))
    grain = _smooth(rng, shape, rng.uniform(1.0, 2.5)) * np.float32(rng.uniform(0.1, 0.6))
    return np.asarray(share + grain * (share if rng.random() < 0.5 else 1), dtype=np.float32)


FAMILIES: tuple[Family, ...] = (noise_band, octaves, membranes, grains, blobs, fibres, islands)


def _family(rng: np.random.Generator) -> Family:
    return FAMILIES[int(rng.integers(len(FAMILIES)))]


def _one(rng: np.random.Generator, shape: Shape) -> Patch:
    return _unit(_family(rng)(rng, shape))


def _joined(one: Patch, other: Patch, rng: np.random.Generator) -> Patch:
    """Return two textures beside each other, the border between them soft and by chance."""
    field = _smooth(rng, one.shape, rng.uniform(15, 60))
    share = np.clip(field * np.float32(3) + np.float32(0.5), 0, 1)
    return np.asarray(other + share * (one - other))


def _unit(made: Patch) -> Patch:
    mean, spread = cv2.meanStdDev(made)
    scale = 1 / max(float(spread[0, 0]), 1e-6)
    return np.asarray(cv2.addWeighted(made, scale, made, 0, -scale * float(mean[0, 0])))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> Patch:
    """Return Gaussian noise of unit deviation, smoothed by `sigma_px`.

    Drawn on a grid no finer than the smoothing needs, and enlarged.
    """
    step = max(1, int(sigma_px / 1.7))
    coarse = (int(-(-shape[0] // step)) + 4, int(-(-shape[1] // step)) + 4)
    drawn = np.frombuffer(rng.bytes(coarse[0] * coarse[1]), dtype=np.uint8).reshape(coarse)
    smooth = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), sigma_px / step)
    if step > 1:
        size = (coarse[1] * step, coarse[0] * step)
        smooth = cv2.resize(smooth, size, interpolation=cv2.INTER_CUBIC)
    return _unit(np.asarray(smooth[: shape[0], : shape[1]], dtype=np.float32))


def _cells(rng: np.random.Generator, shape: Shape, side_px: float) -> tuple[NDArray[np.int32], int]:
    """Return which of so many cells of about `side_px` every pixel belongs to (Voronoi)."""
    count = int(shape[0] * shape[1] / side_px**2) + 4
    seeds = np.full(shape, 255, dtype=np.uint8)
    at = rng.integers(0, shape, (count, 2))
    seeds[at[:, 0], at[:, 1]] = 0
    label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[
        1
    ]
    return np.asarray(label, dtype=np.int32), count + 1


def _walls(label: NDArray[np.int32], thick_px: int) -> Patch:
    """Return 1 on the borders between cells."""
    wall: NDArray[np.uint8] = np.zeros(label.shape, dtype=np.uint8)
    wall[:-1] |= label[:-1] != label[1:]
    wall[:, :-1] |= label[:, :-1] != label[:, 1:]
    if thick_px > 1:
        grown = cv2.dilate(wall, np.ones((thick_px, thick_px), dtype=np.uint8))
        return np.asarray(grown, dtype=np.float32)
    return wall.astype(np.float32)
