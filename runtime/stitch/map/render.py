"""Draw one box of the mosaic from the tiles that cover it.

Tiles are laid one over the other. A later one replaces an earlier one on its own side of the cut
between them, blended over a few pixels, and where there is no cut, everywhere but at its rim. So
every place shows one tile, whatever the cuts of several tiles that meet there say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.stitch.map.boxes import Box, meet, span
from runtime.stitch.map.cuts import RIM_PX, SeamCut
from runtime.stitch.map.gains import Tone
from runtime.stitch.map.overlaps import Pair
from runtime.stitch.map.warp import Image, View, Warp
from runtime.tile import Pixels, Placement

CutOf = Callable[[Pair], SeamCut | None]


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


def draw(layers: Sequence[Layer], cut_of: CutOf, *, box_px: Box, style: Style) -> Pixels:
    """Return the (y, x) pixels of a mosaic box (x0, y0, x1, y1), 0 where no tile lies.

    `layers` come from the lowest to the uppermost; `cut_of` gives the cut between two of them, by
    their ids in order, or None. Tiles are resampled to the fraction of a pixel.
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
        under = [(each, both) for each in laid if (both := meet(part, each.box_px)) is not None]
        below = [(each, cut_of(_pair(new, each))) for each, _ in under]
        blends = [
            (span(both, box_px), _blend(new, both, box_px, (shown, covered), below))
            for _, both in under
        ]
        inside = view.rim_px >= 1 if style.warp.slanted(layer.place) else np.True_
        own = span(part, box_px)
        np.copyto(shown[own], view.values, where=inside)
        for where, values in blends:
            shown[where] = values
        covered[own] |= inside
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
        return self.view.rim_within(span(box_px, self.box_px))


def _blend(
    new: Laid,
    both: Box,
    box_px: Box,
    before: tuple[Image, NDArray[np.bool_]],
    below: Sequence[tuple[Laid, SeamCut | None]],
) -> Image:
    """Return what the mosaic box `both` shows once a tile is laid over those before.

    `before` is what the whole box shows without it, and where tiles cover that; `below` are the
    tiles that it meets, and where it takes over from each.
    """
    rim_px = new.rim_px(both)
    share = _ramp(rim_px)
    for other, cut in below:
        part = meet(both, other.box_px)
        if cut is None or part is None:
            continue
        far = cut.far_share(part)
        mine = 1 - far if cut.first == new.name else far
        # Where the other ends, this one shows whatever the cut says.
        share[span(part, both)] *= 1 - (1 - mine) * _ramp(other.rim_px(part))
    here = span(both, box_px)
    shown, covered = before[0][here], before[1][here]
    share[~covered] = 1
    share[rim_px < 1] = 0
    blended: Image = shown + share * (new.view.values[span(both, new.box_px)] - shown)
    return blended


def _pair(one: Laid, other: Laid) -> Pair:
    return min(one.name, other.name), max(one.name, other.name)


def _ramp(rim_px: Image) -> Image:
    """Return a weight that grows from a tile's rim inwards."""
    ramp: Image = np.clip(rim_px / np.float32(RIM_PX), 0, 1)
    return ramp
