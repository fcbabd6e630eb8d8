"""Draw one box of the mosaic from the tiles that cover it.

Tiles are laid one over the other. A later one replaces an earlier one on its own side of the cut
between them, blended over a few pixels, and where there is no cut, everywhere but at its rim. So
every place shows one tile, whatever the cuts of several tiles that meet there say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.stitch.map.cuts import RIM_PX, SeamCut
from runtime.stitch.map.gains import Tone
from runtime.stitch.map.overlaps import Pair
from runtime.stitch.map.warp import Box, Image, View, Warp
from runtime.tile import Pixels, Placement


@dataclass(frozen=True, slots=True)
class Layer:
    """A tile where it belongs, with its tone."""

    pixels: Pixels
    place: Placement
    tone: Tone


@dataclass(frozen=True, slots=True)
class Style:
    """What all tiles of a mosaic share: how they are warped, their shading, what is shown.

    `shading` (y, x) is added to the gain of each pixel of a tile.
    """

    warp: Warp
    dtype: DTypeLike
    shading: Image | None = None


def draw(
    layers: Sequence[Layer], cuts: Mapping[Pair, SeamCut], *, box_px: Box, style: Style
) -> Pixels:
    """Return the (y, x) pixels of a mosaic box (x0, y0, x1, y1), 0 where no tile lies.

    `layers` come from the lowest to the uppermost; `cuts` are those between any two of them, by
    their ids in order. Tiles are resampled to the fraction of a pixel.
    """
    x0, y0, x1, y1 = box_px
    shown = np.zeros((y1 - y0, x1 - x0), np.float32)
    covered = np.zeros(shown.shape, np.bool_)
    laid: list[Laid] = []
    for layer in layers:
        part = style.warp.cut(layer.place, box_px)
        if part is None:
            continue
        view = style.warp.view(
            layer.pixels,
            layer.place,
            part,
            gain=layer.tone.gain,
            offset=layer.tone.offset,
            shading=style.shading,
        )
        new = Laid(layer.place.tile_id, part, view)
        blends = [
            (_span(both, box_px), _blend(new, both, box_px, (shown, covered), laid, cuts))
            for below in laid
            if (both := _meet(part, below.box_px)) is not None
        ]
        inside = view.rim_px >= 1 if style.warp.slanted(layer.place) else np.True_
        span = _span(part, box_px)
        np.copyto(shown[span], view.values, where=inside)
        for where, values in blends:
            shown[where] = values
        covered[span] |= inside
        laid.append(new)
    # OpenCV rounds and saturates in one pass.
    depth = cv2.CV_8U if np.dtype(style.dtype) == np.uint8 else cv2.CV_16U
    return cast(Pixels, cv2.addWeighted(shown, 1.0, shown, 0.0, 0.0, dtype=depth))


@dataclass(frozen=True, slots=True)
class Laid:
    """A tile's view of the part of the box it covers."""

    name: str
    box_px: Box
    view: View

    def rim_px(self, box_px: Box) -> Image:
        """Return how deep inside the tile the pixels of a part of its box lie."""
        return self.view.rim_within(_span(box_px, self.box_px))


def _blend(
    new: Laid,
    both: Box,
    box_px: Box,
    before: tuple[Image, NDArray[np.bool_]],
    laid: Sequence[Laid],
    cuts: Mapping[Pair, SeamCut],
) -> Image:
    """Return what the mosaic box `both` shows once a tile is laid over those before.

    `before` is what the whole box shows without it, and where tiles cover that.
    """
    rim_px = new.rim_px(both)
    share = _ramp(rim_px)
    for below in laid:
        cut = cuts.get((min(new.name, below.name), max(new.name, below.name)))
        part = _meet(both, below.box_px)
        if cut is None or part is None:
            continue
        far = cut.far_share(part)
        mine = 1 - far if cut.first == new.name else far
        # Where the other ends, this one shows whatever the cut says.
        share[_span(part, both)] *= 1 - (1 - mine) * _ramp(below.rim_px(part))
    span = _span(both, box_px)
    shown, covered = before[0][span], before[1][span]
    share[~covered] = 1
    share[rim_px < 1] = 0
    blended: Image = shown + share * (new.view.values[_span(both, new.box_px)] - shown)
    return blended


def _ramp(rim_px: Image) -> Image:
    """Return a weight that grows from a tile's rim inwards."""
    ramp: Image = np.clip(rim_px / np.float32(RIM_PX), 0, 1)
    return ramp


def _meet(a: Box, b: Box) -> Box | None:
    left, top, right, bottom = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _span(part: Box, whole: Box) -> tuple[slice, slice]:
    """Return the (rows, columns) of one mosaic box within another."""
    return (
        slice(part[1] - whole[1], part[3] - whole[1]),
        slice(part[0] - whole[0], part[2] - whole[0]),
    )
