"""Labelled images, whatever they were read from, and their division into parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from runtime.tile import Pixels

# One orientation of an image, and all eight of the square's symmetry.
AS_IT_IS, ALL_VARIANTS = (0,), tuple(range(8))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """Images with their classes; `load(i)` reads image i, (y, x) uint8 or uint16.

    `target` is (n,) int64, an index into `classes`; `specimen`, `pixel_size_um` and `names` (for
    messages and tables) are (n,); `shape_px` is (n, (height, width)), empty until the images were
    inspected. `part` is (n,) of "train", "validation" or "test" where the source itself fixes the
    division. `variants` are the dihedral variants to train on: all eight, or the first alone where
    images were drawn at random angles already. `cells` is (n, classes, y, x) float32, the share of
    each class in each part of an image, where it is known. `redraw(i, rng)` reads image i as
    another exposure might have recorded it, where that is known; `light(i)` is what image i was
    recorded from, (y, x) float32, 1 where it is white, before any camera, where that is known.
    """

    source: str
    classes: tuple[str, ...]
    load: Callable[[int], Pixels]
    target: NDArray[np.int64]
    specimen: NDArray[np.str_]
    pixel_size_um: NDArray[np.float64]
    names: NDArray[np.str_]
    shape_px: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    part: NDArray[np.str_] | None = None
    variants: tuple[int, ...] = ALL_VARIANTS
    cells: NDArray[np.float32] | None = None
    redraw: Callable[[int, np.random.Generator], Pixels] | None = None
    light: Callable[[int], NDArray[np.float32]] | None = None

    def __len__(self) -> int:
        return len(self.target)

    @property
    def specimens(self) -> int:
        """Return how many specimens they show."""
        return len(np.unique(self.specimen))

    def counted(self) -> str:
        """Return how many they are, and of how many specimens, in words."""
        of = "1 specimen" if self.specimens == 1 else f"{self.specimens} specimens"
        return f"{len(self)} images of {of}"

    def subset(self, chosen: NDArray[np.int64]) -> LabelledImages:
        """Return the images at those indices, in that order."""
        load, redraw, light = self.load, self.redraw, self.light
        return replace(
            self,
            load=lambda index: load(int(chosen[index])),
            target=self.target[chosen],
            specimen=self.specimen[chosen],
            pixel_size_um=self.pixel_size_um[chosen],
            names=self.names[chosen],
            shape_px=self.shape_px[chosen] if len(self.shape_px) else self.shape_px,
            part=None if self.part is None else self.part[chosen],
            cells=None if self.cells is None else self.cells[chosen],
            redraw=None if redraw is None else lambda index, rng: redraw(int(chosen[index]), rng),
            light=None if light is None else lambda index: light(int(chosen[index])),
        )

    def counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        found = np.bincount(self.target, minlength=len(self.classes))
        return dict(zip(self.classes, found.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSplit:
    """One data set divided by specimen: no specimen is in two parts."""

    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages

    def summary(self) -> str:
        """Return one line: images and specimens of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return ", ".join(f"{name} {images.counted()}" for name, images in parts.items())
