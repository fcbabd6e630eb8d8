"""Draw camera-sized patches from a section, turned, mirrored and scaled at random."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.section import Section

HEIGHT_PX, WIDTH_PX = 448, 512
# The tissue mask is drawn this many times coarser than the pixels.
MASK_STEP = 8
SCALES = (0.9, 1.1)
# Bare slide shows beyond the section in this share of patches, behind a soft edge, in some of them
# beyond a corner: of an overview of 7 x 7 tiles 24 lie at the rim.
CLEAR_SHARE, CORNER_SHARE = 0.4, 0.4
CLEAR_EDGE_PX, CLEAR_FROM_CENTRE_PX = (4.0, 40.0), (-150.0, 200.0)
# A slide is any grey or, as often, nearly that of the resin, which lets almost all light through.
CLEAR_GREY, RESIN_PERCENTILE, RESIN_TO_CLEAR = (180, 255), 75, (-10, 20)
# Coverage bins drawn equally often: as they come, nine in ten patches would be plain resin.
COVERAGE_BINS = ((0.0, 0.001), (0.001, 0.2), (0.2, 0.35), (0.35, 0.5), (0.5, 0.8), (0.8, 1.01))
TRIES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """`pixels` is (448, 512) float32 in grey levels; `tissue` the (56, 64) float32 mask."""

    pixels: NDArray[np.float32]
    tissue: NDArray[np.float32]

    @property
    def coverage(self) -> float:
        """Return the share of the patch that is tissue."""
        return float(self.tissue.mean())


def draw_patch(section: Section, rng: np.random.Generator, *, shear: float = 0.0) -> Patch:
    """Return a patch whose coverage lies in a randomly chosen bin, if a few tries find one.

    Its rows move sideways by up to that share of its height from the first to the last.
    """
    lowest, highest = COVERAGE_BINS[rng.integers(len(COVERAGE_BINS))]
    for _ in range(TRIES):
        matrix = _random_pose(section, rng, shear)
        tissue = _cut(section.tissue, matrix, step=MASK_STEP)
        if lowest <= tissue.mean() < highest:
            break
    patch = Patch(pixels=_cut(section.grey, matrix, step=1), tissue=tissue)
    return _clear_beyond(patch, rng) if rng.random() < CLEAR_SHARE else patch


def _random_pose(section: Section, rng: np.random.Generator, shear: float) -> NDArray[np.float64]:
    """Return the 2x3 matrix from patch pixels (x, y) to section pixels."""
    angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(*SCALES)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[:, 0] *= rng.choice([-1.0, 1.0])
    turn[:, 1] += rng.uniform(-shear, shear) * turn[:, 0]
    height, width = section.image.shape
    # Centres stay a quarter patch inside; what lies outside is mirrored at the section's edge.
    centre = np.array(
        [
            rng.uniform(WIDTH_PX / 4, width - WIDTH_PX / 4),
            rng.uniform(HEIGHT_PX / 4, height - HEIGHT_PX / 4),
        ]
    )
    middle = np.array([(WIDTH_PX - 1) / 2, (HEIGHT_PX - 1) / 2])
    return np.column_stack([turn, centre - turn @ middle])


def _cut(
    image: NDArray[np.uint8] | NDArray[np.float32], matrix: NDArray[np.float64], *, step: int
) -> NDArray[np.float32]:
    """Return the patch at every `step`-th pixel, sampled at the centre of each step."""
    coarse = matrix.copy()
    coarse[:, 2] += matrix[:, :2] @ np.full(2, (step - 1) / 2)
    coarse[:, :2] *= step
    cut = cv2.warpAffine(
        image,
        coarse,
        (WIDTH_PX // step, HEIGHT_PX // step),
        flags=(cv2.INTER_LINEAR if step == 1 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(cut, dtype=np.float32)


def _clear_beyond(patch: Patch, rng: np.random.Generator) -> Patch:
    """Return the patch with bare slide on one side of a random line, or beyond a corner."""
    edges = [(rng.uniform(0, 2 * np.pi), rng.uniform(*CLEAR_FROM_CENTRE_PX))]
    if rng.random() < CORNER_SHARE:
        beside = edges[0][0] + rng.choice([-1, 1]) * np.pi / 2
        edges.append((beside, rng.uniform(*CLEAR_FROM_CENTRE_PX)))
    edge_px, grey = rng.uniform(*CLEAR_EDGE_PX), _slide_grey(patch, rng)
    fine, coarse = (
        np.maximum.reduce(
            [_beyond(HEIGHT_PX // step, WIDTH_PX // step, step, *edge, edge_px) for edge in edges]
        )
        for step in (1, MASK_STEP)
    )
    return Patch(
        pixels=patch.pixels + fine * (np.float32(grey) - patch.pixels),
        tissue=patch.tissue * (coarse < 0.5),
    )


def _slide_grey(patch: Patch, rng: np.random.Generator) -> float:
    if rng.random() < 0.5:
        return rng.uniform(*CLEAR_GREY)
    resin = float(np.percentile(patch.pixels[::8, ::8], RESIN_PERCENTILE))
    return min(resin + rng.uniform(*RESIN_TO_CLEAR), 255.0)


def _beyond(
    height: int, width: int, step: int, angle: float, away: float, edge_px: float
) -> NDArray[np.float32]:
    """Return 0 to 1 rising across the line that passes `away` px from the patch's centre."""
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :] * step
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None] * step
    distance = x * np.cos(angle) + y * np.sin(angle) - away
    return np.asarray(np.clip(distance / edge_px + 0.5, 0, 1), dtype=np.float32)
