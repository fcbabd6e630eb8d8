"""Views as the networks see them: sampled once and held where memory allows, else read on demand.

Either way a view has the same bits, so a training may go on where there is less memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
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
from runtime.inference.windows import View
from runtime.preprocess.code_classes import TEXTURE_CHANNELS
from runtime.preprocess.inputs import Inputs, Sampled, assemble, sample, texture_of
from runtime.preprocess.spec import (
    PART_RADII_PX,
    TEXTURE,
    PreprocessSpec,
    input_parts,
)
from runtime.tile import Pixels

CUT_STREAM = 22
THREADS = 2
# Decoded images kept for the next view of the same image, beside the one each reader is at.
IMAGES_KEPT = 2
# The rest of the free memory is for the networks.
MEMORY_SHARE = 0.7
MEMORY_INFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewAugmentation:
    """The ways each view is shown: in these dihedral variants, whole and as so many random cuts.

    Without `turned_texture` the texture is held of the first way alone, the view as it is.
    """

    variants: tuple[int, ...]
    cuts: int = 0
    turned_texture: bool = True

    def __len__(self) -> int:
        return len(self.variants) * (1 + self.cuts)

    def spec(self, whole: PreprocessSpec, way: int) -> PreprocessSpec:
        """Return what is sampled of a view shown in that way, out of the `whole` spec."""
        if way == 0 or self.turned_texture:
            return whole
        return replace(whole, inputs=tuple(name for name in whole.inputs if name != TEXTURE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """`intensity` (views, shown, y, x) float32, `codes` (views, shown, radii, y, x) uint8,
    `texture` (views, shown or 1, channels, y, x) float32 or None where no input asks for it.
    """

    intensity: NDArray[np.float32]
    codes: NDArray[np.uint8]
    texture: NDArray[np.float32] | None

    @classmethod
    def room(cls, spec: PreprocessSpec, *, views: int, shown: ViewAugmentation) -> Held:
        """Return the arrays, to be filled."""
        side, grid, ways = (spec.height_px, spec.width_px), (spec.texture_cells,) * 2, len(shown)
        counted = ways if shown.turned_texture else 1
        texture = np.empty((views, counted, TEXTURE_CHANNELS, *grid), dtype=np.float32)
        return cls(
            intensity=np.empty((views, ways, *side), dtype=np.float32),
            codes=np.empty((views, ways, len(spec.radii_px), *side), dtype=np.uint8),
            texture=texture if spec.counts_texture else None,
        )

    def put(self, view: int, way: int, sampled: Sampled) -> None:
        """Keep one view, shown in one way."""
        self.intensity[view, way], self.codes[view, way] = sampled.intensity, sampled.codes
        if self.texture is not None and sampled.texture is not None:
            self.texture[view, way] = sampled.texture

    def take(self, view: int, way: int) -> Sampled:
        """Return one view, shown in one way."""
        texture = self.texture
        if texture is not None:
            texture = texture[view, way] if way < texture.shape[1] else None
        return Sampled(
            intensity=self.intensity[view, way], codes=self.codes[view, way], texture=texture
        )

    def of(self, views: NDArray[np.int64]) -> Held:
        """Return those views alone."""
        return Held(
            intensity=self.intensity[views],
            codes=self.codes[views],
            texture=None if self.texture is None else self.texture[views],
        )


@dataclass(frozen=True, kw_only=True)
class PreparedViews:
    """Views of labelled images; `image` is (views,) the index into `images` each was cut from,
    `number` (images,) what an image was prepared as, by which its cuts are drawn.

    What is not `held` is read through `load`, which keeps a few decoded images.
    """

    images: LabelledImages
    spec: PreprocessSpec
    lut: NDArray[np.float32]
    field: ViewField
    image: NDArray[np.int64]
    number: NDArray[np.int64]
    shown: ViewAugmentation
    load: Callable[[int], Pixels]
    held: Held | None

    def __len__(self) -> int:
        return len(self.image)

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

    def sampled(self, view: int, way: int = 0) -> Sampled:
        """Return one view, shown in one of the ways: the first is the view as it is.

        Its texture is left out where it is not held of that way.
        """
        if self.held is not None:
            return self.held.take(view, way)
        return self._read(view, way, self.shown.spec(self.spec, way))

    def fresh(self, view: int, rng: np.random.Generator) -> Sampled:
        """Return one view as `rng` shows it: exposed anew, turned, and cut as often as it is."""
        index = int(self.image[view])
        pixels = self.images.redraw(index, rng) if self.images.redraw else self.load(index)
        part = views_of(self.images, index, self.field)[view - self._first(index)]
        if rng.integers(1 + self.shown.cuts):
            part = cut(part, rng)
        spec = self.shown.spec(self.spec, way=1)
        return sample(dihedral(pixels[part], int(rng.choice(self.shown.variants))), spec)

    def inputs(self, view: int, way: int = 0) -> Inputs:
        """Return one view as the runtime would give it to the networks, its texture counted."""
        sampled = self.sampled(view, way)
        if self.spec.counts_texture and sampled.texture is None:
            sampled = self._read(view, way, self.spec)
        return assemble(sampled, self.spec, self.lut)

    def stacked(self, input_name: str, sampled: Sampled) -> NDArray[np.float32]:
        """Return (channels, y, x) of one input, the same bits as `assemble` gives."""
        if input_name == TEXTURE:
            return texture_of(sampled)
        parts = []
        for part in input_parts(input_name):
            if part == "intensity":
                parts.append(sampled.intensity[None])
                continue
            codes = sampled.codes[self.spec.radii_px.index(PART_RADII_PX[part])]
            parts.append(np.stack([np.take(axis, codes) for axis in self.lut.T]))
        return np.concatenate(parts)

    def in_order(self, input_name: str, *, batch: int) -> Iterator[NDArray[np.float32]]:
        """Yield every view as it is, in order, as (n, channels, y, x) of at most `batch` views."""
        for views in np.array_split(np.arange(len(self)), math.ceil(len(self) / batch)):
            yield np.stack([self.stacked(input_name, self.sampled(int(view))) for view in views])

    def subset(self, chosen: NDArray[np.int64]) -> PreparedViews:
        """Return the views of the images at those ascending indices, the same bits as here."""
        views = np.flatnonzero(np.isin(self.image, chosen))
        images = self.images.subset(chosen)
        return replace(
            self,
            images=images,
            image=np.searchsorted(chosen, self.image[views]),
            number=self.number[chosen],
            load=lru_cache(IMAGES_KEPT)(images.load),
            held=None if self.held is None else self.held.of(views),
        )

    def seeing(self, inputs: tuple[str, ...]) -> PreparedViews:
        """Return the same views with no other inputs than these."""
        spec = replace(self.spec, inputs=inputs)
        held = self.held
        if held is not None:
            kept = [self.spec.radii_px.index(radius_px) for radius_px in spec.radii_px]
            texture = held.texture if spec.counts_texture else None
            held = replace(held, codes=held.codes[:, :, kept], texture=texture)
        return replace(self, spec=spec, held=held)

    def fingerprint(self, *inputs: str) -> str:
        """Return a digest of these inputs, by which a resumed training knows that its data are the
        same.

        Which other inputs were prepared beside them makes no difference, nor what is held.
        """
        content = hashlib.sha256(self._content)
        shape = (len(self), len(self.shown), self.spec.height_px, self.spec.width_px)
        content.update(repr((shape, replace(self.spec, inputs=inputs))).encode())
        return content.hexdigest()

    @cached_property
    def _content(self) -> bytes:
        content = hashlib.sha256()
        for array in (self.images.target, self.image, self.lut):
            content.update(np.ascontiguousarray(array).tobytes())
        for view in range(len(self)):
            content.update(np.ascontiguousarray(self.sampled(view).intensity).tobytes())
        return content.digest()

    def _read(self, view: int, way: int, spec: PreprocessSpec) -> Sampled:
        index = int(self.image[view])
        part, variant = _ways(self, index)[view - self._first(index)][way]
        return sample(dihedral(self.load(index)[part], variant), spec)

    def _first(self, index: int) -> int:
        return int(np.searchsorted(self.image, index))


def prepare(
    images: LabelledImages,
    spec: PreprocessSpec,
    lut: NDArray[np.float32],
    field: ViewField,
    *,
    variants: tuple[int, ...] | None = None,
    cuts: int = 0,
    turned_texture: bool = True,
    progress: Progress = silent,
) -> PreparedViews:
    """Return the images' views in the given variants, or in all that the images ask for.

    Pixels are turned first and sampled after, as a turned camera would have it. Behind the whole
    views follow as many cuts of each as asked for, all in the same orientations; without
    `turned_texture`, for where no network learns from it, the texture is counted of the views as
    they are alone. What would not fit into memory is read again each time it is asked for. Raises
    InputRefused when an image is smaller than a view.
    """
    square = spec.height_px == spec.width_px
    wanted = upright_variants(images.variants if variants is None else variants, square=square)
    counts = np.array([len(views_of(images, index, field)) for index in range(len(images))])
    streamed = PreparedViews(
        images=images,
        spec=spec,
        lut=lut,
        field=field,
        image=view_of_image(counts),
        number=np.arange(len(images)),
        shown=ViewAugmentation(variants=wanted, cuts=cuts, turned_texture=turned_texture),
        load=lru_cache(IMAGES_KEPT)(images.load),
        held=None,
    )
    needed = _bytes_needed(streamed)
    if needed > MEMORY_SHARE * _available_bytes():
        progress(f"preparing {images.source}", 1, 1, f"{needed / 1e9:.1f} GB, read on demand")
        return streamed
    return replace(streamed, held=_hold(streamed, progress))


def _hold(prepared: PreparedViews, progress: Progress) -> Held:
    images, shown = prepared.images, prepared.shown
    held = Held.room(prepared.spec, views=len(prepared), shown=shown)
    specs = [shown.spec(prepared.spec, way) for way in range(len(shown))]

    def fill(index: int) -> None:
        pixels, first = images.load(index), prepared._first(index)
        for view, ways in enumerate(_ways(prepared, index), start=first):
            for way, (part, variant) in enumerate(ways):
                held.put(view, way, sample(dihedral(pixels[part], variant), specs[way]))

    with ThreadPoolExecutor(THREADS) as pool:
        for done, _ in enumerate(pool.map(fill, range(len(images))), start=1):
            progress(f"preparing {images.source}", done, len(images))
    return held


def _ways(prepared: PreparedViews, index: int) -> list[list[tuple[View, int]]]:
    """Return, for every view of an image, the part and variant of every way it is shown.

    The cuts of an image are drawn from its own generator, in one order: which view is asked for
    first makes no difference.
    """
    rng = np.random.default_rng([CUT_STREAM, int(prepared.number[index])])
    shown = prepared.shown
    return [
        list(product([view, *(cut(view, rng) for _ in range(shown.cuts))], shown.variants))
        for view in views_of(prepared.images, index, prepared.field)
    ]


def _bytes_needed(prepared: PreparedViews) -> int:
    spec, shown = prepared.spec, prepared.shown
    pixels = spec.height_px * spec.width_px * (4 + len(spec.radii_px))
    counts = 4 * TEXTURE_CHANNELS * spec.texture_cells**2 if spec.counts_texture else 0
    counted = len(shown) if shown.turned_texture else 1
    return len(prepared) * (len(shown) * pixels + counted * counts)


def _available_bytes() -> int:
    """Return what can be had without swapping: free pages, and files' pages the kernel gives up."""
    lines = dict(line.split(":") for line in MEMORY_INFO.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024
