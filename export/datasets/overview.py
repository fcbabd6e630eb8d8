"""Tiles as an overview scan of a whole section would take them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.augment import Exposure, expose
from export.datasets.patches import HEIGHT_PX, MASK_STEP, WIDTH_PX
from export.datasets.section import Section

OVERLAP = 0.15
ROTATION_RAD = float(np.deg2rad(0.7))
CLEAR_GREY = 245
# The demo's camera: white near 2,800 of 4,095, four electrons a digital number, 6 e read noise.
CAMERA = Exposure(blur_px=0.5, white_dn=2800.0, electrons_per_dn=4.0, read_dn=1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedTile:
    """`pixels` is the (448, 512) uint16 raw tile, `tissue` its (56, 64) float32 mask."""

    pixels: NDArray[np.uint16]
    tissue: NDArray[np.float32]


def overview_tiles(
    section: Section, rng: np.random.Generator, *, rows: int = 7, columns: int = 7
) -> list[ScannedTile]:
    """Return the tiles of a grid about the section's centre.

    The camera is rotated against the section, and tiles beyond its edge show bare slide. The origin
    of the grid is moved at random by up to 40 px.
    """
    cosine, sine = np.cos(ROTATION_RAD), np.sin(ROTATION_RAD)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    height, width = section.image.shape
    origin = np.array([width / 2, height / 2]) + rng.uniform(-40, 40, 2)
    step = np.array([WIDTH_PX, HEIGHT_PX]) * (1 - OVERLAP)
    image, mask = section.image.astype(np.float32), section.tissue.astype(np.float32)
    tiles = []
    for row in range(rows):
        for column in range(columns):
            place = np.array([column - (columns - 1) / 2, row - (rows - 1) / 2]) * step
            centre = origin + turn @ place
            matrix = np.column_stack(
                [turn, centre - turn @ np.array([(WIDTH_PX - 1) / 2, (HEIGHT_PX - 1) / 2])]
            )
            pixels = expose(_cut(image, matrix, outside=CLEAR_GREY), CAMERA, rng)
            tissue = _coarse(_cut(mask, matrix, outside=0))
            tiles.append(ScannedTile(pixels=pixels, tissue=tissue))
    return tiles


def _coarse(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = HEIGHT_PX // MASK_STEP, WIDTH_PX // MASK_STEP
    blocks = mask.reshape(rows, MASK_STEP, columns, MASK_STEP)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _cut(
    image: NDArray[np.float32], matrix: NDArray[np.float64], *, outside: int
) -> NDArray[np.float32]:
    cut = cv2.warpAffine(
        image,
        matrix,
        (WIDTH_PX, HEIGHT_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float(outside),
    )
    return np.asarray(cut, dtype=np.float32)
