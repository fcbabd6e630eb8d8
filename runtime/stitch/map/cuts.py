"""Where one tile takes over from the other: along the path on which they differ least.

Blended over a wide band, two tiles that are off by a pixel or two, or of a specimen that was burnt
in between, show every edge twice. So an overlap is cut in two along a path that runs where both
show the same, and blended over a few pixels only. The path goes from end to end of the overlap
without turning back, so that dynamic programming finds the best one: Efros and Freeman, "Image
quilting", doi:10.1145/383259.383296.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.map.boxes import Box
from runtime.stitch.map.warp import Image, View

ALONG_PX, ACROSS_PX = 8, 4
"""Size of the cells the path goes through: a mean over 32 pixels keeps noise from leading it."""

STEEPEST = 2
"""Cells across per cell along: 45 degrees."""

FEATHER_PX = 6.0
RIM_PX = 4.0
"""Within this of a tile's rim no path goes unless it must, and the tile fades."""

MIDDLE_COST = 0.5
"""What the rim costs over the middle, in units of the usual difference: where nothing is to be
avoided, the path keeps to the middle."""

LEAST_CELLS = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SeamCut:
    """A path through the overlap `box_px` (x0, y0, x1, y1) of two tiles.

    Tiles side by side are cut from top to bottom (`upright`), others from left to right. `cells`
    are the path's places across, in cells of `ACROSS_PX` from the box's corner, one for every
    `ALONG_PX`. `first` is the tile that keeps the side of the left, or top.
    """

    box_px: Box
    upright: bool
    first: str
    cells: tuple[int, ...]

    def far_share(self, box_px: Box) -> Image:
        """Return how much (y, x) of the tile on the right, or below, a mosaic box shows: 0 to 1."""
        (x0, y0, x1, y1), (left, top) = box_px, self.box_px[:2]
        xs, ys = np.arange(x0, x1) - left, np.arange(y0, y1) - top
        along, across = (ys, xs) if self.upright else (xs, ys)
        nodes = (np.arange(len(self.cells)) + 0.5) * ALONG_PX - 0.5
        path = np.interp(along, nodes, (np.array(self.cells) + 0.5) * ACROSS_PX - 0.5)
        beyond = np.subtract.outer(-path, -across).astype(np.float32)
        share: Image = np.clip(beyond / np.float32(FEATHER_PX) + np.float32(0.5), 0, 1)
        return share if self.upright else share.T


def costs(first: View, second: View, *, upright: bool) -> Floats | None:
    """Return what each cell (along, across) of an overlap costs a path; None for a narrow one."""
    unlike = cv2.absdiff(_levelled(first.values), _levelled(second.values))
    step_y, step_x = (ALONG_PX, ACROSS_PX) if upright else (ACROSS_PX, ALONG_PX)
    down, across = unlike.shape[0] // step_y, unlike.shape[1] // step_x
    if min(down, across) < LEAST_CELLS:
        return None
    whole = unlike[: down * step_y, : across * step_x]
    cost = cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA).astype(np.float64)
    middles = (
        slice(step_y // 2, down * step_y, step_y),
        slice(step_x // 2, across * step_x, step_x),
    )
    deep = np.minimum(first.rim_within(middles), second.rim_within(middles))
    if not upright:
        cost, deep = cost.T, deep.T
    usual = float(np.median(cost)) or 1.0
    off_middle = np.linspace(-1, 1, cost.shape[1]) ** 2
    # Beyond a rim there is nothing to show: worse, the further beyond.
    beyond = np.clip(RIM_PX - deep, 0, None)
    total: Floats = cost / usual + MIDDLE_COST * off_middle + 10.0 * beyond
    return total


def least_paths(of: Sequence[Floats]) -> list[tuple[int, ...]]:
    """Return the cheapest path through each (along, across) array: its place across, step by step.

    All at once, for a step costs the same for one overlap as for many.
    """
    if not of:
        return []
    along, across = (max(cost.shape[axis] for cost in of) for axis in (0, 1))
    cost = np.full((len(of), along, across + 2 * STEEPEST), np.inf)
    for each, padded in zip(of, cost, strict=True):
        padded[: each.shape[0], STEEPEST : STEEPEST + each.shape[1]] = each
    steps = 2 * STEEPEST + 1
    inner = slice(STEEPEST, STEEPEST + across)
    came = np.zeros((len(of), along, across), np.int64)
    for row in range(1, along):
        before = np.stack([cost[:, row - 1, i : i + across] for i in range(steps)])
        came[:, row] = before.argmin(axis=0)
        cost[:, row, inner] += before.min(axis=0)
    paths = []
    for index, each in enumerate(of):
        last = each.shape[0] - 1
        at = int(cost[index, last, inner].argmin())
        path = [at]
        for row in range(last, 0, -1):
            at += int(came[index, row, at]) - STEEPEST
            path.append(at)
        paths.append(tuple(reversed(path)))
    return paths


def _levelled(values: Image) -> Image:
    """Return an overlap without what a gain and an offset of its tile make of it."""
    mean, spread = (float(each[0, 0]) for each in cv2.meanStdDev(values))
    scale = 1 / (spread or 1.0)
    return np.asarray(cv2.addWeighted(values, scale, values, 0.0, -mean * scale), np.float32)
