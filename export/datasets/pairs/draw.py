"""One pair: a patch of a specimen photographed twice, each strip warped once from the patch."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.pairs.camera import draw_sensor, photograph
from export.datasets.pairs.contrast import Cells, cells_of_both
from export.datasets.pairs.hardness import Hardness
from export.datasets.pairs.pair import CELL_PX, KnownPair
from export.datasets.pairs.pose import StripPose, draw_poses, places
from export.datasets.pairs.resin import paint_resin
from export.datasets.pairs.source import PairSource, Patch
from runtime.errors import ConfigRefused

# A row beyond the border for the interpolation, two more for the smoothing before it.
MARGIN_PX = 3


def draw_pair(
    source: PairSource, rng: np.random.Generator, shape: tuple[int, int], hardness: Hardness
) -> KnownPair:
    """Return a pair of strips of `shape`, (h, w), decided by `rng` alone.

    Raises ConfigRefused for a shape that is not whole cells of 8 px.
    """
    if min(shape) < CELL_PX or any(side % CELL_PX for side in shape):
        raise ConfigRefused(
            "strips must be whole cells",
            value=f"{shape[1]} x {shape[0]} px",
            limit=f"multiples of {CELL_PX} px",
        )
    bent, blank, patterned, apart = (
        rng.random() < share
        for share in (hardness.bent, hardness.blank, hardness.patterned, hardness.apart)
    )
    poses = draw_poses(rng, shape, hardness.pose, bent=bent)
    clean = (
        _apart(source, rng, poses, shape) if apart else _common(source, rng, poses, shape, blank)
    )
    mean = np.float32(np.mean(clean))
    clean = [strip - mean for strip in clean]
    cells = cells_of_both(*clean)
    furthest = float(np.abs(clean).max()) / cells[0].signal
    sensor = draw_sensor(rng, shape, hardness.camera, furthest=furthest, patterned=patterned)
    first, second = (
        photograph(strip, seen, sensor, hardness.camera, rng)
        for strip, seen in zip(clean, cells, strict=True)
    )
    found = _nowhere(shape) if apart else _found(places(*poses, shape), cells, shape)
    return KnownPair(first=first, second=second, places_px=found)


def _common(
    source: PairSource,
    rng: np.random.Generator,
    poses: tuple[StripPose, StripPose],
    shape: tuple[int, int],
    blank: bool,
) -> list[Patch]:
    """Return the two clean strips of one patch."""
    size, origin = _box(poses, shape)
    patch = source.patch(rng, size)
    if blank:
        paint_resin(patch, rng)
    patch = _smoothed(patch, poses[0])
    return [_warped(patch, pose.moved(-origin), shape) for pose in poses]


def _apart(
    source: PairSource,
    rng: np.random.Generator,
    poses: tuple[StripPose, StripPose],
    shape: tuple[int, int],
) -> list[Patch]:
    """Return two clean strips that show nothing in common."""
    boxes = [_box([pose], shape) for pose in poses]
    height, width = np.max([size for size, _ in boxes], axis=0)
    patches = source.two_patches(rng, (int(height), int(width)))
    return [
        _warped(_smoothed(patch, pose), pose.moved(-origin), shape)
        for patch, pose, (_, origin) in zip(patches, poses, boxes, strict=True)
    ]


def _box(
    poses: Sequence[StripPose], shape: tuple[int, int]
) -> tuple[tuple[int, int], NDArray[np.float64]]:
    """Return the (h, w) of the patch that all the strips see, and the place of its (0, 0)."""
    least, largest = zip(*(pose.box(shape) for pose in poses), strict=True)
    low = np.floor(np.min(least, axis=0)) - MARGIN_PX
    high = np.ceil(np.max(largest, axis=0)) + MARGIN_PX
    width, height = (high - low + 1).astype(int)
    return (int(height), int(width)), low


def _smoothed(patch: Patch, pose: StripPose) -> Patch:
    """Return the patch without what pixels further apart than its own cannot show.

    A pixel that covers k of the patch's averages over them, which a Gaussian of half the root of
    k² - 1 does before the strip is sampled.
    """
    covers = abs(float(np.linalg.det(pose.turn)))
    if covers <= 1:
        return patch
    return np.asarray(cv2.GaussianBlur(patch, (0, 0), 0.5 * (covers - 1) ** 0.5 + 0.05))


def _warped(patch: Patch, pose: StripPose, shape: tuple[int, int]) -> Patch:
    """Return the (h, w) strip that a pose sees of a patch."""
    if pose.bend is None:
        matrix = np.column_stack([pose.turn, pose.offset])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        strip = cv2.warpAffine(
            patch, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(strip)
    by_x, by_y = pose.bend.over(shape)
    by_x += np.arange(shape[1], dtype=np.float32)
    by_y += np.arange(shape[0], dtype=np.float32)[:, None]
    turn, offset = pose.turn.astype(np.float32), pose.offset.astype(np.float32)
    x = turn[0, 0] * by_x + turn[0, 1] * by_y + offset[0]
    y = turn[1, 0] * by_x + turn[1, 1] * by_y + offset[1]
    return np.asarray(cv2.remap(patch, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _found(
    there: NDArray[np.float64], cells: tuple[Cells, Cells], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the places of those cells that both strips show with texture, the others NaN."""
    found = _nowhere(shape)
    column, row = (np.floor((there[..., axis] + 0.5) / CELL_PX).astype(int) for axis in (0, 1))
    rows, columns = found.shape[:2]
    seen = (row >= 0) & (row < rows) & (column >= 0) & (column < columns) & cells[0].textured
    seen[seen] = cells[1].textured[row[seen], column[seen]]
    found[seen] = there[seen]
    return found


def _nowhere(shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.full((shape[0] // CELL_PX, shape[1] // CELL_PX, 2), np.nan, dtype=np.float32)
