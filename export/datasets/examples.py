"""Batches of network inputs with their targets, through the runtime's own preprocessing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.datasets.augment import expose, random_exposure
from export.datasets.patches import MASK_STEP, Patch, draw_patch
from export.datasets.section import Section
from runtime.preprocess.inputs import Inputs, to_input
from runtime.preprocess.spec import PreprocessSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`inputs` as `to_input` gives them, n tiles deep; `coverage` (n,) the share of tissue;
    `cells` (n, y, x) that share in every cell of the network's map; `target` (n,) the class.
    """

    inputs: Inputs
    coverage: NDArray[np.float32]
    cells: NDArray[np.float32]
    target: NDArray[np.int64]


class ExampleSource:
    """Draws augmented examples from one section; the same generator state, the same examples."""

    def __init__(
        self, section: Section, spec: PreprocessSpec, lut: NDArray[np.float32], *, cell_px: int
    ) -> None:
        """`cell_px` is the side of a map cell in input pixels."""
        self._section, self._spec, self._lut = section, spec, lut
        self._cell_px = cell_px

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Return `size` fresh examples."""
        patches = [draw_patch(self._section, rng) for _ in range(size)]
        tiles = [expose(patch.pixels, random_exposure(rng), rng) for patch in patches]
        inputs = [to_input(tile, self._spec, self._lut) for tile in tiles]
        coverage = np.array([patch.coverage for patch in patches], dtype=np.float32)
        return Batch(
            inputs={name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]},
            coverage=coverage,
            cells=np.stack([self._cells(patch) for patch in patches]),
            target=self._section.is_tissue(coverage).astype(np.int64),
        )

    def _cells(self, patch: Patch) -> NDArray[np.float32]:
        height, width = patch.tissue.shape
        rows, columns = self._spec.height_px // self._cell_px, self._spec.width_px // self._cell_px
        if height % rows or width % columns:
            raise ValueError(f"{MASK_STEP}-px mask {height}x{width} does not fit {rows}x{columns}")
        blocks = patch.tissue.reshape(rows, height // rows, columns, width // columns)
        return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
