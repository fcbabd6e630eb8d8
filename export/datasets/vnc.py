"""Patches of serial-section TEM with and without mitochondria.

Gerhard, Funke, Martel, Cardona, Fetter 2013, doi:10.6084/m9.figshare.856713: Drosophila larva,
ventral nerve cord, 4.6 nm a pixel. The licence of the data is non-commercial.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from export.datasets.labelled import LabelledImages
from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image
from runtime.tile import Pixels

PATCH_PX = 128
# Patches of a section are read one after the other when they are prepared, in any order later.
SECTIONS_KEPT = 32
PIXEL_SIZE_UM = 0.0046
# "With": at least this share of the patch is mitochondrion, the area of one of some 30 px across.
# "Without": not one pixel is. Patches between show a sliver that nobody could name, and are left
# out. The labels are smoothed at their edges: a pixel counts from half white on.
WITH_SHARE, INSIDE = 0.05, 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patch:
    section: Path
    top_px: int
    left_px: int
    with_mitochondria: bool


def read_vnc(folder: Path, *, classes: tuple[str, ...], seed: int = 0) -> LabelledImages:
    """Return patches on a 128-px lattice; `classes` are (without, with), the specimen the section.

    Each section gives as many of one class as of the other; of the larger one, those that `seed`
    picks. Raises InputRefused naming the file at fault.
    """
    rng = np.random.default_rng(seed)
    sections = sorted((folder / "raw").glob("*.png"))
    if not sections:
        raise InputRefused(f"{folder / 'raw'} holds no sections", remedy="name the data's folder")
    patches = [p for file in sections for p in _balanced(_patches(file, folder), rng)]
    read = lru_cache(SECTIONS_KEPT)(read_image)

    def load(index: int) -> Pixels:
        patch = patches[index]
        rows = slice(patch.top_px, patch.top_px + PATCH_PX)
        columns = slice(patch.left_px, patch.left_px + PATCH_PX)
        return cast("Pixels", np.ascontiguousarray(read(patch.section)[rows, columns]))

    return LabelledImages(
        source=folder.name,
        classes=classes,
        load=load,
        target=np.array([patch.with_mitochondria for patch in patches], dtype=np.int64),
        specimen=np.array([patch.section.stem for patch in patches]),
        pixel_size_um=np.full(len(patches), PIXEL_SIZE_UM),
        names=np.array([f"{p.section} at row {p.top_px} column {p.left_px}" for p in patches]),
    )


def _patches(section: Path, folder: Path) -> list[_Patch]:
    inside = read_image(folder / "mitochondria" / section.name) >= INSIDE
    shape = read_image(section).shape
    if inside.shape != shape:
        raise InputRefused(
            f"{section} and its mitochondria differ in size", value=inside.shape, limit=shape
        )
    rows, columns = shape[0] // PATCH_PX, shape[1] // PATCH_PX
    shares = _shares(inside[: rows * PATCH_PX, : columns * PATCH_PX])
    return [
        _Patch(
            section=section,
            top_px=row * PATCH_PX,
            left_px=column * PATCH_PX,
            with_mitochondria=bool(shares[row, column]),
        )
        for row in range(rows)
        for column in range(columns)
        if shares[row, column] == 0 or shares[row, column] >= WITH_SHARE
    ]


def _shares(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of every patch that is inside a mitochondrion, (rows, columns)."""
    height, width = inside.shape
    blocks = inside.reshape(height // PATCH_PX, PATCH_PX, width // PATCH_PX, PATCH_PX)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _balanced(patches: list[_Patch], rng: np.random.Generator) -> list[_Patch]:
    groups = [[p for p in patches if p.with_mitochondria == kind] for kind in (False, True)]
    count = min(len(group) for group in groups)
    chosen = [group[i] for group in groups for i in sorted(rng.permutation(len(group))[:count])]
    return sorted(chosen, key=lambda patch: (patch.top_px, patch.left_px))
