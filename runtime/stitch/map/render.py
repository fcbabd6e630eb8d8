"""Draw one box of the mosaic from the tiles that cover it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.stitch.map.gains import Tone
from runtime.tile import Pixels

FEATHER_POWER = 6
"""Steep, so that both tiles show in a narrow band only: scanned tiles are deformed by a few pixels,
and where such tiles are averaged every edge shows twice."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """A tile where it belongs: pixel (0, 0) at `at_px` (x, y) of the mosaic, with its tone."""

    pixels: Pixels
    at_px: tuple[float, float]
    tone: Tone


def draw(layers: Iterable[Layer], *, box_px: tuple[int, int, int, int], dtype: DTypeLike) -> Pixels:
    """Return the (y, x) pixels of a mosaic box (x0, y0, x1, y1), 0 where no tile lies.

    Tiles are resampled to the fraction of a pixel (bicubic) and blended by weights that fall to
    zero at their edges.
    """
    x0, y0, x1, y1 = box_px
    total = np.zeros((y1 - y0, x1 - x0), np.float32)
    weight = np.zeros_like(total)
    for layer in layers:
        offset = (layer.at_px[0] - x0, layer.at_px[1] - y0)
        spans = _covered(offset, layer.pixels.shape, total.shape)
        if spans is None:
            continue
        part, share = _place(layer, offset, spans)
        total[spans] += part * share
        weight[spans] += share
    np.divide(total, weight, out=total, where=weight > 0)
    limits = np.iinfo(np.dtype(dtype))
    drawn: Pixels = np.clip(np.rint(total), limits.min, limits.max).astype(dtype)
    return drawn


def _covered(
    offset_px: tuple[float, float], tile: tuple[int, ...], box: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Return the (rows, columns) of the box whose centres lie inside the tile."""
    spans = []
    for start, size, room in zip(offset_px[::-1], tile, box, strict=True):
        first, last = max(int(np.ceil(start)), 0), min(int(np.floor(start + size - 1)), room - 1)
        if last < first:
            return None
        spans.append(slice(first, last + 1))
    return spans[0], spans[1]


def _place(
    layer: Layer, offset_px: tuple[float, float], spans: tuple[slice, slice]
) -> tuple[Floats, Floats]:
    """Return the tile resampled to the covered part of the box, toned, and its weights."""
    rows = np.arange(spans[0].start, spans[0].stop) - offset_px[1]
    columns = np.arange(spans[1].start, spans[1].stop) - offset_px[0]
    # Cut the tile with a margin for the kernel first: warping converts the whole input.
    top, left = max(int(rows[0]) - 2, 0), max(int(columns[0]) - 2, 0)
    source = layer.pixels[top : int(rows[-1]) + 4, left : int(columns[-1]) + 4].astype(np.float32)
    move = np.array([[1, 0, columns[0] - left], [0, 1, rows[0] - top]], dtype=np.float64)
    part = cv2.warpAffine(
        source,
        move,
        (len(columns), len(rows)),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    height, width = layer.pixels.shape
    share = np.outer(_tent(rows, height), _tent(columns, width)).astype(np.float32)
    return part * np.float32(layer.tone.gain) + np.float32(layer.tone.offset), share


def _tent(at: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return weights that rise from the tile's edges to its middle."""
    edge = np.minimum(at, size - 1 - at) + 1.0
    weights: NDArray[np.float64] = (edge / ((size + 1) / 2)) ** FEATHER_POWER
    return weights
