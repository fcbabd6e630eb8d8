"""Patches drawn from outlined sections, as some camera might have recorded them.

The upper rows of one section train, its lower rows validate, and a whole other section is scanned
as the device scans it: that is the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.config.data import ExposuresConfig, SectionConfig, SectionsData
from export.datasets.augment import expose, random_exposure
from export.datasets.cameras import Light, light_of
from export.datasets.labelled import AS_IT_IS, LabelledImages
from export.datasets.overview import overview_tiles
from export.datasets.patches import HEIGHT_PX, WIDTH_PX, Patch, draw_patch
from export.datasets.section import Section, read_section
from runtime.inference.view_input import FieldOfView
from runtime.tile import Pixels

# Mask pixels (of 8 image pixels) that one cell label averages over, along each side.
CELL_STEP = 4
DRAW_STREAM, SCAN_STREAM = 11, 12


@dataclass(frozen=True, slots=True)
class _Pool:
    """Patches that are drawn afresh, and alike, each time they are asked for."""

    section: Section
    exposures: ExposuresConfig
    count: int
    seed: tuple[int, int, int]

    def patch(self, index: int) -> tuple[Patch, np.random.Generator]:
        rng = np.random.default_rng([*self.seed, index])
        return draw_patch(self.section, rng, shear=self.exposures.shear), rng

    def load(self, index: int) -> Pixels:
        patch, rng = self.patch(index)
        return self._recorded(patch, rng)

    def redraw(self, index: int, rng: np.random.Generator) -> Pixels:
        return self._recorded(self.patch(index)[0], rng)

    def light(self, index: int) -> Light:
        return np.asarray(np.clip(self.patch(index)[0].pixels / 255, 0, 1), np.float32)

    def tissue(self, index: int) -> NDArray[np.float32]:
        return self.patch(index)[0].tissue

    def _recorded(self, patch: Patch, rng: np.random.Generator) -> Pixels:
        return expose(patch.pixels, random_exposure(rng, self.exposures), rng)


def read_sections(
    config: SectionsData, base: Path, *, classes: tuple[str, ...], seed: int
) -> LabelledImages:
    """Return patches of (448, 512) uint16 with their parts fixed; `classes` are (other, tissue).

    The same seed draws the same patches. Raises InputRefused naming the file at fault.
    """
    whole, test = _load(config.section, base), _load(config.test_section, base)
    rows = config.section

    def pool(part: tuple[float, float], count: int, number: int) -> _Pool:
        return _Pool(whole.rows(*part), config.exposures, count, (seed, DRAW_STREAM, number))

    train = pool(rows.train_rows, config.train_patches, 0)
    check = pool(rows.validation_rows, config.validation_patches, 1)
    scans = [
        tile
        for scan in range(config.scans)
        for tile in overview_tiles(test, np.random.default_rng([scan, SCAN_STREAM]))
    ]
    counts = (train.count, check.count, len(scans))
    tissue = np.stack(
        [pool.tissue(i) for pool in (train, check) for i in range(pool.count)]
        + [tile.tissue for tile in scans]
    )

    def load(index: int) -> Pixels:
        if index < train.count:
            return train.load(index)
        beyond = index - train.count
        return check.load(beyond) if beyond < check.count else scans[beyond - check.count].pixels

    def redraw(index: int, rng: np.random.Generator) -> Pixels:
        return train.redraw(index, rng) if index < train.count else load(index)

    def light(index: int) -> Light:
        beyond = index - train.count
        if beyond < check.count:
            return train.light(index) if beyond < 0 else check.light(beyond)
        return light_of(scans[beyond - check.count].pixels)

    specimens = (f"{whole.name} train rows", f"{whole.name} validation rows", test.name)
    total = sum(counts)
    return LabelledImages(
        source=f"section {whole.name}",
        classes=classes,
        load=load,
        target=whole.is_tissue(tissue.mean(axis=(1, 2))).astype(np.int64),
        specimen=np.repeat(specimens, counts),
        pixel_size_um=np.full(total, rows.pixel_size_um),
        names=np.array(
            [f"{name} {i}" for name, n in zip(specimens, counts, strict=True) for i in range(n)]
        ),
        shape_px=np.tile([HEIGHT_PX, WIDTH_PX], (total, 1)),
        part=np.repeat(("train", "validation", "test"), counts),
        variants=AS_IT_IS,
        cells=_cells(tissue),
        redraw=redraw,
        light=light,
    )


def patch_field(config: SectionsData) -> FieldOfView:
    """Return what one patch shows."""
    size_um = config.section.pixel_size_um
    return FieldOfView(height_um=HEIGHT_PX * size_um, width_um=WIDTH_PX * size_um)


def _load(config: SectionConfig, base: Path) -> Section:
    return read_section(
        base / config.image,
        base / config.labels,
        image_pixel_size_um=config.image_pixel_size_um,
        pixel_size_um=config.pixel_size_um,
    )


def _cells(tissue: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, (other, tissue), y, x) shares of (n, y, x) masks."""
    count, height, width = tissue.shape
    blocks = tissue.reshape(count, height // CELL_STEP, CELL_STEP, width // CELL_STEP, CELL_STEP)
    share = blocks.mean(axis=(2, 4), dtype=np.float32)
    return np.stack([1 - share, share], axis=1)
