"""Tiles that show one picture though they are said to lie apart: stage or camera stood still.

Noise is new in every picture, so their files differ; made small, where noise averages out, they are
alike. Dust and the pattern of a sensor are alike too, but in all tiles, whatever else these show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy import fft
from scipy.cluster.hierarchy import DisjointSet

from runtime.stitch.look.whole import Small
from runtime.stitch.match.correlation import Image, ncc
from runtime.tile import Pixels

SIDE_PX = 64
"""Longer side of the small pictures; what drifted by a pixel or two is still alike in them."""

ALIKE = 0.8
"""Correlation of one picture with itself under heavy noise; tiles that moved under the dust of a
dirty camera reach half of it."""

DETAIL_PX, REPEATED = 4, ALIKE
"""Pictures that agree with themselves by more than this, further off than that, repeat: a lattice
by 0.86 and more, a section with a few strong features by 0.74 and less."""

DUSTY, DUSTY_ALONE = 0.1, 0.3
"""Correlation of dust with most of the other tiles, which have it too; and with a single one."""


def made_small(pixels: Pixels) -> Image:
    """Return a picture by which tiles are compared, all zero for one without any detail."""
    return Small.of(pixels, side_px=SIDE_PX).image


def one_picture(pictures: Iterable[Image]) -> bool:
    """Return whether at least three small pictures all show the same, but for noise.

    Not those that repeat within themselves: a lattice looks alike a period further.
    """
    seen: list[Image] = []
    for picture in pictures:
        # Most scans are told by the second one, and no other need be made.
        if seen and ncc(seen[0], picture) < ALIKE:
            return False
        seen.append(picture)
    if len(seen) < 3 or all(np.array_equal(seen[0], other) for other in seen[1:]):
        return False
    return not _repeats(seen[0])


def same_pictures(pictures: Mapping[str, Image], doubted: Iterable[str]) -> list[list[str]]:
    """Return the groups of tiles that show one picture; each has one of those `doubted`."""
    groups = DisjointSet(pictures)
    for tile_id in doubted:
        for other, picture in pictures.items():
            if other != tile_id and ncc(pictures[tile_id], picture) >= ALIKE:
                groups.merge(tile_id, other)
    found = [sorted(group) for group in groups.subsets() if len(group) > 1]
    return [
        group for group in found if not _dust(pictures, group) and not _repeats(pictures[group[0]])
    ]


def _repeats(picture: Image) -> bool:
    """Return whether a small picture agrees with itself moved further than its detail is wide."""
    height, width = picture.shape
    size = 2 * height, 2 * width
    shared = fft.irfft2(np.abs(fft.rfft2(picture, s=size)) ** 2, s=size)
    # Moved by up to half of itself, and shares as the area that is left.
    near = shared[: height // 2, np.arange(-(width // 2), width // 2)]
    y, x = np.indices(near.shape)
    x = np.abs(x - width // 2)
    moved = near / ((1 - y / height) * (1 - x / width))
    moved[np.hypot(y, x) < DETAIL_PX] = 0
    down, column = np.unravel_index(int(moved.argmax()), moved.shape)
    across = int(column) - width // 2
    first = picture[down:, max(across, 0) : width + min(across, 0)]
    second = picture[: height - down, max(-across, 0) : width - max(across, 0)]
    return ncc(first, second) > REPEATED


def _dust(pictures: Mapping[str, Image], group: list[str]) -> bool:
    """Return whether what a group shares is in most of the other tiles as well."""
    shared = np.asarray(np.mean([pictures[name] for name in group], axis=0), np.float32)
    beside = [ncc(shared, pictures[name]) for name in pictures.keys() - set(group)]
    least = max(DUSTY, DUSTY_ALONE / max(len(beside), 1) ** 0.5)
    return bool(beside) and float(np.median(beside)) > least
