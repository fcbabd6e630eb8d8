"""Patches cut from real images, of which only those parts are used that show something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.pairs.source import Patch
from runtime.errors import InputRefused
from runtime.instrument.camera.files import IMAGE_SUFFIXES, read_image
from runtime.tile import Pixels

# Texture is what stands out of the noise of empty resin: the deviation over 25 px of the image
# smoothed by 1.5 px, against that of the specimen's strongest twentieth.
SMOOTH_PX, WINDOW_PX = 1.5, 25
STRONGEST, LEAST_SHARE = 95, 0.2
EDGE_PX = 9
PLACE_PX = 32
LEAST_SIDE_PX = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Micrograph:
    """`pixels` with all that shows nothing made constant, `level`; `places`, (n, 2), are the x and
    y of points on a grid of 32 px that show something."""

    pixels: Pixels
    level: float
    places: NDArray[np.int32]

    def patch(self, rng: np.random.Generator, shape: tuple[int, int]) -> Patch:
        """Return a patch about a place that shows something; constant beyond the border."""
        x, y = self.places[int(rng.integers(len(self.places)))]
        return _cut(self, (int(y), int(x)), shape, (0, 0, *self.pixels.shape))


class ImageSource:
    """Patches of the images of one specimen, wherever they show something."""

    def __init__(self, images: Iterable[Pixels], *, name: str) -> None:
        """Hold every image once, in its own type. Raises InputRefused when none shows anything."""
        self._images = micrographs(images, name=name)
        counts = np.array([len(one.places) for one in self._images])
        self._until = np.cumsum(counts) / counts.sum()

    @property
    def nbytes(self) -> int:
        """The memory that the images take."""
        return sum(one.pixels.nbytes for one in self._images)

    def patch(self, rng: np.random.Generator, shape: tuple[int, int]) -> Patch:
        """Return a patch of an image, drawn by how much it shows: see `Micrograph.patch`."""
        return self._drawn(rng).patch(rng, shape)

    def two_patches(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Patch, Patch]:
        """Return patches of two halves of one image.

        Two images of one specimen may overlap, so that only one and the same is safe.
        """
        image = self._drawn(rng)
        height, width = image.pixels.shape
        if rng.random() < 0.5:
            halves = [(0, 0, height, width // 2), (0, width // 2, height, width)]
        else:
            halves = [(0, 0, height // 2, width), (height // 2, 0, height, width)]
        one, other = (_cut(image, _place_in(image, half, rng), shape, half) for half in halves)
        return one, other

    def _drawn(self, rng: np.random.Generator) -> Micrograph:
        return self._images[int(np.searchsorted(self._until, rng.random(), side="right"))]


def read_images(folder: Path) -> ImageSource:
    """Return the images directly in a folder as those of one specimen.

    8- and 16-bit TIFF, PNG, MRC and what else a scan may be. Raises InputRefused naming what
    cannot be used: a file that does not open, a folder without images, images smaller than 256 px.
    """
    least = (LEAST_SIDE_PX, LEAST_SIDE_PX)
    images = [read_large(file, least_px=least) for file in image_files(folder)]
    return ImageSource(images, name=str(folder))


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, by name; raises InputRefused without any."""
    if not folder.is_dir():
        raise InputRefused(f"{folder} is no folder", remedy="name a folder of grey images")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InputRefused(f"{folder} holds no image", remedy="name a folder of grey images")
    return files


def read_large(file: Path, *, least_px: tuple[int, int]) -> Pixels:
    """Return an image of at least (height, width); raises InputRefused for a smaller one."""
    image = read_image(file)
    if image.shape[0] < least_px[0] or image.shape[1] < least_px[1]:
        raise InputRefused(
            f"{file} is too small",
            value=f"{image.shape[1]} x {image.shape[0]} px",
            limit=f"{least_px[1]} x {least_px[0]} px",
            remedy="leave it out",
        )
    return image


def micrographs(images: Iterable[Pixels], *, name: str) -> list[Micrograph]:
    """Return those images of one specimen that show something; InputRefused when none does."""
    held = list(images)
    spreads = [_spread(image) for image in held]
    strongest = np.percentile(np.concatenate([s[::8, ::8].ravel() for s in spreads]), STRONGEST)
    made = [
        _micrograph(image, spread > LEAST_SHARE * strongest)
        for image, spread in zip(held, spreads, strict=True)
    ]
    found = [one for one in made if len(one.places)]
    if not found:
        raise InputRefused(f"{name} shows no texture", remedy="name images of a specimen")
    return found


def _spread(image: Pixels) -> Patch:
    """Return the deviation about every pixel, of what is left after a light smoothing."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), SMOOTH_PX)
    smooth -= smooth.mean(dtype=np.float32)
    size = (WINDOW_PX, WINDOW_PX)
    mean = cv2.blur(smooth, size)
    return np.sqrt(np.maximum(cv2.sqrBoxFilter(smooth, cv2.CV_32F, size) - mean * mean, 0))


def _micrograph(image: Pixels, textured: NDArray[np.bool_]) -> Micrograph:
    """Return the image with its empty parts made constant.

    Otherwise both strips of a pair would share the noise of the empty resin, which two pictures of
    one place do not, and a matcher would learn to rely on it.
    """
    y, x = (np.arange(PLACE_PX // 2, side, PLACE_PX) for side in image.shape)
    rows, columns = np.nonzero(textured[np.ix_(y, x)])
    empty = image[~textured]
    level = float(np.median(empty) if empty.size else np.median(image))
    share = cv2.GaussianBlur(textured.astype(np.float32), (0, 0), EDGE_PX / 3)
    flat = cast("Pixels", np.rint(level + share * (image - np.float32(level))).astype(image.dtype))
    places = np.column_stack([x[columns], y[rows]]).astype(np.int32)
    return Micrograph(pixels=flat, level=level, places=places)


def _place_in(
    image: Micrograph, within: tuple[int, int, int, int], rng: np.random.Generator
) -> tuple[int, int]:
    """Return the y and x of a place that shows something between top, left, bottom and right; of
    any place where none does."""
    top, left, bottom, right = within
    x, y = image.places.T
    there = image.places[(x >= left) & (x < right) & (y >= top) & (y < bottom)]
    if not len(there):
        return int(rng.integers(top, bottom)), int(rng.integers(left, right))
    column, row = there[int(rng.integers(len(there)))]
    return int(row), int(column)


def _cut(
    image: Micrograph,
    centre: tuple[int, int],
    shape: tuple[int, int],
    within: tuple[int, int, int, int],
) -> Patch:
    """Return the patch about a centre, moved into `within` where it fits, constant beyond."""
    patch = np.full(shape, image.level, dtype=np.float32)
    to, of = zip(
        *(_span(centre[axis], shape[axis], within[axis], within[axis + 2]) for axis in (0, 1)),
        strict=True,
    )
    patch[to] = image.pixels[of]
    return patch


def _span(centre: int, length: int, low: int, high: int) -> tuple[slice, slice]:
    """Return along one axis what of a patch is filled, and from which pixels of the image."""
    if length >= high - low:
        start = (length - (high - low)) // 2
        return slice(start, start + high - low), slice(low, high)
    first = min(max(centre - length // 2, low), high - length)
    return slice(0, length), slice(first, first + length)
