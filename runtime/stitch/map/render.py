"""Draw one box of the mosaic from the tiles that cover it.

Tiles are laid one over the other. A later one replaces an earlier one on its own side of the cut
between them, blended over a few pixels, and where there is no cut, everywhere but at its rim. So
every place shows one tile, whatever the cuts of several tiles that meet there say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    below: list[tuple[str, Box, Image]] = []
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
        span = _span(part, box_px)
        _lay(view, _share(layer.place.tile_id, part, view, below, cuts), shown[span], covered[span])
        below.append((layer.place.tile_id, part, view.rim_px))
    limits = np.iinfo(np.dtype(style.dtype))
    np.clip(shown, limits.min, limits.max, out=shown)
    drawn: Pixels = np.rint(shown, out=shown).astype(style.dtype)
    return drawn


def _lay(view: View, share: Image, shown: Image, covered: NDArray[np.bool_]) -> None:
    """Blend a view into what is shown of its box, by its share of each pixel."""
    inside = view.rim_px >= 1
    share[~covered] = 1.0
    share[~inside] = 0.0
    shown += share * (view.values - shown)
    covered |= inside


def _share(
    name: str,
    part: Box,
    view: View,
    below: Sequence[tuple[str, Box, Image]],
    cuts: Mapping[Pair, SeamCut],
) -> Image:
    """Return how much (y, x) of a tile shows over those below it: 0 to 1."""
    share = _ramp(view.rim_px)
    for other, box, rim_px in below:
        cut = cuts.get((min(name, other), max(name, other)))
        both = _meet(part, box)
        if cut is None or both is None:
            continue
        far = cut.far_share(both)
        mine = 1 - far if cut.first == name else far
        # Where the other ends, this one shows whatever the cut says.
        yields = 1 - (1 - mine) * _ramp(rim_px[_span(both, box)])
        share[_span(both, part)] *= yields
    return share


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
