"""Every view in every variant, sampled once and held in memory: what epochs draw from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.datasets.labelled import LabelledImages
from export.datasets.views import (
    ViewField,
    cut,
    dihedral,
    upright_variants,
    view_of_image,
    views_of,
)
from export.progress import Progress, silent
from runtime.errors import InputRefused
from runtime.preprocess.inputs import Inputs, Sampled, assemble, sample
from runtime.preprocess.spec import PART_RADII_PX, PreprocessSpec, input_parts

CUT_STREAM = 22
THREADS = 2
# The rest of the free memory is for the networks.
MEMORY_SHARE = 0.7
MEMORY_INFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`images` (n, channels, y, x) float32, `target` (n,) int64, `cells` as in LabelledImages."""

    images: NDArray[np.float32]
    target: NDArray[np.int64]
    cells: NDArray[np.float32] | None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """`intensity` (views, variants, y, x) float32, `codes` (views, variants, radii, y, x) uint8.

    `image` is (views,) the index into `images` each view was cut from.
    """

    images: LabelledImages
    spec: PreprocessSpec
    lut: NDArray[np.float32]
    field: ViewField
    intensity: NDArray[np.float32]
    codes: NDArray[np.uint8]
    image: NDArray[np.int64]

    @property
    def target(self) -> NDArray[np.int64]:
        """Return the (views,) class of every view."""
        return self.images.target[self.image]

    @property
    def image_target(self) -> NDArray[np.int64]:
        """Return the (images,) class of every image."""
        return self.images.target

    def image_scores(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (images, classes): the mean over each image's views of (views, classes)."""
        total = np.zeros((len(self.images), scores.shape[1]))
        np.add.at(total, self.image, scores)
        counts = np.bincount(self.image, minlength=len(self.images))
        return np.asarray(total / counts[:, None], dtype=np.float32)

    def inputs(self, view: int, variant: int = 0) -> Inputs:
        """Return one view as the runtime would give it to the networks."""
        sampled = Sampled(intensity=self.intensity[view, variant], codes=self.codes[view, variant])
        return assemble(sampled, self.spec, self.lut)

    def batches(
        self, input_name: str, *, batch: int, rng: np.random.Generator, variants: str = "all"
    ) -> Iterator[Batch]:
        """Yield one epoch in random order: every view in all its variants, or in "one" drawn."""
        views, held = self.intensity.shape[:2]
        if variants == "all":
            pairs = np.stack(np.unravel_index(np.arange(views * held), (views, held)), axis=1)
        else:
            pairs = np.stack([np.arange(views), rng.integers(held, size=views)], axis=1)
        return self._yield(input_name, rng.permutation(pairs), batch)

    def in_order(
        self, input_name: str, *, batch: int, variants: tuple[int, ...] = (0,)
    ) -> Iterator[Batch]:
        """Yield every view in order, once for each of the variants, the first variant first."""
        views = np.arange(len(self.image))
        pairs = np.concatenate([np.stack([views, np.full_like(views, v)], 1) for v in variants])
        return self._yield(input_name, pairs, batch)

    def fingerprint(self, *inputs: str) -> str:
        """Return a digest of what these inputs show: a training is resumed on this data alone.

        Which other inputs were prepared beside them makes no difference.
        """
        content = hashlib.sha256()
        for array in (self.images.target, self.image, self.lut, self.intensity[:, 0]):
            content.update(np.ascontiguousarray(array).tobytes())
        shown = replace(self.spec, inputs=inputs)
        content.update(repr((self.intensity.shape, shown)).encode())
        return content.hexdigest()

    def epoch_batches(self, *, batch: int, variants: str) -> int:
        """Return how many batches an epoch has."""
        views, held = (int(side) for side in self.intensity.shape[:2])
        shown = views * held if variants == "all" else views
        return math.ceil(shown / batch)

    def _yield(self, input_name: str, pairs: NDArray[np.int64], batch: int) -> Iterator[Batch]:
        # Batches differ in size by one at most: normalisation over a batch of one would fail.
        for part in np.array_split(pairs, math.ceil(len(pairs) / batch)):
            view, variant = part[:, 0], part[:, 1]
            image = self.image[view]
            cells = self.images.cells
            yield Batch(
                images=self._stack(input_name, view, variant),
                target=self.images.target[image],
                cells=None if cells is None else cells[image],
            )

    def _stack(
        self, input_name: str, view: NDArray[np.int64], variant: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return (n, channels, y, x), the same bits as `assemble` gives one by one."""
        parts = []
        for part in input_parts(input_name):
            if part == "intensity":
                parts.append(self.intensity[view, variant][:, None])
                continue
            scale = self.spec.radii_px.index(PART_RADII_PX[part])
            codes = self.codes[view, variant, scale]
            parts.append(np.stack([np.take(axis, codes) for axis in self.lut.T], axis=1))
        return np.concatenate(parts, axis=1)


def prepare(
    images: LabelledImages,
    spec: PreprocessSpec,
    lut: NDArray[np.float32],
    field: ViewField,
    *,
    variants: tuple[int, ...] | None = None,
    cuts: int = 0,
    progress: Progress = silent,
) -> Prepared:
    """Return the images' views in the given variants, or in all that the images ask for.

    Pixels are turned first and sampled after, as a turned camera would have it. Behind the whole
    views follow as many cuts of each as asked for, all in the same orientations. Raises
    InputRefused when the memory would not suffice, or an image is smaller than a view.
    """
    square = spec.height_px == spec.width_px
    wanted = upright_variants(images.variants if variants is None else variants, square=square)
    views = [views_of(images, index, field) for index in range(len(images))]
    image = view_of_image(np.array([len(found) for found in views]))
    shape = (len(image), len(wanted) * (1 + cuts))
    _check_memory(shape, spec, images.source)
    intensity = np.empty((*shape, spec.height_px, spec.width_px), dtype=np.float32)
    codes = np.empty((*shape, len(spec.radii_px), spec.height_px, spec.width_px), dtype=np.uint8)
    first = np.searchsorted(image, np.arange(len(images)))

    def fill(index: int) -> None:
        pixels = images.load(index)
        rng = np.random.default_rng([CUT_STREAM, index])
        for place, view in enumerate(views[index], start=first[index]):
            shown = [view, *(cut(view, rng) for _ in range(cuts))]
            for slot, (part, variant) in enumerate(product(shown, wanted)):
                sampled = sample(dihedral(pixels[part], variant), spec)
                intensity[place, slot] = sampled.intensity
                codes[place, slot] = sampled.codes

    with ThreadPoolExecutor(THREADS) as pool:
        for done, _ in enumerate(pool.map(fill, range(len(images))), start=1):
            progress(f"preparing {images.source}", done, len(images))
    return Prepared(
        images=images,
        spec=spec,
        lut=lut,
        field=field,
        intensity=intensity,
        codes=codes,
        image=image,
    )


def _check_memory(shape: tuple[int, int], spec: PreprocessSpec, source: str) -> None:
    needed = shape[0] * shape[1] * spec.height_px * spec.width_px * (4 + len(spec.radii_px))
    available = _available_bytes()
    if needed > MEMORY_SHARE * available:
        raise InputRefused(
            f"{source}: {shape[0]} views in {shape[1]} variants do not fit into memory",
            value=f"{needed / 1e9:.1f} GB",
            limit=f"{MEMORY_SHARE * available / 1e9:.1f} GB",
            remedy="choose a larger view, fewer cuts or images, or a machine with more memory",
        )


def _available_bytes() -> int:
    """Return what can be had without swapping: free pages, and files' pages the kernel gives up."""
    lines = dict(line.split(":") for line in MEMORY_INFO.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024
