"""Open every image once, before any training, and refuse the first unusable one by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from export.datasets.labelled import LabelledImages
from export.progress import Progress
from runtime.errors import InputRefused

THREADS = 2


@dataclass(frozen=True, slots=True)
class _Seen:
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    digest: bytes


def inspect(images: LabelledImages, *, mixed_sizes: bool, progress: Progress) -> LabelledImages:
    """Return the images with their `shape_px`, every one of them opened and found usable.

    Raises InputRefused, naming the file, for one that is unreadable, in colour or not finite, of
    another bit depth than the first, a copy of another, or of another size without `mixed_sizes`.
    """
    seen: list[_Seen] = []
    first_with: dict[bytes, int] = {}
    for index, found in enumerate(_look(images)):
        progress("checking images", index + 1, len(images))
        seen.append(found)
        if found.dtype != seen[0].dtype:
            raise _mixed("bit depths", images, index, f"{found.dtype}", f"{seen[0].dtype}")
        if found.shape != seen[0].shape and not mixed_sizes:
            raise _mixed("sizes", images, index, _size(found), _size(seen[0]))
        twin = first_with.setdefault(found.digest, index)
        if twin != index:
            raise InputRefused(
                f"{images.names[index]} is a copy of {images.names[twin]}",
                remedy="keep one of them: a copy may be trained on and tested on at once",
            )
    shapes = np.array([found.shape for found in seen], dtype=np.int64)
    return replace(images, shape_px=shapes)


def _look(images: LabelledImages) -> Iterator[_Seen]:
    def look(index: int) -> _Seen:
        pixels = images.load(index)
        content = hashlib.sha256(pixels.tobytes())
        return _Seen(pixels.shape, pixels.dtype, content.digest())

    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(look, range(len(images)))


def _size(seen: _Seen) -> str:
    return f"{seen.shape[1]} x {seen.shape[0]} px"


def _mixed(
    what: str, images: LabelledImages, index: int, value: str, expected: str
) -> InputRefused:
    allow = ", or set data.mixed_sizes = true and a view" if what == "sizes" else ""
    return InputRefused(
        f"mixed {what}: {images.names[index]} differs from {images.names[0]}",
        value=value,
        limit=expected,
        remedy=f"save all images alike{allow}",
    )
